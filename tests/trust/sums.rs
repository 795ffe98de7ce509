//! Publishers that sign one list of sums instead of each file: `sigstore.sums`.

use std::fs;

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::body;

use super::{ARCHS, LOG, SIGNER, Trust};

const LIST: &str = "/up.test/runc/1.4.3/SUMS";

/// A world whose runc is named by a list, which is signed; and which states what it states.
fn listed(text: &str) -> Trust {
    let mut trust = Trust::new();
    let own = "signature = \"{url}.sig\", certificate = \"{url}.cert\"";
    let list = "https://up.test/runc/{version}/SUMS";
    let of_list =
        format!("sums = \"{list}\", signature = \"{list}.sig\", certificate = \"{list}.cert\"");
    trust.world.edit(own, &of_list);
    publish(&trust, text, SIGNER);
    trust
}

fn publish(trust: &Trust, text: &str, signer: &str) {
    let signed = trust.sigstore.sign(signer, text.as_bytes());
    let server = &trust.world.server;
    server.serve(LIST, text.as_bytes());
    server.serve(&format!("{LIST}.sig"), signed.signature.as_bytes());
    server.serve(&format!("{LIST}.cert"), signed.certificate.as_bytes());
    let digest = sha256(text.as_bytes());
    server.serve_post(LOG, &digest, signed.answer.as_bytes());
}

fn sums() -> String {
    let line = |arch: &str| format!("{}  {arch}\n", sha256(&body("runc", arch)));
    ARCHS.map(line).concat()
}

/// As Kubernetes' release has one.
fn spdx() -> String {
    let file = |arch: &str| {
        let sum = sha256(&body("runc", arch));
        format!("FileName: ./1.4.3/{arch}\nSPDXID: SPDXRef-{arch}\nFileChecksum: SHA256: {sum}\n\n")
    };
    format!(
        "SPDXVersion: SPDX-2.3\nDocumentName: release\n\n{}",
        ARCHS.map(file).concat()
    )
}

#[test]
fn a_signed_list_vouches_for_every_file_that_it_names() {
    for text in [sums(), spdx()] {
        let trust = listed(&text);
        Ran::of(&mut trust.lock(&[])).good();
        for arch in ARCHS {
            let entry = trust.entry("runc", arch);
            assert_eq!(entry["verified"].as_str(), Some("sigstore"));
            assert_eq!(entry["signer"].as_str(), Some(SIGNER));
        }
        let proofs = fs::read_to_string(trust.proofs()).unwrap();
        assert_eq!(proofs.lines().count(), 1, "kept once: {proofs}");
        Ran::of(&mut trust.world.nodeimg("fetch")).good();
        Ran::of(trust.world.build().arg("--offline")).good();
    }
}

#[test]
fn a_list_that_is_not_of_this_file_or_not_its_signers_is_refused() {
    let other = sums().replace(&sha256(&body("runc", "amd64")), &sha256(b"other"));
    let cases = [
        (
            sums().replace("amd64", "riscv"),
            SIGNER,
            "does not name amd64",
        ),
        (other, SIGNER, "the signed list says sha256:"),
        (sums(), "somebody@else.test", "somebody@else.test"),
    ];
    for (text, signer, says) in cases {
        let trust = listed("");
        publish(&trust, &text, signer);
        let ran = Ran::of(&mut trust.lock(&[])).refused(1, &["runc 1.4.3 (amd64)"]);
        assert!(ran.err.contains(says), "no {says:?} in {}", ran.err);
        assert!(!trust.proofs().exists());
    }
    // What was signed is not what is served.
    let trust = listed(&sums());
    trust.world.server.serve(LIST, (sums() + "\n").as_bytes());
    let ran = Ran::of(&mut trust.lock(&[])).good();
    assert!(ran.err.contains("runc 1.4.3 (amd64)"), "{}", ran.err);
}

#[test]
fn a_list_needs_to_be_signed_somewhere() {
    let mut trust = Trust::new();
    let own = "signature = \"{url}.sig\", certificate = \"{url}.cert\"";
    trust.world.edit(own, "sums = \"{url}.sums\"");
    let says = "say where the signature of that list is";
    Ran::of(&mut trust.lock(&[])).refused(1, &["sums", says]);
}
