//! What is said of many seeds in few lines.

use std::collections::BTreeMap;

use nodeimg_machine::inventory::Row;
use nodeimg_machine::seed::Before;
use nodeimg_seed::text::problem::{Problems, Severity};
use serde_json::json;

use crate::cli::SeedNewArgs;
use crate::cmd::Session;

/// Lines that a person reads.
const LINES: usize = 20;
/// Names before "and so many others".
const MOST: usize = 5;

/// `a, b and c`; `a, b, c, d, e and 995 others`.
pub fn names(all: &[&str]) -> String {
    match all {
        [] => "nobody".to_owned(),
        [one] => (*one).to_owned(),
        [first @ .., last] if all.len() <= MOST => format!("{} and {last}", first.join(", ")),
        _ => format!("{} and {} others", all[..MOST].join(", "), all.len() - MOST),
    }
}

pub fn clashes(session: &Session<'_>, found: &[String]) {
    if found.len() > LINES && !session.global.json {
        eprintln!(
            "the first {LINES} of {} errors (--json has all):",
            found.len()
        );
    }
    let most = if session.global.json {
        found.len()
    } else {
        LINES
    };
    for text in found.iter().take(most) {
        match session.global.json {
            true => println!("{}", json!({ "event": "clash", "problem": text })),
            false => eprintln!("error: {text}"),
        }
    }
}

/// Each problem once, with those who have it; errors first.
pub fn problems(session: &Session<'_>, all: &[(&Row, &Problems)]) {
    if session.global.json {
        for (row, problems) in all {
            let problems: Vec<_> = problems.iter().collect();
            if !problems.is_empty() {
                let name = row.host_name();
                let event = json!({ "event": "seed", "host_name": name, "problems": problems });
                println!("{event}");
            }
        }
        return;
    }
    let mut same: BTreeMap<(bool, String), Vec<&Row>> = BTreeMap::new();
    for (row, problems) in all {
        for problem in problems.iter() {
            let key = (problem.severity == Severity::Warning, problem.to_string());
            same.entry(key).or_default().push(row);
        }
    }
    for warning in [false, true] {
        let more = same.keys().filter(|(kind, _)| *kind == warning).count();
        if more > LINES && !(warning && session.global.quiet) {
            let kind = if warning { "warnings" } else { "errors" };
            eprintln!("the first {LINES} of {more} {kind} (--json has all):");
        }
        tell_lines(session, warning, &same);
    }
}

/// The first lines of one kind.
fn tell_lines(session: &Session<'_>, warning: bool, same: &BTreeMap<(bool, String), Vec<&Row>>) {
    let lines = same.iter().filter(|((kind, _), _)| *kind == warning);
    for ((_, text), rows) in lines.take(LINES) {
        let hosts: Vec<_> = rows.iter().map(|row| row.host_name()).collect();
        let place = rows.first().map_or("", |row| row.place.as_str());
        match warning {
            true if session.global.quiet => {}
            true => eprintln!("warning: {place} ({}): {text}", names(&hosts)),
            false => eprintln!("error: {place} ({}): {text}", names(&hosts)),
        }
    }
}

pub fn written(session: &Session<'_>, base: &SeedNewArgs, before: &[Before]) {
    let count = |what| before.iter().filter(|before| **before == what).count();
    let (new, changed, same) = (
        count(Before::Absent),
        count(Before::Other),
        count(Before::Same),
    );
    let event = json!({
        "event": "inventory",
        "directory": base.out,
        "new": new,
        "changed": changed,
        "unchanged": same,
    });
    let text = format!(
        "{}: {} seeds ({new} new, {changed} changed, {same} unchanged)",
        base.out.display(),
        before.len()
    );
    session.say(&event, &text);
}
