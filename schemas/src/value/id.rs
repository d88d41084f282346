//! Ids that clients choose: of accounts and of transactions. A payment copies them dozens of times; up to 24 bytes they lie where they
//! are held, and no memory is asked for.

use std::{borrow::Borrow, fmt, marker::PhantomData, str::FromStr};

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tributary_flow::DecodeError;

use crate::{
    codec::{Reader, Wire, fault, write_bytes},
    value::{Currency, Invalid, text::Text},
};

/// The longest id, in bytes.
const LONGEST: usize = 64;

/// Whether the text is a plain id.
fn is_plain(text: &str) -> bool {
    (1..=LONGEST).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// A system account's id, taken apart: `name:CUR`, or `name:CUR:NN` for one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System<'a> {
    /// Its name in the chart, as `world`.
    pub name: &'a str,
    /// Its currency.
    pub currency: Currency,
    /// The shard; none where one is still to be chosen.
    pub shard: Option<u8>,
}

impl<'a> System<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(':');
        let (name, currency, shard) = (parts.next()?, parts.next()?.parse().ok()?, parts.next());
        let shard = match shard.map(str::as_bytes) {
            None => None,
            Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => Some((tens - b'0') * 10 + (ones - b'0')),
            Some(_) => return None,
        };
        let whole = parts.next().is_none() && is_plain(name) && text.len() <= LONGEST;
        whole.then_some(System { name, currency, shard })
    }
}

impl AccountId {
    const SHAPE: &'static str =
        "1 to 64 letters, digits, '.', '_' or '-'; a system account is name:CUR or name:CUR:NN, as \"world:EUR:07\"";

    fn is_valid(text: &str) -> bool {
        is_plain(text) || System::parse(text).is_some()
    }

    /// The parts of a system account's id; none for a client's account.
    #[must_use]
    pub fn system(&self) -> Option<System<'_>> {
        System::parse(&self.0)
    }

    /// The id of the shard `shard` (below 100) of a system account.
    ///
    /// # Errors
    /// Where name or shard are none.
    pub fn of_system(name: &str, currency: Currency, shard: u8) -> Result<Self, Invalid> {
        format!("{name}:{currency}:{shard:02}").parse()
    }
}

impl TransactionId {
    const SHAPE: &'static str = "1 to 64 letters, digits, '.', '_' or '-'";

    fn is_valid(text: &str) -> bool {
        is_plain(text)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $noun:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(CompactString);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The id of a text.
            ///
            /// # Errors
            /// Says what an id looks like.
            pub fn parse(text: &str) -> Result<Self, Invalid> {
                if Self::is_valid(text) {
                    return Ok($name(text.into()));
                }
                Err(Invalid(format!("{text:?} is no {}: {}", $noun, Self::SHAPE)))
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Invalid;

            fn try_from(text: &str) -> Result<Self, Invalid> {
                Self::parse(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.into()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl Wire for $name {
            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::parse(reader.text()?).map_err(|Invalid(reason)| fault(reason))
            }

            fn write(&self, out: &mut Vec<u8>) {
                write_bytes(self.0.as_bytes(), out);
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Text(Self::SHAPE, PhantomData))
            }
        }
    };
}

id! {
    /// An account: a client's, or a system account as `name:CUR` or, one shard of it, `name:CUR:NN`.
    AccountId, "account id"
}

id! {
    /// A transaction, chosen by the client and remembered for ever.
    TransactionId, "transaction id"
}
