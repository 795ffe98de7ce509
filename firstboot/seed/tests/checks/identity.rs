//! Certificates, keys and kubeconfigs.
use nodeimg_seed::contract::paths;
use nodeimg_seed::contract::profile::bootstrap;
use nodeimg_seed::plan;
use nodeimg_seed::text::kubeconfig::{self, Login, Material, Parts};
use nodeimg_seed::text::problem::Problems;

use crate::{Case, GROUND};
use nodeimg_test_support::seeds::{self, Authority, Pair, authority, ca, cert, key, user_data};

#[test]
fn certificates_and_keys() {
    let begun = user_data().replacen("-----BEGIN CERTIFICATE", "-----BEGUN CERTIFICATE", 1);
    Case::new(begun).fails("nodeimg.ca: ends a block that was not started");
    let other = user_data().replacen("-----BEGIN PRIVATE", "-----BEGIN RSA PRIVATE", 1);
    Case::new(other)
        .fails("nodeimg.kubelet.key: ends a different block than the one that was started");
    let block = |text: &str| seeds::block(4, text);
    let pair = |cert: &str, key: &str| format!("    cert: {}    key: {}", block(cert), block(key));
    let good = pair(&cert(), &key());
    for (changed, expected) in [
        (
            format!("    cert: {}", block(&cert())),
            "nodeimg.kubelet: has `cert` without `key`",
        ),
        (
            format!("    key: {}", block(&key())),
            "nodeimg.kubelet: has `key` without `cert`",
        ),
        (
            pair(&key(), &key()),
            "nodeimg.kubelet.cert: is a PRIVATE KEY, but must be a CERTIFICATE",
        ),
        (
            pair(&cert(), &cert()),
            "nodeimg.kubelet.key: is a CERTIFICATE, but must be a PRIVATE KEY",
        ),
        (
            pair(&cert(), "/path/to/key.pem"),
            "nodeimg.kubelet.key: is not PEM",
        ),
    ] {
        Case::new(user_data().replacen(&good, &changed, 1)).fails(expected);
    }
    for key in ["ca", "kubelet"] {
        let renamed = user_data().replacen(&format!("  {key}:"), "  labels_of_old:", 1);
        let (_, errors, _) = Case::new(renamed).run();
        assert!(
            errors
                .iter()
                .any(|error| error.contains(&format!("nodeimg.{key}: is missing"))),
            "{errors:#?}"
        );
    }
}

/// Whom the sample's certificate of the kubelet is for.
const NODES: &str = "system:nodes";
const NODE: &str = "system:node:node-0";
const NAMES: &[&str] = &["node-0", "192.168.10.101"];

/// The sample with other credentials of the kubelet.
fn with_kubelet(pair: &Pair) -> Case {
    let own = seeds::pair(&seeds::kubelet());
    Case::new(user_data().replacen(&own, &seeds::pair(pair), 1))
}

#[test]
fn certificates_of_others_are_refused() {
    let right = authority();
    let twin = Authority::new("kubernetes");
    let stranger = Authority::new("another");
    let other_key = Pair {
        cert: cert(),
        key: right.kubelet("node-0").key,
    };
    for (pair, expected) in [
        (
            other_key,
            "nodeimg.kubelet.key: does not belong to the certificate beside it",
        ),
        (
            twin.kubelet("node-0"),
            "was signed by a CA of the same name as `ca`, but with another key",
        ),
        (
            stranger.kubelet("node-0"),
            "was not signed by the CA of this seed",
        ),
        (
            right.kubelet("node-1"),
            "has the common name `system:node:node-1`, but the API server knows this node as \
             `system:node:node-0`",
        ),
        (
            right.sign("nodes", NODE, (-1, 9), NAMES),
            "lacks the organisation `system:nodes`",
        ),
        (right.sign(NODES, NODE, (-9, -1), NAMES), "expired on "),
    ] {
        with_kubelet(&pair).fails(expected);
    }
    let leaf_as_ca = user_data().replacen(&seeds::block(2, &ca()), &seeds::block(2, &cert()), 1);
    let (_, errors, _) = Case::new(leaf_as_ca).run();
    assert!(
        errors[0].contains("nodeimg.ca: is not a CA certificate"),
        "{errors:#?}"
    );
}

