//! docs/reference/compatibility.md beside what it speaks of.

use std::fs;

use nodeimg_test_support::place::top;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;

const PAGE: &str = "docs/reference/compatibility.md";

fn text(path: &str) -> String {
    fs::read_to_string(top().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The second column of the row that begins with `name`.
fn row(name: &str) -> String {
    let page = text(PAGE);
    let line = page
        .lines()
        .find(|line| line.starts_with(&format!("| {name} |")))
        .unwrap_or_else(|| panic!("{PAGE} has no row {name}"));
    line.split('|').nth(2).unwrap().trim().to_owned()
}

#[test]
fn the_versions_of_kubernetes_are_those_of_the_data() {
    let mut versions: Vec<_> = fs::read_dir(top().join("builder/data/kubernetes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    versions.sort();
    assert_eq!(row("Kubernetes"), versions.join(", "));
}

/// `A.B to A.C` of a file of keys, whose lines name the versions.
#[test]
fn the_versions_of_runtimes_are_those_of_the_data() {
    for (name, data) in [
        ("containerd", "builder/data/containerd-keys.txt"),
        ("CRI-O", "builder/data/crio-keys.txt"),
    ] {
        let (from, to) = row(name)
            .split_once(" to ")
            .map(|(from, to)| (from.to_owned(), to.to_owned()))
            .unwrap();
        let data = text(data);
        assert!(
            data.contains(&from) && data.contains(&to),
            "{name}: {from}, {to}"
        );
    }
}

#[test]
fn locks_have_the_version_that_the_page_names() {
    let world = World::locked();
    assert!(world.lock_text().contains("\nversion = 1\n"));
    assert_eq!(
        text(PAGE)
            .lines()
            .filter(|line| line.starts_with("| locks |") && line.contains("`version = 1`"))
            .count(),
        1
    );
}

/// Scripts, the action and the page have the version of Cargo.toml.
#[test]
fn one_version_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    assert!(text(PAGE).contains(&format!("/download/v{version}\n")));
    assert!(text("action.yml").contains(&format!("default: \"{version}\"")));
    assert!(text("docs/how-to/github-actions.md").contains(&format!("OWNER/nodeimg@v{version}")));
    let said = Ran::of(nodeimg_test_support::run::nodeimg().arg("--version")).good();
    assert!(said.out.starts_with(&format!("nodeimg {version}")));
}
