//! The entry chain: each entry is numbered, carries the hash of the one before, and is hashed itself, so that a flipped
//! bit, a cut tail and a rewritten chain are all found by whoever reads it again.

use tributary_schemas::ledger::EntryPosted;
use tributary_schemas::transactions::{LegConfirmed, LegLine};
use tributary_schemas::{Hash, Side};

use crate::state::Account;

/// Books a line: the account's next entry.
pub(crate) fn book(account: &mut Account, leg: &LegConfirmed, line: &LegLine) -> EntryPosted {
    account.post(line.side, line.amount.amount);
    account.sequence += 1;
    let mut entry = EntryPosted {
        account_id: leg.account_id.clone(),
        sequence: account.sequence,
        transaction_id: leg.transaction_id.clone(),
        posting: leg.posting,
        line: line.line,
        side: line.side,
        amount: line.amount.clone(),
        balance: account.balance,
        available: account.available(),
        booked_at: leg.booked_at,
        value_date: leg.value_date,
        previous_hash: account.last_hash,
        hash: Hash::ZERO,
    };
    entry.hash = entry_hash(&entry);
    account.last_hash = entry.hash;
    entry
}

/// The hash of an entry: BLAKE3 over a tag, the previous hash, and every other field but the hash itself in the order of
/// the schema. Text is its length as 8 bytes and its bytes; numbers are little-endian, amounts 16 bytes of
/// ten-thousandths; a side is its number in the schema. The encoding is this function's own, not Avro's: it stays as it is when
/// the schema grows.
#[must_use]
pub fn entry_hash(entry: &EntryPosted) -> Hash {
    // Taken apart by name, so that a new field does not compile until someone decides about it.
    let EntryPosted {
        account_id,
        sequence,
        transaction_id,
        posting,
        line,
        side,
        amount,
        balance,
        available,
        booked_at,
        value_date,
        previous_hash,
        hash: _,
    } = entry;
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"tributary.entry.v1");
    bytes.extend_from_slice(&previous_hash.0);
    text(account_id.as_str(), &mut bytes);
    bytes.extend_from_slice(&sequence.to_le_bytes());
    text(transaction_id.as_str(), &mut bytes);
    bytes.extend_from_slice(&posting.to_le_bytes());
    bytes.extend_from_slice(&line.to_le_bytes());
    bytes.push(match side {
        Side::Debit => 0,
        Side::Credit => 1,
    });
    bytes.extend_from_slice(&amount.amount.0.to_le_bytes());
    text(amount.currency.as_str(), &mut bytes);
    bytes.extend_from_slice(&balance.0.to_le_bytes());
    bytes.extend_from_slice(&available.0.to_le_bytes());
    bytes.extend_from_slice(&booked_at.0.to_le_bytes());
    bytes.extend_from_slice(&value_date.0.to_le_bytes());
    Hash(*blake3::hash(&bytes).as_bytes())
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&(text.len() as u64).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}
