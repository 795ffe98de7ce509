//! One byte of a signed program is another one: it is refused, and nothing panics.

use super::{Desk, open, program};
use crate::authenticode;
use crate::certificate::Certificate;
use crate::signer::Purpose;

#[test]
fn a_changed_program_is_refused_and_says_why() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let other = desk.rsa("other").unwrap();
    let signer = open(&rsa, Purpose::SecureBoot);
    let certificate = signer.certificate().unwrap();
    let unsigned = program();
    let signature = authenticode::sign(&signer, "p", &unsigned)
        .unwrap()
        .unwrap();
    let signed = authenticode::with(&unsigned, &[signature]).unwrap();
    let said = |program: &[u8], by: &Certificate| {
        format!("{:#}", authenticode::verify(program, by).unwrap_err())
    };
    assert!(said(&unsigned, certificate).contains("is not signed"));
    let theirs = open(&other, Purpose::SecureBoot);
    let said_of_other = said(&signed, theirs.certificate().unwrap());
    assert!(said_of_other.contains("CN=rsa") && said_of_other.contains("CN=other"));
    let mut changed = signed.clone();
    // In the command line, in what follows the sections, in the header.
    for at in [0x40b, 0x603, 0x90] {
        changed[at] ^= 1;
        assert!(
            said(&changed, certificate).contains("was changed after"),
            "{at:x}"
        );
        changed[at] ^= 1;
    }
    // The checksum is not part of it.
    changed[0x98 + 64] ^= 1;
    authenticode::verify(&changed, certificate).unwrap();
}

#[test]
fn no_byte_and_no_cut_is_overlooked() {
    let desk = Desk::new();
    let Some(rsa) = desk.rsa("rsa") else { return };
    let signer = open(&rsa, Purpose::SecureBoot);
    let certificate = signer.certificate().unwrap();
    let unsigned = program();
    let signature = authenticode::sign(&signer, "p", &unsigned)
        .unwrap()
        .unwrap();
    let signed = authenticode::with(&unsigned, &[signature]).unwrap();
    let mut taken = Vec::new();
    for at in 0..unsigned.len() {
        let mut changed = signed.clone();
        changed[at] ^= 0x10;
        if authenticode::verify(&changed, certificate).is_ok() {
            taken.push(at);
        }
    }
    // The checksum alone.
    assert_eq!(taken, (0x98 + 64..0x98 + 68).collect::<Vec<_>>());
    for at in unsigned.len()..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 0x10;
        let _ = authenticode::verify(&changed, certificate);
        let _ = authenticode::without(&changed);
    }
    for length in 0..signed.len() {
        assert!(
            authenticode::verify(&signed[..length], certificate).is_err(),
            "{length}"
        );
    }
}
