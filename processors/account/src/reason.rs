//! How a refusal is said: a stable code, the account, the field at fault, and the values that decided.

use std::fmt::Display;

use tributary_schemas::{AccountId, Reason};

/// A refusal by this node, about this account.
pub(crate) fn refusal(account: &AccountId, code: &str) -> Reason {
    Reason { subject: Some(account.as_str().to_owned()), ..Reason::new(code, "account") }
}

/// What is added to a refusal.
pub(crate) trait Because: Sized {
    /// The field of the request at fault.
    fn at(self, field: impl Into<String>) -> Self;
    /// A value that decided.
    fn value(self, name: &str, value: impl Display) -> Self;
}

impl Because for Reason {
    fn at(self, field: impl Into<String>) -> Self {
        Reason { field: Some(field.into()), ..self }
    }

    fn value(mut self, name: &str, value: impl Display) -> Self {
        self.values.insert(name.to_owned(), value.to_string());
        self
    }
}
