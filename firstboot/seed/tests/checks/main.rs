//! Every key and every check, through the library: a changed user-data, and the
//! problems or values that come of it. To cover a new key: rows in these tables.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod addresses;
mod handlers;
mod identity;
mod kubeadm;
mod names;
mod programs;
mod registries;

use nodeimg_seed::check::{self, Addresses, CheckedNode, Inputs, InterfaceAddress};
use nodeimg_seed::contract::profile::container_host;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::plan::{self, Ground, UnknownImage};
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::read::{cloud_config, meta_data};
use nodeimg_seed::text::jinja::Value;
use nodeimg_seed::text::problem::{Problems, Severity, Waited};
use nodeimg_test_support::seeds::{self, META_DATA, user_data};

struct Case {
    user: String,
    meta: String,
    settings: ImageSettings,
    addresses: Addresses,
    waited: Option<Waited>,
    now: u64,
}

impl Case {
    fn new(user: impl Into<String>) -> Self {
        Self {
            user: user.into(),
            meta: META_DATA.to_owned(),
            settings: ImageSettings::from_json(seeds::SETTINGS.as_bytes()).unwrap(),
            addresses: Addresses::Unknown,
            waited: None,
            now: u64::try_from(seeds::days_from_now(0).unix_timestamp()).unwrap(),
        }
    }

    /// A good user-data with one piece of text replaced.
    fn with(from: &str, to: &str) -> Self {
        let user = user_data();
        assert!(user.contains(from), "{from} is not in the sample");
        Self::new(user.replacen(from, to, 1))
    }

    fn on(mut self, addresses: &[(&str, &str)]) -> Self {
        let known = addresses.iter().map(|(interface, net)| InterfaceAddress {
            interface: (*interface).to_owned(),
            net: net.parse().unwrap(),
        });
        self.addresses = Addresses::Known(known.collect());
        self
    }

    fn run(&self) -> (Option<CheckedNode>, Vec<String>, Vec<String>) {
        let mut problems = Problems::new();
        let meta = SeedFile::new("meta-data", self.meta.as_bytes());
        let seed = Seed::new(Layout::NoCloud, meta);
        let meta = meta_data::read(&seed, &mut problems).unwrap();
        let file = SeedFile::new("user-data", self.user.as_bytes());
        let user =
            cloud_config::read_file(&file, &Value::None, self.settings.profile, &mut problems);
        let node = user.and_then(|user| {
            let inputs = Inputs {
                settings: &self.settings,
                meta: &meta,
                user: &user,
                user_file: "user-data",
                addresses: &self.addresses,
                waited: self.waited,
                now: self.now,
            };
            check::check(&inputs, &mut problems)
        });
        let of = |severity| {
            let chosen = problems
                .iter()
                .filter(|problem| problem.severity == severity);
            chosen.map(ToString::to_string).collect::<Vec<_>>()
        };
        (node, of(Severity::Error), of(Severity::Warning))
    }

    #[track_caller]
    fn good(&self) -> CheckedNode {
        let (node, errors, _) = self.run();
        node.unwrap_or_else(|| panic!("{errors:#?}"))
    }

    /// Neither errors nor warnings.
    #[track_caller]
    fn says_nothing(&self) {
        let (node, errors, warnings) = self.run();
        assert!(
            node.is_some() && warnings.is_empty(),
            "{errors:#?} {warnings:#?}"
        );
    }

    /// Exactly one error, and it holds this.
    #[track_caller]
    fn fails(&self, expected: &str) {
        let (node, errors, _) = self.run();
        let [error] = errors.as_slice() else {
            panic!("{expected}: {errors:#?}")
        };
        assert!(
            node.is_none() && error.contains(expected),
            "{expected}: {error}"
        );
    }

    #[track_caller]
    fn warns(&self, expected: &str) {
        let (node, errors, warnings) = self.run();
        let [warning] = warnings.as_slice() else {
            panic!("{expected}: {warnings:#?}")
        };
        assert!(node.is_some(), "{errors:#?}");
        assert!(warning.contains(expected), "{expected}: {warning}");
    }
}

