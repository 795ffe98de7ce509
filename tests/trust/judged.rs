//! Another implementation's word for the Sigstore of these tests and for the bundles that
//! `lock` makes of its parts: PyPI's `sigstore`.

use std::fs;
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::sigstore::ISSUER;
use nodeimg_test_support::synthetic::body;

use super::{SIGNER, Trust};

const JUDGE: &str = r#"
import json, sys
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier, policy

root, proofs, artifact, identity, issuer = sys.argv[1:]
verifier = Verifier(trusted_root=TrustedRoot.from_file(root))
content = open(artifact, "rb").read()
good = 0
for line in open(proofs):
    bundle = Bundle.from_json(json.loads(line)["bundle"])
    try:
        verifier.verify_artifact(content, bundle, policy.Identity(identity=identity, issuer=issuer))
        good += 1
    except Exception as error:
        print("refused:", error)
print("good:", good)
"#;

#[test]
fn another_implementation_agrees() {
    let Some(python) = judge::sigstore() else {
        return;
    };
    let trust = Trust::locked();
    let place = trust.world.path("runc");
    fs::write(&place, body("runc", "amd64")).unwrap();
    let judged = |identity: &str| {
        let mut command = Command::new(&python);
        command.args(["-c", JUDGE]);
        command.args([&trust.world.path("root.json"), &trust.proofs(), &place]);
        Ran::of(command.args([identity, ISSUER])).good().out
    };
    // One proof for each architecture; this is one's file.
    assert!(judged(SIGNER).contains("good: 1"), "{}", judged(SIGNER));
    assert!(judged("somebody@else.test").contains("good: 0"));
}
