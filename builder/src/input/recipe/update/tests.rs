#![allow(clippy::unwrap_used)]
use super::super::Recipe;
use super::super::tests::{disk_recipe, recipe, refusal};
use super::*;

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
        "disable nodeimg-update.timer\n"
    );
    let config = text_of(&recipe.files, CONFIG);
    assert!(config.lines().all(|line| line.starts_with('#')), "{config}");
    // Whoever names a source on the node can start both.
    for unit in [UNIT, TIMER] {
        text_of(&recipe.files, &format!("{UNITS}/{unit}"));
    }
    let recipe = disk_recipe("[update]\n");
    assert!(is_timed(&recipe));
    assert!(recipe.files.iter().all(|it| it.path.as_str() != PRESET));
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
        ("sources = \"x\"", "sources"),
    ] {
        let refused = refusal(&format!("[update]\n{part}\n"));
        assert!(
            refused.contains(why) && refused.contains("mine.toml:3"),
            "{part}: {refused}"
        );
    }
}
