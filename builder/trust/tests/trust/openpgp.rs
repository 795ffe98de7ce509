//! OpenPGP: lists of sums, keys that expired or were revoked since, two keys at once.

use std::io::Write;
use std::time::{Duration, SystemTime};

use nodeimg_trust::demand::Keys;
use nodeimg_trust::{Answer, Artifact, Demand, How, Proof, Refusal, Roots, Vouched, Why};
use nodeimg_trust::{collect, verify};
use nodeimg_values::digest::Digest;
use sequoia_openpgp::PacketPile;
use sequoia_openpgp::cert::{Cert, CertBuilder, CertRevocationBuilder};
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::serialize::stream::{Armorer, Message, Signer};
use sequoia_openpgp::types::ReasonForRevocation;

const MADE: u64 = 1_700_000_000;
const SIGNED: u64 = 1_700_000_100;
const NOW: i64 = 1_700_000_200;
const URL: &str = "https://github.com/o/n/releases/download/v1/tool.tgz";

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn key(valid_for: Option<u64>) -> Cert {
    let (cert, _) = CertBuilder::new()
        .add_userid("test")
        .add_signing_subkey()
        .set_creation_time(at(MADE))
        .set_validity_period(valid_for.map(Duration::from_secs))
        .generate()
        .unwrap();
    cert
}

fn revoked(cert: &Cert, when: u64, why: ReasonForRevocation) -> Cert {
    let key = cert.primary_key().key().clone();
    let mut signer = key.parts_into_secret().unwrap().into_keypair().unwrap();
    let revocation = CertRevocationBuilder::new()
        .set_signature_creation_time(at(when))
        .unwrap()
        .set_reason_for_revocation(why, b"")
        .unwrap()
        .build(&mut signer, cert, None)
        .unwrap();
    cert.clone().insert_packets(vec![revocation]).unwrap().0
}

fn sign(cert: &Cert, text: &[u8], clear: bool) -> Vec<u8> {
    let policy = StandardPolicy::new();
    let keys = cert.keys().secret().with_policy(&policy, at(SIGNED));
    let key = keys.for_signing().next().unwrap().key().clone();
    let pair = key.into_keypair().unwrap();
    let mut out = Vec::new();
    let message = Message::new(&mut out);
    let mut message = match clear {
        true => Signer::new(message, pair)
            .unwrap()
            .cleartext()
            .creation_time(at(SIGNED))
            .build(),
        false => {
            let armor = Armorer::new(message);
            let message = armor
                .kind(sequoia_openpgp::armor::Kind::Signature)
                .build()
                .unwrap();
            Signer::new(message, pair)
                .unwrap()
                .detached()
                .creation_time(at(SIGNED))
                .build()
        }
    }
    .unwrap();
    message.write_all(text).unwrap();
    message.finalize().unwrap();
    out
}

fn demand(keys: &[&Cert]) -> Demand {
    let mut keyring = Vec::new();
    for cert in keys {
        keyring.extend(cert.armored().to_vec().unwrap());
    }
    Demand::OpenPgp(Keys {
        primary: keys
            .iter()
            .map(|it| it.fingerprint().to_spaced_hex())
            .collect(),
        keyring: keyring.into(),
    })
}

fn judge(proof: &Proof, demand: &Demand, now: i64) -> Result<Vouched, Box<Refusal>> {
    let digest = Digest::sha256(b"tool");
    let artifact = Artifact {
        name: "tool",
        sha256: &digest,
        url: Some(URL),
        content: None,
    };
    verify(
        &artifact,
        demand,
        Some(proof),
        &Roots::built_in().unwrap(),
        now,
    )
}

fn sums(name: &str, bytes: &[u8]) -> String {
    let other = Digest::sha256(b"other");
    let digest = Digest::sha256(bytes);
    format!("{}  other.tgz\n{}  {name}\n", other.hex(), digest.hex())
}

#[test]
fn signed_lists_of_sums_detached_and_clear() {
    let (key, other) = (key(None), key(None));
    let list = sums("tool.tgz", b"tool");
    let detached = sign(&key, list.as_bytes(), false);
    let detached = collect::from_openpgp(&detached, Some(list.as_bytes())).unwrap();
    let clear = collect::from_openpgp(&sign(&key, list.as_bytes(), true), None).unwrap();
    for proof in [&detached, &clear] {
        let good = judge(proof, &demand(&[&key]), NOW).unwrap();
        assert_eq!(good.how, How::OpenPgp);
        assert_eq!(good.signer, key.fingerprint().to_hex());
        assert_eq!(good.signed_at, Some(i64::try_from(SIGNED).unwrap()));
        // Two keys at once, in either order.
        judge(proof, &demand(&[&other, &key]), NOW).unwrap();
        let refusal = judge(proof, &demand(&[&other]), NOW).unwrap_err();
        assert_eq!(refusal.why, Why::Signer, "{refusal}");
        let text = refusal.to_string();
        assert!(
            text.contains(&other.fingerprint().to_spaced_hex()),
            "{text}"
        );
    }
    // Lists that do not name the file, or with another digest.
    for list in [sums("tool.tgz.asc", b"tool"), sums("tool.tgz", b"changed")] {
        let proof = collect::from_openpgp(&sign(&key, list.as_bytes(), true), None).unwrap();
        let refusal = judge(&proof, &demand(&[&key]), NOW).unwrap_err();
        assert_eq!(refusal.why, Why::Artifact, "{refusal}");
    }
    // A list beside a signature of another.
    let Proof::OpenPgp { signature, .. } = detached else {
        panic!("not OpenPGP")
    };
    let list = list.replace("other", "rehto");
    let proof = collect::from_openpgp(signature.as_bytes(), Some(list.as_bytes())).unwrap();
    let refusal = judge(&proof, &demand(&[&key]), NOW).unwrap_err();
    assert_eq!(refusal.why, Why::Invalid, "{refusal}");
}

