//! What a storm would hide: a short play of its own for some seeds, with one thing that goes wrong.

use tributary_flow::time::{DAY, SECOND};
use tributary_sim::{Crash, Hops, SimError, SimOptions, Simulation};

use super::Played;
use super::toy::{self, ORDERS};
use super::workload::{NODES, draw, tasks};

/// A restart takes three seconds at most, and nothing that a dead process had open may hold up what follows: less than a
/// transaction can be open.
const SOON: i64 = 8 * SECOND;

/// A session, and what it takes then to take over: less than a transaction can be open.
const LOST: i64 = 9 * SECOND + SECOND / 2;

fn scene(seed: u64, crash: Crash) -> Result<Simulation, SimError> {
    let options =
        SimOptions { hops: Hops::Foreseen, ticking: true, crash, ..SimOptions::new(seed, 3, vec![NODES.to_vec()]) };
    let mut simulation = Simulation::new(options, |_, partition| tasks(partition, 3, true));
    for n in 0..6 {
        let from = format!("w{n}");
        simulation.submit(&ORDERS, &from, toy::order(&from, "pay", &from, "w7", 1));
    }
    simulation.run_until_quiet()?;
    Ok(simulation)
}

/// What a process had open when it died does not hold up whoever comes after it.
pub fn a_crash_is_soon_over(played: &Played) -> Result<(), String> {
    let seed = played.simulation.seed();
    if seed % 8 != 1 {
        return Ok(());
    }
    let simulation = scene(seed, Crash::At(draw(seed, 1) % 12)).map_err(|error| error.to_string())?;
    let took = simulation.now().0 - DAY;
    if took < SOON { Ok(()) } else { Err(format!("it took {took} us")) }
}

/// What a process had open when it was lost for good is ended by those who are left, as soon as they know that it is lost.
pub fn a_lost_process_is_soon_replaced(played: &Played) -> Result<(), String> {
    let seed = played.simulation.seed();
    if !seed.is_multiple_of(8) {
        return Ok(());
    }
    let boundary = 1 + draw(seed, 2) % 7;
    let options = SimOptions {
        hops: Hops::Foreseen,
        ticking: true,
        processes: 2,
        ..SimOptions::new(seed, 3, vec![NODES.to_vec()])
    };
    let mut simulation = Simulation::new(options, |_, partition| tasks(partition, 3, true));
    simulation.run_until_quiet().map_err(|error| error.to_string())?;
    simulation.crash_at(boundary);
    for n in 0..6 {
        let from = format!("w{n}");
        simulation.submit(&ORDERS, &from, toy::order(&from, "pay", &from, "w7", 1));
    }
    while simulation.crashes() == 0 {
        simulation.turn().map_err(|error| error.to_string())?;
    }
    let (since, lost) = (simulation.now(), (0..2).find(|number| !simulation.is_up(*number)).unwrap_or_default());
    simulation.keep_down(lost, 60);
    while simulation.now() < since.plus(LOST) {
        simulation.turn().map_err(|error| error.to_string())?;
    }
    let answered = super::laws::answers(&simulation).len();
    if answered == 6 { Ok(()) } else { Err(format!("only {answered} of 6 are answered")) }
}

/// Where a topic is made anew under stores that know more of it, the slot stops.
pub fn a_log_made_anew_is_noticed(played: &Played) -> Result<(), String> {
    let seed = played.simulation.seed();
    if seed % 8 != 4 {
        return Ok(());
    }
    let mut simulation = scene(seed, Crash::Never).map_err(|error| error.to_string())?;
    let topic = [ORDERS.name, "node-wallet.changelog.v1"][(seed / 8 % 2) as usize];
    simulation.kill("wallet");
    simulation.forget(topic);
    match simulation.run_until_quiet() {
        Err(SimError::Stopped { .. }) => Ok(()),
        other => Err(format!("{topic}: {other:?}")),
    }
}
