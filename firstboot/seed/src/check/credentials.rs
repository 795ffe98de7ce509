//! Certificates, keys and kubeconfigs: present, complete, well-formed.
use super::certificates::{self, Names, Owner, Pair};
use super::{Inputs, endpoint, lines_on};
use crate::contract::paths::{KUBELET_CA, KUBELET_CERT, KUBELET_KEY};
use crate::contract::profile::Join;
use crate::read::node_config::Credentials;
use crate::text::kubeconfig::{self, Kubeconfig};
use crate::text::pem::{self, PemError};
use crate::text::problem::{Located, Place, Problems};
use crate::text::secret::Secret;
use crate::text::x509::Certificate;

type PemCheck = fn(&str) -> Result<(), PemError>;

/// How a component gets its kubeconfig.
pub enum Access {
    /// Made from a certificate and its key.
    Pair {
        server: String,
        cert: String,
        key: Secret,
    },
    /// Made from a token, which can only request a certificate.
    Token { server: String, token: Secret },
    /// Taken from the seed unchanged.
    Ready(Secret),
}

/// The credentials of this node.
pub struct Identity {
    /// URL of the API server: the seed's, or the one of the kubelet's kubeconfig.
    pub server: String,
    pub ca: String,
    /// Certificate and key that the kubelet serves with; without them it makes its own.
    pub serving: Option<(String, Secret)>,
    pub kubelet: Access,
    /// `None` if something else implements Services, such as Cilium.
    pub kube_proxy: Option<Access>,
}

pub(super) fn check(
    inputs: &Inputs<'_>,
    api_server: Option<&str>,
    names: Names<'_>,
    problems: &mut Problems,
) -> Option<Identity> {
    if inputs.settings.profile.joins == Join::Token {
        return bootstrap(inputs, api_server, problems);
    }
    let node = &inputs.user.node;
    let kubelet = component(inputs, "kubelet", &node.kubelet, problems);
    let kube_proxy = kube_proxy(inputs, problems);
    for found in [&kubelet, &kube_proxy].into_iter().flatten() {
        check_server(found, api_server, problems);
    }
    let (ca, authorities) = match &node.ca {
        Some(given) => (Some(given.value.clone()), own_ca(inputs, given, problems)),
        None => embedded_ca(inputs, kubelet.as_ref(), problems),
    };
    let owners = [
        (&node.kubelet, &kubelet, Owner::Kubelet(names)),
        (&node.kube_proxy, &kube_proxy, Owner::KubeProxy),
    ];
    for (given, found, owner) in owners {
        for pair in found.iter().flat_map(|found| found.pairs(given)) {
            certificates::check(inputs, &pair, owner, &authorities, problems);
        }
    }
    // A kubeconfig that could not be read may have had one.
    let unread = kubelet.is_none() && node.kubelet.given.contains(&"kubeconfig");
    if ca.is_none() && !inputs.gives("ca") && !unread {
        let reason = "is missing: the kubelet must know whom to trust";
        problems.error(
            &inputs.missing("ca"),
            reason,
            "add the cluster's CA certificate (PEM)",
        );
    }
    let server = api_server
        .map(str::to_owned)
        .or_else(|| kubelet.as_ref()?.server());
    let serving = kubelet.as_ref().and_then(|found| found.serving(problems));
    let (serving_cert, serving_key) = serving?;
    Some(Identity {
        ca: pem::normalised(&ca?),
        serving: Some((
            pem::normalised(&serving_cert),
            Secret::new(pem::normalised(serving_key.expose())),
        )),
        kubelet: kubelet?.access(server.as_deref())?,
        kube_proxy: match kube_proxy {
            Some(found) => Some(found.access(server.as_deref())?),
            None => None,
        },
        server: server?,
    })
}

/// The authorities of the seed's own CA.
fn own_ca(inputs: &Inputs<'_>, ca: &Located<String>, problems: &mut Problems) -> Vec<Certificate> {
    check_pem(&ca.value, &ca.place, pem::check_certificates, problems);
    certificates::authorities(inputs, &ca.value, &ca.place, problems)
}

/// The CA of the kubelet's kubeconfig, and its authorities.
fn embedded_ca(
    inputs: &Inputs<'_>,
    kubelet: Option<&Component>,
    problems: &mut Problems,
) -> (Option<String>, Vec<Certificate>) {
    let ca = kubelet.and_then(Component::embedded_ca);
    let authorities = match (&ca, &inputs.user.node.kubelet.kubeconfig) {
        (Some(text), Some(given)) => {
            certificates::authorities(inputs, text, &given.place, problems)
        }
        _ => Vec::new(),
    };
    (ca, authorities)
}

