//! Who asks, and what they may ask for.
//!
//! | caller | by | may |
//! |---|---|---|
//! | `system:anonymous` | nothing | read what nodes discover a cluster by |
//! | `system:bootstrap:ID` | the token | ask for a certificate, read the ConfigMaps of `kubeadm join`, look at Nodes |
//! | any other | a certificate of the CA | all else that is here; of those ConfigMaps, nodes alone |
//!
//! So it is in a cluster of kubeadm
//! ([its rules](https://kubernetes.io/docs/reference/setup-tools/kubeadm/implementation-details/)); a
//! request with neither certificate nor token is answered 401, where a cluster has 403.

use hyper::header::AUTHORIZATION;
use hyper::{HeaderMap, Method};
use nodeimg_seed::text::secret::Secret;
use nodeimg_seed::text::x509::Certificate;
use rustls::pki_types::CertificateDer;

use super::kubeadm::{CLUSTER_INFO, SYSTEM};
use super::store::Caller;

/// What callers by token are called before its id.
pub const BOOTSTRAP: &str = "system:bootstrap:";
pub const ANONYMOUS: &str = "system:anonymous";
const BOOTSTRAPPERS: &str = "system:bootstrappers";
const NODES: &str = "system:nodes";

/// Rustls has verified it; names are as Kubernetes reads them
/// ([X509 client certificates](https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates)).
pub(super) fn by_certificate(cert: &CertificateDer<'_>) -> Option<Caller> {
    let read = Certificate::read(cert)?;
    Some(Caller {
        name: read.common_name,
        groups: read.organisations,
    })
}

/// By a token, as
/// [bootstrap tokens](https://kubernetes.io/docs/reference/access-authn-authz/bootstrap-tokens/) are;
/// `None` for another one than the cluster's.
pub(super) fn by_token(headers: &HeaderMap, own: &Secret) -> Option<Caller> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Some(Caller {
            name: ANONYMOUS.to_owned(),
            groups: vec!["system:unauthenticated".to_owned()],
        });
    };
    let token = value.to_str().ok()?.strip_prefix("Bearer ")?;
    let id = token.split('.').next().unwrap_or_default();
    (token == own.expose()).then(|| Caller {
        name: format!("{BOOTSTRAP}{id}"),
        groups: vec![BOOTSTRAPPERS.to_owned()],
    })
}

pub(super) fn may(caller: &Caller, method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET;
    let is_in = |group: &str| caller.groups.iter().any(|own| own == group);
    if caller.name == ANONYMOUS {
        return reads && path == CLUSTER_INFO;
    }
    let of_kubeadm = path.starts_with(SYSTEM);
    if is_in(BOOTSTRAPPERS) {
        let readable = of_kubeadm || path == CLUSTER_INFO || path.starts_with("/api/v1/nodes/");
        let requests = "/apis/certificates.k8s.io/";
        return (reads && readable) || path.starts_with(requests);
    }
    !of_kubeadm || (reads && is_in(NODES))
}

/// [Node authorization](https://kubernetes.io/docs/reference/access-authn-authz/node/).
pub(super) fn may_be(caller: &Caller, node: &str) -> bool {
    caller.name.strip_prefix("system:node:") == Some(node)
        && caller.groups.iter().any(|group| group == NODES)
}
