//! How a node came up, for a person: what systemd-analyze(1) of the node says of its boot.
//!
//! | file beside the console | is |
//! |---|---|
//! | `CASE.svg` | `systemd-analyze plot`: every unit on one line of time |
//! | `CASE.chain` | `systemd-analyze critical-chain`: what multi-user.target waited for |

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::facts::Facts;

/// Facts of many lines, as base64, and the extension of the file that each goes to.
const FILES: [(&str, &str); 2] = [("critical-chain", "chain"), ("plot", "svg")];

/// Writes the files of one boot, of those that the node has told; its facts go without them.
/// A node without systemd-analyze tells none.
pub fn keep(facts: &mut Facts, logs: &Path, name: &str) -> Result<()> {
    for (fact, extension) in FILES {
        let Some(bytes) = facts.take(fact).and_then(|told| decoded(&told)) else {
            continue;
        };
        let path = logs.join(format!("{name}.{extension}"));
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

/// The lines that base64(1) made; `None` if there are none.
fn decoded(told: &str) -> Option<Vec<u8>> {
    let text: String = told.split_whitespace().collect();
    let bytes = STANDARD.decode(text).ok()?;
    Some(bytes).filter(|bytes| !bytes.is_empty())
}

/// `20.8s: 5.3s (kernel) + 15.5s (userspace)` of what `systemd-analyze time` says; `None` if
/// the node has not said it.
pub fn startup(facts: &Facts) -> Option<String> {
    let text = facts.get("startup");
    let (_, rest) = text.split_once("Startup finished in ")?;
    let (parts, rest) = rest.split_once(" = ")?;
    // Minutes are a word of their own.
    let end = rest.find("s ").map_or(rest.len(), |at| at + 1);
    Some(format!("{}: {parts}", rest[..end].trim_end()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_files_and_no_facts() {
        let logs = tempfile::tempdir().unwrap();
        let svg = STANDARD.encode(format!("<svg>{}</svg>\n", "x".repeat(100)));
        let (first, second) = svg.split_at(76);
        let text = format!("state=running\ncritical-chain=\nplot={first} {second}\nend=\n");
        let mut facts = Facts::read(&text);
        keep(&mut facts, logs.path(), "boot").unwrap();
        let plot = fs::read_to_string(logs.path().join("boot.svg")).unwrap();
        assert!(
            plot.starts_with("<svg>x") && plot.ends_with("</svg>\n"),
            "{plot}"
        );
        assert!(!logs.path().join("boot.chain").exists());
        let path = logs.path().join("boot.facts");
        facts.write(&path).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "end=\nstate=running\n");
    }

    #[test]
    fn what_is_not_base64_is_no_picture() {
        let logs = tempfile::tempdir().unwrap();
        let mut facts = Facts::read("plot=sh: 1: base64: not found\n");
        keep(&mut facts, logs.path(), "boot").unwrap();
        assert!(!logs.path().join("boot.svg").exists());
    }

    #[test]
    fn the_time_of_a_boot_in_one_line() {
        let told = |text: &str| startup(&Facts::read(&format!("startup={text}\n")));
        let text = "Startup finished in 5.300s (kernel) + 15.501s (userspace) = 20.801s \
            multi-user.target reached after 15.2s in userspace.";
        let want = "20.801s: 5.300s (kernel) + 15.501s (userspace)";
        assert_eq!(told(text).as_deref(), Some(want));
        let text = "Startup finished in 1min 2.5s (kernel) + 1s (userspace) = 1min 3.5s";
        let want = "1min 3.5s: 1min 2.5s (kernel) + 1s (userspace)";
        assert_eq!(told(text).as_deref(), Some(want));
        let text = "Bootup is not yet finished (org.freedesktop.systemd1.Manager.x=0).";
        assert_eq!(told(text), None);
    }
}
