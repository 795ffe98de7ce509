//! A seed with every mistake that would make a node look healthy and be useless: the
//! report names all of them, and the kubelet does not start even if somebody asks for
//! it.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

use serde_json::Value;

use nodeimg_test_support::guest::Facts;
use nodeimg_test_support::seeds::Pair;
use nodeimg_test_support::worker::Worker;

const USER: &str = "system:node:node-x";
const SUBNET: &str = "pod_subnet: 10.200.3.0/24";

/// The worker's own but for the pod subnet and the certificates: ended, of another
/// node's name, and of another CA than the seed's.
pub fn user_data(worker: &Worker, node_ip: &str) -> String {
    let authority = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = &mut parameters.distinguished_name;
    name.push(DnType::CommonName, "another CA");
    let authority = Issuer::new(parameters, authority);
    let bad = Worker {
        host_name: worker.host_name.clone(),
        ca: worker.ca.clone(),
        kubelet: ended(&authority, USER, "system:nodes"),
        kube_proxy: ended(&authority, "system:kube-proxy", "system:node-proxier"),
    };
    let text = bad.user_data(node_ip, "");
    assert!(text.contains(SUBNET), "{text}");
    text.replace(SUBNET, "pod_subnet: \"\"")
}

fn ended(authority: &Issuer<'_, KeyPair>, user: &str, group: &str) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.not_before = date_time_ymd(2024, 1, 1);
    parameters.not_after = date_time_ymd(2025, 1, 1);
    let subject = &mut parameters.distinguished_name;
    subject.push(DnType::CommonName, user);
    subject.push(DnType::OrganizationName, group);
    Pair {
        cert: parameters.signed_by(&key, authority).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// After media.sh, with a volume of this kind at `number` of the library.
pub fn script(number: usize) -> String {
    format!(
        "insert {number}\ntry refused\n\
         fact asked-refused sh -c 'systemctl start kubelet.service kube-proxy.service 2>&1; \
         systemctl is-active kubelet.service kube-proxy.service'\n"
    )
}

pub fn starts_no_kubelet(facts: &Facts) {
    facts.expect("exit-refused", "1");
    facts.expect("kubelet-refused", "inactive");
    let verdict: Value = serde_json::from_str(&facts["verdict-refused"]).unwrap();
    assert_eq!(verdict["outcome"], "failed", "{verdict}");
    let problems = verdict["problems"].as_array().unwrap();
    for (key, reason) in [
        ("nodeimg.pod_subnet", "is empty"),
        ("nodeimg.kubelet.cert", USER),
        ("nodeimg.kubelet.cert", "expired on 2025-01-01"),
        (
            "nodeimg.kubelet.cert",
            "was not signed by the CA of this seed",
        ),
        ("nodeimg.kube_proxy.cert", "expired on 2025-01-01"),
    ] {
        let is_told = |problem: &Value| {
            problem["severity"] == "error"
                && problem["key"] == key
                && problem["reason"].as_str().unwrap().contains(reason)
        };
        let found = problems.iter().any(is_told);
        assert!(found, "{key} {reason:?}: {verdict}");
    }
    let asked = &facts["asked-refused"];
    for service in ["kubelet", "kube-proxy"] {
        let says = format!("dependency job for {service}.service failed");
        assert!(asked.contains(&says), "{asked}");
    }
    assert!(asked.ends_with("inactive inactive"), "{asked}");
}
