//! Hostile data: whatever comes in, a decoder gives a value or an error, quickly and in little memory; and what it gives
//! means the same when it is written and read again. So do data and schemas of other writers.
//!
//! The seed is fixed, so that a build is as long and as green as the one before; `PROPTEST_RNG_SEED` and `PROPTEST_CASES`
//! look elsewhere and for longer. What was ever found stands here as a test of its own.
#![allow(unsafe_code)] // The counting allocator below is the only way to see what a decoder allocates.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use proptest::{collection::vec, prelude::*, sample::Index, test_runner::RngSeed};
use tributary_schemas::evolve::Translator;

use crate::{
    golden::golden,
    topics::{TOPICS, topic},
};

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Counts what the thread holds.
struct Counting;

fn count(bytes: isize) {
    // A thread that ends has no counters any more, and nobody asks.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that was held at once beyond what was held before.
fn peak(work: impl FnOnce()) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    work();
    usize::try_from(PEAK.get() - before).unwrap_or(0)
}

fn peak_of(decode: fn(&[u8]) -> bool, datum: &[u8]) -> usize {
    peak(|| {
        decode(datum);
    })
}

/// A record of a few bytes on the wire is some hundred in memory, and a growing list is held twice for a moment.
fn allowed(datum: &[u8]) -> usize {
    4_096 + 256 * datum.len()
}

/// Numbers that decoders have fallen over: huge and negative lengths and counts.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..12),
        Just(vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        Just(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        Just(vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
        Just(vec![0xff; 10]),
        Just(vec![0x80; 11]),
    ]
}

/// A datum with some places cut, overwritten or blown up.
type Edits = Vec<(Index, usize, Vec<u8>)>;

fn edits() -> impl Strategy<Value = Edits> {
    vec((any::<Index>(), 0_usize..4, nasty()), 1..4)
}

fn edited(datum: &[u8], edits: Edits) -> Vec<u8> {
    let mut datum = datum.to_vec();
    for (place, removed, inserted) in edits {
        let place = place.index(datum.len() + 1);
        let end = (place + removed).min(datum.len());
        datum.splice(place..end, inserted);
    }
    datum
}

/// One byte changed: most such data can still be read.
fn flipped(datum: &[u8], (place, byte): (Index, u8)) -> Vec<u8> {
    let mut datum = datum.to_vec();
    let place = place.index(datum.len());
    datum[place] ^= byte;
    datum
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { usual.cases } else { 20_000 };
    let rng_seed = if usual.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { usual.rng_seed };
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..usual }
}

/// What is decoded, if anything is, means the same when it is written and read again.
fn comes_back(which: usize, datum: &[u8]) -> Result<bool, TestCaseError> {
    let topic = &TOPICS[which];
    let Ok(meant) = (topic.means)(datum) else { return Ok(false) };
    let again = (topic.again)(datum).expect("it was decoded");
    prop_assert_eq!((topic.means)(&again), Ok(meant), "{} {:02x?}", topic.schema, datum);
    prop_assert_eq!((topic.again)(&again), Ok(again), "one meaning, one encoding");
    Ok(true)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn mutated_data_neither_panic_nor_allocate_wildly_nor_change_meaning(which in any::<Index>(), edits in edits()) {
        let golden = golden_once();
        let (topic, datum) = &golden[which.index(golden.len())];
        let datum = edited(datum, edits);
        let peak = peak_of(TOPICS[*topic].decode, &datum);
        prop_assert!(peak <= allowed(&datum), "{peak} bytes held for a datum of {}", datum.len());
        comes_back(*topic, &datum)?;
    }

    #[test]
    fn random_bytes_neither_panic_nor_allocate_wildly_nor_change_meaning(
        which in 0..TOPICS.len(),
        datum in vec(any::<u8>(), 0..300),
    ) {
        let peak = peak_of(TOPICS[which].decode, &datum);
        prop_assert!(peak <= allowed(&datum), "{peak} bytes held for a datum of {}", datum.len());
        comes_back(which, &datum)?;
    }

    #[test]
    fn a_stranger_s_data_neither_panic_nor_allocate_wildly(
        pair in (any::<Index>(), any::<Index>()),
        edits in edits(),
    ) {
        let (golden, translators) = (golden_once(), translators());
        let (_, datum) = &golden[pair.0.index(golden.len())];
        let (_, translator) = &translators[pair.1.index(translators.len())];
        let datum = edited(datum, edits);
        let peak = peak(|| drop(translator.translate(&datum)));
        prop_assert!(peak <= allowed(&datum), "{peak} bytes held for a datum of {}", datum.len());
    }

    #[test]
    fn a_stranger_s_datum_is_translated_to_one_of_ours_or_refused(
        which in any::<Index>(),
        flip in (any::<Index>(), 1_u8..),
    ) {
        let golden = golden_once();
        let (at, datum) = &golden[which.index(golden.len())];
        let datum = flipped(datum, flip);
        let (_, translator) = translators().iter().find(|(of, _)| of == at).expect("one for each topic");
        let ours = (TOPICS[*at].means)(&datum);
        match translator.translate(&datum) {
            // Text that is no id, a boolean of 7: the translator copies, and the decoder refuses.
            Ok(translated) => prop_assert_eq!((TOPICS[*at].means)(&translated).ok(), ours.ok()),
            Err(_) => prop_assert!(ours.is_err(), "refused only as another's: {ours:?}"),
        }
    }

    #[test]
    fn a_stranger_s_schema_is_read_or_refused(which in 0..TOPICS.len(), edits in vec((any::<Index>(), 0_usize..9, piece()), 1..4)) {
        let schema = tributary_schemas::schema(TOPICS[which].schema).expect("a schema");
        let edits = edits.into_iter().map(|(place, removed, piece)| (place, removed, piece.into_bytes())).collect();
        let mutated = edited(schema.as_bytes(), edits);
        let mutated = String::from_utf8_lossy(&mutated);
        let peak = peak(|| drop(Translator::new(&mutated, TOPICS[which].schema)));
        prop_assert!(peak <= 64 * allowed(mutated.as_bytes()), "{peak} bytes held for a schema of {}", mutated.len());
    }
}

