//! The credentials of the kubelet and kube-proxy.
use super::PlannedFile;
use super::file::{Content, Role};
use crate::check::{Access, CheckedNode};
use crate::contract::paths::{
    KUBE_PROXY_KUBECONFIG, KUBELET_BOOTSTRAP, KUBELET_CA, KUBELET_CERT, KUBELET_CLIENT,
    KUBELET_KEY, KUBELET_KUBECONFIG,
};
use crate::text::kubeconfig::{self, Login, Material, Parts};
use crate::text::secret::Secret;

pub(super) fn files(node: &CheckedNode) -> Vec<PlannedFile> {
    let Some(identity) = &node.identity else {
        return Vec::new();
    };
    let user = format!("system:node:{}", node.host_name);
    let mut files = vec![PlannedFile::public(KUBELET_CA, &identity.ca)];
    match &identity.kubelet {
        Access::Ready(text) => files.push(PlannedFile::private(KUBELET_KUBECONFIG, text.clone())),
        Access::Pair { server, .. } => {
            let parts = Parts {
                user: &user,
                server,
                ca: Material::File(KUBELET_CA),
                login: Login::Certificate {
                    cert: Material::File(KUBELET_CERT),
                    key: Material::File(KUBELET_KEY),
                },
            };
            files.push(PlannedFile::private(
                KUBELET_KUBECONFIG,
                kubeconfig::write(&parts),
            ));
        }
        Access::Token { server, token } => files.extend(bootstrap(server, token)),
    }
    if let Some((cert, key)) = &identity.serving {
        files.push(PlannedFile::public(KUBELET_CERT, cert));
        files.push(PlannedFile::private(KUBELET_KEY, key.clone()));
    }
    let kube_proxy = identity.kube_proxy.as_ref().map(|access| match access {
        Access::Ready(text) => text.clone(),
        Access::Pair { server, cert, key } => kubeconfig::write(&Parts {
            user: "system:kube-proxy",
            server,
            ca: Material::Pem(&identity.ca),
            login: Login::Certificate {
                cert: Material::Pem(cert),
                key: Material::Pem(key.expose()),
            },
        }),
        Access::Token { server, token } => kubeconfig::write(&Parts {
            user: "system:kube-proxy",
            server,
            ca: Material::Pem(&identity.ca),
            login: Login::Token(token.expose()),
        }),
    });
    files.extend(kube_proxy.map(|text| PlannedFile::private(KUBE_PROXY_KUBECONFIG, text)));
    files
}

/// The kubeconfig with which the kubelet asks for its certificate. It is removed when
/// the kubelet has that, so it is not required; and files that a kubelet made for an
/// earlier instance must not be used for this one.
fn bootstrap(server: &str, token: &Secret) -> Vec<PlannedFile> {
    let text = kubeconfig::write(&Parts {
        user: "kubelet-bootstrap",
        server,
        ca: Material::File(KUBELET_CA),
        login: Login::Token(token.expose()),
    });
    let mut asking = PlannedFile::private(KUBELET_BOOTSTRAP, text);
    asking.role = Role::Passing;
    let absent = |path: &str| {
        let mut file = PlannedFile::public(path, "");
        file.content = Content::Absent;
        file
    };
    vec![asking, absent(KUBELET_KUBECONFIG), absent(KUBELET_CLIENT)]
}
