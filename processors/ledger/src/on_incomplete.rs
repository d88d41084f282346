//! A posting has been incomplete for too long. It stays open: what is missing may still come.

use tributary_flow::Effects;
use tributary_flow::time::SECOND;
use tributary_graph::ledger::Out;
use tributary_schemas::TransactionId;

use crate::close::alarm;
use crate::on_transaction_posting::PATIENCE;
use crate::state::{Head, Timer};

pub(crate) fn on_incomplete(id: &TransactionId, head: Option<&Head>, posting: i32, effects: &mut Effects<Out, Timer>) {
    let Some((head, open)) = head.and_then(|head| Some((head, head.open.get(&posting)?))) else { return };
    let mut values = vec![("seconds".to_owned(), (PATIENCE / SECOND).to_string())];
    match open.missing() {
        None => values.push(("missing".to_owned(), "TransactionPosting".to_owned())),
        Some(_) if head.legs.is_none() => values.push(("missing".to_owned(), "TransactionInitiated".to_owned())),
        Some(lines) => {
            let legs = head.legs.as_deref().unwrap_or_default();
            let account = |line: i32| legs.get(usize::try_from(line).ok()?).map(|leg| leg.account_id.to_string());
            let missing = lines.iter().map(|line| (format!("lines[{line}]"), account(*line).unwrap_or_default()));
            values.extend(missing);
        }
    }
    alarm(id, "incomplete", posting, values, effects);
}
