//! sshd's host keys: made when they are lacking, at whichever boot that is.

use super::node;
use super::{HOST, images};

/// Says for each run whether systemd would start the unit, and does what it does.
const SCRIPT: &str = r#"
unit=/etc/systemd/system/sshd-keygen.service.d/10-nodeimg.conf
program=$(sed -n "s/^ExecStart=sh -ec '\(.*\)'$/\1/p" "$unit" | sed 's/\$\$/$/g')
start() {
    if systemd-analyze condition --unit=sshd-keygen.service >/dev/null 2>&1; then
        sh -ec "$program"
        echo "$1: made"
    else
        echo "$1: nothing to make"
    fi
}
mount -t tmpfs tmpfs /etc/ssh
cd /etc/ssh
start first
ls
cut -d ' ' -f 1 ./*.pub
sha256sum ./* >/tmp/sums
start second
sha256sum --quiet -c /tmp/sums
: >ssh_host_ecdsa_key
: >ssh_host_ed25519_key.new
start after-the-cut
ls
sha256sum -c /tmp/sums 2>/dev/null || true
start last
"#;

#[test]
fn host_keys_are_made_whenever_one_is_lacking() {
    let Some(images) = images() else { return };
    let Some(ran) = node::run(&images.root(HOST), SCRIPT) else {
        return;
    };
    let files = [
        "ssh_host_ecdsa_key",
        "ssh_host_ecdsa_key.pub",
        "ssh_host_ed25519_key",
        "ssh_host_ed25519_key.pub",
    ];
    let mut expected = vec!["first: made"];
    expected.extend(files);
    expected.extend(["ecdsa-sha2-nistp256", "ssh-ed25519"]);
    expected.extend(["second: nothing to make", "after-the-cut: made"]);
    // Without what the cut had left.
    expected.extend(files);
    // The one that was whole is the same.
    expected.extend([
        "./ssh_host_ecdsa_key: FAILED",
        "./ssh_host_ecdsa_key.pub: FAILED",
        "./ssh_host_ed25519_key: OK",
        "./ssh_host_ed25519_key.pub: OK",
        "last: nothing to make",
    ]);
    let out = ran.good().out;
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
}
