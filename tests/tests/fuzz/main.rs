//! Everything that reads bytes from outside, given bytes that nobody meant: records on every topic, journals and state,
//! requests, JSON lines, settings. What comes in is taken or refused with words; nothing panics, halts or goes on with
//! half of it. Envelopes alone are in `schemas/tests/contract/mutations.rs`.
//!
//! Bounded: the number of cases is fixed, and so is the seed, so that a build is as long and as green as the one before.
//! `PROPTEST_CASES` and `PROPTEST_RNG_SEED` look elsewhere and for longer. What was ever found stands as a test of its own
//! beside the property that found it.

mod api;
mod bytes;
mod journals;
mod lines;
mod records;
mod requests;
mod settings;

use proptest::prelude::ProptestConfig;
use proptest::test_runner::RngSeed;

/// So many cases, unless the environment asks for others.
fn cases(number: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { number };
    let rng_seed = if usual.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { usual.rng_seed };
    ProptestConfig { cases, rng_seed, failure_persistence: None, max_shrink_iters: 2_000, ..usual }
}
