//! Pushes to registries with the faults and habits of real ones.
#![allow(clippy::unwrap_used)]

use nodeimg_formats::oci::artifact::{Artifact, EMPTY, EMPTY_BYTES, List, fallback_tag};
use nodeimg_formats::oci::{Descriptor, INDEX, MANIFEST};
use nodeimg_test_support::push_registry::{Fault, Kind, Location, Pushed};
use nodeimg_values::progress::Mode;

use super::*;
use crate::input::fetch::Mirrors;

fn quick() -> Options {
    Options {
        idle_timeout: Duration::from_millis(500),
        retry: Retry {
            attempts: 3,
            first_wait: Duration::from_millis(5),
            longest_wait: Duration::from_millis(20),
        },
        ..Options::default()
    }
}

fn quiet() -> Progress {
    Progress::new(Mode::Quiet)
}

fn open<'a>(registry: &Pushed, progress: &'a Progress, mounts: &[&str]) -> Repository<'a> {
    let name = format!("{}/team/x", registry.address()).parse().unwrap();
    let mounts = mounts.iter().map(|mount| (*mount).to_owned()).collect();
    Repository::open(&name, &quick(), mounts, progress).unwrap()
}

/// Longer than the smallest chunk.
fn bytes() -> Vec<u8> {
    (0..1_300_000u32)
        .map(|i| (i.wrapping_mul(i) / 7) as u8)
        .collect()
}

fn blob() -> Blob {
    Blob::of("disk", Source::bytes(bytes())).unwrap()
}

fn methods(registry: &Pushed) -> String {
    let asked = registry.asked();
    let methods: Vec<&str> = asked.iter().map(|a| a.method.as_str()).collect();
    methods.join(" ")
}

/// What a push of [`blob`] to such a registry comes to.
fn pushed(registry: &Pushed) -> std::result::Result<Outcome, String> {
    let progress = quiet();
    let repository = open(registry, &progress, &["team/y"]);
    let blob = blob();
    let outcome = repository
        .send(&blob)
        .map_err(|error| format!("{error:#}"))?;
    let stored = registry.blob("team/x", &blob.digest.to_string());
    assert_eq!(stored.as_deref(), Some(bytes().as_slice()));
    Ok(outcome)
}

#[test]
fn a_blob_goes_in_one_request_and_once() {
    for location in [Location::Absolute, Location::Relative, Location::Query] {
        let registry = Pushed::start(Kind {
            location,
            ..Kind::default()
        });
        let progress = quiet();
        let repository = open(&registry, &progress, &[]);
        assert_eq!(repository.send(&blob()).unwrap(), Outcome::Sent);
        assert_eq!(methods(&registry), "HEAD POST PUT");
        assert_eq!(repository.send(&blob()).unwrap(), Outcome::There);
        assert_eq!(methods(&registry), "HEAD POST PUT HEAD");
        assert_eq!(
            registry.blob("team/x", &blob().digest.to_string()),
            Some(bytes())
        );
    }
}

#[test]
fn a_blob_of_another_repository_is_mounted_where_that_is_known() {
    for (mounts, there, wanted, how) in [
        (true, true, Outcome::Mounted, "HEAD POST"),
        (true, false, Outcome::Sent, "HEAD POST PUT"),
        (false, true, Outcome::Sent, "HEAD POST PUT"),
    ] {
        let registry = Pushed::start(Kind {
            mounts,
            ..Kind::default()
        });
        if there {
            registry.put_blob("team/y", &bytes());
        }
        assert_eq!(pushed(&registry), Ok(wanted));
        // A mount that is not made is an upload that has begun.
        assert_eq!(methods(&registry), how);
    }
    let registry = Pushed::start(Kind::default());
    registry.faults(
        "POST /v2/team/x/blobs/uploads/?mount",
        [Fault::Status(405, "UNSUPPORTED")],
    );
    assert_eq!(pushed(&registry), Ok(Outcome::Sent));
}

#[test]
fn chunks_are_for_registries_that_need_them() {
    let kinds = [
        Kind {
            only_chunks: true,
            ..Kind::default()
        },
        Kind {
            only_chunks: true,
            least: Some(600_000),
            location: Location::Query,
            ..Kind::default()
        },
        Kind {
            limit: Some(700_000),
            ..Kind::default()
        },
    ];
    for kind in kinds {
        let registry = Pushed::start(kind.clone());
        assert_eq!(pushed(&registry), Ok(Outcome::Sent), "{kind:?}");
        let asked = registry.asked();
        assert!(
            asked.iter().any(|asked| asked.method == "PATCH"),
            "{asked:?}"
        );
        if let Some(least) = kind.least {
            let patches = asked.iter().filter(|asked| asked.method == "PATCH");
            let short = patches.filter(|asked| asked.length < least).count();
            assert!(short <= 1, "{asked:?}");
        }
    }
}

