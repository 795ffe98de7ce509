//! A seed with everything wrong that would make a node look healthy and be of no
//! use: the verdict names all of it, and the kubelet never starts.

use super::control::until;
use super::images::image;
use super::node::{BOOT, Machine, Node, Place};
use super::seed::Seed;
use super::{Scene, slots};

const PLACE: Place = Place {
    name: "node-5",
    number: 15,
};

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_seed_with_every_problem_starts_no_kubelet() {
    let Some(scene) = Scene::new("refused") else {
        return;
    };
    let _slots = slots::take(1);
    let Some(image) = image("hard-way", "amd64") else {
        return;
    };
    let cluster = &scene.cluster;
    // Expired, of another name, and not of the CA that the seed has.
    let certificates = cluster.certificates(&["--expired"], "node-x", &PLACE.address());
    let seed = Seed::new(&scene, &PLACE)
        .value("pod_subnet", "\"\"")
        .value("api_server", super::control::API_SERVER)
        .block("ca", &another_ca(&scene))
        .certificates(&certificates)
        .write(&scene, &PLACE);
    let machine = Machine {
        place: &PLACE,
        image: &image,
        seed: &seed,
        cpus: 1,
        memory: "1 GiB",
    };
    let mut node = Node::start(&scene, &machine);
    let said = node.until("a login prompt below the verdict", BOOT, |node| {
        let console = node.console();
        let done = console.contains(" login:");
        done.then_some(console).ok_or("none yet".to_owned())
    });
    // The box breaks lines where they end.
    let words: Vec<_> = said.split(|c: char| c.is_whitespace() || c == '|').collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let said = words.join(" ");
    for wanted in [
        "THIS NODE IS NOT SET UP. kubelet and kube-proxy do not start.",
        "nodeimg.pod_subnet: is empty",
        "system:node:node-x",
        "ended on",
        "Dependency failed for kubelet.service",
    ] {
        assert!(said.contains(wanted), "the console lacks {wanted:?}: {said}");
    }
    assert_eq!(cluster.node(PLACE.name), None);
    drop(node);
}

fn another_ca(scene: &Scene) -> String {
    let file = scene.directory.join("another-ca.crt");
    let mut openssl = std::process::Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt"]);
    openssl.args(["ec_paramgen_curve:P-256", "-nodes", "-days", "30"]);
    openssl.args(["-subj", "/CN=another CA", "-keyout", "/dev/null", "-out"]);
    super::support::run::Ran::of(openssl.arg(&file)).good();
    std::fs::read_to_string(file).unwrap()
}
