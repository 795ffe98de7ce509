#![allow(clippy::unwrap_used)]

use nodeimg_seed::examine::{Elsewhere, outlook};
use nodeimg_seed::plan::UnknownImage;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::Problems;
use nodeimg_values::epoch::Epoch;

use super::Judge;
use crate::image::firstboot::settings::settings_of;
use crate::input::recipe::{self, Recipe, RecipeRef};
use crate::output::KINDS;

/// A disk with this in its recipe.
fn recipe(more: &str) -> Recipe {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let text = format!(
        "name = \"mine\"\nversion = \"1\"\nprofile = \"container-host\"\noutputs = [\"disk\"]\n{more}\
         [base]\nsuite = \"trixie\"\npackages = [\"systemd\"]\n"
    );
    std::fs::write(&path, text).unwrap();
    recipe::load(&RecipeRef::File(path), &KINDS).unwrap()
}

/// What first boot writes for the updater, or all problems.
fn told(recipe: &Recipe, update: &str) -> Result<Vec<String>, String> {
    let user_data = format!("#cloud-config\nnodeimg:\n  update:\n{update}");
    let meta_data = "instance-id: i-1\nlocal-hostname: node-1\n";
    let mut seed = Seed::new(Layout::NoCloud, SeedFile::new("meta-data", meta_data));
    seed.user_data = Some(SeedFile::new("user-data", user_data.as_str()));
    let judge = Judge::of(recipe, &[]);
    let elsewhere = Elsewhere {
        templates: &[],
        architecture: "x86_64",
        now: 1_790_000_000,
        image: &UnknownImage::default(),
        judge: Some(&judge),
    };
    let mut problems = Problems::new();
    let settings = settings_of(recipe, Epoch(0));
    let outlook = outlook(&seed, &settings, &elsewhere, &mut problems);
    let lines = problems.into_vec();
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    match outlook {
        Some(outlook) => Ok(outlook.files),
        None => Err(lines.join("\n")),
    }
}

#[test]
fn a_seed_says_where_and_when() {
    let recipe = recipe("[update]\nkey = \"seed\"\n");
    let key = "    key: |\n      -----BEGIN PUBLIC KEY-----\n      \
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n      \
        -----END PUBLIC KEY-----\n";
    let files = told(
        &recipe,
        &format!(
            "    source: https://me:word@images.example/nodes/\n    schedule: Sun 03:00\n    \
             reboot: {{window: 'Sat 02:00', duration: 2h, zone: Europe/Berlin}}\n{key}"
        ),
    )
    .unwrap();
    for path in ["/etc/nodeimg/update.toml", "/etc/nodeimg/update.pub"] {
        assert!(files.iter().any(|file| file == path), "{files:?}");
    }
}

#[test]
fn bad_values_are_told_at_their_lines() {
    let disk = recipe("[update]\n");
    for (update, why) in [
        (
            "    source: ftp://x/\n",
            "user-data:4: nodeimg.update.source: is not a source of updates",
        ),
        ("    source: https://\n", "has no host"),
        (
            "    source: oci://registry.example\n",
            "names no repository",
        ),
        (
            "    schedule: every sunday\n",
            "nodeimg.update.schedule: is not a time of systemd's",
        ),
        ("    schedule: Sun 25:00\n", "is not a time of systemd's"),
        (
            "    reboot: {window: sometimes}\n",
            "nodeimg.update.reboot.window: is not a time",
        ),
        (
            "    reboot: {window: daily, duration: 30}\n",
            "reboot.duration: is not a length of time",
        ),
        (
            "    reboot: {window: daily, zone: Berlin}\n",
            "reboot.zone: is not a time zone",
        ),
        ("    reboot: {duration: 1h}\n", "needs a `window`"),
        ("    reboot: daily\n", "nodeimg.update.reboot"),
        ("    key: x\n", "is not a seed's to say on this image"),
        ("    sources: x\n", "did you mean `source`?"),
        ("    reboot: {windows: daily}\n", "did you mean `window`?"),
        ("    - x\n", "nodeimg.update"),
    ] {
        let problems = told(&disk, update).unwrap_err();
        assert!(problems.contains(why), "{update}: {problems}");
    }
    let windowed = recipe("[update.reboot]\nwindow = \"Sun 03:00\"\n");
    told(&windowed, "    reboot: {zone: Europe/Berlin}\n").unwrap();
    let keyed = recipe("[update]\nkey = \"seed\"\n");
    let problems = told(&keyed, "    key: x\n").unwrap_err();
    assert!(
        problems.contains("is not a public key in PEM"),
        "{problems}"
    );
}

#[test]
fn an_image_that_does_not_update_itself_takes_no_such_key() {
    // Whatever the default is: an overlay has no slots.
    let overlay = recipe::load(&RecipeRef::BuiltIn("hard-way".into()), &KINDS).unwrap();
    if !overlay.has_updater {
        let problems = told(&overlay, "    schedule: daily\n").unwrap_err();
        assert!(problems.contains("this one does not"), "{problems}");
    }
}
