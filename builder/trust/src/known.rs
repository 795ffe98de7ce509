//! Who signs what of the publishers that nodeimg knows.

use crate::Demand;
use crate::demand::{Build, Signer};
use crate::roots::Instance;

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
