//! Times of certificates: `YYMMDDHHMMSSZ` and `YYYYMMDDHHMMSSZ`.
use super::der::Element;

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Seconds since 1970.
pub(super) fn read(element: Element<'_>) -> Option<i64> {
    let text = std::str::from_utf8(element.content)
        .ok()?
        .strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, rest) = match (element.tag, text.len()) {
        (UTC_TIME, 12) => {
            // Two digits stand for 1950 to 2049.
            let year = number(0, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, 2)
        }
        (GENERALIZED_TIME, 14) => (number(0, 4)?, 4),
        _ => return None,
    };
    let part = |index: usize| number(rest + 2 * index, rest + 2 * index + 2);
    let days = days_before(year, part(0)?, part(1)?)?;
    Some(((days * 24 + part(2)?) * 60 + part(3)?) * 60 + part(4)?)
}

/// Days from 1970-01-01 to this date, by the calendar that begins in March
/// (<https://howardhinnant.github.io/date_algorithms.html>).
fn days_before(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// `YYYY-MM-DD`, for messages.
pub fn date(seconds: i64) -> String {
    let days = seconds.div_euclid(86_400) + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
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
        for text in [
            "20241301120000Z",
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
