//! What may be asked of an account's terms: the same for opening and updating.

use std::collections::BTreeMap;

use tributary_flow::Cx;
use tributary_schemas::accounts::{OpenAccount, UpdateAccount};
use tributary_schemas::{AccountId, Amount, Currency, Reason};

use crate::reason::{Because, refusal};

/// Longest name, in bytes. Bounds keep every event about an account far below the size of a message: an output that
/// outgrew one would halt the task.
const LONGEST_NAME: usize = 256;
/// Longest reason that a command may give, in bytes.
const LONGEST_REASON: usize = 1_024;
/// Most metadata, keys and values together, in bytes.
const MOST_METADATA: usize = 16 * 1_024;

/// The terms that a command asks for.
pub(crate) struct Terms<'a> {
    account: &'a AccountId,
    name: Option<&'a str>,
    metadata: Option<&'a BTreeMap<String, String>>,
    floor: Option<Amount>,
    daily_limit: Option<Amount>,
    monthly_limit: Option<Amount>,
    clear_limits: bool,
}

impl<'a> From<&'a OpenAccount> for Terms<'a> {
    fn from(body: &'a OpenAccount) -> Self {
        Terms {
            account: &body.account_id,
            name: Some(&body.name),
            metadata: Some(&body.metadata),
            floor: body.floor,
            daily_limit: body.daily_limit,
            monthly_limit: body.monthly_limit,
            clear_limits: false,
        }
    }
}

impl<'a> From<&'a UpdateAccount> for Terms<'a> {
    fn from(body: &'a UpdateAccount) -> Self {
        Terms {
            account: &body.account_id,
            name: body.name.as_deref(),
            metadata: body.metadata.as_ref(),
            floor: body.floor,
            daily_limit: body.daily_limit,
            monthly_limit: body.monthly_limit,
            clear_limits: body.clear_limits,
        }
    }
}

impl Terms<'_> {
    /// Whether they may be had: floor and limits only through the privileged door, exact in the currency, none negative.
    pub(crate) fn check(&self, cx: &Cx<'_>, currency: Currency) -> Result<(), Reason> {
        let amounts = [
            ("floor", self.floor, "negative_floor"),
            ("daily_limit", self.daily_limit, "negative_limit"),
            ("monthly_limit", self.monthly_limit, "negative_limit"),
        ];
        for (field, amount, negative) in amounts {
            let Some(amount) = amount else { continue };
            if !cx.privileged {
                return Err(privileged(self.account, field));
            }
            if amount.is_negative() {
                return Err(refusal(self.account, negative).at(field).value(field, amount));
            }
            if !currency.fits(amount) {
                let digits = currency.minor_units().unwrap_or(0);
                return Err(refusal(self.account, "too_many_digits")
                    .at(field)
                    .value(field, amount)
                    .value("digits", digits));
            }
        }
        if self.clear_limits && !cx.privileged {
            return Err(privileged(self.account, "clear_limits"));
        }
        let size =
            |metadata: &BTreeMap<String, String>| metadata.iter().map(|(key, value)| key.len() + value.len()).sum();
        at_most(self.account, "name", self.name.map_or(0, str::len), LONGEST_NAME)?;
        at_most(self.account, "metadata", self.metadata.map_or(0, size), MOST_METADATA)
    }
}

/// Refuses a reason that is too long to repeat in an event.
pub(crate) fn check_reason(account: &AccountId, reason: &str) -> Result<(), Reason> {
    at_most(account, "reason", reason.len(), LONGEST_REASON)
}

/// The refusal of what only the privileged door may ask.
pub(crate) fn privileged(account: &AccountId, field: &str) -> Reason {
    refusal(account, "privileged_command").at(field)
}

fn at_most(account: &AccountId, field: &str, bytes: usize, most: usize) -> Result<(), Reason> {
    if bytes <= most {
        return Ok(());
    }
    Err(refusal(account, "too_long").at(field).value("bytes", bytes).value("limit", most))
}
