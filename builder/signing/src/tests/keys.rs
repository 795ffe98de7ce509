//! Which keys are taken, and what is said of others.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nodeimg_values::date::Date;

use super::{Desk, key_of, open, refusal};
use crate::certificate::Certificate;
use crate::signer::{Given, Purpose};

#[test]
fn keys_as_openssl_writes_them_are_read() {
    let desk = Desk::new();
    let kinds = [
        ("rsa", "RSA -pkeyopt rsa_keygen_bits:2048"),
        ("rsa3", "RSA -pkeyopt rsa_keygen_bits:3072"),
        ("p256", "EC -pkeyopt ec_paramgen_curve:P-256"),
        (
            "named",
            "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:named_curve",
        ),
        ("ed", "ED25519"),
    ];
    for (name, words) in kinds {
        let Some(pair) = desk.pair(name, words) else {
            return;
        };
        let signer = open(&pair, Purpose::Checksums);
        let one = signer.sign("a", b"message").unwrap().unwrap();
        assert_eq!(
            one,
            signer.sign("a", b"message").unwrap().unwrap(),
            "{name}"
        );
        assert!(signer.public.has_signed(b"message", &one));
        assert!(!signer.public.has_signed(b"Message", &one));
    }
    for (from, to) in [("rsa", "pkcs1"), ("p256", "sec1")] {
        desk.openssl(&format!("pkey -in {from}.key -traditional -out {to}.key"))
            .unwrap();
        desk.close(&format!("{to}.key"));
        let given = Given {
            certificate: Some(desk.path(&format!("{from}.pem"))),
            ..key_of(&desk.path(&format!("{to}.key")))
        };
        open(&given, Purpose::Checksums);
    }
    desk.openssl("ecparam -name prime256v1 -genkey -out both.key")
        .unwrap();
    desk.close("both.key");
    open(&key_of(&desk.path("both.key")), Purpose::Checksums);
    // Line ends of another system, and a certificate before the key.
    let text = fs::read_to_string(desk.path("rsa.key"))
        .unwrap()
        .replace('\n', "\r\n");
    desk.write("crlf.key", text.as_bytes());
    desk.close("crlf.key");
    open(&key_of(&desk.path("crlf.key")), Purpose::Checksums);
    // A plain public key beside the private one.
    desk.openssl("pkey -in ed.key -pubout -out ed.pub").unwrap();
    let with_public = Given {
        certificate: Some(desk.path("ed.pub")),
        ..key_of(&desk.path("ed.key"))
    };
    open(&with_public, Purpose::Checksums);
}

#[test]
fn keys_that_are_of_no_use_are_refused_with_the_reason() {
    let desk = Desk::new();
    if desk.rsa("rsa").is_none() {
        return;
    }
    let made = [
        (
            "short",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out short.key",
            "1024 bits",
        ),
        (
            "long",
            "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4104 -out long.key",
            "4104 bits",
        ),
        (
            "p384",
            "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out p384.key",
            "another curve",
        ),
        (
            "k1",
            "ecparam -name secp256k1 -genkey -noout -out k1.key",
            "another curve",
        ),
        (
            "pss",
            "genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.key",
            "unsupported kind",
        ),
        (
            "ed448",
            "genpkey -algorithm ED448 -out ed448.key",
            "unsupported kind",
        ),
        (
            "locked",
            "pkcs8 -topk8 -in rsa.key -passout pass:secret -out locked.key",
            "passphrase",
        ),
        (
            "old",
            "rsa -in rsa.key -traditional -aes128 -passout pass:secret -out old.key",
            "passphrase",
        ),
        (
            "public",
            "pkey -in rsa.key -pubout -out public.key",
            "public key",
        ),
        (
            "der",
            "pkey -in rsa.key -outform DER -out der.key",
            "not PEM",
        ),
        (
            "request",
            "req -new -key rsa.key -subj /CN=x -out request.key",
            "CERTIFICATE REQUEST",
        ),
    ];
    for (name, words, expected) in made {
        desk.openssl(words).unwrap();
        let file = format!("{name}.key");
        desk.close(&file);
        let said = refusal(&key_of(&desk.path(&file)), Purpose::Checksums);
        assert!(
            said.contains(expected) && said.contains(&file),
            "{name}: {said}"
        );
        assert!(said.contains("the key `test`"), "{said}");
    }
}

