//! Amounts: whole ten-thousandths of a currency's unit, so that no sum ever rounds.

use std::{fmt, iter::Peekable, ops::Neg, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tributary_flow::DecodeError;

use crate::{
    codec::{Reader, Wire, fault, read_decimal, write_decimal},
    value::{Currency, Invalid},
};

/// An amount in ten-thousandths of the unit: the unscaled value of an Avro `decimal(38, 4)`.
///
/// In JSON a string, `"12.34"`. A JSON number is read where it is whole, because only then is it known to be exact: a
/// fraction has been through binary floating point before anyone here sees it.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(pub i128);

impl Amount {
    /// Nothing.
    pub const ZERO: Amount = Amount(0);
    /// The largest amount: 38 digits.
    pub const MAX: Amount = Amount(10_i128.pow(38) - 1);
    /// The smallest amount: 38 digits below zero.
    pub const MIN: Amount = Amount(-Self::MAX.0);
    /// Digits after the point.
    pub const SCALE: u32 = 4;
    /// Ten-thousandths in a unit.
    pub const UNIT: i128 = 10_i128.pow(Self::SCALE);

    /// The amount of so many ten-thousandths, if 38 digits hold it.
    #[must_use]
    pub fn checked(ten_thousandths: i128) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&ten_thousandths).then_some(Amount(ten_thousandths))
    }

    /// So many minor units (cents, yen, fils) of a currency; none for a currency without minor units.
    #[must_use]
    pub fn from_minor(units: i64, currency: Currency) -> Option<Self> {
        Some(Amount(i128::from(units) * 10_i128.pow(Self::SCALE - currency.minor_units()?)))
    }

    /// The sum, if 38 digits hold it.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::checked)
    }

    /// The difference, if 38 digits hold it.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(Self::checked)
    }

    /// The sum of many, if 38 digits hold every partial sum.
    #[must_use]
    pub fn checked_sum(amounts: impl IntoIterator<Item = Self>) -> Option<Self> {
        amounts.into_iter().try_fold(Self::ZERO, Self::checked_add)
    }

    /// Whether it is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Whether it is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Reads `12`, `-0.5`, `12.3400`. Never rounds: a fifth digit after the point must be zero.
    ///
    /// # Errors
    /// Says what is wrong with the text.
    pub fn parse_exact(text: &str) -> Result<Self, Invalid> {
        let refuse = |why: &str| Invalid(format!("{text:?} is no amount: {why}"));
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = match rest.split_once('.') {
            Some((_, "")) => return Err(refuse("no digit after the point")),
            Some(parts) => parts,
            None => (rest, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) {
            return Err(refuse("write digits, and at most one point, as \"12.34\""));
        }
        if fraction.bytes().skip(Self::SCALE as usize).any(|digit| digit != b'0') {
            return Err(refuse("at most 4 digits after the point are kept, and none is rounded away"));
        }
        let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(Self::SCALE as usize);
        let value = sum_digits(whole.bytes().chain(padded).peekable()).and_then(Self::checked);
        let value = value.ok_or_else(|| refuse("more than 38 digits"))?;
        Ok(if negative { -value } else { value })
    }

    /// As text with the currency's digits, `12.30` for euros and `1230` for yen; with more where the amount has more.
    #[must_use]
    pub fn to_string_in(self, currency: Currency) -> String {
        self.with_digits(currency.minor_units().unwrap_or(0))
    }

    /// As text, with at least `digits` (of four) after the point and as many more as it needs.
    fn with_digits(self, digits: u32) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        let (whole, fraction) = (magnitude / Self::UNIT.unsigned_abs(), magnitude % Self::UNIT.unsigned_abs());
        let fraction = format!("{fraction:04}");
        let needed = fraction.trim_end_matches('0').len().max(digits as usize);
        if needed == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{}", &fraction[..needed]) }
    }
}

/// The number that decimal digits write, leading zeros skipped, if an `i128` holds it.
fn sum_digits(mut digits: Peekable<impl Iterator<Item = u8>>) -> Option<i128> {
    while digits.next_if_eq(&b'0').is_some() {}
    digits.try_fold(0_i128, |sum, digit| sum.checked_mul(10)?.checked_add(i128::from(digit - b'0')))
}

impl Neg for Amount {
    type Output = Self;

    /// The range is the same on both sides of zero.
    fn neg(self) -> Self {
        Amount(-self.0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.with_digits(0))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_digits(0))
    }
}

impl FromStr for Amount {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse_exact(text)
    }
}

impl Wire for Amount {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Amount::checked(read_decimal(reader)?).ok_or_else(|| fault("a decimal of more than 38 digits"))
    }

    fn write(&self, out: &mut Vec<u8>) {
        assert!(Amount::checked(self.0).is_some(), "an amount of more than 38 digits was made without a check");
        write_decimal(self.0, out);
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            return serializer.serialize_str(&self.with_digits(0));
        }
        serializer.serialize_i128(self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return deserializer.deserialize_any(Visitor);
        }
        let value = i128::deserialize(deserializer)?;
        Amount::checked(value).ok_or_else(|| de::Error::custom("an amount of more than 38 digits"))
    }
}

/// Reads a string, or a whole number.
struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = Amount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an amount as a string, \"12.34\", or a whole number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
        Amount::parse_exact(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, units: i64) -> Result<Amount, E> {
        Ok(Amount(i128::from(units) * Amount::UNIT))
    }

    fn visit_u64<E: de::Error>(self, units: u64) -> Result<Amount, E> {
        Ok(Amount(i128::from(units) * Amount::UNIT))
    }
}
