//! Points in time, as Debian's archive writes them: `Sat, 12 Sep 2026 07:55:41 UTC`
//! in a Release file (RFC 5322), `20260912T075541Z` at
//! [snapshot.debian.org](https://snapshot.debian.org/).

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

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
        let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
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

    /// So many days later.
    pub fn plus_days(self, days: u64) -> Date {
        Date(self.0.saturating_add(days * DAY))
    }

    /// `None` for what no calendar has.
    fn of([year, month, day]: [u64; 3], [hour, minute, second]: [u64; 3]) -> Option<Date> {
        let date = Date(days_before(year, month, day)? * DAY + hour * 3600 + minute * 60 + second);
        let clock = hour < 24 && minute < 60 && second < 60;
        (clock && date.calendar() == [year, month, day]).then_some(date)
    }

    /// Year, month and day, both from 1 on.
    pub fn calendar(self) -> [u64; 3] {
        // https://howardhinnant.github.io/date_algorithms.html#civil_from_days
        let days = self.0 / DAY + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        [year + era * 400 + u64::from(month <= 2), month, day]
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// Days from 1970-01-01 to this one, the other way round of [`Date::calendar`].
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day] = self.calendar();
        let of_day = self.0 % DAY;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
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
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "yesterday",
            "Sat, 12 Sep 2026 07:55:41 CET",
            "Sat, 31 Sep 2026 07:55:41 UTC",
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