#[test]
fn damaged_files_and_others_are_refused_with_the_reason() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let key = fs::read_to_string(desk.path("rsa.key")).unwrap();
    let cut = &key[..key.len() / 2];
    for (name, bytes, expected) in [
        ("empty", "", "not PEM"),
        ("cut", cut, "does not end"),
        ("twice", &*format!("{key}{key}"), "more than one"),
        (
            "ssh",
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAA==\n-----END OPENSSH PRIVATE KEY-----\n",
            "OpenSSH",
        ),
        (
            "hollow",
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
            "damaged",
        ),
    ] {
        let path = desk.write(name, bytes.as_bytes());
        desk.close(name);
        let said = refusal(&key_of(&path), Purpose::Checksums);
        assert!(said.contains(expected), "{name}: {said}");
    }
    let said = refusal(
        &key_of(rsa.certificate.as_ref().unwrap()),
        Purpose::Checksums,
    );
    assert!(
        said.contains("other users") || said.contains("certificate"),
        "{said}"
    );
    let said = refusal(&key_of(&desk.path("none")), Purpose::Checksums);
    assert!(said.contains("No such file"), "{said}");
    let said = refusal(&key_of(desk.0.path()), Purpose::Checksums);
    assert!(said.contains("a directory"), "{said}");
}

#[test]
fn keys_that_others_can_use_are_refused() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let path = rsa.key.clone().unwrap();
    for mode in [0o604, 0o640, 0o620, 0o602, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let said = refusal(&rsa, Purpose::SecureBoot);
        assert!(said.contains("chmod 0600"), "{mode:o}: {said}");
    }
    for mode in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        open(&rsa, Purpose::SecureBoot);
    }
}

#[test]
fn each_purpose_has_its_kinds_and_each_certificate_its_key() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let other = desk.rsa("other").unwrap();
    let p256 = desk
        .pair("p256", "EC -pkeyopt ec_paramgen_curve:P-256")
        .unwrap();
    let ed = desk.pair("ed", "ED25519").unwrap();
    for (purpose, expected) in [
        (Purpose::SecureBoot, "firmware verifies RSA alone"),
        (Purpose::RootHash, "use an RSA key"),
    ] {
        for given in [&p256, &ed] {
            let said = refusal(given, purpose);
            assert!(said.contains(expected), "{said}");
        }
        open(&rsa, purpose);
        let bare = key_of(rsa.key.as_ref().unwrap());
        assert!(refusal(&bare, purpose).contains("no certificate"));
    }
    let mixed = Given {
        certificate: other.certificate.clone(),
        ..rsa.clone()
    };
    assert!(refusal(&mixed, Purpose::SecureBoot).contains("other.pem"));
    let text = |given: &Given| fs::read_to_string(given.certificate.as_ref().unwrap()).unwrap();
    let chain = desk.write(
        "chain.pem",
        format!("{}{}", text(&rsa), text(&other)).as_bytes(),
    );
    let chained = Given {
        certificate: Some(chain),
        ..rsa.clone()
    };
    assert!(refusal(&chained, Purpose::SecureBoot).contains("2 certificates"));
    desk.openssl("x509 -in rsa.pem -outform DER -out rsa.der")
        .unwrap();
    let der = Given {
        certificate: Some(desk.path("rsa.der")),
        ..rsa.clone()
    };
    assert!(refusal(&der, Purpose::SecureBoot).contains("DER, not PEM"));
    let both = Given {
        sign_command: Some("true".to_owned()),
        ..rsa.clone()
    };
    assert!(refusal(&both, Purpose::SecureBoot).contains("both `key` and `sign_command`"));
    let none = Given { key: None, ..rsa };
    assert!(refusal(&none, Purpose::SecureBoot).contains("neither `key` nor `sign_command`"));
}

#[test]
fn what_everybody_may_read_is_called_what_it_is() {
    let desk = Desk::new();
    if desk.rsa("rsa").is_none() {
        return;
    }
    desk.openssl("pkey -in rsa.key -pubout -out open.pub")
        .unwrap();
    for (file, expected) in [("open.pub", "public key"), ("rsa.pem", "is a certificate")] {
        let path = desk.path(file);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let said = refusal(&key_of(&path), Purpose::Checksums);
        assert!(said.contains(expected), "{said}");
        assert!(!said.contains("chmod"), "{said}");
    }
}

#[test]
fn a_certificate_says_when_it_is_not_valid() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.not_before = rcgen::date_time_ymd(2024, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2025, 1, 1);
    let made = parameters.self_signed(&key).unwrap();
    let certificate = Certificate::from_der(made.der()).unwrap();
    for (seconds, expected) in [
        (1_700_000_000, Some("is not valid before 2024-01-01")),
        (1_704_067_200, None),
        (1_735_689_600, None),
        (1_735_689_601, Some("was valid until 2025-01-01")),
    ] {
        let said = certificate.invalid_at(Date(seconds));
        assert_eq!(said.is_some(), expected.is_some(), "{seconds}: {said:?}");
        let said = said.unwrap_or_default();
        assert!(said.contains(expected.unwrap_or("")), "{seconds}: {said}");
    }
}
