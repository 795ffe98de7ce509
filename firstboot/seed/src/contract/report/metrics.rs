//! The report as metrics, for the textfile collector of a Prometheus node exporter.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.
use std::fmt::Write as _;

use super::{Commands, Outcome, Report};
use crate::text::problem::Severity;

/// The directory of the file is for the exporter's `--collector.textfile.directory`. In
/// memory: after a boot without a report there are no metrics of an earlier one.
pub const METRICS_PATH: &str = "/run/nodeimg/metrics/nodeimg.prom";

impl Report {
    /// The same report gives the same bytes.
    pub fn metrics(&self) -> String {
        let count = |severity| self.of(severity).count();
        let flag = |is_so: bool| usize::from(is_so);
        let mut text = String::new();
        for (name, help, value) in [
            (
                "set_up",
                "Whether this node is set up.",
                flag(self.outcome != Outcome::Failed),
            ),
            (
                "errors",
                "Errors in the report of this boot.",
                count(Severity::Error),
            ),
            (
                "warnings",
                "Warnings in the report of this boot.",
                count(Severity::Warning),
            ),
            (
                "seed_refused",
                "Whether a seed or what stood in its place was not followed, and the node kept.",
                flag(self.seed_refused),
            ),
            (
                "commands_failed",
                "Whether commands of the seed have failed.",
                flag(self.commands == Some(Commands::Failed)),
            ),
        ] {
            let name = format!("nodeimg_firstboot_{name}");
            let _infallible = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
            );
        }
        let outcome = match self.outcome {
            Outcome::Applied => "applied",
            Outcome::Unchanged => "unchanged",
            Outcome::Failed => "failed",
        };
        let _infallible = writeln!(
            text,
            "# HELP nodeimg_firstboot_info The instance and what this boot did.\n\
             # TYPE nodeimg_firstboot_info gauge\n\
             nodeimg_firstboot_info{{host_name=\"{}\",instance_id=\"{}\",outcome=\"{outcome}\"}} 1",
            label(self.host_name.as_deref()),
            label(self.instance_id.as_deref()),
        );
        text
    }
}

/// A label's value, as the format escapes it.
fn label(value: Option<&str>) -> String {
    let value = value.unwrap_or_default().replace('\\', "\\\\");
    value.replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::super::{Commands, Outcome, Report};
    use crate::text::problem::{Place, Problems};

    #[test]
    fn a_report_gives_these_lines() {
        let mut problems = Problems::new();
        problems.warn(&Place::file("f"), "odd", "");
        problems.warn(&Place::file("g"), "odd", "");
        problems.error(&Place::file("g"), "wrong", "");
        let mut report = Report::new(Outcome::Unchanged);
        report.problems = problems.into_vec();
        report.seed_refused = true;
        report.commands = Some(Commands::Failed);
        report.instance_id = Some("a\"b\\c\nd".to_owned());
        report.host_name = Some("node-0".to_owned());
        let text = report.metrics();
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            values,
            [
                "nodeimg_firstboot_set_up 1",
                "nodeimg_firstboot_errors 1",
                "nodeimg_firstboot_warnings 2",
                "nodeimg_firstboot_seed_refused 1",
                "nodeimg_firstboot_commands_failed 1",
                r#"nodeimg_firstboot_info{host_name="node-0",instance_id="a\"b\\c\nd",outcome="unchanged"} 1"#,
            ]
        );
        assert_eq!(text.matches("# HELP ").count(), 6);
        assert_eq!(text.matches("# TYPE ").count(), 6);
        assert!(text.ends_with('\n'));
        let failed = Report::new(Outcome::Failed).metrics();
        assert!(
            failed.contains("\nnodeimg_firstboot_set_up 0\n"),
            "{failed}"
        );
    }
}
