//! The units of updates on a node, their configuration, and what of them is enabled.

use super::super::runtime::{self, Runtime};
use super::{CONFIG, KEY, NEVER, RebootPart, SEED, UpdatePart};

/// What looks for updates, and when.
pub const UNIT: &str = "nodeimg-update.service";
pub const TIMER: &str = "nodeimg-update.timer";
/// The timer's default.
const DAILY: &str = "daily";
pub const UNITS: &str = "/usr/lib/systemd/system";
/// What no preset names, a node's first boot enables.
pub const PRESET: &str = "/usr/lib/systemd/system-preset/20-nodeimg-update.preset";
const SERVICE: &str = include_str!("nodeimg-update.service");
/// What sets the timers as a seed says.
pub const SCHEDULE: &str = "nodeimg-update-schedule.service";
const SCHEDULE_TEXT: &str = include_str!("nodeimg-update-schedule.service");
/// What reboots a node in its window, and when that opens.
const REBOOT: &str = "nodeimg-update-reboot.service";
const REBOOT_TEXT: &str = include_str!("nodeimg-update-reboot.service");
pub const WINDOW: &str = "nodeimg-update-reboot.timer";
/// What a node of kubeadm's needs after an update, and its part in the node's health.
pub const KUBEADM: &str = "nodeimg-update-kubeadm.service";
const KUBEADM_TEXT: &str = include_str!("nodeimg-update-kubeadm.service");
const KUBEADM_CHECK: &str = "/usr/lib/nodeimg/health.d/nodeimg-update-kubeadm";
const KUBEADM_CHECK_TEXT: &str = include_str!("health");

/// The units that systemd can enable, and which are.
pub fn all(part: &UpdatePart, is_asked_for: bool, is_kubeadm: bool) -> Vec<(&'static str, bool)> {
    let window = part.reboot.as_ref().and_then(|it| it.window.as_deref());
    let mut units = vec![
        (
            TIMER,
            is_asked_for && part.schedule.as_deref() != Some(NEVER),
        ),
        (SCHEDULE, true),
        (WINDOW, window.is_some_and(|window| window != NEVER)),
    ];
    units.extend(is_kubeadm.then_some((KUBEADM, true)));
    units
}

/// Of those that are not enabled.
fn preset(units: &[(&str, bool)]) -> String {
    let off = units.iter().filter(|(_, is_on)| !is_on);
    off.map(|(unit, _)| format!("disable {unit}\n")).collect()
}

/// Paths, modes and contents; a node of kubeadm's has a runtime to wait for.
pub fn files(
    part: &UpdatePart,
    kubeadm: Option<&Runtime>,
    units: &[(&str, bool)],
) -> impl Iterator<Item = (String, u32, String)> {
    let unit = |name: &str, text: &str| Some((format!("{UNITS}/{name}"), 0o644, text.to_owned()));
    let file = |path: &str, mode, text: String| Some((path.to_owned(), mode, text));
    let kubeadm = kubeadm.map(|of| KUBEADM_TEXT.replace(runtime::UNIT, of.shared.unit));
    let added = [
        file(CONFIG, 0o644, config(part)),
        file(PRESET, 0o644, preset(units)).filter(|(_, _, preset)| !preset.is_empty()),
        unit(UNIT, SERVICE),
        unit(TIMER, &timer(part)),
        unit(SCHEDULE, SCHEDULE_TEXT),
        unit(REBOOT, REBOOT_TEXT),
        unit(WINDOW, &window(part)),
        kubeadm
            .as_ref()
            .and(file(KUBEADM_CHECK, 0o755, KUBEADM_CHECK_TEXT.to_owned())),
        kubeadm.and_then(|text| unit(KUBEADM, &text)),
    ];
    added.into_iter().flatten()
}

fn config(part: &UpdatePart) -> String {
    let mut text =
        String::from("# Of the recipe's [update]; /etc/nodeimg/update.toml counts before it.\n");
    if let Some(source) = &part.source {
        text += &format!("source = {}\n", toml::Value::from(source.as_str()));
    }
    match part.key.as_deref() {
        None => {}
        Some(SEED) => text += "key_from_seed = true\n",
        Some(_) => text += &format!("keys = [\"{KEY}\"]\n"),
    }
    if let Some(reboot) = &part.reboot {
        text += "\n[reboot]\n";
        let RebootPart {
            window,
            duration,
            zone,
        } = reboot;
        for (key, value) in [("window", window), ("duration", duration), ("zone", zone)] {
            if let Some(value) = value {
                text += &format!("{key} = {}\n", toml::Value::from(value.as_str()));
            }
        }
    }
    text
}

/// The window's timer; a seed may start it if the recipe does not.
fn window(part: &UpdatePart) -> String {
    let reboot = part.reboot.clone().unwrap_or_default();
    let window = reboot.window.filter(|window| window != NEVER);
    let window = window.as_deref().unwrap_or(DAILY);
    let zone = reboot
        .zone
        .map(|zone| format!(" {zone}"))
        .unwrap_or_default();
    format!(
        "[Unit]\nDescription=The window in which this node may reboot\n\n\
         [Timer]\nOnCalendar={window}{zone}\nAccuracySec=10s\n\n\
         [Install]\nWantedBy=timers.target\n"
    )
}

fn timer(part: &UpdatePart) -> String {
    let schedule = match part.schedule.as_deref() {
        None | Some(NEVER) => DAILY,
        Some(schedule) => schedule,
    };
    format!(
        "[Unit]\nDescription=Looks for updates of this node's image\n\n\
         [Timer]\nOnCalendar={schedule}\n\
         # Not all nodes at once.\nRandomizedDelaySec=1h\nPersistent=yes\n\n\
         [Install]\nWantedBy=timers.target\n"
    )
}
