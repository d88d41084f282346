//! The end of a transaction, whichever: no posting will follow. Entries of those declared may still be under way.

use crate::state::Head;

pub(crate) fn on_transaction_ended(head: &mut Option<Head>) {
    if let Some(head) = head {
        head.ended = true;
    }
}
