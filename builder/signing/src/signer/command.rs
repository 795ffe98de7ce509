//! Keys by a command: PKCS#11, a cloud's key management, Vault, or what a site has.
//!
//! The shell runs it. The message is its standard input; its standard output is the raw
//! signature. Its environment has, beside ours:
//!
//! ```text
//! NODEIMG_SIGN_ALGORITHM  rsa-pkcs1-sha256 | ecdsa-p256-sha256 | ed25519
//! NODEIMG_SIGN_SHA256     of the message, in hex, for services that take digests
//! NODEIMG_SIGN_KEY        SHA-256 of the public key (SubjectPublicKeyInfo), in hex
//! ```

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use nodeimg_values::digest::Digest;

use crate::certificate::PublicKey;

/// No signature is longer, in bytes.
const LONGEST: u64 = 4096;

/// What the command makes of `message`.
pub fn sign(command: &str, key: &PublicKey, message: &[u8]) -> Result<Vec<u8>> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("NODEIMG_SIGN_ALGORITHM", key.algorithm.name())
        .env("NODEIMG_SIGN_SHA256", Digest::sha256(message).hex())
        .env("NODEIMG_SIGN_KEY", key.fingerprint().hex())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // The user sees what it asks and says.
        .stderr(Stdio::inherit())
        .spawn()
        .context("starting sh for `sign_command`")?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let mut signature = Vec::new();
    let read = thread::scope(|scope| {
        scope.spawn(|| {
            // A command that takes the digest from its environment may not read this.
            let _ = stdin.map(|mut stdin| stdin.write_all(message));
        });
        let stdout = stdout.context("its standard output is missing")?;
        let read = stdout.take(LONGEST + 1).read_to_end(&mut signature);
        read.context("reading what it prints")
    });
    let status = child.wait().context("waiting for it");
    // The command itself is not shown: it may have a PIN in it.
    read.context("running `sign_command`")?;
    let status = status.context("running `sign_command`")?;
    if signature.len() as u64 > LONGEST {
        bail!("`sign_command` prints more than a signature: it must print the raw signature alone");
    }
    if !status.success() {
        bail!("`sign_command` failed ({status}); what it said is above");
    }
    if signature.is_empty() {
        bail!("`sign_command` prints nothing: it must print the raw signature to standard output");
    }
    Ok(signature)
}
