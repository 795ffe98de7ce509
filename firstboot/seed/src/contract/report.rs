//! The report: one value, shown as `result.json`, as a short report, and as a box on
//! the console when the node is not set up.
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::text::problem::{Problem, Problems, Severity};

mod metrics;

pub use metrics::METRICS_PATH;

/// The file with the report of this boot.
pub const RESULT_PATH: &str = "/run/nodeimg/result.json";

/// The only version read and written.
pub const RESULT_VERSION: u32 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The files of the instance were written in this boot.
    Applied,
    /// The instance was set up by an earlier boot.
    Unchanged,
    Failed,
}

/// The state of the seed's commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Commands {
    /// Still to be run, or running.
    Pending,
    Done,
    Failed,
}

/// What became of the secrets on the volume that the seed came on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scrub {
    /// They are needed until the commands have succeeded and the kubelet has its certificate.
    Pending,
    Overwritten,
    /// The volume cannot be written to.
    ReadOnly,
    /// A warning says why.
    Failed,
}

/// What first boot did and why. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub version: u32,
    pub outcome: Outcome,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_ips: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pod_subnets: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commands: Option<Commands>,
    /// None if there are no secrets, or if they are not on a volume of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<Scrub>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
    /// Whether something was found in the place of this node's seed that was not followed,
    /// so that the node stays as an earlier boot set it up. Warnings say what and why.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seed_refused: bool,
    /// The places that were searched when no seed was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seen: Vec<String>,
    /// What is known of the image's versions ([`super::update`]); only `status` adds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<serde_json::Value>,
}

const WIDTH: usize = 78;

impl Report {
    pub fn new(outcome: Outcome) -> Self {
        Self {
            version: RESULT_VERSION,
            outcome,
            instance_id: None,
            source: None,
            host_name: None,
            node_ips: Vec::new(),
            pod_subnets: Vec::new(),
            files: Vec::new(),
            commands: None,
            scrub: None,
            problems: Vec::new(),
            seed_refused: false,
            seen: Vec::new(),
            update: None,
        }
    }

    /// `None` if it is not a report of this version.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes)
            .ok()
            .filter(|report: &Self| report.version == RESULT_VERSION)
    }

    /// Pretty JSON with a final line break.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|mut text| {
            text.push('\n');
            text
        })
    }

    /// Whether a person has to do something.
    pub fn failed(&self) -> bool {
        self.outcome == Outcome::Failed || self.commands == Some(Commands::Failed)
    }

    /// Whether the node is set up, and there are warnings about it.
    pub fn warns(&self) -> bool {
        self.of(Severity::Warning).next().is_some()
    }

    /// Adds what is found after the first report; errors stay in front.
    pub fn add(&mut self, problems: Problems) {
        self.problems.extend(problems.into_vec());
        self.problems
            .sort_by_key(|problem| problem.severity == Severity::Warning);
    }

    fn of(&self, severity: Severity) -> impl Iterator<Item = &Problem> {
        self.problems
            .iter()
            .filter(move |problem| problem.severity == severity)
    }

    /// The short report of a node that is set up, warnings included.
    pub fn summary(&self) -> String {
        let name = self.host_name.as_deref().unwrap_or("this node");
        let did = match self.outcome {
            Outcome::Applied => "is set up",
            Outcome::Unchanged if self.seed_refused => {
                "was set up by an earlier boot and stays so; see the warnings"
            }
            Outcome::Unchanged => "was set up by an earlier boot; nothing to do",
            Outcome::Failed => "is not set up",
        };
        let mut text = format!("nodeimg-firstboot: {name} {did}\n");
        let mut row = |title: &str, value: &str| {
            if !value.is_empty() {
                let _infallible = writeln!(text, "  {title:<12}{value}");
            }
        };
        row("instance", self.instance_id.as_deref().unwrap_or_default());
        row("seed", self.source.as_deref().unwrap_or_default());
        row("node IP", &self.node_ips.join(", "));
        row("pod subnet", &self.pod_subnets.join(", "));
        if !self.files.is_empty() {
            row("files", &format!("{} written", self.files.len()));
        }
        match self.commands {
            Some(Commands::Pending) => row("commands", "to be run"),
            Some(Commands::Done) => row("commands", "done"),
            Some(Commands::Failed) | None => {}
        }
        match self.scrub {
            Some(Scrub::Pending) => row(
                "secrets",
                "will be overwritten on the volume when no longer needed",
            ),
            Some(Scrub::Overwritten) => row("secrets", "overwritten on the volume"),
            Some(Scrub::ReadOnly) => row("secrets", "stay on the volume, which is read-only"),
            Some(Scrub::Failed) | None => {}
        }
        for problem in self.of(Severity::Warning) {
            row("warning", &problem.to_string());
        }
        text
    }

    /// The box of a failure: every reason, what was seen, what to do next.
    pub fn failure_box(&self) -> String {
        let set_up = self.outcome != Outcome::Failed;
        let title = if set_up {
            "nodeimg: THE COMMANDS OF THIS NODE'S SEED HAVE FAILED."
        } else {
            "nodeimg: THIS NODE IS NOT SET UP. kubelet and kube-proxy do not start."
        };
        let mut lines = vec![title.to_owned()];
        lines.push(String::new());
        for (index, problem) in self.of(Severity::Error).enumerate() {
            lines.extend(wrapped(&format!("{}. ", index + 1), &problem.to_string()));
        }
        for problem in self.of(Severity::Warning) {
            lines.extend(wrapped("warning: ", &problem.to_string()));
        }
        if !self.seen.is_empty() {
            lines.push(String::new());
            for line in &self.seen {
                lines.extend(wrapped("looked at ", line));
            }
        }
        lines.push(String::new());
        if let Some(source) = &self.source {
            lines.extend(wrapped("Seed: ", source));
        }
        let next = if set_up {
            "the node has its files; to try again, reboot or run: systemctl restart nodeimg-commands"
        } else {
            "correct the seed and reboot; without a reboot: systemctl restart nodeimg-firstboot \
             kubelet kube-proxy"
        };
        lines.extend(wrapped("Next: ", next));
        let edge = format!("+{}+\n", "-".repeat(WIDTH));
        let mut text = edge.clone();
        for line in lines {
            let pad = " ".repeat((WIDTH - 2).saturating_sub(line.chars().count()));
            let _infallible = writeln!(text, "| {line}{pad} |");
        }
        text + &edge
    }
}

