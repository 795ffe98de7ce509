//! Who signs what of the publishers that nodeimg knows.

use std::borrow::Cow;

use crate::demand::{Build, Demand, GITHUB_ISSUER, Instance, Keys, Signer};

const GOOGLE: &str = "https://accounts.google.com";

/// Kubernetes' binaries: the release team's service account, at sigstore.dev.
/// <https://kubernetes.io/docs/tasks/administer-cluster/verify-signed-artifacts/>
pub fn kubernetes_binary() -> Demand {
    Demand::Blob {
        signers: vec![google(
            "krel-staging@k8s-releng-prod.iam.gserviceaccount.com",
        )],
        instance: Instance::PublicGood,
    }
}

/// Images of registry.k8s.io: the image promoter, or the release team before promotion.
pub fn kubernetes_image() -> Demand {
    Demand::Image {
        signers: vec![
            google("krel-trust@k8s-releng-prod.iam.gserviceaccount.com"),
            google("krel-staging@k8s-releng-prod.iam.gserviceaccount.com"),
        ],
        instance: Instance::PublicGood,
    }
}

/// CRI-O's static archives: the workflow that packages them, on its main branch.
/// <https://github.com/cri-o/packaging>
pub fn cri_o() -> Demand {
    Demand::Blob {
        signers: vec![Signer::Identity {
            identity:
                "https://github.com/cri-o/packaging/.github/workflows/obs.yml@refs/heads/main"
                    .to_string(),
            issuer: GITHUB_ISSUER.to_string(),
        }],
        instance: Instance::PublicGood,
    }
}

/// containerd's release archives; `version` without the `v`.
pub fn containerd(version: &str) -> Demand {
    let tag = format!("v{version}");
    Demand::Build(Build::of_tag(
        "containerd/containerd",
        ".github/workflows/release.yml",
        &tag,
    ))
}

fn google(identity: &str) -> Signer {
    Signer::Identity {
        identity: identity.to_string(),
        issuer: GOOGLE.to_string(),
    }
}

/// runc's release binaries: any of its maintainers.
/// <https://github.com/opencontainers/runc/blob/main/runc.keyring>
pub fn runc() -> Demand {
    let keys = [
        // Aleksa Sarai
        "C9C370B246B09F6DBCFC744C34401015D1D2D386",
        // Kir Kolyshkin
        "C2428CD75720FACDCF76B6EA17DE5ECB75A1100E",
        // Akihiro Suda
        "C020EA876CE4E06C7AB95AEF49524C6F9F638F1A",
    ];
    Demand::OpenPgp(Keys {
        primary: keys.map(str::to_string).to_vec(),
        keyring: Cow::Borrowed(include_bytes!("../keys/runc.asc")),
    })
}

/// crictl and the CNI plugins sign nothing: two parties that name the same digest.
pub fn unsigned() -> Demand {
    Demand::Sources { least: 2 }
}