#[test]
fn an_expired_key_needs_another_partys_word() {
    let key = key(Some(1000));
    let list = sums("tool.tgz", b"tool");
    let proof = collect::from_openpgp(&sign(&key, list.as_bytes(), true), None).unwrap();
    let demand = demand(&[&key]);
    assert_eq!(judge(&proof, &demand, NOW).unwrap().backed_by, [""; 0]);
    let later = NOW + 5000;
    let refusal = judge(&proof, &demand, later).unwrap_err();
    assert_eq!(refusal.why, Why::Expired, "{refusal}");
    let answer = |url: &str, bytes: &[u8]| Answer {
        url: url.to_string(),
        says: Digest::sha256(bytes).hex().to_string(),
        sha256: Digest::sha256(bytes),
    };
    // Upstream's own word does not count as another's.
    let own = answer("https://raw.githubusercontent.com/o/n/main/sums", b"tool");
    let backed = collect::backed(proof.clone(), vec![own]);
    assert_eq!(
        judge(&backed, &demand, later).unwrap_err().why,
        Why::Expired
    );
    let other = answer("https://raw.githubusercontent.com/x/y/abc/sums", b"tool");
    let backed = collect::backed(proof.clone(), vec![other]);
    let good = judge(&backed, &demand, later).unwrap();
    assert_eq!(good.backed_by, ["github.com/x/y"]);
    let liar = answer("https://raw.githubusercontent.com/x/y/abc/sums", b"changed");
    let backed = collect::backed(proof, vec![liar]);
    assert_eq!(
        judge(&backed, &demand, later).unwrap_err().why,
        Why::Sources
    );
}

#[test]
fn a_revoked_key_counts_for_nothing() {
    let key = key(None);
    let list = sums("tool.tgz", b"tool");
    let proof = collect::from_openpgp(&sign(&key, list.as_bytes(), true), None).unwrap();
    // Stolen: whenever it signed. Retired after it signed: not without another's word.
    let stolen = revoked(&key, SIGNED + 50, ReasonForRevocation::KeyCompromised);
    let refusal = judge(&proof, &demand(&[&stolen]), NOW).unwrap_err();
    assert_eq!(refusal.why, Why::Expired, "{refusal}");
    let retired = revoked(&key, SIGNED + 50, ReasonForRevocation::KeyRetired);
    let refusal = judge(&proof, &demand(&[&retired]), NOW).unwrap_err();
    assert_eq!(refusal.why, Why::Expired, "{refusal}");
    // The union of keyrings knows what one of them does.
    let both = {
        let Demand::OpenPgp(one) = demand(&[&key]) else {
            panic!()
        };
        let Demand::OpenPgp(two) = demand(&[&stolen]) else {
            panic!()
        };
        let keyring = [one.keyring.to_vec(), two.keyring.to_vec()].concat();
        Demand::OpenPgp(Keys {
            keyring: keyring.into(),
            ..one
        })
    };
    assert_eq!(judge(&proof, &both, NOW).unwrap_err().why, Why::Expired);
}

#[test]
fn damaged_signatures_are_refused_without_panic() {
    let key = key(None);
    let list = sums("tool.tgz", b"tool");
    let signature = sign(&key, list.as_bytes(), true);
    let whole = String::from_utf8(signature).unwrap();
    let demand = demand(&[&key]);
    let proof = |signature: &str| Proof::OpenPgp {
        signature: signature.to_string(),
        signed: None,
        answers: Vec::new(),
    };
    for at in (0..whole.len().saturating_sub(60)).step_by(7) {
        assert!(judge(&proof(&whole[..at]), &demand, NOW).is_err(), "{at}");
    }
    for text in [
        "",
        "-----BEGIN PGP SIGNED MESSAGE-----",
        "-----BEGIN PGP SIGNATURE-----\n\n",
    ] {
        assert!(judge(&proof(text), &demand, NOW).is_err());
    }
    for bytes in [
        &b""[..],
        b"<html>404</html>",
        &[0xff; 64],
        &[0xc2, 0x05, 1, 2, 3],
    ] {
        assert!(collect::from_openpgp(bytes, None).is_err(), "{bytes:?}");
    }
    // Keyrings that are none.
    for keyring in [&b""[..], b"x", b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"] {
        let Demand::OpenPgp(keys) = demand.clone() else {
            panic!()
        };
        let none = Demand::OpenPgp(Keys {
            keyring: keyring.to_vec().into(),
            ..keys
        });
        assert_eq!(
            judge(&proof(&whole), &none, NOW).unwrap_err().why,
            Why::Root
        );
    }
    // A binary signature is kept armored.
    let armored = sign(&key, list.as_bytes(), false);
    let pile = PacketPile::from_bytes(&armored).unwrap();
    let binary = pile.to_vec().unwrap();
    let kept = collect::from_openpgp(&binary, Some(list.as_bytes())).unwrap();
    judge(&kept, &demand, NOW).unwrap();
}
