#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::process::{Command, Stdio};

use super::{Certificate, Issued, PublicKey, date, public_part};
use crate::text::pem;

fn openssl(directory: &std::path::Path, arguments: &str) -> Option<()> {
    let ran = Command::new("openssl")
        .args(arguments.split(' ').map(|word| word.replace('~', " ")))
        .current_dir(directory)
        .stdin(Stdio::null())
        .output();
    match ran {
        Ok(output) => {
            assert!(
                output.status.success(),
                "{arguments}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            Some(())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "openssl: {error}");
            println!("SKIPPED: openssl: {error}");
            None
        }
    }
}

fn der(directory: &std::path::Path, name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(directory.join(name)).unwrap();
    pem::first_block(&text).unwrap().to_vec()
}

/// openssl makes chains of each kind; pairs, signatures and names are as it says.
#[test]
fn chains_that_openssl_makes() {
    for (kind, options, checked) in [
        ("rsa", "-newkey rsa:2048 -sha256", true),
        ("rsa512", "-newkey rsa:2048 -sha512", true),
        (
            "p256",
            "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1",
            true,
        ),
        (
            "p384",
            "-newkey ec -pkeyopt ec_paramgen_curve:secp384r1 -sha384",
            true,
        ),
        ("ed25519", "-newkey ed25519", true),
        (
            "p521",
            "-newkey ec -pkeyopt ec_paramgen_curve:secp521r1",
            false,
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        for ca in ["ca", "other"] {
            let made = openssl(
                at,
                &format!(
                    "req -x509 {options} -nodes -keyout {ca}.key -out {ca}.crt -days 30 -subj /CN=ca"
                ),
            );
            if made.is_none() {
                return;
            }
        }
        let subject = "-subj /O=system:nodes/CN=system:node:n";
        openssl(
            at,
            &format!("req -new {options} -nodes -keyout leaf.key -out leaf.csr {subject}"),
        );
        std::fs::write(
            at.join("ext"),
            "subjectAltName=DNS:n,IP:10.0.0.1,IP:fd00::1\n",
        )
        .unwrap();
        let hash = if options.contains("sha512") {
            " -sha512"
        } else {
            ""
        };
        openssl(
            at,
            &format!(
                "x509 -req -in leaf.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 10 -extfile ext -out leaf.crt{hash}"
            ),
        );
        let read = |name: &str| Certificate::read(&der(at, name)).unwrap();
        let (ca, other, leaf) = (read("ca.crt"), read("other.crt"), read("leaf.crt"));
        assert_eq!(
            (leaf.common_name.as_str(), leaf.is_ca, ca.is_ca),
            ("system:node:n", false, true)
        );
        assert_eq!(leaf.organisations, ["system:nodes"]);
        assert_eq!(leaf.dns_names, ["n"]);
        let addresses: Vec<String> = leaf.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["10.0.0.1", "fd00::1"]);
        assert_eq!(
            leaf.not_after - leaf.not_before,
            10 * 86_400,
            "{}",
            date(leaf.not_after)
        );
        let (yes, no) = if checked {
            (Issued::Yes, Issued::OtherKey)
        } else {
            (Issued::Perhaps, Issued::Perhaps)
        };
        assert_eq!(leaf.issued_by(&ca), yes, "{kind}");
        assert_eq!(leaf.issued_by(&other), no, "{kind}");
        assert_eq!(ca.issued_by(&ca), yes, "{kind}");
        assert_eq!(ca.issued_by(&leaf), Issued::No, "{kind}");
        let own = public_part(&der(at, "leaf.key")).unwrap();
        assert_eq!(own, leaf.key, "{kind}");
        assert_eq!(own != ca.key, checked, "{kind}");
        if kind.starts_with("rsa") {
            openssl(at, "rsa -in leaf.key -traditional -out old.key");
        } else if kind == "ed25519" {
            // Only of the one form; a key is not another's.
            assert_ne!(Some(&own), public_part(&der(at, "other.key")).as_ref());
            continue;
        } else if checked {
            openssl(at, "ec -in leaf.key -out old.key");
        } else {
            assert_eq!(own, PublicKey::Other);
            continue;
        }
        assert_eq!(public_part(&der(at, "old.key")), Some(own), "{kind}");
    }
}

#[test]
fn damage_is_refused_and_never_a_panic() {
    let made = rcgen::generate_simple_self_signed(["n".to_owned()]).unwrap();
    let der = made.cert.der().to_vec();
    let good = Certificate::read(&der).unwrap();
    assert_eq!(good.dns_names, ["n"]);
    let key = made.signing_key.serialize_der();
    assert_eq!(public_part(&key).unwrap(), good.key);
    for length in 0..der.len() {
        assert!(Certificate::read(&der[..length]).is_none());
    }
    for length in 0..key.len() {
        let _no_panic = public_part(&key[..length]);
    }
    for at in 0..der.len() {
        // Another bit of each byte; a signature costs milliseconds here.
        let mut changed = der.clone();
        changed[at] ^= 1 << (at % 8);
        if let Some(found) = Certificate::read(&changed) {
            let _no_panic = found.issued_by(&good);
        }
    }
    assert!(public_part(&der).is_none());
    assert!(Certificate::read(&key).is_none());
    // Ed25519 has no key of zeros.
    let mut zeros = vec![
        0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32,
    ];
    zeros.extend([0; 32]);
    assert!(public_part(&zeros).is_none());
    zeros[47] = 1;
    assert!(matches!(public_part(&zeros), Some(PublicKey::Edwards(_))));
}

/// ring writes Ed25519's keys as RFC 5958 has them, with the public half beside.
#[test]
fn keys_with_their_public_half() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let parameters = rcgen::CertificateParams::new(["n".to_owned()]).unwrap();
    let made = parameters.self_signed(&key).unwrap();
    let certificate = Certificate::read(made.der()).unwrap();
    let own = public_part(&key.serialize_der()).unwrap();
    assert!(matches!(own, PublicKey::Edwards(_)));
    assert_eq!(own, certificate.key);
    assert_eq!(certificate.issued_by(&certificate), Issued::Yes);
}
