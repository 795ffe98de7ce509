//! Where and when nodes look for updates, and when they may reboot: the forms of these values,
//! for recipes and seeds. systemd reads times itself, on the node (systemd.time(7)); what it
//! would refuse there is told before.

/// What is never.
pub const NEVER: &str = "never";
/// The longest window for reboots, in seconds: windows of a week would run into each other.
pub const MAX_WINDOW: u64 = 7 * 86_400;

/// Whether this is a source of updates.
///
/// # Errors
/// What is wrong with it, to be read after its name.
pub fn source(source: &str) -> Result<(), String> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '"' || c == '\\';
    let known = "use `https://HOST/DIRECTORY/`, `oci://HOST/REPOSITORY[:TAG]` or an absolute path";
    let web = ["https://", "http://"];
    if let Some(rest) = web.iter().find_map(|start| source.strip_prefix(start)) {
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        // A login may be before the host.
        let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
        if !is_host(host) {
            return Err(format!("has no host: {known}"));
        }
        if source.contains(['?', '#']) {
            return Err(
                "has a query, which the names of files cannot follow: use a directory".to_owned(),
            );
        }
    } else if let Some(rest) = source.strip_prefix("oci://") {
        let name = rest.split_once('/');
        if !name.is_some_and(|(host, rest)| is_host(host) && is_repository(rest)) {
            return Err(format!("names no repository: {known}"));
        }
    } else if !source.starts_with('/') {
        return Err(format!("is not a source of updates: {known}"));
    }
    match source.contains(odd) {
        true => Err(format!("has characters that no source has: {known}")),
        false => Ok(()),
    }
}

/// A name or an address, and a port.
fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (
                "v6",
                port.strip_prefix(':').or(port.is_empty().then_some("0")),
            )
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, Some("0")),
        },
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    !name.is_empty()
        && name.chars().all(plain)
        && port.is_some_and(|port| port.parse::<u16>().is_ok())
}

/// A repository and its tag, as the distribution specification has them.
fn is_repository(rest: &str) -> bool {
    let (name, tag) = match rest.rsplit_once(':') {
        Some((name, tag)) => (name, tag),
        None => (rest, "latest"),
    };
    let part = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        part.chars().all(plain)
            && part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let in_tag = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    name.split('/').all(part)
        && !tag.starts_with(['-', '.'])
        && (1..=128).contains(&tag.len())
        && tag.chars().all(in_tag)
}

/// Whether systemd takes this in `OnCalendar=`.
///
/// # Errors
/// What is wrong with it, to be read after its name.
pub fn calendar(text: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || " :*-,./~+_@".contains(c);
    let is_good = text.chars().all(fits) && read_calendar(text.trim()).is_some();
    match is_good {
        true => Ok(()),
        false => Err(
            "is not a time of systemd's: `daily`, `Sun 03:00`, `*-*-* 02..05:00` \
             (`systemd-analyze calendar` explains them)"
                .to_owned(),
        ),
    }
}

/// Names of days, the first three letters of which are enough.
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

const SHORT: [&str; 13] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "yearly",
    "annually",
    "anually",
    "biannually",
    "bi-annually",
    "semiannually",
    "semi-annually",
];

fn read_calendar(text: &str) -> Option<()> {
    let text = match text.rsplit_once(' ') {
        Some((rest, last)) if zone(last) => rest.trim_end(),
        _ => text,
    };
    if SHORT.iter().any(|name| text.eq_ignore_ascii_case(name)) {
        return Some(());
    }
    let mut rest = text;
    if rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
        let (days, after) = rest.split_once(' ').unwrap_or((rest, ""));
        weekdays(days)?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Some(());
        }
    }
    if let Some(seconds) = rest.strip_prefix('@') {
        let seconds = number(seconds)?;
        return (seconds < 1 << 40).then_some(());
    }
    match rest.split_once(' ') {
        Some((day, time)) => {
            date(day)?;
            clock(time.trim_start())
        }
        None if rest.contains(':') => clock(rest),
        None => date(rest),
    }
}

fn weekdays(list: &str) -> Option<()> {
    let day = |name: &str| {
        let name = name.to_ascii_lowercase();
        DAYS.iter().position(|day| *day == name || day[..3] == name)
    };
    // One comma more is not minded.
    for item in list.strip_suffix(',').unwrap_or(list).split(',') {
        let range = item.split_once("..").or_else(|| item.split_once('-'));
        let (from, to) = range.unwrap_or((item, item));
        if day(from)? > day(to)? {
            return None;
        }
    }
    Some(())
}

/// `YEAR-MONTH-DAY` or `MONTH-DAY`; a `~` counts days from a month's end.
fn date(text: &str) -> Option<()> {
    let from_end = text.contains('~');
    let (rest, day) = text.rsplit_once(['-', '~'])?;
    let (year, month) = match rest.split_once('-') {
        Some((year, month)) => (Some(year), month),
        None => (None, rest),
    };
    if let Some(year) = year {
        let two = |text: &str| (text.len() == 2 && text.parse::<u32>().is_ok()).then_some(());
        // Two digits are a year of this century or the last.
        two(year).or_else(|| chain(year, 1970, 2199, 1, false))?;
    }
    chain(month, 1, 12, 1, false)?;
    chain(day, 1, 31, 1, from_end)
}

