//! A root and namespaces of their own, in which the lab's containerd starts as on a node.
//! Nothing on this machine is changed.
use std::fs;
use std::path::Path;
use std::process::Command;

use nodeimg_test_support::judge;
use tempfile::TempDir;

/// Makes the root, of memory, with everything that is below OUT/root, and runs OUT/script
/// in it. Programs are in the folders after that.
const ROOT: &str = r#"
set -eu
root=$1 out=$2
shift 2
mount -t tmpfs none "$root"
cd "$root"
mkdir -p usr proc sys dev run var/lib opt tmp out etc/containerd/conf.d etc/cni/net.d
mount --rbind /usr usr
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount --bind "$out" out
path=
for programs; do
    mkdir -p "programs/$#"
    mount --bind "$programs" "programs/$#"
    path="$path/programs/$#:"
    shift
done
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
echo '{"cniVersion": "1.0.0", "name": "b", "plugins": [{"type": "bridge"}]}' >etc/cni/net.d/10-bridge.conflist
cp -R out/root/. .
exec chroot "$root" /usr/bin/env PATH="$path/usr/sbin:/usr/bin" /bin/sh -euc '
cd /out
trap "[ ! -e pid ] || kill \$(cat pid)" EXIT
. /out/script
'
"#;

/// Until containerd answers.
const START: &str = r#"
containerd >log 2>&1 &
echo $! >pid
tries=0
until ctr version >version 2>&1; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || { cat log; exit 1; }
    sleep 0.1
done
"#;

/// What the script has written, as its own folder: it may start containerd by
/// `. /out/start`. `None`, with a printed skip, where namespaces are not allowed.
pub fn run(programs: &[&Path], files: &[(&str, &str)], script: &str) -> Option<TempDir> {
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (path, text) in files {
        let path = out.path().join("root").join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    fs::write(out.path().join("start"), START).unwrap();
    fs::write(out.path().join("script"), script).unwrap();
    let namespaces = [
        "--user",
        "--map-root-user",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
    ];
    let enter = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(namespaces).args(program);
        command
    };
    if !enter(&["true"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        judge::missing("leave to make user namespaces with unshare (util-linux)");
        return None;
    }
    let output = enter(&["sh", "-c", ROOT, "sh"])
        .args([root.path(), out.path()])
        .args(programs)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&said)
    );
    Some(out)
}
