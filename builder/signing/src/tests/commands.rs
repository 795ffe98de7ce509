//! Keys by commands and by exchange: what they give is verified.

use std::fs;
use std::process::Command;

use nodeimg_test_support::judge;

use super::{Desk, open};
use crate::authenticode;
use crate::signer::{Exchange, Given, Purpose, Signer};

fn by(given: &Given, command: &str) -> Given {
    Given {
        key: None,
        sign_command: Some(command.to_owned()),
        certificate: given.certificate.clone(),
    }
}

#[test]
fn a_command_gives_the_bytes_of_the_file_key() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let key = desk.path("rsa.key");
    let by_command = by(
        &rsa,
        &format!("openssl dgst -sha256 -sign {}", key.display()),
    );
    let message = vec![7; 300_000];
    let file = open(&rsa, Purpose::SecureBoot).sign("x", &message).unwrap();
    let command = open(&by_command, Purpose::SecureBoot);
    assert_eq!(command.sign("x", &message).unwrap(), file);
    // It is told what it signs; and one that does not read the message need not.
    let (key, copy) = (key.display(), desk.path("copy"));
    let copy = copy.display();
    for command in [
        format!(
            "test $NODEIMG_SIGN_ALGORITHM = rsa-pkcs1-sha256 && cat >{copy} && openssl dgst -r \
             -sha256 {copy} | grep -q ^$NODEIMG_SIGN_SHA256 && openssl dgst -sha256 -sign {key} {copy}"
        ),
        format!("openssl dgst -sha256 -sign {key} {copy}"),
    ] {
        let signer = open(&by(&rsa, &command), Purpose::SecureBoot);
        assert_eq!(signer.sign("x", &message).unwrap(), file, "{command}");
    }
}

#[test]
fn what_a_command_prints_is_verified_before_it_is_used() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    desk.rsa("other").unwrap();
    let sign = |key: &str| format!("openssl dgst -sha256 -sign {}", desk.path(key).display());
    for (command, expected) in [
        ("false".to_owned(), "`sign_command` failed"),
        ("true".to_owned(), "prints nothing"),
        ("no-such-program".to_owned(), "failed"),
        ("kill -9 $$".to_owned(), "signal"),
        (sign("other.key"), "not one that the certificate"),
        (
            format!("{} | base64", sign("rsa.key")),
            "the raw signature, not text",
        ),
        ("yes".to_owned(), "more than a signature"),
        (
            format!("head -c 10 | {}", sign("rsa.key")),
            "of the whole message",
        ),
    ] {
        let signer = open(&by(&rsa, &command), Purpose::SecureBoot);
        let said = format!(
            "{:#}",
            signer.sign("the UKI", b"a longer message").unwrap_err()
        );
        assert!(said.contains(expected), "{command}: {said}");
        assert!(
            said.contains("signing the UKI with the key `test`"),
            "{said}"
        );
    }
}

#[test]
fn a_key_in_a_token_signs_as_its_file_does() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let module = "/usr/lib/softhsm/libsofthsm2.so";
    let tokens = desk.path("tokens");
    fs::create_dir(&tokens).unwrap();
    let config = desk.write(
        "softhsm2.conf",
        format!(
            "directories.tokendir = {}\nobjectstore.backend = file\n",
            tokens.display()
        )
        .as_bytes(),
    );
    let softhsm = |words: &str| {
        let mut command = Command::new("softhsm2-util");
        command
            .args(words.split(' '))
            .current_dir(desk.0.path())
            .env("SOFTHSM2_CONF", &config);
        let output = judge::run(&mut command)?;
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(())
    };
    if softhsm("--init-token --free --label t --pin 1234 --so-pin 1234").is_none() {
        return;
    }
    softhsm("--import rsa.key --token t --label k --id 01 --pin 1234").unwrap();
    let tool = |mechanism: &str| {
        format!(
            "SOFTHSM2_CONF={} pkcs11-tool --module {module} --token-label t --pin 1234 --id 01 \
         --sign -m {mechanism} 2>/dev/null",
            config.display()
        )
    };
    let signer = open(&by(&rsa, &tool("SHA256-RSA-PKCS")), Purpose::SecureBoot);
    let file = open(&rsa, Purpose::SecureBoot)
        .sign("x", b"message")
        .unwrap();
    assert_eq!(signer.sign("x", b"message").unwrap(), file);
    // ECDSA's numbers come as they are.
    let p256 = desk
        .pair("p256", "EC -pkeyopt ec_paramgen_curve:P-256")
        .unwrap();
    softhsm("--import p256.key --token t --label e --id 02 --pin 1234").unwrap();
    // SoftHSM signs a digest alone with such keys.
    let command = tool("ECDSA").replace("--id 01", "--id 02");
    let command = format!(
        "export {}",
        command.replacen(
            " pkcs11-tool",
            "; openssl dgst -sha256 -binary | pkcs11-tool",
            1
        )
    );
    let signer = open(&by(&p256, &command), Purpose::Checksums);
    assert!(signer.sign("x", b"message").unwrap().is_some());
}

#[test]
fn another_machine_signs_what_is_carried_to_it() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let folder = desk.path("carried");
    let exchange = Exchange::open(&folder).unwrap();
    let program = super::program();
    let remote = Given {
        key: None,
        ..rsa.clone()
    };
    let signer = Signer::open("db", &remote, Purpose::SecureBoot, Some(&exchange)).unwrap();
    assert!(
        authenticode::sign(&signer, "uki.efi", &program)
            .unwrap()
            .is_none()
    );
    let [wanted] = &exchange.wanted()[..] else {
        panic!()
    };
    let message = wanted.strip_suffix(" (db)").unwrap();
    let stem = folder.join(message.strip_suffix(".message").unwrap());
    // Of another message, or by another key: refused.
    desk.rsa("other").unwrap();
    for (key, text) in [("other.key", message), ("rsa.key", "../rsa.pem")] {
        desk.openssl(&format!(
            "dgst -sha256 -sign {key} -out {}.sig carried/{text}",
            stem.display()
        ))
        .unwrap();
        let said = authenticode::sign(&signer, "uki.efi", &program).unwrap_err();
        assert!(
            format!("{said:#}").contains("not one that the certificate"),
            "{said:#}"
        );
    }
    desk.openssl(&format!(
        "dgst -sha256 -sign rsa.key -out {}.sig carried/{message}",
        stem.display()
    ))
    .unwrap();
    let here = open(&rsa, Purpose::SecureBoot);
    assert_eq!(
        authenticode::sign(&signer, "uki.efi", &program).unwrap(),
        authenticode::sign(&here, "uki.efi", &program).unwrap()
    );
}
