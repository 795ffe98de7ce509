//! Times of certificates: `YYMMDDHHMMSSZ` and `YYYYMMDDHHMMSSZ`.
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::der::Element;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since 1970; `None` for what no calendar or clock has.
pub(super) fn read(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content)
        .ok()?
        .strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, text.len()) {
        (UTC_TIME, 12) => {
            // Two digits stand for 1950 to 2049.
            let year: i32 = text[..2].parse().ok()?;
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, 4),
        _ => return None,
    };
    let part = |index: usize| {
        let at = rest + 2 * index;
        text[at..at + 2].parse::<u8>().ok()
    };
    let month = Month::try_from(part(0)?).ok()?;
    let date = Date::from_calendar_date(year, month, part(1)?).ok()?;
    let clock = Time::from_hms(part(2)?, part(3)?, part(4)?).ok()?;
    let time = PrimitiveDateTime::new(date, clock).assume_utc();
    Some(time.unix_timestamp())
}

/// `YYYY-MM-DD`, for messages; a clock after the year 9999 gets its last day.
pub fn date(seconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(seconds);
    let time = time.unwrap_or(PrimitiveDateTime::MAX.assume_utc());
    let (year, month, day) = time.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}", u8::from(month))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::der::Reader;
    use super::{date, read};

    #[test]
    fn times() {
        for (tag, text, seconds, day) in [
            (0x17, "700101000000Z", 0, "1970-01-01"),
            (0x17, "491231235959Z", 2_524_607_999, "2049-12-31"),
            (0x17, "500101000000Z", -631_152_000, "1950-01-01"),
            (0x18, "20240229120000Z", 1_709_208_000, "2024-02-29"),
            (0x18, "99991231235959Z", 253_402_300_799, "9999-12-31"),
        ] {
            let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
            der.extend(text.as_bytes());
            let found = read(Reader(&der).next().unwrap()).unwrap();
            assert_eq!((found, date(found).as_str()), (seconds, day), "{text}");
        }
        assert_eq!(date(i64::MAX), "9999-12-31");
        for text in [
            "20241301120000Z",
            "20230229120000Z",
            "20240229240000Z",
            "2024022912000Z",
            "20240229120000",
            "2024022912000xZ",
        ] {
            let mut der = vec![0x18, u8::try_from(text.len()).unwrap()];
            der.extend(text.as_bytes());
            assert_eq!(read(Reader(&der).next().unwrap()), None, "{text}");
        }
    }
}
