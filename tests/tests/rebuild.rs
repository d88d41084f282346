//! State is disposable: a view that is cleared fills itself again from the log, row for row.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tributary_cli::decode::Decoder;
use tributary_cli::source::Source;
use tributary_cli::verify::verify;
use tributary_cli::wiring::{self, Schemas};
use tributary_embedded::{Embedded, OpenError, Options};
use tributary_flow::{Node, Platform};
use tributary_graph::{account_view, transaction_view};
use tributary_tests::history;

/// Partition, key, value.
type Row = (u32, Vec<u8>, Vec<u8>);

/// A view's rows, by partition.
fn rows(source: &Source, node: &'static Node) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for partition in 0..source.log.partitions() {
        source.states.with_state(node, partition, &mut |store| {
            store.scan(&[], &[u8::MAX], false, &mut |key, value| {
                rows.push((partition, key.to_vec(), value.to_vec()));
                ControlFlow::Continue(())
            });
        })?;
    }
    Ok(rows)
}

fn show((partition, key, value): &Row) -> String {
    format!("{partition} {} = {}", key.escape_ascii(), value.escape_ascii())
}

#[test]
fn a_cleared_view_of_the_embedded_engine_is_filled_again_to_the_same_rows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    history::write(folder.path(), 300)?;
    let views = [&account_view::NODE, &transaction_view::NODE];
    let config = history::config(folder.path());
    let source = Source::open(&config)?;
    let before = [rows(&source, views[0])?, rows(&source, views[1])?];
    drop(source);

    let setup = wiring::setup(config.partitions, Arc::new(Schemas::compiled()));
    let make = |partition| wiring::tasks(partition, &setup, &|_| true);
    let mut options = Options::new(folder.path(), config.partitions);
    options.rebuild = vec!["account".into()];
    let refused = Embedded::open(&options, &make).err();
    ensure!(matches!(refused, Some(OpenError::NotAView(_))), "only a view may be cleared: {refused:?}");

    options.rebuild = views.iter().map(|view| view.name.to_owned()).collect();
    let since = Instant::now();
    let embedded = Embedded::open(&options, &make)?;
    while embedded.tasks().iter().any(|task| task.lag > 0) {
        ensure!(since.elapsed() < Duration::from_secs(30), "the views do not catch up: {:?}", embedded.tasks());
        std::thread::sleep(Duration::from_millis(5));
    }
    embedded.close();
    drop(embedded);
    eprintln!("{} and {} rows again in {:.0?}", before[0].len(), before[1].len(), since.elapsed());

    let source = Source::open(&config)?;
    let mut differences = Vec::new();
    for (node, before) in views.into_iter().zip(before) {
        let after = rows(&source, node)?;
        let differing = before.iter().zip(&after).filter(|(before, after)| before != after);
        differences.extend(
            differing.map(|(before, after)| format!("{}: {}\n  after: {}", node.name, show(before), show(after))),
        );
        ensure!(before.len() == after.len(), "{}: {} rows before and {} after", node.name, before.len(), after.len());
    }
    ensure!(differences.is_empty(), "{} rows are others:\n{}", differences.len(), differences.join("\n"));
    let report = verify(source.log.as_ref(), source.states.as_ref(), Decoder::new(source.registry.clone()), true)?;
    ensure!(report.violations.is_empty(), "{:?}", report.violations);
    Ok(())
}
