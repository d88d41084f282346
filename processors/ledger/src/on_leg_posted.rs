//! `LegPosted`: an account has booked its lines of a posting.

use tributary_flow::{Cx, Effects};
use tributary_graph::ledger::Out;
use tributary_schemas::accounts::LegPosted;
use tributary_schemas::ledger::JournalLine;

use crate::close;
use crate::on_transaction_posting::PATIENCE;
use crate::state::{Head, Timer};

pub(crate) fn on_leg_posted(cx: &Cx<'_>, head: &mut Option<Head>, vote: &LegPosted, effects: &mut Effects<Out, Timer>) {
    let LegPosted { ref transaction_id, ref account_id, posting, kind, ref entries, .. } = *vote;
    if entries.is_empty() {
        return; // The rest of a hold was released; nothing was booked.
    }
    let lines = entries.iter().map(|entry| JournalLine {
        line: entry.line,
        account_id: account_id.clone(),
        kind,
        side: entry.side,
        amount: entry.amount.clone(),
        sequence: entry.sequence,
        hash: entry.hash,
    });
    let head = head.get_or_insert_default();
    if head.is_closed(posting) {
        return close::alarm_of_surplus(transaction_id, posting, lines, effects);
    }
    let open = head.open.entry(posting).or_default();
    if open.declaration.is_none() && open.entries.is_empty() {
        // Entries that nobody ever declares must be noticed too.
        effects.set_timer(Timer::Incomplete(posting), cx.now.plus(PATIENCE));
    }
    open.entries.extend(lines);
}
