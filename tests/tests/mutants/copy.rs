//! The copy of the code that holds the mutants.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::table::{Mutant, Play};

/// Crates that the copy needs, below the root.
const CRATES: [&str; 13] = [
    "schemas",
    "topology/graph",
    "topology/flow",
    "topology/slot",
    "topology/sim",
    "topology/broker",
    "topology/embedded",
    "topology/cli",
    "processors/account",
    "processors/transaction",
    "processors/risk",
    "processors/ledger",
    "query-api",
];

/// Where in the copy they lie.
const BELOW: &str = "mutated";

/// The switch, in the core of the copy alone.
const SWITCH: &str = r#"
/// Whether a fault is on.
pub fn mutated(name: &str) -> bool {
    static ON: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    ON.get_or_init(|| std::env::var("TRIBUTARY_MUTANT").ok()).as_deref() == Some(name)
}
"#;

/// Files by their path from the root.
type Files = BTreeMap<String, Vec<u8>>;

/// The copy.
pub struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Makes it below the folder in which this test was built, where it always is, so that little is built again. Its crates
    /// lie in a folder more than ours do: cargo tells crates apart by their place below the workspace, and would take
    /// one for the other.
    pub fn new(from: &Path, mutants: &[Mutant]) -> Self {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap().to_owned();
        let copy = Copy { root: target.join("mutants"), target };
        let mut files = Files::new();
        for folder in CRATES {
            read(from, &from.join(folder), &mut files);
        }
        mutants.iter().for_each(|mutant| mutate(mutant, &mut files));
        files.get_mut("topology/flow/src/lib.rs").unwrap().extend_from_slice(SWITCH.as_bytes());
        files.extend([program(Play::Toy), program(Play::Payments)]);
        let below = |(name, bytes)| (format!("{BELOW}/{name}"), bytes);
        let mut files: Files = files.into_iter().map(below).collect();
        files.insert("Cargo.toml".to_owned(), manifest(&fs::read_to_string(from.join("Cargo.toml")).unwrap()));
        // Cargo adds up the flags of all folders above, and a copy within our own has ours already.
        let flags = Some(".cargo/config.toml").filter(|_| !copy.root.starts_with(from));
        for same in ["Cargo.lock"].into_iter().chain(flags) {
            files.insert(same.to_owned(), fs::read(from.join(same)).unwrap());
        }
        copy.write(&files);
        copy
    }

    /// Writes what has changed, and nothing else: what is as it was is not built again.
    fn write(&self, files: &Files) {
        let mut there = Files::new();
        if self.root.exists() {
            read(&self.root, &self.root, &mut there);
        }
        for name in there.keys().filter(|name| !files.contains_key(*name)) {
            fs::remove_file(self.root.join(name)).unwrap();
        }
        for (name, text) in files.iter().filter(|(name, text)| there.get(*name) != Some(*text)) {
            let path = self.root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    /// Builds what plays the seeds.
    pub fn build(&self, play: Play) -> PathBuf {
        let name = name(play);
        let built = Command::new(env!("CARGO"))
            .args(["build", "--release", "--offline", "--quiet", "--package", name])
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .output()
            .unwrap();
        assert!(built.status.success(), "the copy does not compile: {}", String::from_utf8_lossy(&built.stderr));
        self.target.join("release").join(name)
    }
}

fn name(play: Play) -> &'static str {
    match play {
        Play::Toy => "mutant-storm",
        Play::Payments => "mutant-payments",
    }
}

/// What plays the seeds is an example of ours, under a name that nothing else has in the target folder.
fn program(play: Play) -> (String, Vec<u8>) {
    let (name, example, needs) = match play {
        Play::Toy => (
            name(play),
            "topology/sim/examples/storm.rs",
            ["tributary-flow", "tributary-sim", "tributary-slot"].as_slice(),
        ),
        Play::Payments => (name(play), "topology/cli/examples/payments.rs", ["tributary-cli"].as_slice()),
    };
    let needs: String = needs.iter().map(|name| format!("{name}.workspace = true\n")).collect();
    let text = format!(
        "[package]\nname = \"{name}\"\nversion.workspace = true\nedition.workspace = true\n\n\
         [[bin]]\nname = \"{name}\"\npath = \"../{example}\"\n\n[dependencies]\n{needs}"
    );
    (format!("{name}/Cargo.toml"), text.into_bytes())
}

/// The workspace's manifest with the copy's members.
fn manifest(whole: &str) -> Vec<u8> {
    let (before, rest) = whole.split_once("members = [").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    let crates = CRATES.into_iter().chain([Play::Toy, Play::Payments].map(name));
    let members: Vec<String> = crates.map(|member| format!("{BELOW}/{member}")).collect();
    let after = after.replace("path = \"", &format!("path = \"{BELOW}/"));
    // To optimise them takes longer than all hunts. Said of each by name: what is foreign is built as ever, and there already.
    let quick = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        format!("\n[profile.release.package.tributary-{name}]\nopt-level = 1\ndebug = 0\n")
    };
    let quick: String = CRATES.into_iter().map(quick).collect();
    format!("{before}members = {members:?}{after}{quick}").into_bytes()
}

fn read(root: &Path, folder: &Path, files: &mut Files) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            files.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// Puts a mutant in, behind its switch.
fn mutate(mutant: &Mutant, files: &mut Files) {
    for edit in mutant.edits() {
        let name = &mutant.name;
        let file = files.get_mut(&edit.file).unwrap_or_else(|| panic!("{name}: there is no {}", edit.file));
        let text = String::from_utf8(std::mem::take(file)).unwrap();
        let found = text.matches(&edit.text).count();
        let asked = (&edit.file, &edit.text);
        assert_eq!(found, 1, "{name} does not apply any more: its text must be found once, in {asked:#?}");
        let core = if edit.file.starts_with("topology/flow/") { "crate" } else { "tributary_flow" };
        let with = edit.with.replace("MUTATED", &format!("{core}::mutated({name:?})"));
        *file = text.replace(&edit.text, &with).into_bytes();
    }
}
