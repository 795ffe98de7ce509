//! An image behind two mirrors, the first of which has nothing, while the second has a path
//! and wants a login.
use nodeimg_seed::check::registries;
use nodeimg_seed::contract::registries::{Format, Private, Public, Registries, Registry};
use nodeimg_seed::plan::Plan;
use nodeimg_seed::plan::registries::files;
use nodeimg_seed::text::secret::Secret;
use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::registry_server::{Auth, Registry as Server};

/// `user:secret`.
const BASIC: &str = "Basic dXNlcjpzZWNyZXQ=";

/// The mirrors, and what a node is told of them.
pub struct Mirrored {
    pub blobs: Blobs,
    /// The digest of the image's index.
    pub top: String,
    pub plan: Plan,
    empty: Server,
    mirror: Server,
}

/// The ways in which the second lets someone in.
pub fn ways() -> [Auth; 2] {
    [
        Auth::Basic(BASIC.to_owned()),
        Auth::Token(Some(BASIC.to_owned())),
    ]
}

impl Mirrored {
    /// Mirrors of the registry `name`, which is never asked itself; the second has the
    /// image `hub/PATH:1`.
    pub fn new(format: Format, auth: Auth, name: &str, path: &str) -> Mirrored {
        let mut blobs = Blobs::default();
        let top = blobs.both("pause");
        let (empty, mirror) = (Server::start(Auth::Open), Server::start(auth));
        // Some clients ask a registry first whether it is one.
        empty.put("/v2/", b"{}");
        mirror.serve(&format!("hub/{path}"), &blobs.0, "1", &top);
        let Ok(checked) = registries::check(format, &said(name, &empty, &mirror)) else {
            panic!("the sample is good");
        };
        let plan = Plan {
            files: files(&checked),
            ..Plan::default()
        };
        Mirrored {
            blobs,
            top,
            plan,
            empty,
            mirror,
        }
    }

    /// Both were asked for the image, and the login went to the second alone.
    #[track_caller]
    pub fn were_asked(&self, image: &str) {
        let asked = |server: &Server, target: String| {
            let all = server.asked();
            let found = all.iter().any(|asked| asked.target == target);
            assert!(found, "{target}: {all:?}");
        };
        asked(&self.empty, format!("/v2/{image}"));
        asked(&self.mirror, format!("/v2/hub/{image}"));
        let told = self.empty.asked();
        let mut logins = told.iter().filter_map(|asked| asked.authorization.as_ref());
        assert_eq!(logins.next(), None, "{told:?}");
    }
}

fn said(name: &str, empty: &Server, mirror: &Server) -> Registries {
    let mirrors = Public {
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
        (name.to_owned(), mirrors.into()),
        (mirror.address().to_string(), login),
    ])
}
