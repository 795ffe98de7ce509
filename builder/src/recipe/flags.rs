//! Flags that a kubelet of the recipe's version does not know any more: it
//! would print its usage and stop, on every node, at its first start.
//!
//! Only flags that people still copy from older instructions are listed;
//! <https://github.com/kubernetes/kubernetes/tree/master/CHANGELOG> has them all.

use super::Artifact;
use super::check::Problems;
use super::file::RecipeFile;
use super::source::Step;
use crate::tree::ImagePath;

const KUBELET: &str = "/usr/local/bin/kubelet";

struct Gone {
    flag: &'static str,
    /// The first minor version of Kubernetes 1 without it.
    since: u64,
    instead: &'static str,
}

const CNI: &str =
    "take it out: pod networks are containerd's, and its configuration has the folders";
const DOCKER: &str = "take it out: the runtime is containerd";

const GONE: [Gone; 9] = [
    gone("cni-bin-dir", 24, CNI),
    gone("cni-cache-dir", 24, CNI),
    gone("cni-conf-dir", 24, CNI),
    gone("network-plugin", 24, CNI),
    gone("network-plugin-mtu", 24, CNI),
    gone("docker-endpoint", 24, DOCKER),
    gone("image-pull-progress-deadline", 24, DOCKER),
    gone(
        "container-runtime",
        27,
        "take it out: there is one kind only",
    ),
    gone(
        "pod-infra-container-image",
        35,
        "name the image as `containerd.sandbox_image`",
    ),
];

const fn gone(flag: &'static str, since: u64, instead: &'static str) -> Gone {
    Gone {
        flag,
        since,
        instead,
    }
}

/// Refuses what the kubelet that the recipe installs would stop at.
pub fn gone_from_kubelet(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let Ok(program) = KUBELET.parse::<ImagePath>() else {
        return;
    };
    let Some(kubelet) = artifacts
        .iter()
        .find(|artifact| artifact.provides(&program))
    else {
        return;
    };
    for (index, argument) in file.kubelet.extra_args.iter().enumerate() {
        let name = argument.trim_start_matches('-').split('=').next();
        let known = |gone: &&Gone| {
            Some(gone.flag) == name && kubelet.version.major_minor() >= (1, gone.since)
        };
        if let Some(Gone {
            flag,
            since,
            instead,
        }) = GONE.iter().find(known)
        {
            let way = [
                Step::Key("kubelet"),
                Step::Key("extra_args"),
                Step::Index(index),
            ];
            let version = &kubelet.version;
            let message = format!(
                "kubelet {version} would not start: the flag `--{flag}` is gone since 1.{since}; {instead}"
            );
            problems.add(&way, &message);
        }
    }
}
