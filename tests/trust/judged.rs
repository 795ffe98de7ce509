//! Other implementations' word for the Sigstore of these tests and for the bundles that
//! `lock` makes of its parts: PyPI's `sigstore`, and cosign.

use std::fs;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use nodeimg_test_support::judge;
use nodeimg_test_support::run::{Ran, clean};
use nodeimg_test_support::sigstore::{ISSUER, SIGNED_AT, Sigstore};
use nodeimg_test_support::synthetic::body;
use nodeimg_trust::{Artifact, Demand, Instance, Proof, Roots, Signer};
use nodeimg_values::digest::Digest;
use serde_json::{Value, json};

use super::{SIGNER, Trust, bundle_of};

/// Says of each case whether it is good.
const JUDGE: &str = r#"
import base64, json, sys
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

root, cases = sys.argv[1:]
verifier = Verifier(trusted_root=TrustedRoot.from_file(root))
said = []
for case in json.load(open(cases)):
    try:
        bundle = Bundle.from_json(case["bundle"])
        signer = policy.Identity(identity=case["identity"], issuer=case["issuer"])
        verifier.verify_artifact(base64.b64decode(case["content"]), bundle, signer)
        said.append("good")
    except Exception as error:
        said.append(f"{type(error).__name__}: {error}")
print(json.dumps(said))
"#;

/// A bundle, and what it is said to sign.
pub struct Case {
    pub name: String,
    pub bundle: String,
    pub content: Vec<u8>,
    pub identity: String,
    pub good: bool,
}

/// Another base64 text of the same length.
fn flipped(value: &Value) -> Value {
    let mut bytes = BASE64.decode(value.as_str().unwrap()).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    json!(BASE64.encode(bytes))
}

/// Changes of a good bundle, each of which makes it a bad one.
fn mutations(sigstore: &Sigstore, bundle: &str) -> Vec<(&'static str, String)> {
    let whole: Value = serde_json::from_str(bundle).unwrap();
    let other: Value = serde_json::from_str(&bundle_of(sigstore, SIGNER, b"other bytes")).unwrap();
    let entry = "/verificationMaterial/tlogEntries/0";
    let at = |below: &str| format!("{entry}{below}");
    let text = |place: &str| whole.pointer(place).unwrap().as_str().unwrap().to_owned();
    let checkpoint = text(&at("/inclusionProof/checkpoint/envelope"));
    let changes = [
        ("/messageSignature/signature".to_owned(), None),
        ("/messageSignature/messageDigest/digest".to_owned(), None),
        (at("/inclusionProof/rootHash"), None),
        (at("/inclusionProof/hashes/0"), None),
        (at("/inclusionPromise/signedEntryTimestamp"), None),
        (at("/logId/keyId"), None),
        (at("/inclusionProof/logIndex"), Some(json!("0"))),
        (
            at("/integratedTime"),
            Some(json!((SIGNED_AT + 1).to_string())),
        ),
        (
            at("/inclusionProof/checkpoint/envelope"),
            Some(json!(checkpoint.replacen("\n2\n", "\n3\n", 1))),
        ),
        (
            at("/canonicalizedBody"),
            other.pointer(&at("/canonicalizedBody")).cloned(),
        ),
        (entry.to_owned(), other.pointer(entry).cloned()),
        (
            "/verificationMaterial/tlogEntries".to_owned(),
            Some(json!([])),
        ),
        (
            "/verificationMaterial/certificate".to_owned(),
            other.pointer("/verificationMaterial/certificate").cloned(),
        ),
    ];
    let changed = |(place, value): (String, Option<Value>)| {
        let mut copy = whole.clone();
        let there = copy
            .pointer_mut(&place)
            .unwrap_or_else(|| panic!("{place}"));
        *there = value.unwrap_or_else(|| flipped(there));
        assert_ne!(copy, whole, "{place}");
        (&*place.leak(), copy.to_string())
    };
    changes.into_iter().map(changed).collect()
}