#[test]
fn certificates_that_will_not_do_for_long_are_told() {
    let right = authority();
    let of = |days, names: &[&str]| right.sign(NODES, NODE, days, names);
    for (pair, expected) in [
        (of((-1, 2), NAMES), "expires on "),
        (of((1, 30), NAMES), "is not valid before "),
        (
            of((-1, 30), &["192.168.10.101"]),
            "does not name `node-0` among",
        ),
        (
            // As Kubernetes the Hard Way makes them.
            of((-1, 30), &["node-0", "127.0.0.1"]),
            "does not name 192.168.10.101 among",
        ),
    ] {
        with_kubelet(&pair).warns(expected);
    }
    // An address that is chosen by its network is the node's no less.
    let name_only = with_kubelet(&of((-1, 30), &["node-0"]));
    let by_network = |net: &str| {
        let given = "node_ip: 192.168.10.101";
        assert!(name_only.user.contains(given));
        Case::new(name_only.user.replace(given, &format!("node_ip: {net}")))
            .on(&[("eth0", "192.168.10.101/24")])
    };
    by_network("192.168.10.0/24").warns("does not name 192.168.10.101 among");
    let proxy = seeds::pair(&seeds::proxy());
    let kubelets = seeds::pair(&seeds::kubelet());
    Case::new(user_data().replacen(&proxy, &kubelets, 1)).warns("not `system:kube-proxy`");
}

/// A board without a battery wakes up in 1970: the image's own time counts then.
#[test]
fn the_clock_has_a_floor() {
    let ended = authority().sign(NODES, NODE, (-9, -1), NAMES);
    let mut case = with_kubelet(&ended);
    case.settings.epoch = case.now;
    case.now = 0;
    case.fails("expired on ");
    let mut good = Case::new(user_data());
    good.settings.epoch = good.now;
    good.now = 0;
    good.good();
}

#[test]
fn kube_proxy_may_be_left_out() {
    let user = user_data();
    let user = &user[..user.find("  kube_proxy:").unwrap()];
    let case = Case::new(user.to_owned());
    case.warns("nodeimg.kube_proxy: is missing: kube-proxy is not started");
    let plan = plan::plan(&case.good(), &GROUND, &mut Problems::new()).unwrap();
    assert!(plan.text(paths::KUBELET_KUBECONFIG).is_some());
    assert!(plan.text(paths::KUBE_PROXY_KUBECONFIG).is_none());
}

fn ready(ca: Material<'_>, cert: Material<'_>, key: Material<'_>) -> String {
    kubeconfig::write(&Parts {
        user: "u",
        server: "https://ready:6443",
        ca,
        login: Login::Certificate { cert, key },
    })
    .expose()
    .to_owned()
}

/// A kubeconfig with all in it.
fn complete(cert: &str, key: &str) -> String {
    ready(
        Material::Pem(&ca()),
        Material::Pem(cert),
        Material::Pem(key),
    )
}

fn proxys() -> String {
    let proxy = seeds::proxy();
    complete(&proxy.cert, &proxy.key)
}

/// A seed of two kubeconfigs.
fn of_kubeconfigs(kubelet: &str) -> Case {
    Case::new(format!(
        "#cloud-config\nhostname: node-0\nnodeimg:\n  pod_subnet: 10.200.0.0/24\n  kubelet:\n    kubeconfig: {}  kube_proxy:\n    kubeconfig: {}",
        seeds::block(4, kubelet),
        seeds::block(4, &proxys()),
    ))
}

/// CA, serving certificate and server come out of them.
#[test]
fn two_kubeconfigs_are_enough() {
    let whole = complete(&cert(), &key());
    let node = of_kubeconfigs(&whole).good();
    assert_eq!(node.identity.as_ref().unwrap().server, "https://ready:6443");
    let mut problems = Problems::new();
    let files = plan::plan(&node, &GROUND, &mut problems).unwrap();
    let content = |path: &str| files.text(path).unwrap().to_owned();
    assert_eq!(content(paths::KUBELET_CA), ca());
    assert_eq!(content(paths::KUBELET_KEY), key());
    assert_eq!(content(paths::KUBELET_KUBECONFIG), whole);
    // One takes precedence over `api_server`, and the difference is reported.
    let both = user_data().replacen(
        "  kube_proxy:\n",
        &format!(
            "  kube_proxy:\n    kubeconfig: {}",
            seeds::block(4, &proxys())
        ),
        1,
    );
    Case::new(both).warns("names a different `server` than `nodeimg.api_server`");
}

