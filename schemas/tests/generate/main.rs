//! The generator: from `avro/` to the Rust types and their codec, the self-contained schemas, and the table of ids.
//!
//! The test compares what is committed with what it makes; `UPDATE=1` writes instead. Where a topic's schema differs
//! from its newest published version, `PUBLISH=1` writes the next version under `history/` and gives it a fresh id in
//! `ids.json`. (A version that never left the building may be removed from both and published anew.)
//!
//! It uses nothing of the crate, but is built with it: where a change leaves the crate unable to build, restore the
//! generated files, mend the generator, run it again.

mod emit;
mod envelope;
mod model;
mod publish;
mod registry;
mod resolve;

use std::{
    collections::BTreeMap,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use model::Schemas;

/// The crate's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Whether the variable is set.
fn asked(variable: &str) -> bool {
    std::env::var_os(variable).is_some()
}

/// What the generator makes: files, by their path in the crate.
fn generate(schemas: &Schemas) -> BTreeMap<PathBuf, String> {
    let mut files = BTreeMap::new();
    let domains = schemas.domains();
    files.insert("src/generated/mod.rs".into(), format_rust(&emit::index(&domains)));
    for domain in &domains {
        files.insert(format!("src/generated/{domain}.rs").into(), format_rust(&emit::domain(schemas, domain)));
    }
    for envelope in schemas.envelopes() {
        files.insert(
            format!("resolved/{}.avsc", envelope.full_name).into(),
            resolve::resolved(schemas, &envelope.full_name),
        );
    }
    files.insert("src/generated/table.rs".into(), format_rust(&registry::table(schemas, root())));
    files
}

/// As `cargo fmt` would leave it.
fn format_rust(source: &str) -> String {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout"])
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("rustfmt is part of the toolchain");
    rustfmt.stdin.take().expect("it was piped").write_all(source.as_bytes()).expect("rustfmt reads its input");
    let output = rustfmt.wait_with_output().expect("rustfmt ends");
    assert!(output.status.success(), "rustfmt refuses:\n{source}");
    String::from_utf8(output.stdout).expect("rustfmt writes UTF-8")
}

#[test]
fn what_is_committed_is_what_the_schemas_say() {
    let schemas = Schemas::load(&root().join("avro"));
    let unpublished = publish::unpublished(&schemas, root());
    if asked("PUBLISH") {
        publish::publish(&schemas, &unpublished, root());
    } else {
        assert!(
            unpublished.is_empty(),
            "changed since they were published, so PUBLISH=1 and UPDATE=1: {unpublished:?}"
        );
    }
    let generated = generate(&schemas);
    let left_over: Vec<_> = committed().into_iter().filter(|path| !generated.contains_key(path)).collect();
    assert!(left_over.is_empty(), "the schemas say nothing of them, remove them: {left_over:?}");
    let stale: Vec<_> = generated.into_iter().filter(|(path, text)| is_stale(path, text)).collect();
    if asked("UPDATE") || asked("PUBLISH") {
        for (path, text) in &stale {
            let path = root().join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder can be made");
            fs::write(path, text).expect("the file can be written");
        }
        return;
    }
    let stale: Vec<_> = stale.into_iter().map(|(path, _)| path).collect();
    assert!(stale.is_empty(), "not as the schemas say, run with UPDATE=1: {stale:?}");
}

/// The files in the generator's folders.
fn committed() -> Vec<PathBuf> {
    let files = |folder: &str| -> Vec<PathBuf> {
        let names = if root().join(folder).exists() { model::entries(&root().join(folder)) } else { Vec::new() };
        names.iter().map(|name| Path::new(folder).join(name)).collect()
    };
    [files("src/generated"), files("resolved")].concat()
}

fn is_stale(path: &Path, text: &str) -> bool {
    fs::read_to_string(root().join(path)).ok().as_deref() != Some(text)
}
