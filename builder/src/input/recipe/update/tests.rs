#![allow(clippy::unwrap_used)]
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
fn without_the_table_there_is_nothing_and_never_is_no_timer() {
    let recipe = disk_recipe("");
    assert!(!recipe.has_updater && recipe.files.iter().all(|it| it.path.as_str() != CONFIG));
    let recipe = disk_recipe("[update]\nschedule = \"never\"\n");
    assert!(recipe.has_updater);
    assert!(recipe.enable.iter().all(|unit| unit.as_str() != TIMER));
    // An overlay has no slots.
    assert!(!self::recipe("[update]\n").has_updater);
}

#[test]
fn what_no_node_could_use_is_refused_at_its_line() {
    for (part, why) in [
        ("source = \"ftp://x/\"", "not a source of updates"),
        ("source = \"relative/path\"", "not a source of updates"),
        ("source = \"https://me:word@host/\"", "holds a login"),
        ("schedule = \"daily\\nExecStart=x\"", "not a time"),
        ("schedule = \"\"", "not a time"),
        ("sources = \"x\"", "sources"),
    ] {
        let refused = refusal(&format!("[update]\n{part}\n"));
        assert!(
            refused.contains(why) && refused.contains("mine.toml:3"),
            "{part}: {refused}"
        );
    }
}
