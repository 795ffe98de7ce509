//! All of Kubernetes' conformance, where `NODEIMG_TEST_FULL` asks for it: two nodes,
//! as the suite wants, and everything but what the list leaves out.
//!
//! It takes longer than a test should. So a run goes on for
//! `NODEIMG_TEST_CONFORMANCE_MINUTES` (default 50), writes how each spec ended to
//! `conformance-VERSION.tsv` in the folder `NODEIMG_TEST_CONFORMANCE` (default `tmp` of
//! the build directory), and the next one continues from there. The figure so far is
//! beside it, as `ci/conformance` puts it into docs/reference/measured.md.
//!
//! What the list leaves out is tried too, last of all: a spec that passes is on the
//! list no longer.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::conformance::Suite;
use super::report::{self, Outcome, Outcomes, say};
use super::setting::Setting;
use super::{JUDGED, conformance, lab};
use crate::cluster::node::{Node, Place};
use crate::cluster::seed::Seed;
use crate::workloads;
use nodeimg_test_support::{judge, place, slots};

const PLACES: [Place; 2] = [
    Place {
        name: "judged-a",
        number: 61,
    },
    Place {
        name: "judged-b",
        number: 62,
    },
];
const SUBNETS: [&str; 2] = ["10.200.61.0/24", "10.200.62.0/24"];
const MINUTES: u64 = 50;
/// What a process runs at a time; it takes the next ones when it is done.
const BATCH: usize = 4;
const PROCESSES: usize = 4;
/// No batch may take longer: what hangs has failed.
const BATCH_MINUTES: u32 = 40;
const REST: Duration = Duration::from_secs(600);

#[test]
#[ignore = "takes hours; ci/conformance runs it"]
fn every_spec_of_conformance_passes_or_is_listed() {
    if !judge::is_full("all of conformance") {
        return;
    }
    let Some(setting) = Setting::start("all", &[]) else {
        return;
    };
    let specs = conformance::specs(&setting.scene.directory);
    let ledger = Ledger::new();
    let mut left = ledger.left(&specs);
    if !left.is_empty() {
        let _slots = slots::take(2, 9);
        let Some(nodes) = nodes(&setting) else {
            return;
        };
        setting.resolves();
        workloads::dns::resolves(&setting);
        ledger.run(&setting, &nodes, &left);
        left = ledger.left(&specs);
    }
    ledger.figure(&specs);
    let wrong = ledger.wrong();
    assert!(wrong.is_empty(), "conformance:\n{}", wrong.join("\n"));
    if !left.is_empty() {
        say(&format!(
            "conformance: {} are left: run it once more",
            left.len()
        ));
    }
}

/// Both nodes, which reach each other's pods.
fn nodes(setting: &Setting) -> Option<Vec<Node>> {
    let mut nodes = Vec::new();
    for (number, place) in PLACES.iter().enumerate() {
        let seed = Seed::hard_way(&setting.scene, place, SUBNETS[number])
            .route(SUBNETS[1 - number], &PLACES[1 - number]);
        nodes.push(setting.node(&JUDGED, place, seed, 1)?);
    }
    for node in &mut nodes {
        node.ready();
        conformance::pull_agnhost(node);
    }
    Some(nodes)
}

/// Waits until an emulated node has done with what the last spec left: one deletes a
/// hundred pods that it has not started, which takes a kubelet minutes.
fn rests(node: &Node) {
    let end = Instant::now() + REST;
    let is_idle = "test \"$(cut -d. -f1 /proc/loadavg)\" -lt 2";
    while node.tries(is_idle).code != Some(0) && Instant::now() < end {
        thread::sleep(Duration::from_secs(5));
    }
}

/// How specs ended, over all runs: `STATE<tab>SECONDS<tab>NAME<tab>MESSAGE` a line.
struct Ledger {
    path: PathBuf,
    writing: Mutex<()>,
    skipped: BTreeMap<String, String>,
}

impl Ledger {
    fn new() -> Ledger {
        let folder = std::env::var_os("NODEIMG_TEST_CONFORMANCE");
        let folder = folder.map_or_else(place::tmp, PathBuf::from);
        fs::create_dir_all(&folder).unwrap();
        Ledger {
            path: folder.join(format!("conformance-{}.tsv", lab::version("e2e.test"))),
            writing: Mutex::new(()),
            skipped: conformance::skipped(),
        }
    }

    fn read(&self) -> Outcomes {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let lines = text.lines().map(|line| {
            let mut fields = line.splitn(4, '\t').map(str::to_owned);
            let mut field = || fields.next().unwrap_or_default();
            let (state, seconds, name, message) = (field(), field(), field(), field());
            let seconds = seconds.parse().unwrap_or_default();
            (
                name,
                Outcome {
                    state,
                    seconds,
                    message,
                },
            )
        });
        lines.collect()
    }

