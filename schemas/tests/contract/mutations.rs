//! Hostile data: whatever comes in, a decoder gives a value or an error, quickly and in little memory.
#![allow(unsafe_code)] // The counting allocator below is the only way to see what a decoder allocates.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use proptest::{collection::vec, prelude::*};

use crate::{golden::golden, topics::TOPICS};

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

/// The most that a decoder held at once beyond what was held before.
fn peak_of(decode: fn(&[u8]) -> bool, datum: &[u8]) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    decode(datum);
    usize::try_from(PEAK.get() - before).unwrap_or(0)
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_data_neither_panic_nor_allocate_wildly(
        which in any::<prop::sample::Index>(),
        edits in vec((any::<prop::sample::Index>(), 0_usize..4, nasty()), 1..4),
    ) {
        let golden = golden_once();
        let (topic, datum) = &golden[which.index(golden.len())];
        let mut datum = datum.clone();
        for (place, removed, inserted) in edits {
            let place = place.index(datum.len() + 1);
            let end = (place + removed).min(datum.len());
            datum.splice(place..end, inserted);
        }
        let peak = peak_of(TOPICS[*topic].decode, &datum);
        prop_assert!(peak <= allowed(&datum), "{peak} bytes held for a datum of {}", datum.len());
    }

    #[test]
    fn random_bytes_neither_panic_nor_allocate_wildly(which in 0..TOPICS.len(), datum in vec(any::<u8>(), 0..300)) {
        let peak = peak_of(TOPICS[which].decode, &datum);
        prop_assert!(peak <= allowed(&datum), "{peak} bytes held for a datum of {}", datum.len());
    }
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
