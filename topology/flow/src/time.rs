//! Time as the core sees it: a number that came in from outside, never a clock.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

/// Days since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i32);

/// Microseconds in a second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds in a UTC day.
pub const DAY: i64 = 86_400 * SECOND;

impl Timestamp {
    /// This instant moved by `micros`, held at the ends of the range.
    #[must_use]
    pub fn plus(self, micros: i64) -> Self {
        Timestamp(self.0.saturating_add(micros))
    }

    /// The UTC day this instant lies in.
    #[must_use]
    pub fn date(self) -> Date {
        Date(i32::try_from(self.0.div_euclid(DAY)).unwrap_or(i32::MAX))
    }
}

/// In RFC 3339, to the microsecond.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, micros) = (self.date(), self.0.rem_euclid(DAY));
        let (year, month, day) = date.calendar();
        let (seconds, micros) = (micros / SECOND, micros % SECOND);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl Date {
    /// Year and month (1 to 12) in the proleptic Gregorian calendar.
    ///
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.
    #[must_use]
    pub fn year_month(self) -> (i32, u32) {
        let (year, month, _) = self.calendar();
        (year, month)
    }

    fn calendar(self) -> (i32, u32, u32) {
        let shifted = i64::from(self.0) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        (year as i32, month as u32, day as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_the_calendar() {
        for (days, expected) in [
            (0, (1970, 1)),
            (30, (1970, 1)),
            (31, (1970, 2)),
            (11_016, (2000, 2)),
            (11_017, (2000, 3)),
            (-1, (1969, 12)),
        ] {
            assert_eq!(Date(days).year_month(), expected, "{days}");
        }
    }

    #[test]
    fn an_instant_is_written_in_rfc_3339() {
        for (micros, expected) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00.000000Z"),
            (1_795_282_943_000_007, "2026-11-21T17:42:23.000007Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), expected);
        }
    }

    #[test]
    fn an_instant_before_the_epoch_lies_in_the_day_before() {
        assert_eq!(Timestamp(-1).date(), Date(-1));
        assert_eq!(Timestamp(DAY).date(), Date(1));
    }
}
