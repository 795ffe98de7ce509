//! What a suite made with Ginkgo says of its specs: its JSON report, and whether
//! that is what was asked for.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde_json::Value;

/// How one spec ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Ginkgo's word: `passed`, `failed`, `skipped`, `timedout`, `panicked`...
    pub state: String,
    pub seconds: f64,
    /// Why it did not pass.
    pub message: String,
}

impl Outcome {
    pub fn passed(&self) -> bool {
        self.state == "passed"
    }
}

/// Every spec of a report by its full name.
pub type Outcomes = BTreeMap<String, Outcome>;

/// Reads a report; `log` is named if there is none.
#[track_caller]
pub fn read(json: &str, log: &Path) -> Outcomes {
    let Ok(Value::Array(suites)) = serde_json::from_str::<Value>(json) else {
        panic!("the suite wrote no report; see {}", log.display());
    };
    let specs = suites.iter().flat_map(|suite| array(&suite["SpecReports"]));
    let mut all = Outcomes::new();
    for spec in specs.filter(|spec| spec["LeafNodeType"] == "It") {
        let outcome = outcome(spec);
        // Of two specs of one name, the one that was run counts, then the worse.
        let worse = |old: &Outcome| old.state == "skipped" || old.passed();
        let counts = outcome.state != "skipped" || !all.contains_key(&name(spec));
        if counts && all.get(&name(spec)).is_none_or(worse) {
            all.insert(name(spec), outcome);
        }
    }
    all
}

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn name(spec: &Value) -> String {
    let mut parts: Vec<&str> = array(&spec["ContainerHierarchyTexts"])
        .filter_map(Value::as_str)
        .collect();
    parts.extend(spec["LeafNodeText"].as_str());
    parts.join(" ")
}

fn outcome(spec: &Value) -> Outcome {
    let failure = &spec["Failure"];
    Outcome {
        state: spec["State"].as_str().unwrap_or("unknown").to_owned(),
        seconds: spec["RunTime"].as_f64().unwrap_or_default() / 1e9,
        message: failure["Message"].as_str().unwrap_or_default().to_owned(),
    }
}

/// What is wrong with the specs that were to run: one line each.
pub fn problems<'a>(wanted: impl IntoIterator<Item = &'a String>, found: &Outcomes) -> Vec<String> {
    let problem = |name: &String| match found.get(name) {
        None => Some(format!("was not run: {name}")),
        Some(outcome) if outcome.passed() => None,
        Some(outcome) => {
            let message: String = outcome.message.chars().take(600).collect();
            let Outcome { state, seconds, .. } = outcome;
            Some(format!(
                "{state} after {seconds:.0} s: {name}\n    {message}"
            ))
        }
    };
    wanted.into_iter().filter_map(problem).collect()
}

/// A line for who runs the tests: the harness keeps what passing tests print.
pub fn say(line: &str) {
    let _ = std::io::stderr()
        .lock()
        .write_all(format!("{line}\n").as_bytes());
}

/// Says how the specs that were to run ended, and how long they took.
pub fn print<'a>(wanted: impl IntoIterator<Item = &'a String>, found: &Outcomes) {
    for name in wanted {
        if let Some(Outcome { state, seconds, .. }) = found.get(name) {
            say(&format!("{state} {seconds:6.1} s  {name}"));
        }
    }
}

/// A regular expression of Go's that only these names match.
pub fn expression<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| escaped(name)).collect();
    format!("({})$", names.join("|"))
}

fn escaped(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            out.push('\\');
        }
        out.push(letter);
    }
    out
}

#[cfg(test)]
const REPORT: &str = r#"[{"SpecReports": [
    {"LeafNodeType": "BeforeSuite", "State": "passed"},
    {"LeafNodeType": "It", "ContainerHierarchyTexts": ["[a] B"], "LeafNodeText": "works",
     "State": "passed", "RunTime": 2500000000},
    {"LeafNodeType": "It", "ContainerHierarchyTexts": ["[a] B"], "LeafNodeText": "breaks",
     "State": "failed", "RunTime": 1000000000, "Failure": {"Message": "it is so"}},
    {"LeafNodeType": "It", "ContainerHierarchyTexts": null, "LeafNodeText": "rests", "State": "skipped"}
]}]"#;

#[test]
fn what_did_not_pass_is_told() {
    let found = read(REPORT, Path::new("log"));
    let wanted = ["[a] B works", "[a] B breaks", "rests", "is made up"].map(str::to_owned);
    let told = problems(&wanted, &found);
    assert_eq!(
        told,
        [
            "failed after 1 s: [a] B breaks\n    it is so",
            "skipped after 0 s: rests\n    ",
            "was not run: is made up"
        ]
    );
    assert_eq!(expression(&wanted[..1]), r"(\[a\] B works)$");
}
