use std::fs;
use std::process::Command;

use super::{Case, try_all};
use nodeimg_test_support::faulty_server::good;
use nodeimg_test_support::synthetic::{World, body};

fn with_lock(world: &World, change: impl Fn(String) -> String) -> Command {
    fs::write(world.path("recipe.lock"), change(world.lock_text())).unwrap();
    world.build()
}

#[test]
fn locks() {
    try_all(&[
        Case {
            name: "missing",
            given: |world| {
                fs::remove_file(world.path("recipe.lock")).unwrap();
                world.build()
            },
            code: 1,
            says: &[
                "recipe.lock is missing",
                "`nodeimg lock --recipe ./recipe.toml`",
            ],
        },
        Case {
            name: "stale: a version",
            given: |world| {
                world.edit("version = \"1.4.3\"", "version = \"1.5.0\"");
                world.build()
            },
            code: 1,
            says: &[
                "recipe.lock does not match the recipe",
                "`nodeimg lock`",
                "artifact.runc.version (amd64)",
                "`1.5.0`",
                "`1.4.3`",
            ],
        },
        Case {
            name: "stale: a URL",
            given: |world| {
                world.edit("https://up.test/crictl/", "https://down.test/crictl/");
                world.build()
            },
            code: 1,
            says: &[
                "artifact.crictl.url (arm64)",
                "https://down.test/crictl/1.36.0/arm64",
            ],
        },
        Case {
            name: "stale: an artifact is gone",
            given: |world| {
                world.edit("name = \"crictl\"", "name = \"cri-tools\"");
                world.build()
            },
            code: 1,
            says: &[
                "artifact.cri-tools: not in the lock for amd64",
                "artifact.crictl: in the lock for arm64, not in the recipe",
            ],
        },
        Case {
            name: "edited by hand: a digest",
            given: |world| {
                let digest = nodeimg_test_support::archive::sha256(&body("runc", "amd64"));
                assert!(world.lock_text().contains(&digest));
                let other = nodeimg_test_support::archive::sha256(b"other");
                with_lock(world, |text| text.replace(&digest, &other))
            },
            code: 1,
            says: &["recipe.lock was edited by hand", "`nodeimg lock --update`"],
        },
        Case {
            name: "edited by hand: a comment",
            given: |world| with_lock(world, |text| text + "# mine\n"),
            code: 1,
            says: &["recipe.lock:", "is not as `nodeimg lock` has written it"],
        },
        Case {
            name: "edited by hand: the epoch",
            given: |world| with_lock(world, |text| text.replace("epoch = 179", "epoch = 178")),
            code: 1,
            says: &["recipe.lock was edited by hand"],
        },
        Case {
            name: "no lock at all",
            given: |world| with_lock(world, |_| "<html>".to_owned()),
            code: 1,
            says: &[
                "recipe.lock is not a lock that this nodeimg can read",
                "`nodeimg lock`",
            ],
        },
        Case {
            name: "half a lock",
            given: |world| with_lock(world, |text| text[..text.len() / 2].to_owned()),
            code: 1,
            says: &["recipe.lock", "`nodeimg lock"],
        },
        Case {
            name: "a lock of a later nodeimg",
            given: |world| with_lock(world, |text| text.replace("version = 1\n", "version = 2\n")),
            code: 1,
            says: &["recipe.lock has format 2", "reads 1", "`nodeimg lock`"],
        },
    ]);
}

/// A refused `lock` leaves lock and recipe as they were.
#[test]
fn lock_itself_refuses_and_changes_nothing() {
    let other: fn(&World) -> String = |world| {
        let target = World::target("kubernetes", "1.36.0", "amd64");
        world
            .server
            .script(&target, vec![good(b"not what the publisher says")]);
        target
    };
    let cases: [(&str, Vec<&str>, Vec<&str>); 4] = [
        (
            "the publisher's checksum file says otherwise",
            vec!["--update", "kubernetes"],
            vec![
                "checking kubernetes 1.36.0 (amd64) against",
                "https://up.test/kubernetes/1.36.0/amd64.sha512",
                "expected sha512:",
                "got sha512:",
            ],
        ),
        (
            "an artifact that is not there",
            vec!["--update", "cubernetes"],
            vec!["--update cubernetes", "no such artifact", "kubernetes"],
        ),
        (
            "a version that is not published",
            vec!["--update", "runc=9.9.9"],
            vec!["runc 9.9.9", "404", "check the version and the URL"],
        ),
        (
            "a checksum file that is not published",
            vec!["--update", "kubernetes=1.99.9"],
            vec!["kubernetes 1.99.9", "amd64.sha512", "`checksum`"],
        ),
    ];
    for (name, arguments, says) in cases {
        let world = World::locked();
        other(&world);
        let (lock, recipe) = (world.lock_text(), world.recipe.clone());
        let ran = super::Ran::of(world.nodeimg("lock").args(arguments));
        if let Err(problem) = ran.is_refused(1, &says).and_then(|()| world.is_clean()) {
            panic!("{name}: {problem}");
        }
        assert_eq!(world.lock_text(), lock, "{name}");
        assert_eq!(
            fs::read_to_string(world.path("recipe.toml")).unwrap(),
            recipe,
            "{name}"
        );
    }
}
