//! `TransactionInitiated`: declares the legs.

use tributary_schemas::transactions::TransactionInitiated;

use crate::state::Head;

pub(crate) fn on_transaction_initiated(head: &mut Option<Head>, event: &TransactionInitiated) {
    head.get_or_insert_default().legs = Some(event.legs.clone());
}
