//! What openssl, sbverify and osslsigncode say of our signatures.

use std::fs;

use nodeimg_formats::guid::Guid;
use nodeimg_values::epoch::Epoch;

use super::{Desk, open, program};
use crate::certificate::PublicKey;
use crate::efi::{self, Variable};
use crate::signer::Purpose;
use crate::{authenticode, dsse, pkcs7};

#[test]
fn signed_programs_are_verified_by_others() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let other = desk.rsa("other").unwrap();
    let (signer, second) = (
        open(&rsa, Purpose::SecureBoot),
        open(&other, Purpose::SecureBoot),
    );
    let unsigned = program();
    let signature = authenticode::sign(&signer, "p", &unsigned)
        .unwrap()
        .unwrap();
    let signed = authenticode::with(&unsigned, std::slice::from_ref(&signature)).unwrap();
    assert_eq!(signed.len() % 8, 0);
    assert_eq!(
        authenticode::hash(&signed).unwrap(),
        authenticode::hash(&unsigned).unwrap()
    );
    assert_eq!(
        authenticode::signatures(&signed).unwrap(),
        std::slice::from_ref(&signature)
    );
    authenticode::verify(&signed, signer.certificate().unwrap()).unwrap();
    // Signed again: the same bytes.
    let again = authenticode::sign(&signer, "p", &signed).unwrap().unwrap();
    assert_eq!(authenticode::with(&signed, &[again]).unwrap(), signed);
    desk.write("signed.efi", &signed);
    let two = authenticode::sign(&second, "p", &unsigned)
        .unwrap()
        .unwrap();
    let both = authenticode::with(&signed, &[signature, two]).unwrap();
    authenticode::verify(&both, second.certificate().unwrap()).unwrap();
    desk.write("both.efi", &both);
    for (file, certificate) in [("signed", "rsa"), ("both", "rsa"), ("both", "other")] {
        let words = format!("--cert {certificate}.pem {file}.efi");
        let Some(said) = desk.run("sbverify", &words) else {
            return;
        };
        assert!(String::from_utf8_lossy(&said).contains("Signature verification OK"));
    }
    // Firmware knows no authority here: the certificate itself is.
    desk.run(
        "osslsigncode",
        "verify -ignore-timestamp -CAfile rsa.pem -in signed.efi",
    );
    let stripped = authenticode::without(&signed).unwrap();
    assert_eq!(stripped[..unsigned.len()], unsigned);
    assert_eq!(authenticode::with(&unsigned, &[]).unwrap(), stripped);
}

#[test]
fn a_root_hash_is_signed_as_openssl_does() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let text = "0123456789abcdef".repeat(4);
    desk.write("roothash", text.as_bytes());
    let theirs = desk
        .openssl("smime -sign -nocerts -noattr -binary -in roothash -signer rsa.pem -inkey rsa.key -outform DER")
        .unwrap();
    let signer = open(&rsa, Purpose::RootHash);
    let ours = pkcs7::detached(&signer, "root.roothash", text.as_bytes())
        .unwrap()
        .unwrap();
    assert_eq!(ours, theirs);
    let by = |der: &[u8], message: &str, name| {
        let signer = open(&desk.rsa(name).unwrap(), Purpose::RootHash);
        pkcs7::is_detached_by(der, message.as_bytes(), signer.certificate().unwrap())
    };
    let certificate = signer.certificate().unwrap();
    assert!(pkcs7::is_detached_by(&theirs, text.as_bytes(), certificate));
    assert!(!pkcs7::is_detached_by(&theirs, b"other", certificate));
    assert!(!by(&theirs, &text, "other"));
    for at in 0..theirs.len() {
        let mut damaged = theirs.clone();
        damaged[at] ^= 1;
        assert!(
            !pkcs7::is_detached_by(&damaged, text.as_bytes(), certificate),
            "{at}"
        );
    }
}

#[test]
fn checksums_and_envelopes_are_verified_by_openssl() {
    let desk = Desk::new();
    for (name, words, verify) in [
        (
            "rsa",
            "RSA -pkeyopt rsa_keygen_bits:2048",
            "dgst -sha256 -verify rsa.pub -signature sig",
        ),
        (
            "p256",
            "EC -pkeyopt ec_paramgen_curve:P-256",
            "dgst -sha256 -verify p256.pub -signature sig",
        ),
        (
            "ed",
            "ED25519",
            "pkeyutl -verify -rawin -pubin -inkey ed.pub -sigfile sig -in",
        ),
    ] {
        let Some(given) = desk.pair(name, words) else {
            return;
        };
        desk.openssl(&format!("pkey -in {name}.key -pubout -out {name}.pub"))
            .unwrap();
        let signer = open(&given, Purpose::Checksums);
        desk.write("message", b"sums\n");
        desk.write("sig", &signer.sign("m", b"sums\n").unwrap().unwrap());
        desk.openssl(&format!("{verify} message")).unwrap();
        let key = PublicKey::from_file(&desk.path(&format!("{name}.pub"))).unwrap();
        let line = dsse::sign(&signer, "s", dsse::IN_TOTO, b"{}")
            .unwrap()
            .unwrap();
        assert_eq!(dsse::verify(&line, dsse::IN_TOTO, &key).unwrap(), b"{}");
        assert!(dsse::verify(&line, "other", &key).is_err());
        let changed = line.replace("e30=", "e31=");
        assert!(dsse::verify(&changed, dsse::IN_TOTO, &key).is_err());
    }
}

#[test]
fn envelopes_are_those_of_the_protocol() {
    // protocol.md of DSSE 1.0.2.
    assert_eq!(
        dsse::pae("http://example.com/HelloWorld", b"hello world"),
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    );
}

#[test]
fn variables_are_signed_as_firmware_reads_them() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let signer = open(&rsa, Purpose::SecureBoot);
    let certificate = signer.certificate().unwrap().clone();
    let owner = Guid::derived(&["owner"]);
    let lists = efi::lists(
        owner,
        &[certificate.clone(), certificate],
        &[[7; 32], [9; 32]],
    );
    let auth = efi::signed(&signer, Variable::Db, &lists, Epoch(1_700_000_000))
        .unwrap()
        .unwrap();
    assert!(auth.ends_with(&lists));
    // 2023-11-14 22:13:20.
    assert_eq!(auth[..8], [0xe7, 7, 11, 14, 22, 13, 20, 0]);
    let length = u32::from_le_bytes(auth[16..20].try_into().unwrap()) as usize;
    assert_eq!(auth.len(), 16 + length + lists.len());
    let mut message: Vec<u8> = b"d\0b\0".to_vec();
    message.extend(Guid::known(0xd719b2cb_3d3a_4596_a3bc_dad00e67656f).mixed_endian());
    message.extend(0x27u32.to_le_bytes());
    message.extend(&auth[..16]);
    message.extend(&lists);
    desk.write("message", &message);
    // openssl wants the frame that firmware does not.
    let signed = &auth[16 + 24..16 + length];
    let oid = crate::der::element(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2]]);
    let framed = crate::der::sequence(&[&oid, &crate::der::element(0xa0, &[signed])]);
    desk.write("framed", &framed);
    desk.openssl(
        "smime -verify -inform DER -in framed -content message -binary -CAfile rsa.pem -purpose any -out out",
    )
    .unwrap();
    assert_eq!(fs::read(desk.path("out")).unwrap(), message);
    desk.write("db.esl", &lists);
    desk.write("db.auth", &auth);
}