#[test]
fn a_cut_goes_on_where_it_was() {
    for forgets in [false, true] {
        let registry = Pushed::start(Kind {
            forgets,
            ..Kind::default()
        });
        registry.faults("PUT /v2/team/x/blobs/uploads/", [Fault::CutAfter(900_000)]);
        assert_eq!(pushed(&registry), Ok(Outcome::Sent));
        let patches = registry.asked();
        let first = patches
            .iter()
            .find(|asked| asked.method == "PATCH")
            .unwrap();
        let rest = bytes().len() - 900_000;
        assert_eq!(first.length == rest, !forgets, "{patches:?}");
    }
    // And in the middle of a chunk.
    let registry = Pushed::start(Kind {
        only_chunks: true,
        ..Kind::default()
    });
    registry.faults(
        "PATCH /v2/team/x/blobs/uploads/",
        [
            Fault::CutAfter(400_000),
            Fault::CutAfter(400_000),
            Fault::Status(503, "X"),
        ],
    );
    assert_eq!(pushed(&registry), Ok(Outcome::Sent));
}

#[test]
fn what_is_temporary_is_tried_again() {
    for begins in ["HEAD ", "POST ", "PUT "] {
        for fault in [
            Fault::Status(500, "UNKNOWN"),
            Fault::Status(503, "UNAVAILABLE"),
            Fault::With(429, "Retry-After: 0"),
            Fault::CutAfter(0),
        ] {
            let registry = Pushed::start(Kind::default());
            registry.faults(begins, [fault.clone()]);
            let outcome = pushed(&registry);
            assert_eq!(outcome, Ok(Outcome::Sent), "{begins} {fault:?}");
        }
    }
}

#[test]
fn a_refusal_says_who_what_and_what_to_do() {
    let many = |fault: Fault| vec![fault; 12];
    for (begins, fault, wanted) in [
        (
            "POST ",
            Fault::Status(404, "NAME_UNKNOWN"),
            vec!["404", "says NAME_UNKNOWN", "create it there"],
        ),
        (
            "POST ",
            Fault::Status(405, "UNSUPPORTED"),
            vec!["405", "takes no pushes"],
        ),
        (
            "POST ",
            Fault::Status(403, "DENIED"),
            vec!["says DENIED", "write to `team/x`"],
        ),
        (
            "POST ",
            Fault::Status(401, "UNAUTHORIZED"),
            vec!["write to `team/x`"],
        ),
        (
            "POST ",
            Fault::Status(500, "UNKNOWN"),
            vec!["500", "run the command again"],
        ),
        (
            "POST ",
            Fault::With(429, "Retry-After: 0"),
            vec!["429", "how often"],
        ),
        ("POST ", Fault::CutAfter(0), vec!["run the command again"]),
        (
            "P",
            Fault::Status(413, "SIZE_INVALID"),
            vec!["413", "client_max_body_size"],
        ),
        (
            "PUT ",
            Fault::Digest,
            vec!["does not have the digest sha256:", "on the way"],
        ),
        (
            "HEAD ",
            Fault::Status(403, "DENIED"),
            vec!["write to `team/x`"],
        ),
    ] {
        let registry = Pushed::start(Kind::default());
        registry.faults(begins, many(fault.clone()));
        let told = pushed(&registry).unwrap_err();
        let host = registry.address().to_string();
        for part in wanted.into_iter().chain(["pushing disk (sha256:", &host]) {
            assert!(told.contains(part), "{begins}{fault:?}: {told}");
        }
    }
}

#[test]
fn an_upload_goes_where_the_registry_says_without_the_login() {
    let other = Pushed::start_at("127.0.0.2", Kind::default());
    let registry = Pushed::start(Kind {
        location: Location::Elsewhere(other.address()),
        basic: Some("Basic bWU6cHc=".to_owned()),
        ..Kind::default()
    });
    let progress = quiet();
    let name = "registry.example/team/x".parse().unwrap();
    let rules = [
        format!(
            "https://registry.example/=http://me:pw@{}/",
            registry.address()
        ),
        format!("https://other.example/=http://{}/", other.address()),
    ];
    let options = Options {
        mirrors: Mirrors::new(&rules, None, &[]).unwrap(),
        ..quick()
    };
    let repository = Repository::open(&name, &options, Vec::new(), &progress).unwrap();
    assert_eq!(repository.send(&blob()).unwrap(), Outcome::Sent);
    assert!(
        other
            .asked()
            .iter()
            .all(|asked| asked.authorization.is_none())
    );
    let given = registry.asked();
    assert!(given.iter().any(|asked| asked.authorization.is_some()));
    // Without the second rule that host is not allowed.
    let options = Options {
        mirrors: Mirrors::new(&rules[..1], None, &[]).unwrap(),
        ..quick()
    };
    let repository = Repository::open(&name, &options, Vec::new(), &progress).unwrap();
    let told = repository.send(&blob()).unwrap_err().to_string();
    assert!(told.contains("not https"), "{told}");
    assert!(!told.contains("pw") && !told.contains("bWU6"), "{told}");
}

