//! Units, as systemd itself judges them.

use std::fs;
use std::process::Command;

use nodeimg_test_support::judge;

use super::*;

/// Only programs that both the tree of these tests and every Debian have.
const UNITS: [&str; 10] = [
    "[Service]\nExecStart=/bin/sh\n",
    "[Service]\nExecStart=/bin/sh\nExecStart=/bin/sh\n",
    "[Service]\nType=oneshot\nExecStart=/bin/sh\nExecStart=/bin/sh ; /bin/sh\n",
    "[Service]\nRestart=always\n",
    "[Service]\nExecStart=bin/sh\n",
    "[Service]\nExecStart=$PROGRAM\n",
    "[Service]\nExecStart=/opt/nodeimg-none\n",
    "[Service]\nExecStart=+/opt/nodeimg-none\n",
    "[Service]\r\nExecStart=/bin/sh\r\nUser=root\r\n",
    "[Unit]\nRequires=nodeimg-none.service\n[Service]\nExecStart=/bin/sh\n",
];

#[test]
fn systemd_refuses_what_is_refused_here() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("nodeimg-judged.service");
    for text in UNITS {
        fs::write(&place, text).unwrap();
        let mut verify = Command::new("systemd-analyze");
        let Some(told) = judge::run(verify.args(["verify", "--man=no"]).arg(&place)) else {
            return;
        };
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        let is_bad = said
            .lines()
            .any(|line| line.contains("nodeimg-judged.service"));
        let path = "/etc/systemd/system/nodeimg-judged.service";
        let own = said_of(&root(&[(path, 0o644, text.as_bytes())]), &with_writable());
        assert_eq!(own.0, is_bad, "{text:?}: {own:?}, but systemd: {said}");
    }
}