fn kube_proxy(inputs: &Inputs<'_>, problems: &mut Problems) -> Option<Component> {
    if inputs.gives("kube_proxy") {
        return component(inputs, "kube_proxy", &inputs.user.node.kube_proxy, problems);
    }
    let reason = "is missing: kube-proxy is not started, so something else must implement Services";
    problems.warn(&inputs.missing("kube_proxy"), reason, "");
    None
}

/// A node that will get its certificate with a token: the API server, the CA, the token.
fn bootstrap(
    inputs: &Inputs<'_>,
    api_server: Option<&str>,
    problems: &mut Problems,
) -> Option<Identity> {
    let node = &inputs.user.node;
    for (key, reason, remedy) in [
        (
            "ca",
            "is missing: the kubelet must know whom to trust",
            "add the cluster's CA certificate (PEM)",
        ),
        (
            "bootstrap_token",
            "is missing: the kubelet needs it to authenticate for the first time",
            "add one (kubeadm token create)",
        ),
    ] {
        if !inputs.gives(key) {
            problems.error(&inputs.missing(key), reason, remedy);
        }
    }
    let authorities = match &node.ca {
        Some(ca) => own_ca(inputs, ca, problems),
        None => Vec::new(),
    };
    let token = node.bootstrap_token.as_ref();
    if let Some(token) = token {
        check_token(token, problems);
    }
    let kube_proxy = kube_proxy(inputs, problems);
    for pair in kube_proxy
        .iter()
        .flat_map(|found| found.pairs(&node.kube_proxy))
    {
        certificates::check(inputs, &pair, Owner::KubeProxy, &authorities, problems);
    }
    let server = api_server?.to_owned();
    let token = Secret::new(token?.value.expose().trim().to_owned());
    Some(Identity {
        ca: pem::normalised(&node.ca.as_ref()?.value),
        serving: None,
        kubelet: Access::Token {
            server: server.clone(),
            token,
        },
        kube_proxy: match kube_proxy {
            Some(found) => Some(found.access(Some(&server))?),
            None => None,
        },
        server,
    })
}

fn check_token(token: &Located<Secret>, problems: &mut Problems) {
    if !is_token(token.value.expose().trim()) {
        let reason = "is not a bootstrap token";
        let remedy = "it consists of 6 and 16 lowercase letters or digits with a dot in between: \
             `abcdef.0123456789abcdef`";
        problems.error(&token.place, reason, remedy);
    }
}

/// <https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/#token-format>
/// `abcdef.0123456789abcdef`.
pub fn is_token(text: &str) -> bool {
    let plain = |part: &str, length: usize| {
        let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        part.len() == length && part.bytes().all(inside)
    };
    text.split_once('.')
        .is_some_and(|(id, secret)| plain(id, 6) && plain(secret, 16))
}

/// The seed's values for one component.
struct Component {
    pair: Option<(String, Secret)>,
    ready: Option<(Kubeconfig, Located<Secret>)>,
}

impl Component {
    /// Certificates with their keys: those given, and those embedded.
    fn pairs<'a>(&'a self, given: &'a Credentials) -> Vec<Pair<'a>> {
        let mut pairs = Vec::new();
        if let (Some(cert), Some(key)) = (&given.cert, &given.key) {
            pairs.push(Pair {
                cert: &cert.value,
                cert_place: cert.place.clone(),
                key: key.value.expose(),
                key_place: key.place.clone(),
                embedded: false,
            });
        }
        if let Some((config, text)) = &self.ready
            && let (Some(cert), Some(key)) = (&config.cert, &config.key)
        {
            pairs.push(Pair {
                cert: cert.expose(),
                cert_place: text.place.clone(),
                key: key.expose(),
                key_place: text.place.clone(),
                embedded: true,
            });
        }
        pairs
    }

    fn server(&self) -> Option<String> {
        self.ready.as_ref().map(|(config, _)| config.server.clone())
    }

    fn embedded_ca(&self) -> Option<String> {
        let (config, _) = self.ready.as_ref()?;
        config.ca.as_ref().map(|ca| ca.expose().to_owned())
    }

    /// The kubelet's serving certificate: its own, or the one of its kubeconfig.
    fn serving(&self, problems: &mut Problems) -> Option<(String, Secret)> {
        if let Some(pair) = &self.pair {
            return Some(pair.clone());
        }
        let (config, source) = self.ready.as_ref()?;
        if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
            return Some((cert.expose().to_owned(), key.clone()));
        }
        let reason = "has no embedded certificate and key for the kubelet to serve with";
        problems.error(&source.place, reason, "add `cert` and `key` beside it");
        None
    }

    /// A complete kubeconfig takes precedence over one made from the pair.
    fn access(self, server: Option<&str>) -> Option<Access> {
        match (self.ready, self.pair) {
            (Some((_, text)), _) => Some(Access::Ready(text.value)),
            (None, Some((cert, key))) => {
                let cert = pem::normalised(&cert);
                let key = Secret::new(pem::normalised(key.expose()));
                Some(Access::Pair {
                    server: server?.to_owned(),
                    cert,
                    key,
                })
            }
            (None, None) => None,
        }
    }
}

