//! Certificates, keys and kubeconfigs.
use nodeimg_firstboot::kubeconfig::{self, Material, Parts};
use nodeimg_firstboot::plan;
use nodeimg_firstboot::problem::Problems;

use crate::common::{self, cert, key, user_data};
use crate::{Case, GROUND};

#[test]
fn certificates_and_keys() {
    let begun = user_data().replacen("-----BEGIN CERTIFICATE", "-----BEGUN CERTIFICATE", 1);
    Case::new(begun).fails("nodeimg.ca: ends a block that was not begun");
    let other = user_data().replacen("-----BEGIN PRIVATE", "-----BEGIN RSA PRIVATE", 1);
    Case::new(other).fails("nodeimg.kubelet.key: ends another block than the one begun");
    let block = |text: &str| common::block(4, text);
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
            "nodeimg.kubelet.cert: is a PRIVATE KEY where a CERTIFICATE is wanted",
        ),
        (
            pair(&cert(), &cert()),
            "nodeimg.kubelet.key: is a CERTIFICATE where a PRIVATE KEY is wanted",
        ),
        (
            pair(&cert(), "/path/to/key.pem"),
            "nodeimg.kubelet.key: is no PEM",
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

#[test]
fn kube_proxy_may_be_left_out() {
    let user = user_data();
    let user = &user[..user.find("  kube_proxy:").unwrap()];
    let case = Case::new(user.to_owned());
    case.warns("nodeimg.kube_proxy: is missing: kube-proxy is not started");
    let plan = plan::plan(&case.good(), &GROUND, &mut Problems::new()).unwrap();
    assert!(plan.text(plan::KUBELET_KUBECONFIG).is_some());
    assert!(plan.text(plan::KUBE_PROXY_KUBECONFIG).is_none());
}

fn ready(ca: Material<'_>, cert: Material<'_>, key: Material<'_>) -> String {
    kubeconfig::write(&Parts {
        user: "u",
        server: "https://ready:6443",
        ca,
        cert,
        key,
    })
    .expose()
    .to_owned()
}

#[test]
fn ready_kubeconfigs() {
    let (cert, key) = (cert(), key());
    let whole = ready(
        Material::Pem(&cert),
        Material::Pem(&cert),
        Material::Pem(&key),
    );
    let user = |kubelet: &str| {
        format!(
            "#cloud-config\nhostname: node-0\nnodeimg:\n  pod_subnet: 10.200.0.0/24\n  kubelet:\n    kubeconfig: {}  kube_proxy:\n    kubeconfig: {}",
            common::block(4, kubelet),
            common::block(4, &whole),
        )
    };
    // Two kubeconfigs are enough: CA, serving certificate and server come out of them.
    let node = Case::new(user(&whole)).good();
    assert_eq!(node.identity.as_ref().unwrap().server, "https://ready:6443");
    let mut problems = Problems::new();
    let files = plan::plan(&node, &GROUND, &mut problems).unwrap();
    let content = |path: &str| files.text(path).unwrap().to_owned();
    assert_eq!(content(plan::KUBELET_CA), cert);
    assert_eq!(content(plan::KUBELET_KEY), key);
    assert_eq!(content(plan::KUBELET_KUBECONFIG), whole);
    for (from, to, expected) in [
        (
            "kind: Config",
            "kind: Pod",
            "nodeimg.kubelet.kubeconfig: is no kubeconfig",
        ),
        (
            "https://ready:6443",
            "http://ready:6443",
            "has a `server` that is not encrypted",
        ),
        (
            "    server:",
            "    insecure-skip-tls-verify: true\n    server:",
            "anyone can play the API server",
        ),
    ] {
        Case::new(user(&whole.replacen(from, to, 1))).fails(expected);
    }
    let files = ready(
        Material::Pem(&cert),
        Material::File("/home/me/cert"),
        Material::File("/home/me/key"),
    );
    let (_, errors, _) = Case::new(user(&files)).run();
    assert!(
        errors[0].contains(
            "user-data:17: nodeimg.kubelet.kubeconfig: names a file in `client-certificate`"
        ),
        "{errors:#?}"
    );
    let swapped = ready(
        Material::Pem(&cert),
        Material::Pem(&key),
        Material::Pem(&key),
    );
    Case::new(user(&swapped))
        .fails("has a `client-certificate-data` of which line 1 is a PRIVATE KEY where");
    // Beside `api_server`, the kubeconfig counts and the difference is said.
    let both = user_data().replacen(
        "  kube_proxy:\n",
        &format!(
            "  kube_proxy:\n    kubeconfig: {}",
            common::block(4, &whole)
        ),
        1,
    );
    Case::new(both).warns("names another `server` than `nodeimg.api_server`");
}