/// Pieces that schemas are made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "[",
            "]",
            "{",
            "}",
            "\"",
            ",",
            ":",
            "null",
            "-1",
            "1e400",
            "\\u0000",
            "\"record\"",
            "\"fixed\"",
            "\"array\"",
            "\"size\":18446744073709551615",
            "\"type\":",
            "\"name\":\"a.b\"",
            "\"items\":\"null\"",
            "\"default\":{}",
        ])
        .prop_map(str::to_owned),
        (1_usize..3_000).prop_map(|depth| "[".repeat(depth)),
        (1_usize..3_000).prop_map(|depth| "{\"type\":".repeat(depth)),
        any::<String>(),
    ]
}

/// Each topic's translator from its own schema, which takes its way through the datum as any other would.
fn translators() -> &'static [(usize, Translator)] {
    static ONCE: std::sync::OnceLock<Vec<(usize, Translator)>> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        let translator = |(index, topic): (usize, &crate::topics::Topic)| {
            let schema = tributary_schemas::schema(topic.schema).expect("a schema");
            (index, Translator::new(schema, topic.schema).expect("a schema reads itself"))
        };
        TOPICS.iter().enumerate().map(translator).collect()
    })
}

/// Golden data by the index of their topic.
fn golden_once() -> &'static [(usize, Vec<u8>)] {
    static ONCE: std::sync::OnceLock<Vec<(usize, Vec<u8>)>> = std::sync::OnceLock::new();
    ONCE.get_or_init(|| {
        let index = |schema: &str| TOPICS.iter().position(|topic| topic.schema == schema).expect("a topic");
        golden().into_iter().map(|golden| (index(golden.topic.schema), golden.datum)).collect()
    })
}

#[test]
fn the_counter_counts() {
    assert!(peak_of(|datum| !datum.to_vec().is_empty(), &[0; 10_000]) >= 10_000);
}

/// Without these the properties above could hold of nothing.
#[test]
fn many_changed_data_are_still_read() {
    let mut read = 0;
    for (which, datum) in golden_once() {
        for place in 0..datum.len() {
            for bit in 0..8 {
                let mut datum = datum.clone();
                datum[place] ^= 1 << bit;
                read += usize::from(comes_back(*which, &datum).expect("it means the same"));
            }
        }
    }
    assert!(read > 10_000, "{read}");
}

#[test]
fn a_deep_schema_is_refused_and_not_followed_to_the_end_of_the_stack() {
    for (open, close) in [("[", "]"), ("{\"type\":\"array\",\"items\":", "}"), ("{\"type\":", "}")] {
        for depth in [100, 100_000] {
            let schema = format!("{}\"string\"{}", open.repeat(depth), close.repeat(depth));
            assert!(Translator::new(&schema, topic("VoteEnvelope").schema).is_err(), "{open} {depth}");
        }
    }
}
