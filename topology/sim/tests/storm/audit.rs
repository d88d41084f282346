//! A second reader of what is paid, of two topics, whose state and notes tell in which order it met them.

use std::sync::Arc;

use tributary_flow::processor::{Cx, Effects, Event, Processor, State};
use tributary_flow::rows::Family;
use tributary_flow::{Collection, EventId, Page, ProcessorTask, Reader, Store, Task, node};

use super::toy::{CREDITS, Credit, NOTES, PAID, Paid, mix, setup};

node! {
    /// Watches.
    audit: "audit", "wallet",
    in { Paid(Paid) <- [PAID], Credit(Credit) <- [CREDITS] }
    out { Note(Paid) -> NOTES }
}

/// How many facts a wallet had, and a number that only they make, in this order.
type Watched = (u64, u64);

/// The last facts of a wallet: each is written once, and goes once.
const LAST: Collection<u64, EventId> = Collection::new(1);
/// How many there are, and every how many it notes what they made.
const KEPT: u64 = 3;

struct Audit;

impl Processor for Audit {
    type Ports = audit::Ports;
    type Head = Watched;
    type Timer = ();
    const LASTING: &'static [Family] = &[LAST.family()];

    fn step(
        &self,
        cx: &Cx<'_>,
        key: &str,
        state: &mut State<'_, Watched>,
        _: Event<audit::In<'_>, ()>,
    ) -> Effects<audit::Out, ()> {
        let mut effects = Effects::none();
        let (count, mixed) = state.head.get_or_insert_default();
        (*count, *mixed) = (*count + 1, mix(*mixed, cx.id));
        let at = *count;
        if at.is_multiple_of(KEPT) {
            effects.emit(Paid { from: key.to_owned(), amount: *mixed });
        }
        state.put(&LAST, &at, &cx.id);
        if let Some(gone) = at.checked_sub(KEPT) {
            state.delete(&LAST, &gone);
        }
        effects
    }
}

/// Its task.
pub fn task(partition: u32, partitions: u32) -> Box<dyn Task> {
    Box::new(ProcessorTask::new(Arc::new(Audit), partition, setup(partitions)))
}

/// How many facts a store has met.
pub fn audited(store: &dyn Store) -> u64 {
    Reader::new(store).heads::<Watched>(Page::all()).iter().map(|(_, (count, _))| count).sum()
}