#[test]
fn an_upload_to_nowhere_is_told() {
    for (location, wanted) in [
        (Location::Nowhere, "(Location)"),
        (Location::At("http://127.0.0.9:1/x".to_owned()), "not https"),
        (Location::At("http://[".to_owned()), "nowhere"),
    ] {
        let registry = Pushed::start(Kind {
            location,
            ..Kind::default()
        });
        let told = pushed(&registry).unwrap_err();
        assert!(told.contains(wanted), "{told}");
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_not_blamed_on_the_registry() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("disk");
    std::fs::write(&path, bytes()).unwrap();
    let blob = Blob::of("disk", Source::file(&path).unwrap()).unwrap();
    let mut changed = bytes();
    changed[700_000] ^= 1;
    std::fs::write(&path, changed).unwrap();
    let registry = Pushed::start(Kind::default());
    let progress = quiet();
    let repository = open(&registry, &progress, &[]);
    let told = repository.send(&blob).unwrap_err().to_string();
    assert!(told.contains("was changed while it was sent"), "{told}");
    std::fs::write(&path, b"short").unwrap();
    let told = repository.send(&blob).unwrap_err().to_string();
    assert!(told.contains("became shorter"), "{told}");
}

#[test]
fn a_directory_takes_no_pushes() {
    let progress = quiet();
    let options = Options {
        mirrors: Mirrors::new(&["https://a.b/=file:///srv/m/".to_owned()], None, &[]).unwrap(),
        ..quick()
    };
    let name = "a.b/team/x".parse().unwrap();
    let repository = Repository::open(&name, &options, Vec::new(), &progress).unwrap();
    let told = repository.send(&blob()).unwrap_err().to_string();
    assert!(told.contains("nothing can be pushed there"), "{told}");
}

/// A manifest that belongs to `subject`.
fn belonging(subject: &Descriptor, kind: &str) -> Artifact {
    let mut artifact = Artifact::new(Some(kind), Descriptor::of(EMPTY, EMPTY_BYTES), Vec::new());
    artifact.subject = Some(subject.clone());
    artifact
}

#[test]
fn what_belongs_to_a_manifest_is_found_there() {
    for referrers in [true, false] {
        let registry = Pushed::start(Kind {
            referrers,
            ..Kind::default()
        });
        registry.put_blob("team/x", EMPTY_BYTES);
        let progress = quiet();
        let repository = open(&registry, &progress, &[]);
        let subject = Descriptor::of(MANIFEST, b"{}");
        for kind in ["a", "b", "a"] {
            repository.refer(&belonging(&subject, kind)).unwrap();
        }
        let tag = fallback_tag(&subject.digest);
        let list = registry.document("team/x", &tag);
        assert_eq!(list.is_none(), referrers);
        let Some(list) = list else { continue };
        let kinds: Vec<&str> = list["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["artifactType"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["a", "b"]);
    }
}

#[test]
fn a_tag_is_read_whatever_the_registry_tells() {
    for terse in [false, true] {
        let registry = Pushed::start(Kind {
            terse,
            ..Kind::default()
        });
        let progress = quiet();
        let repository = open(&registry, &progress, &[]);
        assert_eq!(repository.digest_of("1").unwrap(), None);
        let bytes = List::new(Vec::new()).bytes().unwrap();
        repository.put(By::Tag("1"), INDEX, &bytes).unwrap();
        let digest = nodeimg_values::digest::Digest::sha256(&bytes);
        assert_eq!(repository.digest_of("1").unwrap(), Some(digest));
        assert!(!repository.put_once(INDEX, &bytes).unwrap());
    }
    let registry = Pushed::start(Kind::default());
    registry.faults("PUT ", [Fault::Status(412, "TAG_IMMUTABLE")]);
    let progress = quiet();
    let told = open(&registry, &progress, &[])
        .put(By::Tag("1"), INDEX, b"{}")
        .unwrap_err()
        .to_string();
    assert!(told.contains("may be immutable"), "{told}");
    registry.faults(
        "PUT ",
        [Fault::With(201, "Docker-Content-Digest: sha256:12")],
    );
    let told = open(&registry, &progress, &[])
        .put(By::Tag("1"), INDEX, b"{}")
        .unwrap_err()
        .to_string();
    assert!(told.contains("changes documents"), "{told}");
}
