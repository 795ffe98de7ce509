//! What systemd says of a unit.
use std::process::{Command, Stdio};

use nodeimg_seed::contract::update::MAX_LINES;

/// As often a service may end before it counts as one that cannot run.
const RESTARTS: u32 = 5;

/// Properties of a unit
/// ([org.freedesktop.systemd1](https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.systemd1.html)).
///
/// As `systemctl show` lists them, one a line.
#[derive(Debug, Default)]
pub(super) struct Unit(String);

impl Unit {
    /// Of one that nothing is known of, if systemd does not answer.
    pub(super) fn ask(name: &str) -> Self {
        let wanted = "--property=ActiveState,SubState,Result,NRestarts,MainPID,UnitFileState,\
                      ConditionResult,ConditionTimestampMonotonic";
        Self(output("systemctl", &["show", wanted, name]))
    }

    #[cfg(test)]
    pub(super) fn read(text: &str) -> Self {
        Self(text.to_owned())
    }

    fn value(&self, key: &str) -> &str {
        let mut lines = self.0.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default()
    }

    /// Whether it starts by itself at every boot, and its conditions hold.
    pub(super) fn is_wanted(&self) -> bool {
        let was_asked = !matches!(self.value("ConditionTimestampMonotonic"), "" | "0");
        let is_enabled = matches!(self.value("UnitFileState"), "enabled" | "enabled-runtime");
        is_enabled && !(was_asked && self.value("ConditionResult") == "no")
    }

    pub(super) fn is_active(&self) -> bool {
        self.value("ActiveState") == "active"
    }

    /// The process, if one runs.
    pub(super) fn process(&self) -> Option<&str> {
        Some(self.value("MainPID")).filter(|id| !matches!(*id, "" | "0"))
    }

    /// Why it will not run any more.
    pub(super) fn failure(&self) -> Option<String> {
        if self.value("ActiveState") == "failed" {
            return Some(format!("has failed ({})", self.value("Result")));
        }
        let restarts = self.value("NRestarts").parse().unwrap_or(0);
        (restarts >= RESTARTS).then(|| format!("has ended {restarts} times"))
    }
}

/// The last lines of a unit's log in this boot.
pub(super) fn log(unit: &str) -> Vec<String> {
    let count = MAX_LINES.to_string();
    let arguments = [
        "--boot",
        "--no-pager",
        "--quiet",
        "--output=cat",
        "--lines",
        &count,
        "--unit",
        unit,
    ];
    output("journalctl", &arguments)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn output(program: &str, arguments: &[&str]) -> String {
    let ran = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    ran.map_or_else(
        |_| String::new(),
        |ran| String::from_utf8_lossy(&ran.stdout).into_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::Unit;

    #[test]
    fn what_a_unit_is() {
        let unit = |text: &str| Unit::read(&text.replace(' ', "\n"));
        let loops = unit("ActiveState=activating NRestarts=5 UnitFileState=enabled");
        assert_eq!(loops.failure().as_deref(), Some("has ended 5 times"));
        let failed = unit("ActiveState=failed Result=exit-code NRestarts=0");
        assert_eq!(failed.failure().as_deref(), Some("has failed (exit-code)"));
        let runs = unit("ActiveState=active NRestarts=4 MainPID=7 UnitFileState=enabled");
        assert_eq!((runs.failure(), runs.process()), (None, Some("7")));
        assert!(runs.is_active() && runs.is_wanted());
        for (text, expected) in [
            ("UnitFileState=disabled", false),
            (
                "UnitFileState=enabled ConditionResult=no ConditionTimestampMonotonic=0",
                true,
            ),
            (
                "UnitFileState=enabled ConditionResult=no ConditionTimestampMonotonic=9",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(unit(text).is_wanted(), expected, "{text}");
        }
        assert_eq!(unit("MainPID=0").process(), None);
    }
}
