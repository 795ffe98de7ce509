//! Signatures of Debian's archive
//! ([RFC 9580](https://www.rfc-editor.org/rfc/rfc9580), section 7: cleartext).
//!
//! The keys are those of the package debian-archive-keyring, shipped in
//! `keys/debian-archive-keyring.asc` and pinned here by fingerprint: a
//! certificate in the file that is not on the list is not used. The list is
//! also at <https://ftp-master.debian.org/keys.html>.
//!
//! # Invariants
//! [`Keyring::verify`] hands out what was signed and nothing around it.

use std::io::Read;
use std::time::SystemTime;

use anyhow::{Context, Result, bail};
use nodeimg_values::date::Date;
use sequoia_openpgp::cert::{Cert, CertParser};
use sequoia_openpgp::parse::Parse;
use sequoia_openpgp::parse::stream::{
    DetachedVerifierBuilder, MessageLayer, MessageStructure, VerificationError, VerificationHelper,
    VerifierBuilder,
};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::types::RevocationStatus;
use sequoia_openpgp::{Fingerprint, KeyHandle};

const SHIPPED: &[u8] = include_bytes!("../../../keys/debian-archive-keyring.asc");

/// Primary keys: of each release the archive's, security's and the release team's.
const PINNED: [&str; 9] = [
    // 11/bullseye
    "1F89983E0081FDE018F3CC9673A4F27B8DD47936",
    "AC530D520F2F3269F5E98313A48449044AAD5C5D",
    "A4285295FC7B1A81600062A9605C66F00D6C9793",
    // 12/bookworm
    "B8B80B5B623EAB6AD8775C45B7C5D7D6350947F8",
    "05AB90340C0C5E797F44A8C8254CF3B5AEC0A8F0",
    "4D64FEC119C2029067D6E791F8D2585B8783D481",
    // 13/trixie
    "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
    "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
    "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
];

/// Certificates that a signature may come from.
#[derive(Clone, Debug)]
pub struct Keyring {
    certs: Vec<Cert>,
}

impl Keyring {
    /// Debian's own.
    pub fn debian() -> Result<Keyring> {
        let certs = CertParser::from_bytes(SHIPPED)
            .and_then(Iterator::collect::<Result<Vec<Cert>>>)
            .context("reading the shipped keys of Debian's archive")?;
        let pinned = |cert: &Cert| PINNED.contains(&cert.fingerprint().to_hex().as_str());
        let certs: Vec<_> = certs.into_iter().filter(pinned).collect();
        if certs.len() != PINNED.len() {
            bail!("the shipped keys of Debian's archive are not the pinned ones");
        }
        Ok(Keyring { certs })
    }

    /// The keys of another publisher, armored or not.
    pub fn of(bytes: &[u8]) -> Result<Keyring> {
        let certs = CertParser::from_bytes(bytes)
            .and_then(Iterator::collect::<Result<Vec<Cert>>>)
            .context("it does not hold OpenPGP keys")?;
        if certs.is_empty() {
            bail!("it does not hold OpenPGP keys");
        }
        Ok(Keyring { certs })
    }

    /// The text that `message` carries, if one of these keys signed it and was
    /// valid then and at `now`.
    pub fn verify(&self, message: &[u8], now: SystemTime) -> Result<String> {
        if memchr::memmem::find(message, b"-----BEGIN PGP ").is_none() {
            bail!("it is not signed: there is no block of OpenPGP in it");
        }
        let policy = StandardPolicy::new();
        let helper = Helper { keyring: self, now };
        let mut text = String::new();
        VerifierBuilder::from_bytes(message)
            .and_then(|builder| builder.with_policy(&policy, now, helper))
            .context("its OpenPGP signature is not valid")?
            .read_to_string(&mut text)
            .context("its OpenPGP signature is not valid")?;
        Ok(text)
    }

    /// Whether one of these keys made `signature`, which lies beside `text`.
    pub fn verify_detached(&self, text: &str, signature: &[u8], now: SystemTime) -> Result<()> {
        let policy = StandardPolicy::new();
        let helper = Helper { keyring: self, now };
        DetachedVerifierBuilder::from_bytes(signature)
            .and_then(|builder| builder.with_policy(&policy, now, helper))
            .and_then(|mut verifier| verifier.verify_bytes(text))
            .context("its OpenPGP signature is not valid")
    }
}

struct Helper<'a> {
    keyring: &'a Keyring,
    now: SystemTime,
}

