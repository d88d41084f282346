//! How fast the embedded driver is with a processor that costs nothing: what the driver itself costs.
//!
//! `cargo test --release -p tributary-embedded --test pace -- --ignored --nocapture`

mod toy;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use toy::ORDERS;
use tributary_embedded::{Embedded, Options};
use tributary_flow::Platform;

/// Keeps `in_flight` commands under way for a while; commands per second, and latencies at 50, 99 and 100 per cent.
fn pace(in_flight: u32) -> (u128, [Duration; 3]) {
    let dir = tempfile::tempdir().unwrap();
    let platform = Embedded::open(&Options::new(dir.path(), 4), &|partition| toy::tasks(partition, 4)).unwrap();
    let (sender, receiver) = mpsc::channel();
    let submit = |n: u32| {
        let (from, to) = (format!("wallet-{}", n % 1_009), format!("wallet-{}", n % 997));
        let (sender, begun) = (sender.clone(), Instant::now());
        let done = move |result: Result<_, _>| drop(sender.send(result.map(|_| begun.elapsed())));
        platform.submit(&ORDERS, &from, toy::order(&n.to_string(), "pay", &from, &to, 1), Box::new(done));
    };
    (0..in_flight).for_each(submit);
    let (start, mut latencies) = (Instant::now(), Vec::new());
    let mut next = in_flight;
    while start.elapsed() < Duration::from_secs(8) {
        latencies.push(receiver.recv().unwrap().unwrap());
        submit(next);
        next += 1;
    }
    let rate = latencies.len() as u128 * 1_000 / start.elapsed().as_millis();
    latencies.sort();
    let at = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    (rate, [at(50), at(99), at(100)])
}

#[test]
#[ignore = "a measurement: it takes half a minute and proves nothing"]
fn pace_by_commands_in_flight() {
    for in_flight in [1, 100, 1_000, 4_000] {
        let (rate, [median, most, worst]) = pace(in_flight);
        println!("{in_flight:5} in flight: {rate:6}/s, p50 {median:?}, p99 {most:?}, max {worst:?}");
    }
}
