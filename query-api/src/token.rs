//! Tokens that callers carry and need not read: positions for read-your-writes, cursors for paging.
//!
//! A cursor names the last row seen, by its key: rows that come in between change nothing about where to go on.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tributary_flow::Place;

use crate::problem::Problem;

/// The header that carries a position, both ways.
pub const POSITION: &str = "tributary-position";

/// The token of a place.
#[must_use]
pub fn position(place: &Place) -> String {
    seal(&[&place.topic, &place.partition.to_string(), &place.offset.to_string()])
}

/// The place of a token.
///
/// # Errors
/// It is not one of ours.
pub fn read_position(token: &str) -> Result<Place, Problem> {
    let place = open(token).and_then(|parts| {
        let [topic, partition, offset] = <[String; 3]>::try_from(parts).ok()?;
        Some(Place { topic, partition: partition.parse().ok()?, offset: offset.parse().ok()? })
    });
    place.ok_or_else(no_position)
}

/// The problem of a position that no answer carried.
#[must_use]
pub fn no_position() -> Problem {
    Problem::bad_request("bad_position", "position", "the position is none that an answer carried")
}

/// The cursor after a row of the list `list`.
#[must_use]
pub fn cursor(list: &str, row: &[&str]) -> String {
    seal(&[&[list], row].concat())
}

/// The row that a cursor of the list `list` names.
///
/// # Errors
/// It is not one of ours, or of another list.
pub fn read_cursor<const N: usize>(list: &str, token: &str) -> Result<[String; N], Problem> {
    let row = open(token).and_then(|mut parts| (!parts.is_empty() && parts.remove(0) == list).then_some(parts));
    row.and_then(|row| row.try_into().ok()).ok_or_else(bad_cursor)
}

/// The problem of a cursor that is none.
#[must_use]
pub fn bad_cursor() -> Problem {
    Problem::bad_request("bad_cursor", "cursor", "the cursor is none that an answer of this list carried as `next`")
}

/// Parts hold no line ends and no zero bytes: they are ids and numbers.
fn seal(parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(parts.join("\n"))
}

fn open(token: &str) -> Option<Vec<String>> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    (!text.contains('\0')).then(|| text.split('\n').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_went_and_others_are_refused() {
        let place = Place { topic: "accounts.events.v1".to_owned(), partition: 3, offset: 12 };
        assert_eq!(read_position(&position(&place)), Ok(place));
        assert_eq!(read_cursor("accounts", &cursor("accounts", &["a"])), Ok(["a".to_owned()]));
        assert!(read_cursor::<1>("entries", &cursor("accounts", &["a"])).is_err());
        for token in ["", "!", "AAAA", &cursor("accounts", &["a"])] {
            assert!(read_position(token).is_err(), "{token}");
        }
        assert!(read_cursor::<1>("accounts", &cursor("accounts", &["a\0"])).is_err(), "no key holds a zero byte");
    }
}