    fn add(&self, batch: &[String], mut found: Outcomes) {
        for name in batch {
            found.entry(name.clone()).or_insert(Outcome {
                state: "lost".to_owned(),
                seconds: 0.0,
                message: "the suite does not report it".to_owned(),
            });
        }
        report::print(batch, &found);
        let _turn = self.writing.lock().unwrap();
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&self.path)
            .unwrap();
        for (
            name,
            Outcome {
                state,
                seconds,
                message,
            },
        ) in &found
        {
            let message: String = message.chars().take(400).collect();
            let message = message.replace(['\n', '\t'], " ");
            writeln!(file, "{state}\t{seconds:.1}\t{name}\t{message}").unwrap();
        }
    }

    /// What has not ended yet, in the order in which it is to run: together, then
    /// alone, then what is listed.
    fn left(&self, specs: &[String]) -> Vec<String> {
        let done = self.read();
        let mut left: Vec<String> = specs.to_vec();
        left.retain(|name| !done.contains_key(name));
        left.sort_by_key(|name| {
            (
                self.skipped.contains_key(name),
                conformance::is_serial(name),
            )
        });
        left
    }

    /// Until the time is over.
    fn run(&self, setting: &Setting, nodes: &[Node], left: &[String]) {
        let minutes = std::env::var("NODEIMG_TEST_CONFORMANCE_MINUTES").ok();
        let minutes = minutes.map_or(MINUTES, |text| text.parse().expect("minutes: a number"));
        let end = Instant::now() + Duration::from_secs(60 * minutes);
        let suite = Suite::new(setting, BATCH_MINUTES);
        let alone = |name: &String| self.skipped.contains_key(name) || conformance::is_serial(name);
        let (alone, together): (Vec<_>, Vec<_>) = left.iter().cloned().partition(alone);
        self.together(&suite, &together, end);
        for name in alone {
            if Instant::now() > end {
                return;
            }
            nodes.iter().for_each(rests);
            let one = [name];
            self.add(&one, suite.run_by(0, &one));
        }
    }

    /// A few specs at a time in each process.
    fn together(&self, suite: &Suite<'_>, names: &[String], end: Instant) {
        let batches = Mutex::new(names.chunks(BATCH));
        let next = || batches.lock().unwrap().next();
        let work = |number: usize| {
            while let Some(batch) = (Instant::now() < end).then(next).flatten() {
                self.add(batch, suite.run_by(number, batch));
            }
        };
        thread::scope(|scope| {
            for number in 0..PROCESSES {
                scope.spawn(move || work(number));
            }
        });
    }

    /// One line each: a spec that failed and is not listed, one that is and passed.
    fn wrong(&self) -> Vec<String> {
        let problem = |(name, outcome): (&String, &Outcome)| match (
            self.skipped.contains_key(name),
            outcome.passed(),
        ) {
            (false, false) => Some(format!(
                "{}: {name}\n    {}",
                outcome.state, outcome.message
            )),
            (true, true) => Some(format!(
                "passes: take it off conformance-skipped.txt: {name}"
            )),
            _ => None,
        };
        self.read().iter().filter_map(problem).collect()
    }

    /// Says how far it is, and writes that for docs/reference/measured.md.
    fn figure(&self, specs: &[String]) {
        let found = self.read();
        let count = |is: &dyn Fn(&Outcome) -> bool| {
            let of_the_suite = found.iter().filter(|(name, _)| specs.contains(name));
            of_the_suite.filter(|(_, outcome)| is(outcome)).count()
        };
        let (passed, run) = (count(&Outcome::passed), count(&|_| true));
        let hours = found.values().map(|outcome| outcome.seconds).sum::<f64>() / 3600.0;
        let rows = [
            ("specs of `[Conformance]`", specs.len()),
            ("run", run),
            ("passed", passed),
            ("did not pass", run - passed),
            ("not run yet", specs.len() - run),
            (
                "listed with a reason in `tests/suites/conformance-skipped.txt`",
                self.skipped.len(),
            ),
        ];
        let rows = rows.map(|(what, number)| format!("| {what} | {number} |\n"));
        let version = lab::version("e2e.test");
        let text = format!(
            "| Kubernetes {version} | |\n|---|---|\n{}| their time in all, several at once | {hours:.1} h |\n",
            rows.concat()
        );
        fs::write(self.path.with_extension("md"), &text).unwrap();
        say(&text);
    }
}
