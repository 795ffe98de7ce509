//! What is written of registries for CRI-O, judged by skopeo, which reads it with the same
//! library: an image comes through a mirror that wants a login.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::process::Command;

use nodeimg_seed::check::registries;
use nodeimg_seed::contract::registries::{Format, Private, Public, Registries, Registry};
use nodeimg_seed::plan::Plan;
use nodeimg_seed::plan::registries::files;
use nodeimg_seed::text::secret::Secret;
use nodeimg_test_support::judge;
use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::registry_server::{Auth, Registry as Server};

/// `user:secret`.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// A part of Docker Hub by two mirrors, the first of which has nothing, and never by
/// itself; the second has a path and a login.
fn said(empty: &Server, mirror: &Server) -> Registries {
    let library = Public {
        mirrors: vec![
            format!("http://{}", empty.address()),
            format!("http://{}/hub", mirror.address()),
        ],
        fallback: Some(false),
        ..Public::default()
    };
    let login = Registry {
        private: Private {
            username: Some("user".to_owned()),
            password: Some(Secret::new("secret".to_owned())),
            ..Private::default()
        },
        ..Registry::default()
    };
    Registries::from([
        ("docker.io/library".to_owned(), library.into()),
        (mirror.address().to_string(), login),
    ])
}

#[test]
fn skopeo_pulls_through_mirrors_with_a_login() {
    for auth in [
        Auth::Basic(BASIC.to_owned()),
        Auth::Token(Some(BASIC.to_owned())),
    ] {
        let mut blobs = Blobs::default();
        let top = blobs.both("pause");
        let (empty, mirror) = (Server::start(Auth::Open), Server::start(auth));
        // It asks a registry first whether it is one.
        empty.put("/v2/", b"{}");
        mirror.serve("hub/pause", &blobs.0, "1", &top);
        let Ok(checked) = registries::check(Format::Crio, &said(&empty, &mirror)) else {
            panic!("the sample is good");
        };
        let plan = Plan {
            files: files(&checked),
        };
        let place = tempfile::tempdir().unwrap();
        let written = |name: &str, path: &str| {
            let to = place.path().join(name);
            fs::write(&to, plan.text(path).unwrap()).unwrap();
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
        assert_eq!(ran.stdout, blobs.0[&top]);
        let asked = |server: &Server, path: &str| {
            let all = server.asked();
            all.iter().any(|asked| asked.target == path)
        };
        assert!(
            asked(&empty, "/v2/pause/manifests/1"),
            "{:?}",
            empty.asked()
        );
        assert!(
            asked(&mirror, "/v2/hub/pause/manifests/1"),
            "{:?}",
            mirror.asked()
        );
        // What is for the one mirror is not told to the other.
        assert!(
            empty
                .asked()
                .iter()
                .all(|asked| asked.authorization.is_none())
        );
    }
}
