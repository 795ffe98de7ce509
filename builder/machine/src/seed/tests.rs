#![allow(clippy::unwrap_used)]
use std::os::unix::fs::PermissionsExt;

use nodeimg_seed::write::Node;
use tempfile::TempDir;

use super::{TOGETHER, write, write_all};

#[test]
fn only_its_owner_reads_it_and_only_a_seed_is_replaced() {
    let directory = TempDir::new().unwrap();
    let node = Node {
        host_name: "n".to_owned(),
        ..Node::default()
    };
    let files = node.files(None);
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let seed = directory.path().join("seed");
    write(&files, &seed, false).unwrap();
    assert_eq!(mode(&seed), 0o700);
    assert_eq!(mode(&seed.join("user-data")), 0o600);
    let medium = directory.path().join("seed.img");
    write(&files, &medium, false).unwrap();
    assert_eq!(mode(&medium), 0o600);
    for out in [&seed, &medium] {
        let refused = write(&files, out, false).unwrap_err();
        assert!(refused.to_string().contains("--force"), "{refused}");
        write(&node.files(Some("new")), out, true).unwrap();
    }
    let meta = std::fs::read_to_string(seed.join("meta-data")).unwrap();
    assert_eq!(meta, "instance-id: \"new\"\n");
    std::fs::write(seed.join("thesis.tex"), "").unwrap();
    let refused = write(&files, &seed, true).unwrap_err();
    assert!(refused.to_string().contains("thesis.tex"), "{refused}");
    let names: Vec<_> = std::fs::read_dir(&directory).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing is left behind");
}

#[test]
fn many_take_their_places_in_parts_and_only_seeds_are_replaced() {
    let directory = TempDir::new().unwrap();
    let files = Node::default().files(None);
    let at = |number: usize| directory.path().join(format!("node-{number}"));
    let all: Vec<_> = (0..=TOGETHER).map(|number| (&files, at(number))).collect();
    write_all(&all, directory.path()).unwrap();
    let there = || std::fs::read_dir(&directory).unwrap().count();
    assert_eq!(there(), TOGETHER + 1);
    let new = Node::default().files(Some("new"));
    let two = [(&new, at(7)), (&new, directory.path().join("node-0.img"))];
    write_all(&two, directory.path()).unwrap();
    let meta = std::fs::read_to_string(at(7).join("meta-data")).unwrap();
    assert_eq!(meta, "instance-id: \"new\"\n");
    assert_eq!(there(), TOGETHER + 2);

    std::fs::write(at(7).join("thesis.tex"), "").unwrap();
    let refused = format!("{:#}", write_all(&all[..9], directory.path()).unwrap_err());
    assert!(refused.contains("thesis.tex"), "{refused}");
    let meta = std::fs::read_to_string(at(7).join("meta-data")).unwrap();
    assert_eq!(meta, "instance-id: \"new\"\n");
    assert_eq!(there(), TOGETHER + 2, "nothing is left behind");
}

/// As a killed `seed new` leaves them.
#[test]
fn keys_of_a_killed_run_do_not_lie_about() {
    let directory = TempDir::new().unwrap();
    let files = Node::default().files(None);
    let at = |name: &str| directory.path().join(name);
    std::fs::create_dir(at(".seed.dead00.tmp")).unwrap();
    std::fs::write(at(".seed.dead00.tmp/user-data"), "key").unwrap();
    std::fs::write(at(".seed.img.dead00.tmp"), "key").unwrap();
    // Killed where directories cannot be exchanged: nothing was at the name.
    std::fs::create_dir_all(at(".seed.dead01.aside/old")).unwrap();
    std::fs::write(at(".seed.dead01.aside/old/user-data"), "old").unwrap();
    write(&files, &at("seed"), true).unwrap();
    write(&files, &at("seed.img"), false).unwrap();
    let mut names: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["seed", "seed.img"]);
}
