//! Other publishers' repositories, flat and pooled.

use super::*;
use crate::input::debian::keyring::tests::TestKey;

/// What a publisher of another repository has: newer than Debian's, and of its own.
const FOREIGN: &str = "Package: agent\nVersion: 9\nArchitecture: amd64\nDepends: helper\nFilename: ./pool/agent.deb\nSize: 3\nSHA256: HASH\n\nPackage: agent\nVersion: 9\nArchitecture: arm64\nDepends: helper\nFilename: ./pool/agent_arm.deb\nSize: 3\nSHA256: HASH\n\nPackage: helper\nVersion: 99\nArchitecture: all\nFilename: pool/helper.deb\nSize: 3\nSHA256: HASH\n";

fn repository(flat: bool, key: &TestKey) -> Repository {
    Repository {
        name: "other".parse().unwrap(),
        url: "https://repo.example/deb".to_owned(),
        suite: if flat { "/" } else { "stable" }.to_owned(),
        components: if flat {
            Vec::new()
        } else {
            vec!["main".to_owned()]
        },
        keys: Digest::sha256(b"keys"),
        key_file: key.public(),
    }
}

fn foreign(
    mirror: &Mirror,
    repository: Repository,
    more: &str,
    old: &lock::Packages,
) -> Result<Resolved> {
    let more = format!("{more}arch_packages = {{ amd64 = [\"agent\"], arm64 = [\"agent\"] }}\n");
    resolve_with(
        mirror,
        &more,
        mirror.key.keyring(),
        vec![repository],
        &old.indexes,
    )
}

#[test]
fn repositories_of_others_are_read_with_their_own_keys() {
    for flat in [true, false] {
        let (mirror, key) = (Mirror::new(), TestKey::new(None));
        mirror.foreign(flat, FOREIGN, "Tue, 14 Nov 2023 22:13:00 UTC", &key);
        let none = lock::Packages::default();
        let resolved = foreign(&mirror, repository(flat, &key), "", &none).unwrap();
        let told = "`helper` 2 comes from trixie-security, not 99 from other: add `pins = { \
            helper = \"other\" }`";
        assert!(
            resolved.notes.iter().any(|note| note.contains(told)),
            "{:?}",
            resolved.notes
        );
        let packages = resolved.packages;
        let lines: Vec<_> = packages.packages.iter().map(PinnedPackage::what).collect();
        // Debian's own packages stay Debian's.
        assert_eq!(
            lines,
            [
                "agent 9 (amd64)",
                "helper 2 (amd64)",
                "tool 1.0-1 (amd64)",
                "agent 9 (arm64)",
                "helper 2 (arm64)",
                "tool 1.0-1 (arm64)",
            ]
        );
        let urls = [0, 3].map(|at| packages.url(&packages.packages[at]).unwrap());
        assert_eq!(urls[0], "https://repo.example/deb/pool/agent.deb");
        if flat {
            assert_eq!(urls[1], "https://repo.example/deb/pool/agent_arm.deb");
        }
        let pins = "pins = { helper = \"other\" }\n";
        let pinned = foreign(&mirror, repository(flat, &key), pins, &none)
            .unwrap()
            .packages;
        assert_eq!(pinned.packages[1].what(), "helper 99 (amd64)");
    }
}

#[test]
fn a_repository_with_a_wrong_an_expired_or_a_revoked_key_is_refused() {
    for flat in [true, false] {
        let none = lock::Packages::default();
        let said = |mirror: &Mirror, trusted: &TestKey, old: &lock::Packages| {
            let resolved = foreign(mirror, repository(flat, trusted), "", old);
            format!("{:#}", resolved.unwrap_err())
        };
        let date = "Tue, 14 Nov 2023 22:13:00 UTC";
        let (mirror, key) = (Mirror::new(), TestKey::new(None));
        mirror.foreign(flat, FOREIGN, date, &key);
        let wrong = said(&mirror, &TestKey::new(None), &none);
        assert!(
            wrong.contains("repository other") && wrong.contains("trusted key"),
            "{wrong}"
        );
        // Debian's key signs nothing of others, and theirs nothing of Debian's.
        let debians = said(&mirror, &mirror.key, &none);
        assert!(debians.contains("trusted key"), "{debians}");
        let revoked = said(&mirror, &key.revoked(), &none);
        assert!(revoked.contains("revoked"), "{revoked}");
        let short = TestKey::new(Some(std::time::Duration::from_secs(1000)));
        mirror.foreign(flat, FOREIGN, date, &short);
        let expired = said(&mirror, &short, &none);
        assert!(expired.contains("expired"), "{expired}");
        // Not below what the lock has.
        mirror.foreign(flat, FOREIGN, date, &key);
        let locked = foreign(&mirror, repository(flat, &key), "", &none)
            .unwrap()
            .packages;
        foreign(&mirror, repository(flat, &key), "", &locked).unwrap();
        mirror.foreign(flat, FOREIGN, "Mon, 13 Nov 2023 22:13:00 UTC", &key);
        let older = said(&mirror, &key, &locked);
        assert!(older.contains("--allow-older"), "{older}");
    }
}

/// As apt-ftparchive and gpg leave it, without InRelease.
#[test]
fn a_signature_may_lie_beside_the_index() {
    for flat in [true, false] {
        let none = lock::Packages::default();
        let (mirror, key) = (Mirror::new(), TestKey::new(None));
        mirror.foreign(flat, FOREIGN, "Tue, 14 Nov 2023 22:13:00 UTC", &key);
        let before = foreign(&mirror, repository(flat, &key), "", &none).unwrap();
        mirror.signed_beside(flat, &key);
        let packages = foreign(&mirror, repository(flat, &key), "", &none)
            .unwrap()
            .packages;
        assert_eq!(packages.packages, before.packages.packages);
        let said = |key: &TestKey| {
            let resolved = foreign(&mirror, repository(flat, key), "", &none);
            format!("{:#}", resolved.unwrap_err())
        };
        assert!(said(&TestKey::new(None)).contains("trusted key"));
        assert!(said(&key.revoked()).contains("revoked"));
        let release = match flat {
            true => mirror.path("repo/deb/Release"),
            false => mirror.path("repo/deb/dists/stable/Release"),
        };
        let text = fs::read_to_string(&release)
            .unwrap()
            .replace("2023", "2022");
        fs::write(&release, text).unwrap();
        let changed = said(&key);
        assert!(changed.contains("signature"), "{changed}");
    }
}