fn component(
    inputs: &Inputs<'_>,
    name: &str,
    given: &Credentials,
    problems: &mut Problems,
) -> Option<Component> {
    if let Some(cert) = &given.cert {
        check_pem(&cert.value, &cert.place, pem::check_certificates, problems);
    }
    if let Some(key) = &given.key {
        check_pem(
            key.value.expose(),
            &key.place,
            pem::check_private_key,
            problems,
        );
    }
    if !inputs.gives(name) {
        let reason = "is missing: it cannot authenticate to the API server";
        problems.error(
            &inputs.missing(name),
            reason,
            "add `{cert: ..., key: ...}` or `{kubeconfig: ...}`",
        );
        return None;
    }
    let has = |key: &str| given.given.contains(&key);
    if has("cert") != has("key") || given.given.is_empty() {
        let (reason, remedy) = match (has("cert"), has("key")) {
            (true, _) => ("has `cert` without `key`", "add the private key"),
            (_, true) => ("has `key` without `cert`", "add the certificate"),
            _ => (
                "holds neither `cert` and `key` nor `kubeconfig`",
                "add them",
            ),
        };
        problems.error(&inputs.missing(name), reason, remedy);
        return None;
    }
    let ready = match &given.kubeconfig {
        Some(text) => Some((read_ready(name, text, problems)?, text.clone())),
        None => None,
    };
    let pair = given.cert.as_ref().zip(given.key.as_ref());
    let pair = pair.map(|(cert, key)| (cert.value.clone(), key.value.clone()));
    (pair.is_some() || ready.is_some()).then_some(Component { pair, ready })
}

fn read_ready(name: &str, text: &Located<Secret>, problems: &mut Problems) -> Option<Kubeconfig> {
    let config = match kubeconfig::read(text.value.expose()) {
        Ok(config) => config,
        Err(error) => {
            let remedy = "give a whole kubeconfig (kubectl config view --raw --flatten)";
            problems.error(&lines_on(&text.place, error.line), error.reason, remedy);
            return None;
        }
    };
    let embedded: [(&str, &Option<Secret>, PemCheck); 3] = [
        (
            "certificate-authority-data",
            &config.ca,
            pem::check_certificates,
        ),
        (
            "client-certificate-data",
            &config.cert,
            pem::check_certificates,
        ),
        ("client-key-data", &config.key, pem::check_private_key),
    ];
    for (key, value, check) in embedded {
        if let Some(Err(error)) = value.as_ref().map(|value| check(value.expose())) {
            let reason = format!("has a `{key}` whose line {} {}", error.line, error.reason);
            problems.error(&text.place, reason, "generate the kubeconfig again");
        }
    }
    for (key, path, line) in &config.files {
        // The kubelet's own files are written from the seed; no others will exist.
        let written =
            name == "kubelet" && [KUBELET_CA, KUBELET_CERT, KUBELET_KEY].contains(&path.as_str());
        if !written {
            let reason = format!("names a file in `{key}` that this node will not have");
            let remedy = "embed it (kubectl config view --raw --flatten)";
            problems.error(&lines_on(&text.place, *line), reason, remedy);
        }
    }
    if config.skips_tls {
        let reason = "has `insecure-skip-tls-verify`: anyone can impersonate the API server";
        problems.error(
            &text.place,
            reason,
            "remove it and embed the CA certificate",
        );
    }
    if let Err((reason, remedy)) = endpoint::host_of(&config.server) {
        problems.error(&text.place, format!("has a `server` that {reason}"), remedy);
    }
    Some(config)
}

/// Two values for one setting: the kubeconfig's is used, and the other is reported as unused.
fn check_server(found: &Component, api_server: Option<&str>, problems: &mut Problems) {
    if let (Some((config, text)), Some(given)) = (&found.ready, api_server)
        && config.server.trim_end_matches('/') != given.trim_end_matches('/')
    {
        let reason = "names a different `server` than `nodeimg.api_server`; the one in the \
            kubeconfig is used";
        problems.warn(&text.place, reason, "");
    }
}

fn check_pem(text: &str, place: &Place, check: PemCheck, problems: &mut Problems) {
    if let Err(error) = check(text) {
        problems.error(
            &lines_on(place, error.line),
            error.reason,
            "paste the whole PEM file",
        );
    }
}
