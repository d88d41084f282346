//! The table of mutants, as `tests/mutants` has it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

/// What a mutant is played on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Play {
    /// Wallets that pay each other.
    #[default]
    Toy,
    /// The whole graph.
    Payments,
}

/// A text that is replaced by another; it occurs once in its file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    pub file: String,
    pub text: String,
    pub with: String,
}

/// A deliberate fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    pub name: String,
    /// The rule of exactly-once that it breaks.
    pub rule: Option<u32>,
    /// The law of the design that it breaks.
    law: Option<u32>,
    pub fault: String,
    pub disaster: String,
    file: String,
    text: String,
    with: String,
    #[serde(default)]
    and: Vec<Edit>,
    #[serde(default)]
    play: Play,
    /// The first seed that finds it, where it is a rare one: found again at once, for as long as all is as it was.
    pub seed: Option<u64>,
}

impl Mutant {
    /// Everything that it replaces.
    pub fn edits(&self) -> impl Iterator<Item = Edit> {
        let first = Edit { file: self.file.clone(), text: self.text.clone(), with: self.with.clone() };
        std::iter::once(first).chain(self.and.iter().cloned())
    }

    /// What it is played on.
    pub fn play(&self) -> Play {
        if self.file.starts_with("processors/") { Play::Payments } else { self.play }
    }

    /// The rule or law that it breaks.
    pub fn breaks(&self) -> String {
        self.rule.map_or_else(|| format!("law {}", self.law.unwrap_or_default()), |rule| rule.to_string())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Without {
    rule: u32,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    mutant: Vec<Mutant>,
    #[serde(default)]
    without: Vec<Without>,
}

/// All of it.
pub struct Table {
    pub mutants: Vec<Mutant>,
    /// Rules without a mutant, and why.
    pub without: BTreeMap<u32, String>,
}

impl Table {
    /// Reads it.
    pub fn read(root: &Path) -> Self {
        let mut table = Table { mutants: Vec::new(), without: BTreeMap::new() };
        let mut files: Vec<_> =
            fs::read_dir(root.join("tests/mutants")).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            table.mutants.extend(file.mutant);
            table.without.extend(file.without.into_iter().map(|without| (without.rule, without.why)));
        }
        let mut names: Vec<_> = table.mutants.iter().map(|mutant| &mutant.name).collect();
        names.sort();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "two mutants have one name: {names:?}");
        for Mutant { name, rule, law, fault, disaster, .. } in &table.mutants {
            let told = rule.is_some() != law.is_some() && !fault.is_empty() && !disaster.is_empty();
            assert!(told, "{name}: what it breaks, how, and what comes of it");
        }
        table
    }
}
