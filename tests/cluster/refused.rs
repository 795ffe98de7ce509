//! A seed with everything wrong that would make a node look healthy and be of no
//! use: the verdict names all of it, and the kubelet never starts.

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use super::Scene;
use super::node::{BOOT, Machine, Node, Place, alone};
use super::seed::Seed;

const PLACE: Place = Place {
    name: "node-5",
    number: 15,
};

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_seed_with_every_problem_starts_no_kubelet() {
    let Some((scene, _slots, image)) = alone(Scene::new("refused"), "hard-way", "amd64") else {
        return;
    };
    let cluster = &scene.cluster;
    let certificates = scene.directory.join("certificates");
    bad_certificates(&certificates);
    let seed = Seed::new(&scene, &PLACE)
        .value("pod_subnet", "\"\"")
        .cluster(&scene)
        .certificates(&certificates)
        .write(&scene, &PLACE);
    let mut node = Node::start(&scene, &Machine::worker(&PLACE, &image, &seed));
    let said = node.until("a login prompt below the verdict", BOOT, |node| {
        let console = node.console();
        let done = console.contains(" login:");
        done.then_some(console).ok_or("none yet".to_owned())
    });
    // The box breaks lines where they end.
    let words: Vec<_> = said
        .split(|c: char| c.is_whitespace() || c == '|')
        .collect();
    let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let said = words.join(" ");
    for wanted in [
        "THIS NODE IS NOT SET UP. kubelet and kube-proxy do not start.",
        "nodeimg.pod_subnet: is empty",
        "system:node:node-x",
        "kubelet.cert: ended on 2025-01-01",
        "kubelet.cert: was not signed by the CA of this seed",
        "Dependency failed for kubelet.",
    ] {
        assert!(said.contains(wanted), "the console lacks {wanted:?}");
    }
    assert_eq!(cluster.node(PLACE.name), None);
    drop(node);
}

/// Expired, of another node's name, and of another CA than the cluster's.
fn bad_certificates(directory: &Path) {
    let authority = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters
        .distinguished_name
        .push(DnType::CommonName, "another CA");
    let authority = Issuer::new(parameters, authority);
    fs::create_dir_all(directory).unwrap();
    for (name, user, group) in [
        ("kubelet", "system:node:node-x", "system:nodes"),
        ("kube-proxy", "system:kube-proxy", "system:node-proxier"),
    ] {
        let key = KeyPair::generate().unwrap();
        let mut parameters = CertificateParams::default();
        parameters.not_before = date_time_ymd(2024, 1, 1);
        parameters.not_after = date_time_ymd(2025, 1, 1);
        let subject = &mut parameters.distinguished_name;
        subject.push(DnType::CommonName, user);
        subject.push(DnType::OrganizationName, group);
        let certificate = parameters.signed_by(&key, &authority).unwrap();
        fs::write(directory.join(format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}
