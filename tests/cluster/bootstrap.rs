//! A worker with a bootstrap token and no certificate: it asks for its own, and
//! the token does not outlive that.

use serde_json::Value;

use super::control::condition;
use super::images::BOOTSTRAP;
use super::node::{Machine, Node, Place, alone};
use super::seed::Seed;
use super::workload::{fetches, ready, service, web};
use super::{Scene, journal};

const PLACE: Place = Place {
    name: "node-2",
    number: 12,
};
const SUBNET: &str = "10.200.2.0/24";
const SERVICE: &str = "10.32.0.52";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_token_becomes_a_certificate_and_is_gone() {
    let Some((scene, _slots, image)) = alone(Scene::new("bootstrap"), &BOOTSTRAP, "amd64", 2)
    else {
        return;
    };
    let cluster = &scene.cluster;
    let token = cluster.token();
    cluster.route(SUBNET, &PLACE.address());
    let certificates = cluster.certificates(PLACE.name, &[PLACE.address()]);
    let seed = Seed::new(&scene, &PLACE)
        .value("pod_subnet", SUBNET)
        .value("bootstrap_token", &token)
        .certificate("kube_proxy", &certificates, "kube-proxy")
        .cluster(&scene)
        .write(&scene, &PLACE);
    let mut node = Node::start(&scene, &Machine::worker(&PLACE, &image, &seed));
    node.ready();
    asked_with_the_token(&cluster.get(&["csr"]).unwrap(), &token);
    token_is_gone(&mut node, &token);

    // Its serving certificate is the cluster's too, once a person has approved it.
    cluster.approve_serving(PLACE.name);
    let web = web("bootstrapped", PLACE.name, "by-token");
    cluster.apply(&(web + &service("bootstrapped", SERVICE)));
    let pod = ready(cluster, "bootstrapped", SUBNET);
    journal::judge(&node, "bootstrap");
    let address = pod["status"]["podIP"].as_str().unwrap();
    fetches(
        cluster,
        "bootstrapped",
        &format!("http://{address}:8080/"),
        "by-token",
    );
    let service = format!("http://{SERVICE}/");
    fetches(cluster, "bootstrapped", &service, "by-token");
    assert_eq!(node.asks(10249, "/proxyMode"), "ipvs");
}

/// The request came with the token's user and became a certificate.
#[track_caller]
fn asked_with_the_token(requests: &Value, token: &str) {
    let (id, _) = token.split_once('.').unwrap();
    let user = format!("system:bootstrap:{id}");
    let all = requests["items"].as_array().unwrap();
    let request = all.iter().find(|one| one["spec"]["username"] == user);
    let request = request.unwrap_or_else(|| panic!("no request of {user}: {requests}"));
    assert!(condition(request, "Approved").is_some(), "{request}");
    assert!(
        request["status"]["certificate"].is_string(),
        "no certificate: {request}"
    );
}

/// The recipe decides about the volume that it came on (`first_boot.scrub`).
#[track_caller]
fn token_is_gone(node: &mut Node, token: &str) {
    node.comes_to(
        "the token's removal",
        "test -e /var/lib/kubelet/pki/kubelet-client-current.pem && test ! -e /var/lib/kubelet/bootstrap-kubeconfig",
    );
    // By its secret half; a file that holds only the other half is not secret.
    let (_, secret) = token.split_once('.').unwrap();
    let found = node.tries(&format!(
        "grep -rl --binary-files=text {secret} /etc /run /var --exclude-dir=containerd"
    ));
    assert_eq!(
        (found.code, found.out.as_str()),
        (Some(1), ""),
        "files with the token; {}",
        found.err
    );
}
