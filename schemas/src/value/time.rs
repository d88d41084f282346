//! Instants and days as JSON: RFC 3339 with microseconds, and `YYYY-MM-DD`. Numbers (microseconds, days since the Unix
//! epoch) are read too, and written where the calendar ends. Compact formats hold the number.

use std::{fmt, marker::PhantomData};

use jiff::civil;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use tributary_flow::{Date, Timestamp};

use crate::value::Invalid;

/// A time that is written as text and counted as a number.
pub(crate) trait Calendar: Copy + Serialize {
    /// What a reader expects.
    const EXPECTED: &'static str;
    /// The text, within the calendar's range.
    fn write(self) -> Option<String>;
    /// The value of a text.
    fn parse(text: &str) -> Result<Self, Invalid>;
    /// The value of a number.
    fn count(number: i64) -> Option<Self>;
    /// The value, from a compact format.
    fn compact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

impl Calendar for Timestamp {
    const EXPECTED: &'static str = "an RFC 3339 time, or microseconds since the Unix epoch";

    fn write(self) -> Option<String> {
        jiff::Timestamp::from_microsecond(self.0).ok().map(|time| format!("{time:.6}"))
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let time: jiff::Timestamp =
            text.parse().map_err(|error| Invalid(format!("{text:?} is no RFC 3339 time: {error}")))?;
        if time.subsec_nanosecond() % 1_000 != 0 {
            return Err(Invalid(format!("{text:?} is finer than a microsecond, and nothing is rounded")));
        }
        Ok(Timestamp(time.as_microsecond()))
    }

    fn count(number: i64) -> Option<Self> {
        Some(Timestamp(number))
    }

    fn compact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

impl Calendar for Date {
    const EXPECTED: &'static str = "a day as YYYY-MM-DD, or days since the Unix epoch";

    fn write(self) -> Option<String> {
        let seconds = i64::from(self.0) * 86_400;
        let midnight = jiff::Timestamp::from_second(seconds).ok()?;
        Some(midnight.to_zoned(jiff::tz::TimeZone::UTC).date().to_string())
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let refuse = |error: &dyn fmt::Display| Invalid(format!("{text:?} is no day as YYYY-MM-DD: {error}"));
        // The calendar's own parser also takes a whole date and time, and drops the time.
        if text.len() > "-YYYYYY-MM-DD".len() || text.contains(['T', ' ']) {
            return Err(refuse(&"more than a day"));
        }
        let day: civil::Date = text.parse().map_err(|error: jiff::Error| refuse(&error))?;
        let days =
            day.to_zoned(jiff::tz::TimeZone::UTC).map_err(|error| refuse(&error))?.timestamp().as_second() / 86_400;
        i32::try_from(days).map(Date).map_err(|error| refuse(&error))
    }

    fn count(number: i64) -> Option<Self> {
        i32::try_from(number).ok().map(Date)
    }

    fn compact<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Date::deserialize(deserializer)
    }
}

/// `#[serde(with)]` of a field that is there.
pub(crate) fn serialize<T: Calendar, S: Serializer>(time: &T, serializer: S) -> Result<S::Ok, S::Error> {
    match serializer.is_human_readable().then(|| time.write()).flatten() {
        Some(text) => serializer.serialize_str(&text),
        None => time.serialize(serializer),
    }
}

/// `#[serde(with)]` of a field that is there.
pub(crate) fn deserialize<'de, T: Calendar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    if deserializer.is_human_readable() {
        return deserializer.deserialize_any(Visitor(PhantomData));
    }
    T::compact(deserializer)
}

/// Reads a text or a number.
struct Visitor<T>(PhantomData<T>);

impl<T: Calendar> de::Visitor<'_> for Visitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::parse(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        T::count(number).ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        let count = i64::try_from(number).ok().and_then(T::count);
        count.ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(number), &self))
    }
}

/// `#[serde(with)]` of a field that may be absent.
pub(crate) mod option {
    use super::{Calendar, Deserialize, Deserializer, Serialize, Serializer};

    /// A time as the module above writes it.
    struct Written<T>(T);

    impl<T: Calendar> Serialize for Written<T> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            super::serialize(&self.0, serializer)
        }
    }

    impl<'de, T: Calendar> Deserialize<'de> for Written<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            super::deserialize(deserializer).map(Written)
        }
    }

    pub(crate) fn serialize<T: Calendar, S: Serializer>(time: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
        time.map(Written).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, T: Calendar, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map(|Written(time)| time))
    }
}