fn clock(text: &str) -> Option<()> {
    let mut parts = text.split(':');
    chain(parts.next()?, 0, 23, 1, false)?;
    chain(parts.next()?, 0, 59, 1, false)?;
    if let Some(seconds) = parts.next() {
        chain(seconds, 0, 59_999_999, 1_000_000, false)?;
    }
    parts.next().is_none().then_some(())
}

/// A list of numbers, ranges and steps, in units of which `unit` are one.
fn chain(text: &str, low: u64, high: u64, unit: u64, from_end: bool) -> Option<()> {
    // Alone, and without a step.
    if text == "*" {
        return Some(());
    }
    // No more than 28 days from the end of a month.
    let high = if from_end { high - 3 } else { high };
    for item in text.split(',') {
        let (body, step) = match item.split_once('/') {
            Some((body, step)) => (body, Some(value(step, unit).filter(|step| *step > 0)?)),
            None => (item, None),
        };
        let step = step.unwrap_or(0);
        let (start, stop) = match body.split_once("..") {
            Some((start, stop)) => (value(start, unit)?, Some(value(stop, unit)?)),
            None => (value(body, unit)?, None),
        };
        if !(low..=high).contains(&start) || step > high - low {
            return None;
        }
        let fits = match (stop, from_end) {
            (Some(stop), _) => start <= stop && stop <= high,
            (None, false) => start + step <= high,
            (None, true) => start >= low + step,
        };
        if !fits {
            return None;
        }
    }
    Some(())
}

/// A number; a fraction of up to six digits where the unit has some.
fn value(text: &str, unit: u64) -> Option<u64> {
    match text.split_once('.') {
        None => number(text)?.checked_mul(unit),
        Some((whole, fraction)) if unit > 1 => {
            let digits = fraction.get(..fraction.len().min(6))?;
            let scale = 10_u64.pow(6 - u32::try_from(digits.len()).ok()?);
            number(fraction)?;
            number(whole)?
                .checked_mul(unit)?
                .checked_add(number(digits)? * scale)
        }
        Some(_) => None,
    }
}

fn number(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// Whether this could be the name of a time zone: `UTC`, `Europe/Berlin`.
pub fn zone(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
    let part = |part: &str| !part.is_empty() && part.chars().all(plain);
    let area = [
        "Africa",
        "America",
        "Antarctica",
        "Arctic",
        "Asia",
        "Atlantic",
        "Australia",
        "Etc",
        "Europe",
        "Indian",
        "Pacific",
    ];
    match text.split_once('/') {
        Some((first, rest)) => area.contains(&first) && rest.split('/').all(part),
        None => text.eq_ignore_ascii_case("UTC"),
    }
}

/// Seconds of a length of time: `2h`, `90min`, `1h 30min`.
pub fn span(text: &str) -> Option<u64> {
    const UNITS: [(&[&str], u64); 4] = [
        (&["s", "sec", "second", "seconds", ""], 1),
        (&["m", "min", "minute", "minutes"], 60),
        (&["h", "hr", "hour", "hours"], 3600),
        (&["d", "day", "days"], 86_400),
    ];
    let mut rest = text.trim();
    let mut total = 0_u64;
    while !rest.is_empty() {
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(end);
        let after = after.trim_start();
        let end = after
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let (_, seconds) = UNITS.iter().find(|(names, _)| names.contains(&name))?;
        total = total.checked_add(number(digits)?.checked_mul(*seconds)?)?;
        rest = after.trim_start();
    }
    (total > 0).then_some(total)
}

/// When a node may reboot by itself.
///
/// # Errors
/// Which value is wrong (`window`, `duration` or `zone`), and why, to be read after its name.
pub fn window(
    window: &str,
    duration: Option<&str>,
    zone_name: Option<&str>,
) -> Result<(), (&'static str, String)> {
    if window != NEVER {
        calendar(window).map_err(|why| ("window", why))?;
    }
    if let Some(text) = duration
        && !span(text).is_some_and(|length| (60..=MAX_WINDOW).contains(&length))
    {
        let why = "is not a length of time between 1min and 7d: `2h`, `90min`, `1h 30min`";
        return Err(("duration", why.to_owned()));
    }
    let Some(name) = zone_name else { return Ok(()) };
    if !zone(name) {
        return Err((
            "zone",
            "is not a time zone: `UTC`, `Europe/Berlin`".to_owned(),
        ));
    }
    match window.trim().rsplit_once(' ') {
        Some((_, last)) if zone(last) => Err((
            "zone",
            "is in the window already: remove one of them".to_owned(),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
