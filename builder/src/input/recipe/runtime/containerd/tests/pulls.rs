//! What is written of registries, judged by containerd: the lab's versions pull an image
//! through a mirror that wants a login.
use std::path::Path;

use nodeimg_seed::check::registries;
use nodeimg_seed::contract::registries::{Format, Private, Public, Registries, Registry};
use nodeimg_seed::plan::Plan;
use nodeimg_seed::plan::registries::files;
use nodeimg_seed::text::secret::Secret;
use nodeimg_test_support::judge;
use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::registry_server::{Auth, Registry as Server};

use super::{config, node};
use crate::input::recipe::tests::recipe;

/// `user:secret`.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

const SCRIPT: &str = "\
. /out/start
crictl() { command crictl --runtime-endpoint unix:///run/containerd/containerd.sock \"$@\"; }
crictl --timeout 60s pull docker.io/library/pause:1
crictl images >images
";

/// Docker Hub by two mirrors, the first of which has nothing, and never by itself; the
/// second has a path and a login.
fn said(empty: &Server, mirror: &Server) -> Registries {
    let hub = Public {
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
        ("docker.io".to_owned(), hub.into()),
        (mirror.address().to_string(), login),
    ])
}

fn pulled(containerd: &Path, version: &str, crictl: &Path, auth: Auth) -> Option<()> {
    let mut blobs = Blobs::default();
    let top = blobs.both("pause");
    let (empty, mirror) = (Server::start(Auth::Open), Server::start(auth));
    mirror.serve("hub/library/pause", &blobs.0, "1", &top);
    let Ok(checked) = registries::check(Format::Containerd, &said(&empty, &mirror)) else {
        panic!("the sample is good");
    };
    let plan = Plan {
        files: files(&checked),
    };
    let config = config::generate(&recipe(""), &version.parse().unwrap()).unwrap();
    let mut given = vec![("etc/containerd/config.toml", config.as_str())];
    let text = |path: &String| plan.text(path).unwrap();
    let paths = plan.paths();
    given.extend(paths.iter().map(|path| (path.as_str(), text(path))));
    let out = node::run(&[containerd, crictl], &given, SCRIPT)?;
    let images = std::fs::read_to_string(out.path().join("images")).unwrap();
    assert!(
        images.contains("docker.io/library/pause"),
        "{version}: {images}"
    );
    let first = |server: &Server| server.asked().first().map(|asked| asked.target.clone());
    let path = "library/pause/manifests/1?ns=docker.io";
    assert_eq!(first(&empty), Some(format!("/v2/{path}")), "{version}");
    assert_eq!(first(&mirror), Some(format!("/v2/hub/{path}")), "{version}");
    // What is for the one mirror is not told to the other.
    let told = empty
        .asked()
        .into_iter()
        .find(|asked| asked.authorization.is_some());
    assert_eq!(told, None, "{version}");
    Some(())
}

#[test]
fn containerd_pulls_through_mirrors_with_a_login() {
    let Some((_, crictl)) = judge::of_lab("crictl").pop() else {
        return;
    };
    for (version, programs) in judge::of_lab("containerd") {
        for auth in [
            Auth::Basic(BASIC.to_owned()),
            Auth::Token(Some(BASIC.to_owned())),
        ] {
            if pulled(&programs, &version, &crictl, auth).is_none() {
                return;
            }
        }
    }
}
