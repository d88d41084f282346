//! How values cross the edge: JSON in, read strictly and with the path of what is wrong; amounts, times and days out.

use std::fmt;
use std::str::FromStr;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use tributary_flow::{Date, Timestamp, time::DAY};
use tributary_schemas::{Amount, Currency};

use crate::problem::Problem;

/// JSON text as a value, in which no object has a field twice: which of the two is meant is not ours to guess.
///
/// # Errors
/// Says where the text stops being such JSON.
pub fn strict(text: &[u8]) -> serde_json::Result<Value> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Strict.deserialize(&mut reader)?;
    reader.end().map(|()| value)
}

/// The body of a request as a value.
///
/// # Errors
/// Says where the text stops being JSON: see [`strict`].
pub fn text(bytes: &[u8]) -> Result<Value, Problem> {
    strict(bytes).map_err(|error| Problem::bad_request("malformed_json", "", format!("the body is not JSON: {error}")))
}

/// What kind of thing a value is, for the words of a refusal: it may be a megabyte.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads a value and refuses a field that is there twice.
#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the field {name:?} is there twice")));
            }
            let value = fields.next_value_seed(self)?;
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

/// A record's fields as the record; a field it does not have is refused by name.
///
/// # Errors
/// Names the field at fault.
pub fn record<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        fault(if path == "." { "" } else { &path }, &error.into_inner().to_string())
    })
}

/// The problem of a reader's message about the field at `path`; the names of missing and unknown fields are in the message.
#[must_use]
pub fn fault(path: &str, message: &str) -> Problem {
    let named = message.split('`').nth(1).unwrap_or_default();
    let code = match message {
        _ if message.starts_with("missing field") => "missing_field",
        _ if message.starts_with("unknown field") => "unknown_field",
        _ => return Problem::bad_request("invalid_field", path, message),
    };
    let field = match path.strip_suffix(named).and_then(|rest| rest.strip_suffix('.').or(rest.is_empty().then_some("")))
    {
        Some(_) => path.to_owned(),
        None if path.is_empty() => named.to_owned(),
        None => format!("{path}.{named}"),
    };
    Problem::bad_request(code, field, message)
}

/// The id in a path or a query.
///
/// # Errors
/// Says what an id looks like.
pub fn id<T: FromStr<Err: std::fmt::Display>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error: T::Err| Problem::bad_request("invalid_field", field, error.to_string()))
}

/// An amount with exactly the currency's digits.
#[must_use]
pub fn amount(units: i128, currency: Currency) -> String {
    Amount(units).to_string_in(currency)
}

/// An instant in RFC 3339, microseconds and UTC; the plain number where the calendar ends.
#[must_use]
pub fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |time| format!("{time:.6}"))
}

/// A day as `YYYY-MM-DD`; the plain number where the calendar ends.
#[must_use]
pub fn day(day: Date) -> String {
    // Clients may name days that no timestamp reaches.
    let written = instant(Timestamp(i64::from(day.0).saturating_mul(DAY)));
    written.split_once('T').map_or_else(|| day.0.to_string(), |(day, _)| day.to_owned())
}

/// An instant from RFC 3339, or the last microsecond of a day.
///
/// # Errors
/// Says what a time looks like.
pub fn moment(field: &str, text: &str) -> Result<Timestamp, Problem> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(time.as_microsecond()));
    }
    let day = format!("{text}T00:00:00Z").parse::<jiff::Timestamp>().map_err(|_| {
        let detail = format!("{text:?} is neither an RFC 3339 time, as 2026-01-31T12:00:00Z, nor a day, as 2026-01-31");
        Problem::bad_request("invalid_field", field, detail)
    })?;
    Ok(Timestamp(day.as_microsecond() + DAY - 1))
}

/// The wall clock: the edge is where time comes in.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tributary_schemas::transactions::CreateTransaction;

    #[test]
    fn a_day_that_is_in_no_calendar_is_a_number() {
        let days = [0, 2_932_896, 106_751_992, i32::MAX, i32::MIN].map(|number| day(Date(number)));
        assert_eq!(days, ["1970-01-01", "2932896", "106751992", "2147483647", "-2147483648"]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let leg = |amount: &str| format!(r#"{{"account_id":"a","side":"DEBIT","amount":{amount}}}"#);
        let with = |leg: &str, more: &str| format!(r#"{{"transaction_id":"t","legs":[{leg}]{more}}}"#);
        let good = leg(r#"{"amount":"1","currency":"EUR"}"#);
        for (body, code, field) in [
            (with(&good, r#","colour":"red""#), "unknown_field", "colour"),
            (with(&good.replace("side", "edge"), ""), "unknown_field", "legs[0].edge"),
            (with(&leg(r#"{"amount":"1"}"#), ""), "missing_field", "legs[0].amount.currency"),
            (with(&leg(r#"{"amount":1.5,"currency":"EUR"}"#), ""), "invalid_field", "legs[0].amount.amount"),
            (with(&leg(r#"{"amount":"1.23456","currency":"EUR"}"#), ""), "invalid_field", "legs[0].amount.amount"),
            (with(&leg(r#"{"amount":"1","currency":"euro"}"#), ""), "invalid_field", "legs[0].amount.currency"),
            (with(&good.replace("DEBIT", "LEFT"), ""), "invalid_field", "legs[0].side"),
            (r#"{"legs":[]}"#.to_owned(), "missing_field", "transaction_id"),
            (r#"{"transaction_id":"no spaces","legs":[]}"#.to_owned(), "invalid_field", "transaction_id"),
            (with(&good, r#","value_date":"31.1.2026""#), "invalid_field", "value_date"),
        ] {
            let problem = text(body.as_bytes()).and_then(record::<CreateTransaction>).expect_err(&body);
            let document = problem.document();
            assert_eq!(
                (document.code.as_str(), document.field.as_deref()),
                (code, Some(field)),
                "{body}: {}",
                document.detail
            );
        }
        let whole = with(&leg(r#"{"amount":12,"currency":"EUR"}"#), "");
        assert!(text(whole.as_bytes()).and_then(record::<CreateTransaction>).is_ok(), "a whole number is exact");
    }

    #[test]
    fn a_field_that_is_there_twice_is_refused_wherever_it_is() {
        let same = r#"{"a":null,"b":[true,-1,18446744073709551615,1.5,"\u00e9",{"a":{}}]}"#;
        assert_eq!(text(same.as_bytes()).ok(), serde_json::from_str(same).ok());
        for twice in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":1,"c":2,"\u0061":1}}]"#] {
            let problem = text(twice.as_bytes()).expect_err(twice);
            assert_eq!(problem.document().code, "malformed_json");
            assert!(
                problem.document().detail.contains(r#"the field "a" is there twice at line 1 column"#),
                "{problem}"
            );
        }
        assert!(text(b"{} {}").is_err(), "two values");
    }

    #[test]
    fn a_day_means_until_its_last_microsecond() {
        assert_eq!(moment("at", "1970-01-01").map(|at| at.0), Ok(DAY - 1));
        assert_eq!(moment("at", "1970-01-01T00:00:01Z").map(|at| at.0), Ok(1_000_000));
        assert!(moment("at", "yesterday").is_err());
        assert_eq!(
            (instant(Timestamp(0)), day(Date(365))),
            ("1970-01-01T00:00:00.000000Z".to_owned(), "1971-01-01".to_owned())
        );
    }
}
