//! What is written of registries, judged by containerd: the lab's versions pull an image
//! through a mirror that wants a login.
use std::fs;
use std::path::Path;

use nodeimg_seed::contract::registries::Format;
use nodeimg_test_support::judge;
use nodeimg_test_support::registry_server::Auth;

use super::{config, node};
use crate::input::recipe::runtime::tests::mirrored::{Mirrored, ways};
use crate::input::recipe::tests::recipe;

const SCRIPT: &str = "\
. /out/start
crictl() { command crictl --runtime-endpoint unix:///run/containerd/containerd.sock \"$@\"; }
crictl --timeout 60s pull docker.io/library/pause:1
crictl images >images
";

fn pulled(containerd: &Path, version: &str, crictl: &Path, auth: Auth) -> Option<()> {
    let world = Mirrored::new(Format::Containerd, auth, "docker.io", "library/pause");
    let config = config::generate(&recipe(""), &version.parse().unwrap()).unwrap();
    let mut given = vec![("etc/containerd/config.toml", config.as_str())];
    let paths = world.plan.paths();
    let text = |path: &String| world.plan.text(path).unwrap();
    given.extend(paths.iter().map(|path| (path.as_str(), text(path))));
    let out = node::run(&[containerd, crictl], &given, SCRIPT)?;
    let images = fs::read_to_string(out.path().join("images")).unwrap();
    assert!(
        images.contains("docker.io/library/pause"),
        "{version}: {images}"
    );
    world.were_asked("library/pause/manifests/1?ns=docker.io");
    Some(())
}

#[test]
fn containerd_pulls_through_mirrors_with_a_login() {
    let Some((_, crictl)) = judge::of_lab("crictl").pop() else {
        return;
    };
    for (version, programs) in judge::of_lab("containerd") {
        for auth in ways() {
            if pulled(&programs, &version, &crictl, auth).is_none() {
                return;
            }
        }
    }
}
