//! `nodeimg inspect` and `nodeimg diff` of roots that mksquashfs made; images of a build are in
//! `tests/base`.

use std::fs;
use std::path::{Path, PathBuf};

use nodeimg_test_support::run::{Ran, host_program, nodeimg, tool};
use tempfile::TempDir;

/// What a terminal would obey, and what a page would.
const NAME: &str = "a\u{1b}[31m\n<script>b";
const HOSTILE: &str = "a\\u{1b}[31m\\n<script>b";

/// A root with these files in `/etc`.
fn root(place: &Path, name: &str, files: &[(&str, &str)]) -> Option<PathBuf> {
    let tree = place.join(format!("{name}.tree"));
    fs::create_dir_all(tree.join("etc")).unwrap();
    let release = "IMAGE_ID=small\nIMAGE_VERSION=1\nID=debian\n";
    for (file, text) in files.iter().chain(&[("os-release", release)]) {
        fs::write(tree.join("etc").join(file), text).unwrap();
    }
    let image = place.join(format!("{name}.squashfs"));
    let mut make = host_program("mksquashfs");
    make.arg(&tree).arg(&image);
    make.args(["-comp", "zstd", "-all-root", "-quiet", "-no-progress"]);
    tool(&mut make)?.good();
    Some(image)
}

fn two(place: &TempDir) -> Option<[PathBuf; 2]> {
    let files = [("sysctl.conf", "a.b = 1\n"), ("gone", "x")];
    let before = root(place.path(), "before", &files)?;
    let files = [("sysctl.conf", "a.b = 2\n"), (NAME, "x")];
    Some([before, root(place.path(), "after", &files)?])
}

#[test]
fn names_that_a_terminal_would_obey_are_escaped() {
    let place = tempfile::tempdir().unwrap();
    let Some([before, after]) = two(&place) else {
        return;
    };
    let told = [
        Ran::of(nodeimg().arg("diff").args([&before, &after]))
            .good()
            .out,
        Ran::of(nodeimg().arg("inspect").arg(&after)).good().out,
        Ran::of(nodeimg().arg("inspect").arg(&after).arg("/etc"))
            .good()
            .out,
    ];
    for text in told {
        assert!(text.contains(HOSTILE), "{text}");
        let is_bad = |c: char| c.is_control() && c != '\n';
        assert!(!text.contains(is_bad), "{text:?}");
    }
    // Programs get the name itself.
    let json = Ran::of(
        nodeimg()
            .args(["--json", "inspect"])
            .arg(&after)
            .arg("/etc"),
    )
    .good();
    let lines = json
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let all: Vec<serde_json::Value> = lines.collect();
    assert!(all.iter().any(|one| one["path"] == format!("/etc/{NAME}")));
}

#[test]
fn what_differs_is_one_page_that_needs_nothing_else() {
    let place = tempfile::tempdir().unwrap();
    let Some([before, after]) = two(&place) else {
        return;
    };
    let file = place.path().join("page.html");
    let page = |one: &Path, other: &Path| {
        let mut diff = nodeimg();
        diff.arg("diff").args([one, other]).arg("--html").arg(&file);
        Ran::of(&mut diff).good();
        fs::read_to_string(&file).unwrap()
    };
    let text = page(&before, &after);
    for says in [
        "<h1>small 1",
        "/etc/gone",
        "/etc/sysctl.conf",
        "a.b",
        "1 → 2",
        "<h2>Settings",
    ] {
        assert!(text.contains(says), "no {says} in {text}");
    }
    let escaped = HOSTILE.replace('<', "&lt;").replace('>', "&gt;");
    assert!(text.contains(&escaped), "{text}");
    for never in ["<script", "http:", "https:", "\u{1b}"] {
        assert!(!text.contains(never), "{never:?} in {text}");
    }
    assert!(page(&before, &before).contains("the images are the same"));
}
