//! Plays a scenario over a driver, and judges what came of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use tributary_cli::decode::Decoder;
use tributary_cli::replay::{Span, replay};
use tributary_cli::verify::verify;
use tributary_cli::wiring::Schemas;
use tributary_flow::Timestamp;

use super::file::{Command, Step, instant};
use super::ledger::Answer;
use super::snapshot::Snapshot;
use super::{Driver, Entries, Ledger, Scenario};

/// How the steps are submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One at a time, each once all is quiet.
    Determined,
    /// All at once, at the time of the first. The accounts are made one at a time before.
    AtOnce,
}

/// What a run ended in.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The entries.
    pub entries: Entries,
    /// The canonical ledger.
    pub ledger: Ledger,
}

/// Plays and judges.
///
/// # Errors
/// Names the file, the step, and the driver with its seed.
pub fn play(scenario: &Scenario, driver: &mut dyn Driver, order: Order) -> Result<Outcome> {
    run(scenario, driver, order).with_context(|| format!("{} ({order:?}) on {}", scenario.file(), driver.name()))
}

fn run(scenario: &Scenario, driver: &mut dyn Driver, order: Order) -> Result<Outcome> {
    ensure!(order == Order::Determined || scenario.concurrent, "the file does not say that it may be played at once");
    let start = instant(&scenario.start, Timestamp::default())?;
    driver.set_clock(start);
    let mut sent = Vec::new();
    for (index, step) in scenario.given()?.iter().enumerate() {
        one(driver, step, index, start, &mut sent)
            .with_context(|| format!("account {}", step.id.as_deref().unwrap_or_default()))?;
    }
    let mut now = start;
    for (index, step) in scenario.steps.iter().enumerate() {
        let told = || format!("step {} {}", index + 1, step.note.as_deref().or(step.id.as_deref()).unwrap_or_default());
        if order == Order::AtOnce {
            let command = step.command(index + 1, start).with_context(told)?;
            submit(driver, step, command, &mut sent).with_context(told)?;
            continue;
        }
        now = step.time(now).with_context(told)?;
        one(driver, step, index + 1, now, &mut sent).with_context(told)?;
    }
    driver.settle()?;
    judge(scenario, driver, &sent)
}

/// A step, from one quiet moment to the next.
fn one(
    driver: &mut dyn Driver,
    step: &Step,
    number: usize,
    now: Timestamp,
    sent: &mut Vec<(Step, Command)>,
) -> Result<()> {
    if step.at.is_some() || step.restart_without.is_some() {
        driver.set_clock(now);
        if let Some(without) = &step.restart_without {
            driver.restart(without)?;
        }
        driver.settle()?;
    }
    submit(driver, step, step.command(number, now)?, sent)?;
    driver.settle()?;
    step.then.as_ref().map_or(Ok(()), |then| then.check_state(driver))
}

fn submit(
    driver: &mut dyn Driver,
    step: &Step,
    command: Option<Command>,
    sent: &mut Vec<(Step, Command)>,
) -> Result<()> {
    if let Some(command) = command {
        driver.submit(command.topic, &command.key, command.value.clone())?;
        sent.push((step.clone(), command));
    }
    Ok(())
}

fn judge(scenario: &Scenario, driver: &dyn Driver, sent: &[(Step, Command)]) -> Result<Outcome> {
    let log = Snapshot::of(driver.log())?;
    let (entries, ledger) = (Entries::read(&log)?, Ledger::of(&log, driver.states())?);
    check_answers(&ledger, sent)?;
    scenario.then.check_ledger(&ledger, entries.count()).context("at the end")?;
    scenario.then.check_state(driver).context("at the end")?;
    let report = verify(&log, driver.states(), Decoder::new(Arc::new(Schemas::compiled())), true)?;
    if !report.violations.is_empty() {
        let said: Vec<String> = report.violations.iter().map(ToString::to_string).collect();
        bail!("{} laws broken:\n  {}", said.len(), said.join("\n  "));
    }
    for node in tributary_graph::writers().filter(|node| !scenario.without.iter().any(|name| name == node.name)) {
        let report = replay(&log, node, Arc::new(Schemas::compiled()), Span::ALL, true)?;
        ensure!(
            report.identical(),
            "the replay of {} differs: missing {:?}, surplus {:?}",
            node.name,
            report.missing,
            report.surplus
        );
    }
    Ok(Outcome { entries, ledger })
}

/// Every command has exactly the answers that the file says.
fn check_answers(ledger: &Ledger, sent: &[(Step, Command)]) -> Result<()> {
    let mut asked: BTreeMap<(String, String), Vec<&Step>> = BTreeMap::new();
    for (step, Command { key, id, .. }) in sent {
        let of_id = asked.entry((key.clone(), id.clone())).or_default();
        if step.answer.as_deref() != Some("none") {
            of_id.push(step);
        }
    }
    for ((key, id), steps) in &asked {
        let answers = ledger.answers.get(&(key.clone(), id.clone())).map_or(&[][..], Vec::as_slice);
        let told = || format!("command {id} to {key}: answers {answers:?}");
        ensure!(answers.len() == steps.len(), "{}, expected {}", told(), steps.len());
        // Which of several is answered first is a question of order; that each has its own is not.
        let mut left: Vec<&Answer> = answers.iter().collect();
        for step in steps {
            let Some(found) = left.iter().position(|answer| answers_step(answer, step)) else {
                bail!(
                    "{}, none of them is {:?} {:?} at {:?} with {:?}",
                    told(),
                    step.answer,
                    step.refused,
                    step.field,
                    step.values
                );
            };
            left.remove(found);
        }
    }
    Ok(())
}

fn answers_step(answer: &Answer, step: &Step) -> bool {
    let said = |(name, value): (&String, &String)| answer.values.get(name) == Some(value);
    answer.code == step.refused
        && step.answer.as_ref().is_none_or(|event| *event == answer.event)
        && step.field.as_ref().is_none_or(|field| Some(field) == answer.field.as_ref())
        && step.values.iter().all(said)
}
