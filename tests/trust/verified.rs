//! `nodeimg verify`, step 9: the proofs beside the lock, judged again for a built image.

use std::fs;
use std::process::Command;

use nodeimg_test_support::published::{failed, verdicts};
use nodeimg_test_support::run::Ran;

use super::{SIGNER, Trust};

fn verify(trust: &Trust) -> Command {
    let mut verify = trust.world.bare("verify");
    verify.arg(trust.world.image("amd64"));
    verify.args(["--lock", "recipe.lock", "--json"]);
    verify
}

#[test]
fn who_vouches_for_what_went_in_is_verified_again_offline() {
    let trust = Trust::locked();
    Ran::of(&mut trust.world.build()).good();
    let ran = Ran::of(&mut verify(&trust)).good();
    let upstream = &verdicts(&ran.out)[8];
    assert_eq!(
        *upstream,
        ("upstream".to_owned(), "passed".to_owned()),
        "{}",
        ran.out
    );
    for said in [
        SIGNER,
        "runc 1.4.3 (amd64): sigstore by",
        "weakest link: nobody vouches for",
    ] {
        assert!(ran.out.contains(said), "no {said} in {}", ran.out);
    }
    // A proof that somebody has changed, and one that is gone.
    let whole = fs::read_to_string(trust.proofs()).unwrap();
    fs::write(trust.proofs(), whole.replacen("sigstore", "sigstorf", 1)).unwrap();
    let ran = Ran::of(&mut verify(&trust)).refused(1, &["recipe.proofs", "--proofs"]);
    assert_eq!(failed(&ran.out), ["upstream"]);
    fs::remove_file(trust.proofs()).unwrap();
    // The store has it.
    Ran::of(&mut verify(&trust)).good();
    let mut without = verify(&trust);
    let ran =
        Ran::of(without.args(["--store", "nowhere"])).refused(1, &["runc 1.4.3", "its proof"]);
    assert_eq!(failed(&ran.out), ["upstream"]);
}
