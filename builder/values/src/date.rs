//! Points in time, as Debian's archive writes them: `Sat, 12 Sep 2026 07:55:41 UTC`
//! in a Release file (RFC 5322), `20260912T075541Z` at
//! [snapshot.debian.org](https://snapshot.debian.org/).

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use time::{Month, OffsetDateTime, PrimitiveDateTime, Time};

const DAY: u64 = 24 * 3600;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Seconds since 1970-01-01 UTC. Its text is the short form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(pub u64);

impl Date {
    /// From a Release file; its times are always UTC.
    pub fn from_release(text: &str) -> Result<Date> {
        Self::read_release(text)
            .ok_or_else(|| anyhow::anyhow!("`{}` is not a date in UTC", text.escape_debug()))
    }

    fn read_release(text: &str) -> Option<Date> {
        let (_, rest) = text.split_once(", ")?;
        let mut words = rest.split_ascii_whitespace();
        let day = number(words.next()?)?;
        let name = words.next()?;
        let month = MONTHS.iter().position(|month| *month == name)? as u16 + 1;
        let year = number(words.next()?)?;
        let mut clock = words.next()?.split(':').map(number);
        let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
        let utc = ["UTC", "GMT", "+0000", "Z"].contains(&words.next()?);
        let whole = utc && words.next().is_none() && clock.next().is_none();
        whole.then(|| Date::of([year, month, day], [hour, minute, second]))?
    }

    /// This machine's clock.
    pub fn now() -> Result<Date> {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .context("the clock is set to before 1970")?;
        Ok(Date(since.as_secs()))
    }

    /// `2026-11-30T13:55:41Z`.
    pub fn rfc3339(self) -> String {
        let text = self.to_string();
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(9, 11),
            part(11, 13),
            part(13, 15)
        )
    }

    /// So many days later.
    pub fn plus_days(self, days: u64) -> Date {
        Date(self.0.saturating_add(days * DAY))
    }

    /// `None` for what no calendar has.
    fn of([year, month, day]: [u16; 3], [hour, minute, second]: [u16; 3]) -> Option<Date> {
        let byte = |number: u16| u8::try_from(number).ok();
        let month = Month::try_from(byte(month)?).ok()?;
        let date = time::Date::from_calendar_date(year.into(), month, byte(day)?).ok()?;
        let clock = Time::from_hms(byte(hour)?, byte(minute)?, byte(second)?).ok()?;
        let time = PrimitiveDateTime::new(date, clock).assume_utc();
        // Only those from 1970 on are counted.
        time.unix_timestamp().try_into().ok().map(Date)
    }

    /// `202609120755`, which sorts as the times do.
    pub fn to_the_minute(self) -> String {
        self.to_string().replace('T', "").chars().take(12).collect()
    }

    /// As the calendar and the clock say it in UTC; the last second of the year 9999 for
    /// all that is later.
    pub fn utc(self) -> OffsetDateTime {
        let time = i64::try_from(self.0).map(OffsetDateTime::from_unix_timestamp);
        match time {
            Ok(Ok(time)) => time,
            _ => PrimitiveDateTime::MAX.assume_utc(),
        }
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.utc();
        let (year, month, day) = time.to_calendar_date();
        let (hour, minute, second) = time.to_hms();
        let month = u8::from(month);
        write!(
            f,
            "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"
        )
    }
}

impl FromStr for Date {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Date> {
        let parts = || {
            let part = |from: usize, to: usize| number(text.get(from..to)?);
            let calendar = [part(0, 4)?, part(4, 6)?, part(6, 8)?];
            Date::of(calendar, [part(9, 11)?, part(11, 13)?, part(13, 15)?])
        };
        match parts().filter(|date| date.to_string() == text) {
            Some(date) => Ok(date),
            None => bail!(
                "`{}` is not a time as in 20260912T075541Z",
                text.escape_debug()
            ),
        }
    }
}

impl TryFrom<String> for Date {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Date> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(date: Date) -> String {
        date.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_forms_are_one_time() {
        // The seconds are those of `date -u -d TEXT +%s`.
        for (long, short, seconds) in [
            (
                "Sat, 12 Sep 2026 07:55:41 UTC",
                "20260912T075541Z",
                1_789_199_741,
            ),
            (
                "Thu, 29 Feb 2024 23:59:59 +0000",
                "20240229T235959Z",
                1_709_251_199,
            ),
            ("Thu, 01 Jan 1970 00:00:00 UTC", "19700101T000000Z", 0),
            (
                "Sun, 31 Dec 2000 1:02:03 UTC",
                "20001231T010203Z",
                978_224_523,
            ),
        ] {
            let date = Date::from_release(long).unwrap();
            assert_eq!((date.0, date.to_string().as_str()), (seconds, short));
            assert_eq!(short.parse::<Date>().unwrap(), date);
        }
        assert_eq!(Date(0).plus_days(59).to_string(), "19700301T000000Z");
        assert_eq!(Date(u64::MAX).to_string(), "99991231T235959Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "yesterday",
            "Sat, 12 Sep 2026 07:55:41 CET",
            "Sat, 31 Sep 2026 07:55:41 UTC",
            "Sat, 0 Sep 2026 07:55:41 UTC",
            "Sat, 257 Sep 2026 07:55:41 UTC",
            "Thu, 29 Feb 2100 07:55:41 UTC",
            "Sat, 12 Sep 2026 07:55:60 UTC",
            "Sat, 12 Sep 2026 24:00:00 UTC",
            "Sat, 12 Sep 1969 00:00:00 UTC",
            "Sat, 12 Sep 2026 07:55 UTC",
        ] {
            assert!(Date::from_release(bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "20260912",
            "20260931T000000Z",
            "20260912T075541",
            "2026091\u{e9}T07554Z",
        ] {
            assert!(bad.parse::<Date>().is_err(), "{bad}");
        }
    }
}
