#![allow(clippy::unwrap_used)]
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use nodeimg_seed::check::kubeadm::API;
use nodeimg_test_support::judge;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use serde_json::{Value, json};

use super::kubeadm::{CLUSTER_INFO, SYSTEM};

use super::*;
use nodeimg_seed::write::Pair;

const TOKEN: &str = "abcdef.0123456789abcdef";

struct World {
    api: Api,
    log: std::fs::File,
    ca: String,
    pin: String,
    node: Pair,
    proxy: Pair,
}

impl World {
    fn new() -> World {
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let validity = Validity::days(now, 1);
        let (authority, own) = Authority::generate("test", validity).unwrap();
        let pin = authority.pin();
        let node = Subject::kubelet("node-0", vec!["node-0".to_owned()], Vec::new());
        let node = authority.issue(&node, validity).unwrap();
        let proxy = authority.issue(&Subject::kube_proxy(), validity).unwrap();
        let token = Secret::new(TOKEN.to_owned());
        let log = tempfile::tempfile().unwrap();
        let api = Api::start(authority, token, validity, log.try_clone().unwrap()).unwrap();
        World {
            api,
            log,
            ca: own.cert,
            pin,
            node,
            proxy,
        }
    }

    /// Acts as a cluster of that version, for those on this machine.
    fn publishes(&self, version: &str) {
        let cluster = Cluster {
            version: version.to_owned(),
            ..Cluster::default()
        };
        let server = format!("https://127.0.0.1:{}", self.api.port);
        self.api.publish(&cluster, &server).unwrap();
    }

    fn noted(&self) -> String {
        let mut noted = String::new();
        std::io::Seek::rewind(&mut &self.log).unwrap();
        (&self.log).read_to_string(&mut noted).unwrap();
        noted
    }

    /// One request on a connection of its own: the status and the body.
    fn ask(&self, who: Option<&Pair>, head: &str, body: &str) -> (u16, String) {
        let mut roots = RootCertStore::empty();
        let ca = CertificateDer::from_pem_slice(self.ca.as_bytes()).unwrap();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let config = match who {
            Some(pair) => {
                let cert = CertificateDer::from_pem_slice(pair.cert.as_bytes()).unwrap();
                let key = PrivateKeyDer::from_pem_slice(pair.key.expose().as_bytes()).unwrap();
                config.with_client_auth_cert(vec![cert], key).unwrap()
            }
            None => config.with_no_client_auth(),
        };
        // As a guest does, whose address this is.
        let name = ServerName::try_from(GATEWAY).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", self.api.port)).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        let (first, more) = head.split_once('\n').unwrap_or((head, ""));
        write!(
            stream,
            "{first} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Length: {}\r\n{more}\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, body.to_owned())
    }
}

fn node(name: &str) -> String {
    let address = json!({ "type": "InternalIP", "address": "10.0.2.15" });
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": { "name": name },
        "status": { "addresses": [address], "nodeInfo": { "kubeletVersion": "v1.36.0" } },
    })
    .to_string()
}

#[test]
fn only_a_nodes_own_kubelet_registers_it() {
    let world = World::new();
    let post = "POST /api/v1/nodes";
    assert_eq!(world.ask(None, post, &node("node-0")).0, 401);
    let wrong = format!("{post}\nAuthorization: Bearer aaaaaa.0123456789abcdef\r\n");
    assert_eq!(world.ask(None, &wrong, &node("node-0")).0, 401);
    assert_eq!(world.ask(Some(&world.proxy), post, &node("node-0")).0, 403);
    assert_eq!(world.ask(Some(&world.node), post, &node("node-1")).0, 403);
    let seen = world.api.when(|store| store.nodes.contains_key("node-0"));
    let (status, body) = world.ask(Some(&world.node), post, &node("node-0"));
    assert_eq!(status, 201, "{body}");
    seen.blocking_recv().unwrap();
    let condition = json!({ "type": "Ready", "status": "True", "message": "all is well" });
    let patch = json!({ "status": { "conditions": [condition] } }).to_string();
    let path = "PATCH /api/v1/nodes/node-0/status";
    assert_eq!(world.ask(Some(&world.node), path, &patch).0, 200);
    world.api.look(|store| {
        let seen = &store.nodes["node-0"];
        assert!(seen.is_ready());
        assert_eq!(seen.by.name, "system:node:node-0");
        assert_eq!(
            seen.addresses,
            [("InternalIP".to_owned(), "10.0.2.15".to_owned())]
        );
        assert_eq!(seen.kubelet_version, "v1.36.0");
        assert!(store.callers.contains_key("system:kube-proxy"));
    });
    let noted = world.noted();
    for line in [
        "401 system:anonymous POST /api/v1/nodes\n",
        "401 nobody POST /api/v1/nodes\n",
        "403 system:kube-proxy POST /api/v1/nodes\n",
        "201 system:node:node-0 POST /api/v1/nodes\n",
    ] {
        assert!(noted.contains(line), "{line}: {noted}");
    }
    // kube-proxy asks for the node's address here.
    let (status, body) = world.ask(Some(&world.proxy), "GET /api/v1/nodes/node-0", "");
    let found: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(found["status"]["addresses"][0]["address"], "10.0.2.15");
}