fn cases(sigstore: &Sigstore) -> Vec<Case> {
    let content = body("runc", "amd64");
    let bundle = bundle_of(sigstore, SIGNER, &content);
    let of = |name: &str, bundle: &str, content: &[u8], identity: &str, good: bool| Case {
        name: name.to_owned(),
        bundle: bundle.to_owned(),
        content: content.to_vec(),
        identity: identity.to_owned(),
        good,
    };
    let mut cases = vec![
        of("as signed", &bundle, &content, SIGNER, true),
        of("other bytes", &bundle, b"x", SIGNER, false),
        of(
            "another signer",
            &bundle,
            &content,
            "somebody@else.test",
            false,
        ),
        of(
            "another Sigstore",
            &bundle_of(&Sigstore::new(), SIGNER, &content),
            &content,
            SIGNER,
            false,
        ),
    ];
    for (name, bundle) in mutations(sigstore, &bundle) {
        cases.push(of(name, &bundle, &content, SIGNER, false));
    }
    cases
}

/// What nodeimg says of a case.
pub fn ours(case: &Case, roots: &Roots) -> Result<(), String> {
    let sha256 = Digest::sha256(&case.content);
    let artifact = Artifact {
        name: "runc",
        sha256: &sha256,
        url: None,
        content: None,
    };
    let demand = Demand::Blob {
        signers: vec![Signer::Identity {
            identity: case.identity.clone(),
            issuer: ISSUER.to_owned(),
        }],
        instance: Instance::Private,
    };
    let proof = Proof::Sigstore {
        bundle: case.bundle.clone(),
    };
    let told = nodeimg_trust::verify(&artifact, &demand, Some(&proof), roots, SIGNED_AT);
    told.map(|_| ()).map_err(|refusal| refusal.to_string())
}

#[test]
fn pypis_sigstore_accepts_and_refuses_what_nodeimg_does() {
    let sigstore = Sigstore::new();
    let root = sigstore.trusted_root();
    let roots = Roots::built_in().unwrap();
    let roots = roots.with_private(root.as_bytes()).unwrap();
    let cases = cases(&sigstore);
    for case in &cases {
        let told = ours(case, &roots);
        assert_eq!(told.is_ok(), case.good, "{}: {told:?}", case.name);
    }
    let Some(modules) = judge::sigstore() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let (root_file, cases_file) = (folder.path().join("root"), folder.path().join("cases"));
    fs::write(&root_file, root).unwrap();
    let given = cases.iter().map(|case| {
        json!({
            "bundle": case.bundle, "content": BASE64.encode(&case.content),
            "identity": case.identity, "issuer": ISSUER,
        })
    });
    fs::write(&cases_file, Value::from_iter(given).to_string()).unwrap();
    let mut command = judge::python(&modules);
    command.args(["-c", JUDGE]).args([&root_file, &cases_file]);
    let said: Vec<String> = serde_json::from_str(&Ran::of(&mut command).good().out).unwrap();
    assert_eq!(said.len(), cases.len());
    for (case, said) in cases.iter().zip(said) {
        assert_eq!(said == "good", case.good, "{}: {said}", case.name);
    }
}

#[test]
fn cosign_accepts_what_lock_keeps() {
    let Some(cosign) = judge::cosign() else {
        return;
    };
    let trust = Trust::locked();
    let place = trust.world.path("runc");
    fs::write(&place, body("runc", "amd64")).unwrap();
    let kept = fs::read_to_string(trust.proofs()).unwrap();
    let judged = |line: &str, identity: &str| {
        let proof: Value = serde_json::from_str(line).unwrap();
        let bundle = trust.world.path("bundle.json");
        fs::write(&bundle, proof["bundle"].as_str().unwrap()).unwrap();
        let mut command = clean(Command::new(&cosign));
        command.env("HOME", trust.world.path("home"));
        command
            .args(["verify-blob", "--new-bundle-format", "--bundle"])
            .arg(bundle);
        command
            .arg("--trusted-root")
            .arg(trust.world.path("root.json"));
        command.args(["--certificate-identity", identity]);
        command
            .args(["--certificate-oidc-issuer", ISSUER])
            .arg(&place);
        Ran::of(&mut command).code == Some(0)
    };
    // One proof for each architecture; this is one's file.
    let good = |identity| kept.lines().filter(|line| judged(line, identity)).count();
    assert_eq!(good(SIGNER), 1);
    assert_eq!(good("somebody@else.test"), 0);
}