impl VerificationHelper for Helper<'_> {
    fn get_certs(&mut self, _: &[KeyHandle]) -> Result<Vec<Cert>> {
        Ok(self.keyring.certs.clone())
    }

    /// One good signature is enough: releases are signed with the keys of two
    /// releases, so that the older one's users can follow.
    fn check(&mut self, structure: MessageStructure<'_>) -> Result<()> {
        let mut layers = structure.into_iter();
        let (Some(MessageLayer::SignatureGroup { results }), None) = (layers.next(), layers.next())
        else {
            bail!("it is not signed");
        };
        let (mut problems, mut of_later) = (Vec::new(), None);
        for result in results {
            if let Err(VerificationError::BadSignature { sig, .. }) = &result {
                let made = sig.signature_creation_time();
                of_later = made.filter(|made| *made > self.now).or(of_later);
            }
            match result {
                Ok(good) => {
                    match still_valid(good.ka.cert(), &good.ka.key().fingerprint(), self.now) {
                        Ok(()) => return Ok(()),
                        Err(problem) => problems.push(problem.to_string()),
                    }
                }
                Err(problem) => problems.push(problem.to_string()),
            }
        }
        let now = date(self.now);
        if let Some(made) = of_later {
            bail!(
                "it was signed at {}, which is in the future: this machine's clock says {now}; is \
                 the clock right?",
                date(made)
            );
        }
        let known: Vec<String> = self
            .keyring
            .certs
            .iter()
            .map(|cert| short(&cert.fingerprint()))
            .collect();
        bail!(
            "none of its signatures is good: {}; this machine's clock says {now}; the trusted keys \
             are {}",
            // The library's word for a key whose time has not come or is over.
            problems
                .join("; ")
                .replace("is not live", "has expired or is not valid yet"),
            known.join(", ")
        );
    }
}

fn date(time: SystemTime) -> Date {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    Date(since.map_or(0, |since| since.as_secs()))
}

/// A signature is judged by the time that it states; a key that has expired
/// since could have made it at any time.
fn still_valid(cert: &Cert, key: &Fingerprint, now: SystemTime) -> Result<()> {
    let policy = StandardPolicy::new();
    let cert = cert.with_policy(&policy, now)?;
    cert.alive()?;
    // A primary key that was retired takes its subkeys along; the library asks each alone.
    let retired = matches!(cert.revocation_status(), RevocationStatus::Revoked(_));
    let mut keys = cert.keys().alive().revoked(false).for_signing();
    match !retired && keys.any(|there| there.key().fingerprint() == *key) {
        true => Ok(()),
        false => bail!("the key {} has expired or is revoked", short(key)),
    }
}