#[test]
fn lists_are_empty_and_watches_are_held_open() {
    let world = World::new();
    let proxy = Some(&world.proxy);
    let (status, body) = world.ask(proxy, "GET /api/v1/services?limit=500", "");
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &list["kind"]), (200, &json!("ServiceList")));
    assert_eq!(list["items"], json!([]));
    let begun = std::time::Instant::now();
    let watch = "GET /api/v1/nodes?watch=true&timeoutSeconds=2&sendInitialEvents=true";
    world.ask(Some(&world.node), "POST /api/v1/nodes", &node("node-0"));
    let (status, body) = world.ask(proxy, watch, "");
    assert_eq!(status, 200);
    assert!(begun.elapsed().as_millis() >= 2000);
    let added = body.find(r#""type":"ADDED""#).unwrap();
    let end = body.find("k8s.io/initial-events-end").unwrap();
    assert!(added < end, "{body}");
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    assert_eq!(world.ask(proxy, &format!("GET {lease}/node-0"), "").0, 404);
    let body = json!({ "metadata": { "name": "node-0" } }).to_string();
    let (status, body) = world.ask(proxy, &format!("POST {lease}"), &body);
    assert_eq!(status, 201);
    let made: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(made["kind"], "Lease");
    assert_eq!(made["metadata"]["namespace"], "kube-node-lease");
    assert_eq!(world.ask(proxy, "GET /nothing", "").0, 404);
}

#[test]
fn a_token_gets_a_certificate() {
    let world = World::new();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    let mut name = rcgen::DistinguishedName::new();
    name.push(rcgen::DnType::OrganizationName, "system:nodes");
    name.push(rcgen::DnType::CommonName, "system:node:node-7");
    params.distinguished_name = name;
    let request = params.serialize_request(&key).unwrap().pem().unwrap();
    let request = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, request);
    let body = json!({
        "metadata": { "generateName": "csr-" },
        "spec": {
            "request": request, "usages": ["client auth"],
            "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
        },
    });
    let path = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    let head = format!("POST {path}\nAuthorization: Bearer {TOKEN}\r\n");
    let (status, answer) = world.ask(None, &head, &body.to_string());
    assert_eq!(status, 201, "{answer}");
    let made: Value = serde_json::from_str(&answer).unwrap();
    let name = made["metadata"]["name"].as_str().unwrap();
    // Among others, a kubelet asks for its own.
    let (_, other) = world.ask(None, &head, &body.to_string());
    assert!(!other.contains(name), "{other}");
    let listed = format!("GET {path}?fieldSelector=metadata.name%3D{name}");
    let head = format!("{listed}\nAuthorization: Bearer {TOKEN}\r\n");
    let (_, list) = world.ask(None, &head, "");
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["items"][0]["metadata"]["name"], name);
    let head = format!("GET {path}/{name}\nAuthorization: Bearer {TOKEN}\r\n");
    let (_, found) = world.ask(None, &head, "");
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["metadata"]["uid"], made["metadata"]["uid"]);
    let cert = found["status"]["certificate"].as_str().unwrap();
    let cert = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, cert).unwrap();
    // What was signed is a node now.
    let pair = Pair {
        cert: String::from_utf8(cert).unwrap(),
        key: Secret::new(key.serialize_pem()),
    };
    assert_eq!(
        world
            .ask(Some(&pair), "POST /api/v1/nodes", &node("node-7"))
            .0,
        201
    );
    world
        .api
        .look(|store| assert_eq!(store.signed, ["system:node:node-7"; 2]));
}

