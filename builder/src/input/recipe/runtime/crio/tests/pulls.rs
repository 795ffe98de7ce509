//! What is written of registries, judged by skopeo, which reads it with the same library as
//! CRI-O: an image comes through a mirror that wants a login.
use std::fs;
use std::process::Command;

use nodeimg_seed::contract::registries::Format;
use nodeimg_test_support::judge;

use crate::input::recipe::runtime::tests::mirrored::{Mirrored, ways};

#[test]
fn skopeo_pulls_through_mirrors_with_a_login() {
    for auth in ways() {
        // A part of a registry: the mirrors stand in its place.
        let world = Mirrored::new(Format::Crio, auth, "docker.io/library", "pause");
        let place = tempfile::tempdir().unwrap();
        let written = |name: &str, path: &str| {
            let to = place.path().join(name);
            fs::write(&to, world.plan.text(path).unwrap()).unwrap();
            to
        };
        let conf = written("conf", "/etc/containers/registries.conf.d/50-nodeimg.conf");
        let logins = written("auth", "/etc/crio/registries-auth.json");
        let mut skopeo = Command::new("skopeo");
        skopeo.arg("--registries-conf").arg(conf);
        skopeo.args(["inspect", "--raw", "--authfile"]).arg(logins);
        let Some(ran) = judge::run(skopeo.arg("docker://docker.io/library/pause:1")) else {
            return;
        };
        let said = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{said}");
        assert_eq!(ran.stdout, world.blobs.0[&world.top]);
        world.were_asked("pause/manifests/1");
    }
}