/// Lines that fit the box, the first after `lead`, the others indented below it.
/// Control characters could move the cursor of a console: they are dropped.
fn wrapped(lead: &str, text: &str) -> Vec<String> {
    let room = WIDTH - 2 - lead.len();
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let clean: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    for word in clean.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        if !line.is_empty() && line.chars().count() + 1 + rest.len() > room {
            lines.push(std::mem::take(&mut line));
        }
        while rest.len() > room {
            let tail = rest.split_off(room);
            lines.push(rest.into_iter().collect());
            rest = tail;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(rest);
    }
    lines.push(line);
    let indent = " ".repeat(lead.len());
    let lead_of = |index: usize| if index == 0 { lead } else { indent.as_str() };
    lines
        .iter()
        .enumerate()
        .map(|(index, line)| format!("{}{line}", lead_of(index)))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::{Outcome, Report, WIDTH};
    use crate::text::problem::{Place, Problems};

    #[test]
    fn the_box_is_a_box() {
        let mut problems = Problems::new();
        let place = Place::file("/seed/user-data").line(3).key("hostname");
        problems.error(
            &place,
            format!("{} \u{1b}[2J é", "long ".repeat(40)),
            "x".repeat(200),
        );
        problems.warn(&place, "odd", "");
        let mut report = Report::new(Outcome::Failed);
        report.problems = problems.into_vec();
        report.seen = vec!["/var/lib/nodeimg/seed: not there".to_owned()];
        let text = report.failure_box();
        for line in text.lines() {
            assert_eq!(line.chars().count(), WIDTH + 2, "{line}");
        }
        assert!(!text.contains('\u{1b}'));
        for part in [
            "1. /seed/user-data:3: hostname: long",
            "warning: ",
            "looked at /var/lib",
            "Next: ",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn json_survives() {
        let mut report = Report::new(Outcome::Applied);
        report.host_name = Some("n".to_owned());
        let text = report.to_json().unwrap();
        assert_eq!(Report::read(text.as_bytes()), Some(report));
        assert_eq!(
            Report::read(text.replace("\"version\": 1", "\"version\": 9").as_bytes()),
            None
        );
    }
}
