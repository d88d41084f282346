//! How long what a client writes for people may be. It is repeated in events, to every account among others: without
//! bounds a command as large as a message would lead to an event that is larger, which halts the task.

use tributary_schemas::Reason;
use tributary_schemas::transactions::TransactionCommand;

use crate::refusal::fault;

/// Longest description and longest reason, in bytes.
const LONGEST_TEXT: usize = 1_024;
/// Most metadata, keys and values together, in bytes.
const MOST_METADATA: usize = 16 * 1_024;

/// Whether a command's texts are short enough to be repeated.
///
/// # Errors
/// The first that is not.
pub(crate) fn check(command: &TransactionCommand) -> Result<(), Reason> {
    match command {
        TransactionCommand::CreateTransaction(command) => {
            let metadata = command.metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
            at_most("description", command.description.len(), LONGEST_TEXT)?;
            at_most("metadata", metadata, MOST_METADATA)
        }
        TransactionCommand::CancelTransaction(command) => at_most("reason", command.reason.len(), LONGEST_TEXT),
        TransactionCommand::VoidTransaction(command) => at_most("reason", command.reason.len(), LONGEST_TEXT),
        TransactionCommand::ReviewTransaction(command) => at_most("reason", command.reason.len(), LONGEST_TEXT),
        TransactionCommand::PostTransaction(_) => Ok(()),
    }
}

fn at_most(field: &str, bytes: usize, limit: usize) -> Result<(), Reason> {
    if bytes <= limit { Ok(()) } else { Err(fault("too_long", field, [("bytes", &bytes), ("limit", &limit)])) }
}
