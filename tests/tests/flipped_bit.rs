//! The audit as a person runs it: one bit of a stored entry is flipped on the disk, below every checksum, and `verify`
//! says where; one above a checksum, and whatever reads the state names the file.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rocksdb::{DB, IteratorMode, Options};
use tributary_cli::source::Source;
use tributary_flow::framing::unframe;
use tributary_flow::{Body, log};
use tributary_graph::LEDGER_ENTRIES;
use tributary_schemas::ledger::Entry;
use tributary_tests::history;
use tributary_tests::recovery::{audit, tool};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tributary-under-test");

/// An entry in the middle of the history: where it lies, whose it is, its hash, and its amount as it lies.
struct Victim {
    place: String,
    account: String,
    hash: [u8; 32],
}

fn victim(folder: &Path) -> Result<Victim> {
    let source = Source::open(&history::config(folder))?;
    let mut found = None;
    log::visit(source.log.as_ref(), LEDGER_ENTRIES.name, 1, |record| {
        let (_, datum) = unframe(record.value.as_deref().unwrap_or_default())?;
        let Entry::EntryPosted(entry) = Entry::decode(datum)?.1;
        if found.is_none() && entry.sequence == 2 {
            let place = format!("ledger.entries.v1[1]@{}", record.offset);
            found = Some(Victim { place, account: entry.account_id.to_string(), hash: entry.hash.0 });
        }
        Ok::<_, anyhow::Error>(())
    })?;
    found.context("no account of the partition has two entries")
}

/// Flips one bit `before` so many bytes the first place where `needle` lies in the log.
fn flip(folder: &Path, needle: &[u8], before: usize) -> Result<()> {
    let db = DB::open_cf(&Options::default(), folder, ["default", "log", "state", "meta"])?;
    let log = db.cf_handle("log").context("the log's column family")?;
    for block in db.iterator_cf(log, IteratorMode::Start) {
        let (key, mut value) = block?;
        if !key.starts_with(b"ledger.entries.v1\0") {
            continue;
        }
        if let Some(at) = value.windows(needle.len()).position(|window| window == needle) {
            value[at - before] ^= 1;
            db.put_cf(log, key, value)?;
            return Ok(db.flush_wal(true)?);
        }
    }
    anyhow::bail!("the entry is not in the log")
}

#[test]
fn one_flipped_bit_on_the_disk_is_named_by_topic_partition_offset_and_account() -> Result<()> {
    let folder = tempfile::tempdir()?;
    history::write(folder.path(), 200)?;
    let place = ["--data", folder.path().to_str().context("a path in UTF-8")?];
    audit(Path::new(PROGRAM), &place)?;

    let Victim { place: at, account, hash } = victim(folder.path())?;
    // 33 bytes before its hash its previous hash begins; before that lie value date, booking time, and what was available.
    for before in [0, 33, 43] {
        flip(folder.path(), &hash, before)?;
        let output = tool(Path::new(PROGRAM), &[&["verify"], &place[..]].concat())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let named = said
            .lines()
            .find(|line| line.starts_with("VIOLATION") && line.contains(&format!(": {at}: account {account}: ")));
        eprintln!("{before} bytes before the hash: {}", named.unwrap_or(&said));
        ensure!(output.status.code() == Some(1) && named.is_some(), "{} {said}", output.status);
        // The same bit again, and all is as it was; the hash itself has changed where that was flipped.
        let mut now = hash;
        now[0] ^= u8::from(before == 0);
        flip(folder.path(), &now, before)?;
    }
    audit(Path::new(PROGRAM), &place)?;
    Ok(())
}

#[test]
fn a_flipped_bit_in_a_file_of_the_state_is_named_by_whatever_reads_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    history::write(folder.path(), 200)?;
    let files = {
        let db = DB::open_cf(&Options::default(), folder.path(), ["default", "log", "state", "meta"])?;
        db.flush_cf(db.cf_handle("state").context("the state's column family")?)?;
        db.live_files()?.into_iter().filter(|file| file.column_family_name == "state")
    };
    let largest = files.max_by_key(|file| file.size).context("the state lies in a file")?;
    let name = largest.name.trim_start_matches('/');
    let path = folder.path().join(name);
    let mut bytes = std::fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&path, bytes)?;
    let place = ["--data", folder.path().to_str().context("a path in UTF-8")?];
    for command in [&["verify"][..], &["replay", "all"]] {
        let output = tool(Path::new(PROGRAM), &[command, &place[..]].concat())?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        eprintln!("{command:?}: {said}");
        let named = said.contains("cannot be read") && said.contains("Corruption") && said.contains(name);
        ensure!(output.status.code() == Some(2) && named, "{} {said}", output.status);
    }
    Ok(())
}
