//! How much a recipe demands, and what is printed if there is less.

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::{World, body};

use super::Trust;

#[test]
fn a_mirror_without_signatures_is_told_and_pins_as_before() {
    let trust = Trust::new();
    trust.withdraw();
    let ran = Ran::of(&mut trust.lock(&[])).good();
    for says in [
        "nobody vouches for:",
        "runc 1.4.3 (amd64): there is no",
        "weakest link",
    ] {
        assert!(ran.err.contains(says), "no {says} in {}", ran.err);
    }
    assert_eq!(
        trust.entry("runc", "amd64")["verified"].as_str(),
        Some("none")
    );
    assert!(!trust.proofs().exists());
    Ran::of(&mut trust.world.build()).good();
}

#[test]
fn a_log_that_does_not_answer_is_told() {
    let mut trust = Trust::new();
    trust
        .world
        .edit("https://up.test/log", "https://up.test/no-log");
    let ran = Ran::of(&mut trust.lock(&[])).good();
    assert!(
        ran.err.contains("no-log/api/v1/log/entries/retrieve"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_vouched_for_less_than_demanded_is_neither_locked_nor_built() {
    for (require, lacking) in [
        ("signed", "kubernetes"),
        ("sources", "crictl"),
        ("strict", "crictl"),
    ] {
        let mut trust = Trust::locked();
        trust
            .world
            .edit("[trust]\n", &format!("[trust]\nrequire = \"{require}\"\n"));
        let ran = Ran::of(&mut trust.world.build()).refused(1, &[]);
        for says in [
            &format!("require = \"{require}\""),
            lacking,
            "lower `require`",
        ] {
            assert!(ran.err.contains(says), "no {says} in {}", ran.err);
        }
        trust.world.is_clean().unwrap();
        let ran = Ran::of(&mut trust.lock(&["--update"])).refused(1, &[]);
        assert!(ran.err.contains(lacking), "{}", ran.err);
    }
}

#[test]
fn strict_takes_a_reason_and_nothing_less() {
    let mut trust = Trust::new();
    for name in ["kubernetes", "containerd", "crictl", "cni-plugins"] {
        let from = format!("name = \"{name}\"\n");
        trust.world.edit(
            &from,
            &format!("{from}verify = {{ none = \"built here\" }}\n"),
        );
    }
    trust
        .world
        .edit("[trust]\n", "[trust]\nrequire = \"strict\"\n");
    Ran::of(&mut trust.lock(&[])).good();
    Ran::of(&mut trust.world.build()).good();
    trust.withdraw();
    std::fs::remove_file(trust.world.path("recipe.lock")).unwrap();
    let ran = Ran::of(&mut trust.lock(&[])).refused(1, &[]);
    for says in [
        "runc 1.4.3 (amd64)",
        "what was looked for:",
        "runc/1.4.3/amd64.sig",
    ] {
        assert!(ran.err.contains(says), "no {says} in {}", ran.err);
    }
}

/// Where nothing is signed, others' word for the digest.
#[test]
fn two_sources_vouch_if_they_are_independent_and_agree() {
    let mut trust = Trust::new();
    let from = "url = \"https://up.test/crictl/{version}/{arch}\"\n";
    let stated = "https://sums.test/{version}.yml";
    let more = format!(
        "{from}checksum = \"{{url}}.sha256\"\nverify = {{ sources = 2, stated_by = [\"{stated}\"] \
         }}\n"
    );
    trust.world.edit(from, &more);
    let mirror = format!(
        "https://sums.test/={}",
        trust.world.server.url("/sums.test/")
    );
    let sums = [body("crictl", "amd64"), body("crictl", "arm64")].map(|bytes| sha256(&bytes));
    let yaml = |first: &str| {
        format!(
            "crictl_checksums:\n  amd64:\n    1.36.0: sha256:{first}\n  arm64:\n    1.36.0: \
             sha256:{}\n",
            sums[1]
        )
    };
    for (arch, sum) in ["amd64", "arm64"].iter().zip(&sums) {
        let target = World::target("crictl", "1.36.0", arch);
        trust
            .world
            .server
            .serve(&format!("{target}.sha256"), sum.as_bytes());
    }
    let lock = |trust: &Trust| {
        let mut lock = trust.lock(&["--update", "--mirror", &mirror]);
        lock.args(["--mirror", &trust.world.mirror()]);
        lock
    };
    trust
        .world
        .server
        .serve("/sums.test/1.36.0.yml", yaml(&sums[0]).as_bytes());
    Ran::of(&mut lock(&trust)).good();
    let entry = trust.entry("crictl", "amd64");
    assert_eq!(entry["verified"].as_str(), Some("sources"));
    assert!(
        entry["signer"].as_str().unwrap().contains("sums.test"),
        "{entry}"
    );
    Ran::of(&mut trust.world.build()).good();

    // One alone is not enough, and is told.
    trust
        .world
        .server
        .serve("/sums.test/1.36.0.yml", yaml("00").as_bytes());
    std::fs::remove_file(trust.world.path("recipe.lock")).unwrap();
    let ran = Ran::of(&mut lock(&trust)).good();
    assert!(ran.err.contains("crictl 1.36.0 (amd64): "), "{}", ran.err);
    assert_eq!(
        trust.entry("crictl", "amd64")["verified"].as_str(),
        Some("none")
    );
    assert_eq!(
        trust.entry("crictl", "arm64")["verified"].as_str(),
        Some("sources")
    );
}

/// Object stores answer "forbidden" for what they do not have.
#[test]
fn a_mirror_that_forbids_one_file_is_asked_for_the_next() {
    use nodeimg_test_support::faulty_server::{Fault, faulty};
    let mut trust = Trust::new();
    let bundle = "signature = \"{url}.sig\"";
    let with = format!("bundle = \"{{url}}.sigstore.json\", {bundle}");
    trust.world.edit(bundle, &with);
    for arch in super::ARCHS {
        let path = format!("{}.sigstore.json", World::target("runc", "1.4.3", arch));
        trust
            .world
            .server
            .script(&path, vec![faulty(b"", Fault::Status(403))]);
    }
    Ran::of(&mut trust.lock(&[])).good();
    for arch in super::ARCHS {
        let entry = trust.entry("runc", arch);
        assert_eq!(entry["verified"].as_str(), Some("sigstore"), "{arch}");
    }
}
