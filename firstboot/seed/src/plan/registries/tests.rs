#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;

use super::files;
use crate::check::registries::check;
use crate::contract::registries::{Format, Private, Public, Registries, Registry};
use crate::plan::{Plan, PlannedFile};
use crate::text::secret::Secret;

fn entry(mirrors: &[&str]) -> Registry {
    Registry {
        public: Public {
            mirrors: mirrors.iter().map(|url| (*url).to_owned()).collect(),
            ..Public::default()
        },
        private: Private::default(),
    }
}

/// A CA with certificate and key of a client, which are the same pair here.
fn with_certificates(mut entry: Registry) -> Registry {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let cert = params.self_signed(&key).unwrap().pem();
    entry.public.ca = Some(cert.clone());
    entry.private.cert = Some(cert);
    entry.private.key = Some(Secret::new(key.serialize_pem()));
    entry
}

fn with_login(mut entry: Registry, user: &str) -> Registry {
    entry.private.username = Some(user.to_owned());
    entry.private.password = Some(Secret::new("p\"w:\\é".to_owned()));
    entry
}

/// Mirrors of Docker Hub, one with a path, one that is plain http; a mirror with
/// certificates and a login; a registry that is reached by its mirrors alone.
fn many() -> Registries {
    let mut alone = entry(&["https://m.example/quay", "http://10.0.0.5:5000/q"]);
    alone.public.fallback = Some(false);
    let mut plain = entry(&[]);
    plain.public.plain_http = Some(true);
    let mut token = entry(&[]);
    token.private.token = Some(Secret::new("T0".to_owned()));
    BTreeMap::from([
        (
            "docker.io".to_owned(),
            with_login(
                entry(&["https://m.example/hub", "http://10.0.0.5:5000"]),
                "hub",
            ),
        ),
        (
            "m.example".to_owned(),
            with_login(with_certificates(entry(&[])), "me"),
        ),
        ("lab.example:5000".to_owned(), plain),
        ("quay.io".to_owned(), alone),
        ("token.example".to_owned(), token),
    ])
}

fn planned(format: Format, all: &Registries) -> Vec<PlannedFile> {
    let Ok(checked) = check(format, all) else {
        panic!("the sample is good");
    };
    let mut files = files(&checked);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    files
}

/// Path, mode and text of each; of certificates the first line.
fn shown(files: Vec<PlannedFile>) -> String {
    let mut all = String::new();
    let modes: Vec<(String, u32)> = files.iter().map(|f| (f.path.clone(), f.mode)).collect();
    let plan = Plan {
        files,
        ..Plan::default()
    };
    for (path, mode) in modes {
        let text = plan.text(&path).unwrap();
        let text = match text.starts_with("-----") {
            true => text.lines().next().unwrap(),
            false => text.trim_end(),
        };
        all.push_str(&format!("== {path} {mode:04o}\n{text}\n"));
    }
    all
}

const CONTAINERD: &str = r#"== /etc/containerd/certs.d/docker.io/hosts.toml 0644
# Written by nodeimg, from the recipe and the seed.
server = "https://registry-1.docker.io"

[host."https://m.example/v2/hub"]
capabilities = ["pull", "resolve"]
override_path = true
ca = "/etc/containerd/certs.d/m.example/ca.crt"
client = [["/etc/containerd/certs.d/m.example/client.cert", "/etc/containerd/certs.d/m.example/client.key"]]

[host."http://10.0.0.5:5000"]
capabilities = ["pull", "resolve"]
== /etc/containerd/certs.d/lab.example:5000/hosts.toml 0644
# Written by nodeimg, from the recipe and the seed.
server = "http://lab.example:5000"
== /etc/containerd/certs.d/m.example/ca.crt 0644
-----BEGIN CERTIFICATE-----
== /etc/containerd/certs.d/m.example/client.cert 0644
-----BEGIN CERTIFICATE-----
== /etc/containerd/certs.d/m.example/client.key 0600
-----BEGIN PRIVATE KEY-----
== /etc/containerd/certs.d/m.example/hosts.toml 0644
# Written by nodeimg, from the recipe and the seed.
server = "https://m.example"
ca = "/etc/containerd/certs.d/m.example/ca.crt"
client = [["/etc/containerd/certs.d/m.example/client.cert", "/etc/containerd/certs.d/m.example/client.key"]]
== /etc/containerd/certs.d/quay.io/hosts.toml 0644
# Written by nodeimg, from the recipe and the seed.
server = "http://10.0.0.5:5000/v2/q"
capabilities = ["pull", "resolve"]
override_path = true

