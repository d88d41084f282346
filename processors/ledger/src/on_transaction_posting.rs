//! `TransactionPosting`: declares the lines of a posting. From here on they are expected.

use tributary_flow::time::SECOND;
use tributary_flow::{Cx, Effects};
use tributary_graph::ledger::Out;
use tributary_schemas::transactions::TransactionPosting;

use crate::state::{Declaration, Head, Timer};

/// How long a posting may be incomplete before an alarm is raised, in microseconds.
pub(crate) const PATIENCE: i64 = 60 * SECOND;

pub(crate) fn on_transaction_posting(
    cx: &Cx<'_>,
    head: &mut Option<Head>,
    event: &TransactionPosting,
    effects: &mut Effects<Out, Timer>,
) {
    let head = head.get_or_insert_default();
    head.declared = head.declared.max(event.posting);
    let TransactionPosting { posting, ref lines, booked_at, value_date, .. } = *event;
    let declaration = Declaration { lines: lines.clone(), booked_at, value_date };
    head.open.entry(posting).or_default().declaration = Some(declaration);
    effects.set_timer(Timer::Incomplete(posting), cx.now.plus(PATIENCE));
}
