#![allow(clippy::unwrap_used)]
use super::super::tests::{disk_recipe, recipe, refusal};
use super::units::{KUBEADM, PRESET, SCHEDULE, TIMER, UNIT, UNITS, WINDOW};
use super::*;
use crate::input::recipe::Recipe;

fn text_of(files: &[ExtraFile], path: &str) -> String {
    let found = files.iter().find(|file| file.path.as_str() == path);
    match &found.unwrap().content {
        ExtraContent::Text(text) => text.clone(),
        ExtraContent::Source(path) => path.display().to_string(),
    }
}

#[test]
fn a_disk_gets_units_and_configuration() {
    let part = "[update]\nsource = \"oci://registry.example/node\"\nkey = \"seed\"\nschedule = \"Sun 03:00\"\n";
    let recipe = disk_recipe(part);
    assert!(recipe.has_updater);
    assert!(recipe.enable.iter().any(|unit| unit.as_str() == TIMER));
    let config = text_of(&recipe.files, CONFIG);
    assert!(
        config.contains("source = \"oci://registry.example/node\"\nkey_from_seed = true\n"),
        "{config}"
    );
    let timer = text_of(
        &recipe.files,
        "/usr/lib/systemd/system/nodeimg-update.timer",
    );
    assert!(timer.contains("\nOnCalendar=Sun 03:00\n"), "{timer}");
}

#[test]
fn a_disk_has_the_program_by_default_and_nothing_starts_it() {
    let is_timed = |recipe: &Recipe| recipe.enable.iter().any(|unit| unit.as_str() == TIMER);
    let recipe = disk_recipe("");
    assert!(recipe.has_updater && !is_timed(&recipe));
    assert_eq!(
        text_of(&recipe.files, PRESET),
        "disable nodeimg-update.timer\ndisable nodeimg-update-reboot.timer\n"
    );
    let config = text_of(&recipe.files, CONFIG);
    assert!(config.lines().all(|line| line.starts_with('#')), "{config}");
    // Whoever names a source on the node can start both.
    for unit in [UNIT, TIMER] {
        text_of(&recipe.files, &format!("{UNITS}/{unit}"));
    }
    let recipe = disk_recipe("[update]\n");
    assert!(is_timed(&recipe));
    let preset = text_of(&recipe.files, PRESET);
    assert_eq!(preset, "disable nodeimg-update-reboot.timer\n");
    let recipe = disk_recipe("[update]\nschedule = \"never\"\n");
    assert!(recipe.has_updater && !is_timed(&recipe));
}

#[test]
fn what_is_switched_off_or_not_a_disk_has_nothing_of_it() {
    let off = "[update]\nenable = false\nsource = \"https://h/d/\"\n";
    // An overlay has no slots.
    for recipe in [disk_recipe(off), recipe("[update]\n"), recipe("")] {
        assert!(!recipe.has_updater);
        assert!(
            recipe
                .files
                .iter()
                .all(|it| !it.path.as_str().contains("update"))
        );
        assert!(recipe.enable.iter().all(|unit| unit.as_str() != TIMER));
    }
}

#[test]
fn what_no_node_could_use_is_refused_at_its_line() {
    for (part, why) in [
        ("source = \"ftp://x/\"", "not a source of updates"),
        ("source = \"relative/path\"", "not a source of updates"),
        ("source = \"https://me:word@host/\"", "holds a login"),
        ("schedule = \"daily\\nExecStart=x\"", "not a time"),
        ("schedule = \"\"", "not a time"),
        ("enable = \"no\"", "boolean"),
        ("schedule = \"Sun 25:00\"", "not a time"),
        ("source = \"https://\"", "no host"),
        ("reboot = { duration = \"1h\" }", "lacks `window`"),
        ("reboot = { window = \"noon\" }", "not a time"),
        (
            "reboot = { window = \"daily\", zone = \"Berlin\" }",
            "not a time zone",
        ),
        (
            "waves = [{ start = \"tomorrow\", percent = 5 }]",
            "not a time in UTC",
        ),
        (
            "waves = [{ start = \"2026-12-01T03:00:00Z\", percent = 101 }]",
            "not a share",
        ),
        ("requires = { minimum = \"1 2\" }", "is not a version"),
        ("sources = \"x\"", "sources"),
    ] {
        let refused = refusal(&format!("[update]\n{part}\n"));
        assert!(
            refused.contains(why) && refused.contains("mine.toml:3"),
            "{part}: {refused}"
        );
    }
}

#[test]
fn a_window_for_reboots_is_a_timer_and_configuration() {
    let unit = |recipe: &Recipe, name: &str| recipe.enable.iter().any(|it| it.as_str() == name);
    let part = "[update.reboot]\nwindow = \"Sat,Sun 02:00\"\nduration = \"2h\"\nzone = \"Europe/Berlin\"\n";
    let recipe = disk_recipe(part);
    assert!(unit(&recipe, WINDOW) && unit(&recipe, SCHEDULE));
    let timer = text_of(&recipe.files, &format!("{UNITS}/{WINDOW}"));
    assert!(
        timer.contains("\nOnCalendar=Sat,Sun 02:00 Europe/Berlin\n"),
        "{timer}"
    );
    let config = text_of(&recipe.files, CONFIG);
    assert!(
        config.ends_with(
            "\n[reboot]\nwindow = \"Sat,Sun 02:00\"\nduration = \"2h\"\nzone = \"Europe/Berlin\"\n"
        ),
        "{config}"
    );
    // A seed may still say one.
    let recipe = disk_recipe("[update]\n");
    assert!(!unit(&recipe, WINDOW));
    text_of(&recipe.files, &format!("{UNITS}/{WINDOW}"));
    // Only kubeadm's nodes have something to upgrade.
    assert!(!unit(&recipe, KUBEADM));
}

#[test]
fn who_may_take_a_version_is_in_its_manifest() {
    let recipe = disk_recipe(
        "[update]\nhold = true\nrequires = { minimum = \"13.0-1\", from = [\"13.0-2\"] }\n\
         waves = [{ start = \"2026-12-01T03:00:00Z\", percent = 10 }, \
         { start = \"2026-12-03T03:00:00Z\", percent = 100 }]\n",
    );
    let rollout = &recipe.rollout;
    let requires = rollout.requires.as_ref().unwrap();
    assert_eq!(requires.minimum.as_deref(), Some("13.0-1"));
    assert_eq!(requires.from, ["13.0-2"]);
    assert!(rollout.hold);
    // date -u -d 2026-12-01T03:00:00Z +%s
    let waves: Vec<(u64, u8)> = rollout
        .waves
        .iter()
        .map(|it| (it.start, it.percent))
        .collect();
    assert_eq!(waves, [(1_796_094_000, 10), (1_796_266_800, 100)]);
}