[host."https://m.example/v2/quay"]
capabilities = ["pull", "resolve"]
override_path = true
ca = "/etc/containerd/certs.d/m.example/ca.crt"
client = [["/etc/containerd/certs.d/m.example/client.cert", "/etc/containerd/certs.d/m.example/client.key"]]
== /etc/containerd/conf.d/50-nodeimg-registries.toml 0600
# Written by nodeimg, from the recipe and the seed.
version = 2

[plugins."io.containerd.grpc.v1.cri".registry.configs."registry-1.docker.io".auth]
username = "hub"
password = "p\"w:\\é"

[plugins."io.containerd.grpc.v1.cri".registry.configs."m.example".auth]
username = "me"
password = "p\"w:\\é"

[plugins."io.containerd.grpc.v1.cri".registry.configs."token.example".auth]
identitytoken = "T0"
"#;

const CRIO: &str = r#"== /etc/containers/certs.d/m.example/ca.crt 0644
-----BEGIN CERTIFICATE-----
== /etc/containers/certs.d/m.example/client.cert 0644
-----BEGIN CERTIFICATE-----
== /etc/containers/certs.d/m.example/client.key 0600
-----BEGIN PRIVATE KEY-----
== /etc/containers/registries.conf.d/50-nodeimg.conf 0644
# Written by nodeimg, from the recipe and the seed.

[[registry]]
prefix = "docker.io"
location = "docker.io"

[[registry.mirror]]
location = "m.example/hub"

[[registry.mirror]]
location = "10.0.0.5:5000"
insecure = true

[[registry]]
prefix = "lab.example:5000"
location = "lab.example:5000"
insecure = true

[[registry]]
prefix = "quay.io"
location = "10.0.0.5:5000/q"
insecure = true

[[registry.mirror]]
location = "m.example/quay"
== /etc/crio/crio.conf.d/50-nodeimg-registries.conf 0644
# Written by nodeimg, from the recipe and the seed.
[crio.image]
global_auth_file = "/etc/crio/registries-auth.json"
== /etc/crio/registries-auth.json 0600
{
  "auths": {
    "docker.io": {
      "auth": "aHViOnAidzpcw6k="
    },
    "m.example": {
      "auth": "bWU6cCJ3OlzDqQ=="
    },
    "token.example": {
      "auth": "Og==",
      "identitytoken": "T0"
    }
  }
}
"#;

#[test]
fn each_runtime_is_told_in_its_own_words() {
    let all = many();
    assert_eq!(shown(planned(Format::Containerd, &all)), CONTAINERD);
    assert_eq!(shown(planned(Format::Crio, &all)), CRIO);
}

#[test]
fn containerd_has_mirrors_for_all_registries() {
    let all = BTreeMap::from([("_default".to_owned(), entry(&["https://m.example"]))]);
    let expected = "== /etc/containerd/certs.d/_default/hosts.toml 0644\n\
                    # Written by nodeimg, from the recipe and the seed.\n\n\
                    [host.\"https://m.example\"]\ncapabilities = [\"pull\", \"resolve\"]\n";
    assert_eq!(shown(planned(Format::Containerd, &all)), expected);
}

#[test]
fn cri_o_has_mirrors_for_a_part_of_a_registry() {
    let name = "docker.io/library".to_owned();
    let all = BTreeMap::from([(name, entry(&["https://m.example/hub"]))]);
    let text = shown(planned(Format::Crio, &all));
    let lines = "prefix = \"docker.io/library\"\nlocation = \"docker.io/library\"\n\n\
                 [[registry.mirror]]\nlocation = \"m.example/hub\"\n";
    assert!(text.contains(lines), "{text}");
}

/// Nothing is left of a registry of which only a certificate or a login is said.
#[test]
fn a_file_is_written_only_for_what_is_said() {
    let login = BTreeMap::from([("a.example".to_owned(), with_login(entry(&[]), "me"))]);
    let paths = |format| {
        let files = planned(format, &login);
        files.into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    assert_eq!(
        paths(Format::Containerd),
        ["/etc/containerd/conf.d/50-nodeimg-registries.toml"]
    );
    assert_eq!(
        paths(Format::Crio),
        [
            "/etc/crio/crio.conf.d/50-nodeimg-registries.conf",
            "/etc/crio/registries-auth.json"
        ]
    );
}