#[test]
fn kubeconfigs_that_are_refused() {
    let whole = complete(&cert(), &key());
    for (from, to, expected) in [
        (
            "kind: Config",
            "kind: Pod",
            "nodeimg.kubelet.kubeconfig: is not a kubeconfig",
        ),
        (
            "https://ready:6443",
            "http://ready:6443",
            "has a `server` that is not encrypted",
        ),
        (
            "    server:",
            "    insecure-skip-tls-verify: true\n    server:",
            "anyone can impersonate the API server",
        ),
    ] {
        of_kubeconfigs(&whole.replacen(from, to, 1)).fails(expected);
    }
    let files = ready(
        Material::Pem(&ca()),
        Material::File("/home/me/cert"),
        Material::File("/home/me/key"),
    );
    let (_, errors, _) = of_kubeconfigs(&files).run();
    assert!(
        errors[0].contains(
            "user-data:17: nodeimg.kubelet.kubeconfig: names a file in `client-certificate`"
        ),
        "{errors:#?}"
    );
    let swapped = complete(&key(), &key());
    of_kubeconfigs(&swapped)
        .fails("has a `client-certificate-data` whose line 1 is a PRIVATE KEY, but must");
}

pub const TOKEN: &str = "abcdef.0123456789abcdef";

/// The sample for an image of the profile bootstrap: a token instead of the kubelet's certificate.
fn with_token(token: &str) -> Case {
    let user = user_data();
    let (start, end) = (
        user.find("  kubelet:").unwrap(),
        user.find("  kube_proxy:").unwrap(),
    );
    let token = format!("  bootstrap_token: {token}\n  provider_id: metal://a/b\n");
    let mut case = Case::new(format!("{}{token}{}", &user[..start], &user[end..]));
    case.settings.profile = &bootstrap::PROFILE;
    case
}

#[test]
fn a_token_stands_for_a_certificate() {
    let node = with_token(TOKEN).good();
    let mut problems = Problems::new();
    let plan = plan::plan(&node, &GROUND, &mut problems).unwrap();
    assert_eq!(
        plan.text(paths::KUBELET_BOOTSTRAP).unwrap(),
        "apiVersion: v1\nkind: Config\nclusters:\n- name: cluster\n  cluster:\n    server: \"https://server.kubernetes.local:6443\"\n    certificate-authority: \"/var/lib/kubelet/ca.crt\"\nusers:\n- name: \"kubelet-bootstrap\"\n  user:\n    token: \"abcdef.0123456789abcdef\"\ncontexts:\n- name: default\n  context:\n    cluster: cluster\n    user: \"kubelet-bootstrap\"\ncurrent-context: default\n"
    );
    assert_eq!(plan::values(&node).get("provider_id"), Some("metal://a/b"));
    assert!(plan.text(paths::KUBELET_KUBECONFIG).is_none());
    assert!(plan.text(paths::KUBELET_KEY).is_none());
    assert!(plan.text(paths::KUBE_PROXY_KUBECONFIG).is_some());
    for token in [
        "abcdef",
        "abcdef.0123",
        "ABCDEF.0123456789abcdef",
        "abcdef.0123456789abcdef0",
        "abcdef-0123456789abcdef",
    ] {
        with_token(token).fails("nodeimg.bootstrap_token: is not a bootstrap token");
    }
    let mut none = with_token(TOKEN);
    none.user = none
        .user
        .replace("  bootstrap_token: abcdef.0123456789abcdef\n", "");
    none.fails("nodeimg.bootstrap_token: is missing");
    let mut kubelet = Case::new(user_data());
    kubelet.settings.profile = &bootstrap::PROFILE;
    let (_, errors, _) = kubelet.run();
    assert!(
        errors
            .iter()
            .any(|error| error.contains("nodeimg.kubelet: needs profile `hard-way`")),
        "{errors:#?}"
    );
    let mut odd = with_token(TOKEN);
    odd.user = odd.user.replace("metal://a/b", "a b");
    odd.fails("nodeimg.provider_id: is not a provider id");
}