/// No image at hand, no templates.
pub const GROUND: Ground<'static> = Ground {
    network: None,
    templates: &[],
    image: &UnknownImage {
        known: Vec::new(),
        absent: Vec::new(),
    },
    handlers: &[],
    writable: &[],
};

#[test]
fn the_sample_is_good() {
    let (node, errors, warnings) = Case::new(user_data()).run();
    assert!(
        node.is_some() && errors.is_empty() && warnings.is_empty(),
        "{errors:#?} {warnings:#?}"
    );
}

#[test]
fn keys_of_the_block() {
    for (from, to, expected) in [
        (
            "  node_ip:",
            "  nodeIP: 1.1.1.1\n  node_ip:",
            "user-data:5: nodeimg.nodeIP: is not a key of this version; did you mean `node_ip`?",
        ),
        (
            "  node_ip:",
            "  wibble: 1\n  node_ip:",
            "nodeimg.wibble: is not a key of this version; the keys are node_ip, pod_subnet",
        ),
        (
            "  node_ip:",
            "  bootstrap_token: a.b\n  node_ip:",
            "needs profile `bootstrap` or `kubeadm`; this image is `hard-way`",
        ),
        (
            "  node_ip:",
            "  kubeadm: {}\n  node_ip:",
            "needs profile `kubeadm`; this image is `hard-way`",
        ),
        (
            "    cert: |",
            "    certificate: x\n    cert: |",
            "nodeimg.kubelet.certificate: is not a key",
        ),
        (
            "  ca: |",
            "  cb: x\n  ca: |",
            "nodeimg.cb: is not a key of this version; did you mean `ca`?",
        ),
    ] {
        Case::with(from, to).fails(expected);
    }
    let (_, errors, _) = Case::new("#cloud-config\nhostname: a\nnodeimg: [1]\n").run();
    assert!(
        errors[0].contains("nodeimg: is a list, not a mapping"),
        "{errors:#?}"
    );
}

#[test]
fn all_problems_at_once() {
    let (_, errors, _) =
        Case::new("#cloud-config\nhostname: a_b\nnodeimg: {node_ip: x, labels: {a: 'b c'}}\n")
            .run();
    for part in [
        "hostname",
        "node_ip",
        "labels.a",
        "pod_subnet: is missing",
        "api_server: is missing",
        "ca: is missing",
        "kubelet: is missing",
    ] {
        assert!(
            errors.iter().any(|error| error.contains(part)),
            "{part}: {errors:#?}"
        );
    }
    assert_eq!(errors.len(), 7, "{errors:#?}");
}

#[test]
fn one_node_gives_one_plan() {
    let digest = |case: &Case| {
        plan::plan(&case.good(), &GROUND, &mut Problems::new())
            .unwrap()
            .digest()
    };
    let first = digest(&Case::new(user_data()));
    assert_eq!(first, digest(&Case::new(user_data())));
    assert_ne!(
        first,
        digest(&Case::with("192.168.10.100", "192.168.10.99"))
    );
    let node = Case::new(user_data()).good();
    let names: Vec<&str> = nodeimg_seed::text::template::PLACEHOLDERS
        .iter()
        .map(|known| known.name)
        .collect();
    let values = plan::values(&node);
    for name in names {
        assert!(values.get(name).is_some(), "nothing supplies {name}");
    }
}

#[test]
fn a_container_host_takes_a_name_and_nothing_of_kubernetes() {
    let mut case = Case::new("#cloud-config\nhostname: node-0\n");
    case.settings.profile = &container_host::PROFILE;
    let node = case.good();
    assert_eq!(node.host_name, "node-0");
    assert!(node.identity.is_none());
    case.user.push_str("nodeimg:\n  labels: {a: b}\n");
    case.fails("has no Kubernetes");
}