#[test]
fn each_sees_of_a_cluster_of_kubeadm_what_it_may() {
    let world = World::new();
    let discover = format!("GET {CLUSTER_INFO}?timeout=10s");
    assert_eq!(world.ask(None, &discover, "").0, 404);
    world.publishes("1.37.1");
    let (status, body) = world.ask(None, &discover, "");
    let info: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &info["kind"]), (200, &json!("ConfigMap")));
    assert_eq!(info["metadata"]["namespace"], "kube-public");
    let signature = &info["data"]["jws-kubeconfig-abcdef"];
    assert!(signature.as_str().unwrap().contains(".."), "{info}");
    let token = |token: &str| format!("\nAuthorization: Bearer {token}\r\n");
    let wrong = token("aaaaaa.0123456789abcdef");
    let (node, proxy) = (Some(&world.node), Some(&world.proxy));
    let configuration = format!("GET {SYSTEM}kubeadm-config");
    let secret = "GET /api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef";
    for (who, head, status) in [
        (None, format!("{discover}{wrong}"), 401),
        (None, format!("PUT {CLUSTER_INFO}"), 401),
        (None, configuration.clone(), 401),
        (None, format!("{configuration}{}", token(TOKEN)), 200),
        (None, format!("{configuration}{wrong}"), 401),
        (node, configuration.clone(), 200),
        (proxy, configuration.clone(), 403),
        (node, configuration.replace("GET", "PUT"), 403),
        (
            None,
            format!("GET {SYSTEM}kubelet-config{}", token(TOKEN)),
            200,
        ),
        (
            None,
            format!("GET {SYSTEM}other-config{}", token(TOKEN)),
            404,
        ),
        (None, format!("GET {SYSTEM}kube-proxy{}", token(TOKEN)), 200),
        (
            None,
            format!("GET /api/v1/nodes/node-0{}", token(TOKEN)),
            404,
        ),
        (None, format!("GET /api/v1/nodes{}", token(TOKEN)), 403),
        (None, format!("POST /api/v1/nodes{}", token(TOKEN)), 403),
        (None, format!("{secret}{}", token(TOKEN)), 403),
    ] {
        assert_eq!(world.ask(who, &head, "{}").0, status, "{head}");
    }
    world.api.look(|store| {
        assert!(store.callers.contains_key(ANONYMOUS));
        assert!(store.callers.contains_key("system:bootstrap:abcdef"));
    });
}

/// As kubeadm notes the CRI's socket, when the Node has its label.
#[test]
fn labels_and_annotations_of_a_node_are_kept() {
    let world = World::new();
    let mut sent: Value = serde_json::from_str(&node("node-0")).unwrap();
    sent["metadata"]["labels"] = json!({ "kubernetes.io/hostname": "node-0" });
    sent["metadata"]["annotations"] = json!({ "a": "1" });
    let who = Some(&world.node);
    assert_eq!(
        world.ask(who, "POST /api/v1/nodes", &sent.to_string()).0,
        201
    );
    let annotations = json!({ "cri-socket": "unix:///run/x.sock", "a": null });
    let patch = json!({ "metadata": { "annotations": annotations } }).to_string();
    let path = "/api/v1/nodes/node-0";
    assert_eq!(
        world
            .ask(Some(&world.proxy), &format!("PATCH {path}"), &patch)
            .0,
        403
    );
    assert_eq!(world.ask(who, &format!("PATCH {path}"), &patch).0, 200);
    let (_, body) = world.ask(who, &format!("GET {path}"), "");
    let found: Value = serde_json::from_str(&body).unwrap();
    let metadata = &found["metadata"];
    assert_eq!(
        metadata["labels"],
        json!({ "kubernetes.io/hostname": "node-0" })
    );
    let annotations = json!({ "cri-socket": "unix:///run/x.sock" });
    assert_eq!(metadata["annotations"], annotations);
    // For another machine of that name.
    world.api.forget_nodes();
    assert_eq!(world.ask(who, &format!("GET {path}"), "").0, 404);
}

/// The real one asks for all that it joins by before it writes anything.
#[test]
fn kubeadm_discovers_its_cluster() {
    for (_, folder) in judge::of_lab("kubeadm") {
        discovers(&folder.join("kubeadm"));
    }
}

fn discovers(kubeadm: &Path) {
    let told = |arguments: &[&str]| {
        let told = judge::run(Command::new(kubeadm).args(arguments)).unwrap();
        let text = [told.stdout, told.stderr].concat();
        (told.status.success(), String::from_utf8(text).unwrap())
    };
    let (_, version) = told(&["version", "-o", "short"]);
    let version = version.trim().trim_start_matches('v');
    let world = World::new();
    world.publishes(version);
    let other = format!("sha256:{}", "0".repeat(64));
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    for (pin, good) in [(&world.pin, true), (&other, false)] {
        let port = world.api.port;
        let config = format!(
            "apiVersion: kubeadm.k8s.io/{API}
kind: JoinConfiguration
discovery: {{bootstrapToken: {{apiServerEndpoint: '127.0.0.1:{port}', token: {TOKEN}, caCertHashes: ['{pin}']}}}}
nodeRegistration: {{name: node-0, criSocket: 'unix:///run/containerd/containerd.sock'}}
"
        );
        std::fs::write(file.path(), config).unwrap();
        let path = file.path().to_str().unwrap();
        let mut arguments = vec!["join", "phase", "preflight", "--config", path];
        arguments.push("--ignore-preflight-errors=all");
        let (is_well, said) = told(&arguments);
        assert_eq!(is_well, good, "{said}");
        assert!(good || said.contains("is invalid"), "{said}");
    }
    let noted = world.noted();
    for path in [
        CLUSTER_INFO.to_owned(),
        format!("{SYSTEM}kubeadm-config"),
        format!("{SYSTEM}kube-proxy"),
        format!("{SYSTEM}kubelet-config"),
    ] {
        assert!(noted.contains(&format!(" GET {path}")), "{path}: {noted}");
    }
    assert!(
        !noted.lines().any(|line| !line.starts_with("200 ")),
        "{noted}"
    );
}