fn short(fingerprint: &Fingerprint) -> String {
    fingerprint.to_hex().chars().skip(24).collect()
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write;
    use std::time::Duration;

    use sequoia_openpgp::armor::{Kind, Writer};
    use sequoia_openpgp::cert::{CertBuilder, CertRevocationBuilder};
    use sequoia_openpgp::serialize::SerializeInto;
    use sequoia_openpgp::serialize::stream::{Message, Signer};
    use sequoia_openpgp::types::ReasonForRevocation;

    use super::*;

    /// A key of nobody's, for signed indexes of tests.
    pub struct TestKey {
        cert: Cert,
    }

    impl TestKey {
        pub fn new(valid_for: Option<Duration>) -> TestKey {
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
            let (cert, _) = CertBuilder::new()
                .add_userid("test")
                .add_signing_subkey()
                .set_creation_time(made)
                .set_validity_period(valid_for)
                .generate()
                .unwrap();
            TestKey { cert }
        }

        pub fn keyring(&self) -> Keyring {
            let certs = vec![self.cert.clone()];
            Keyring { certs }
        }

        /// As the publisher's file has it.
        pub fn public(&self) -> Vec<u8> {
            self.cert.armored().to_vec().unwrap()
        }

        /// The same key, revoked.
        pub fn revoked(&self) -> TestKey {
            self.given_up(ReasonForRevocation::KeyCompromised, 1_700_000_050)
        }

        fn given_up(&self, why: ReasonForRevocation, when: u64) -> TestKey {
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(when);
            let key = self.cert.primary_key().key().clone();
            let mut signer = key.parts_into_secret().unwrap().into_keypair().unwrap();
            let revocation = CertRevocationBuilder::new()
                .set_signature_creation_time(made)
                .unwrap()
                .set_reason_for_revocation(why, b"")
                .unwrap()
                .build(&mut signer, &self.cert, None)
                .unwrap();
            let (cert, _) = self.cert.clone().insert_packets(vec![revocation]).unwrap();
            TestKey { cert }
        }

        pub fn sign(&self, text: &str) -> Vec<u8> {
            self.signed(text, false)
        }

        /// The signature alone, armored.
        pub fn sign_beside(&self, text: &str) -> Vec<u8> {
            let bare = self.signed(text, true);
            let mut armored = Vec::new();
            let mut writer = Writer::new(&mut armored, Kind::Signature).unwrap();
            writer.write_all(&bare).unwrap();
            writer.finalize().unwrap();
            armored
        }

        fn signed(&self, text: &str, is_beside: bool) -> Vec<u8> {
            let policy = StandardPolicy::new();
            let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_100);
            let keys = self.cert.keys().secret().with_policy(&policy, made);
            let key = keys.for_signing().next().unwrap().key().clone();
            let mut bytes = Vec::new();
            let signer = Signer::new(Message::new(&mut bytes), key.into_keypair().unwrap());
            let signer = signer.unwrap();
            let signer = match is_beside {
                true => signer.detached(),
                false => signer.cleartext(),
            };
            let mut message = signer.creation_time(made).build().unwrap();
            message.write_all(text.as_bytes()).unwrap();
            message.finalize().unwrap();
            bytes
        }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_shipped_keys_are_the_pinned_ones() {
        assert_eq!(Keyring::debian().unwrap().certs.len(), PINNED.len());
    }

    #[test]
    fn what_was_signed_comes_out_and_nothing_else() {
        let key = TestKey::new(None);
        let text = "Origin: Debian\n- dashed\n\nend\n";
        let signed = String::from_utf8(key.sign(text)).unwrap();
        let around = format!("Origin: Evil\n{signed}Origin: Evil\n");
        for message in [&signed, &around] {
            // What is around a message is dropped, or the whole is refused.
            match key.keyring().verify(message.as_bytes(), at(1_700_000_200)) {
                Ok(got) => assert_eq!(got, text),
                Err(_) => assert_eq!(message, &around),
            }
        }
        assert!(
            key.keyring()
                .verify(signed.as_bytes(), at(1_700_000_200))
                .is_ok()
        );
    }

    /// Its owner can still sign with an earlier date.
    #[test]
    fn a_key_that_was_retired_since_is_refused() {
        let key = TestKey::new(None);
        let signed = key.sign("Origin: Debian\n");
        let now = at(1_700_000_200);
        assert!(key.keyring().verify(&signed, now).is_ok());
        let retired = key.given_up(ReasonForRevocation::KeyRetired, 1_700_000_150);
        let error = retired.keyring().verify(&signed, now).unwrap_err();
        assert!(format!("{error:#}").contains("revoked"), "{error:#}");
    }

    #[test]
    fn unsigned_changed_and_foreign_messages_are_refused() {
        let key = TestKey::new(Some(Duration::from_secs(1000)));
        let now = at(1_700_000_200);
        let signed = key.sign("Origin: Debian\nSuite: stable\n");
        assert!(key.keyring().verify(&signed, now).is_ok());
        let text = String::from_utf8(signed.clone()).unwrap();
        let changed = text.replace("stable", "steble");
        let cut = &text[..text.len() - 200];
        let refused = |message: &[u8], now| key.keyring().verify(message, now).is_err();
        assert!(refused(changed.as_bytes(), now));
        assert!(refused(cut.as_bytes(), now));
        assert!(refused(b"Origin: Debian\n", now));
        assert!(refused(b"", now));
        // Signed in the future, and by a key that is valid no more.
        let told = |now| format!("{:#}", key.keyring().verify(&signed, at(now)).unwrap_err());
        let early = told(1_699_900_000);
        assert!(
            early.contains("signed at 20231114T221500Z, which is in the future"),
            "{early}"
        );
        assert!(early.contains("clock says 20231113T182640Z"), "{early}");
        let late = told(1_700_002_000);
        assert!(
            late.contains("expired") && late.contains("clock says 20231114T"),
            "{late}"
        );
        let unsigned = key.keyring().verify(b"Origin: Debian\n", now).unwrap_err();
        assert!(unsigned.to_string().contains("is not signed"), "{unsigned}");
        let error = Keyring::debian().unwrap().verify(&signed, now).unwrap_err();
        assert!(format!("{error:#}").contains("trusted key"), "{error:#}");
    }
}
