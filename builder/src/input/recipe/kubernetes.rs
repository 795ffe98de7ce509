//! Versions of Kubernetes: the one key that says it, and which programs go
//! together.
//!
//! <https://kubernetes.io/releases/version-skew-policy/>

use super::Artifact;
use super::file::{ArtifactPart, ProxyMode, RecipeFile};
use super::problems::Problems;
use super::runtime::{Misfit, Runtime};
use super::source::Step;
use super::value::{ArtifactVersion, Version};
use crate::tree::ImagePath;

/// The first minor release of Kubernetes 1 whose nodes nodeimg builds. Older ones
/// have no support upstream, and want other flags and fields.
const OLDEST: u64 = 34;
/// Minor releases by which a kubelet may be older than its API server and kubeadm,
/// and by which a kube-proxy may differ from its kubelet.
const SKEW: u64 = 3;

/// The minor release whose kube-proxy warns of its mode ipvs.
const IPVS_DEPRECATED: u64 = 35;

/// The version that `part` asks for, of the recipe `file`.
pub fn resolve(
    file: &RecipeFile,
    part: &ArtifactPart,
    written: &ArtifactVersion,
    problems: &mut Problems<'_>,
) -> Option<Version> {
    match (written, &file.kubernetes) {
        (ArtifactVersion::Own(version), _) | (ArtifactVersion::Kubernetes, Some(version)) => {
            Some(version.clone())
        }
        (ArtifactVersion::Kubernetes, None) => {
            let way = [
                Step::Key("artifact"),
                Step::Named(part.name.as_str()),
                Step::Key("version"),
            ];
            problems.add(
                &way,
                "`{kubernetes}` stands for a key that this recipe does not have: add `kubernetes = \"1.37.1\"` at its top",
            );
            None
        }
    }
}

/// Whether every version is known, and goes with the others.
pub fn versions(
    file: &RecipeFile,
    runtime: &Runtime,
    artifacts: &[Artifact],
    problems: &mut Problems<'_>,
) {
    let written = [
        (vec![Step::Key("kubernetes")], &file.kubernetes),
        (
            vec![Step::Key("cluster"), Step::Key("api_server_version")],
            &file.cluster.api_server_version,
        ),
    ];
    for (way, version) in written {
        let Some(version) = version else { continue };
        if minor(version).is_none() {
            let message = format!(
                "`{version}` is not a version of Kubernetes: use three numbers, as in `1.37.1`"
            );
            // What follows from it would be told of the same line.
            return problems.add(&way, &message);
        }
    }
    let Some(kubelet) = Program::of("kubelet", artifacts) else {
        return;
    };
    if kubelet.minor().is_none_or(|minor| minor < OLDEST) {
        let message = format!(
            "{kubelet} is too old: nodeimg builds nodes of Kubernetes 1.{OLDEST} and later"
        );
        return kubelet.wrong(&message, problems);
    }
    ipvs(file, artifacts, problems);
    beside(&kubelet, artifacts, problems);
    api_server(&kubelet, file, problems);
    self::runtime(&kubelet, runtime, artifacts, problems);
}

/// A program that an artifact installs.
struct Program<'a> {
    name: &'static str,
    artifact: &'a Artifact,
}

impl std::fmt::Display for Program<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.name, self.artifact.version)
    }
}

impl<'a> Program<'a> {
    /// One of Kubernetes, at the place where units and profiles look for it.
    fn of(name: &'static str, artifacts: &'a [Artifact]) -> Option<Self> {
        Program::at(name, &format!("/usr/local/bin/{name}"), artifacts)
    }

    fn at(name: &'static str, path: &str, artifacts: &'a [Artifact]) -> Option<Self> {
        let path: ImagePath = path.parse().ok()?;
        let artifact = artifacts.iter().find(|a| a.provides(&path))?;
        Some(Program { name, artifact })
    }

    fn minor(&self) -> Option<u64> {
        minor(&self.artifact.version)
    }

    /// The line that says its version.
    fn way(&self) -> Vec<Step<'_>> {
        match self.artifact.follows_kubernetes {
            true => vec![Step::Key("kubernetes")],
            false => vec![
                Step::Key("artifact"),
                Step::Named(self.artifact.name.as_str()),
                Step::Key("version"),
            ],
        }
    }

    fn wrong(&self, message: &str, problems: &mut Problems<'_>) {
        problems.add(&self.way(), message);
    }
}

/// The minor release of a Kubernetes 1, of a version with three numbers.
fn minor(version: &Version) -> Option<u64> {
    let text = version.as_str();
    let numbers: Vec<&str> = text.split(['-', '+', '~']).next()?.split('.').collect();
    let [_, _, patch] = numbers[..] else {
        return None;
    };
    patch.parse::<u64>().ok()?;
    let (major, minor) = version.major_minor();
    (major == 1).then_some(minor)
}

/// kubeadm and kube-proxy of the same image.
fn beside(kubelet: &Program<'_>, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let Some(at) = kubelet.minor() else { return };
    if let Some(kubeadm) = Program::of("kubeadm", artifacts) {
        let fits = kubeadm.minor().is_some_and(|of| goes_with(at, of));
        if !fits {
            let message = format!(
                "{kubelet} does not work with {kubeadm}: a kubelet must have kubeadm's minor \
                 version or be up to {SKEW} older"
            );
            kubelet.wrong(&message, problems);
        }
    }
    if let Some(proxy) = Program::of("kube-proxy", artifacts) {
        let fits = proxy.minor().is_some_and(|of| at.abs_diff(of) <= SKEW);
        if !fits {
            let message = format!(
                "{proxy} does not work with {kubelet}: it may be up to {SKEW} minor versions \
                 older or newer"
            );
            proxy.wrong(&message, problems);
        }
    }
}

/// Kubernetes [deprecates](https://kep.k8s.io/5495) this mode, turns it off in 1.40 and
/// removes it in 1.43.
fn ipvs(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let Some(proxy) = Program::of("kube-proxy", artifacts) else {
        return;
    };
    let is_deprecated = proxy.minor().is_some_and(|of| of >= IPVS_DEPRECATED);
    if is_deprecated && file.kube_proxy.mode == Some(ProxyMode::Ipvs) {
        let message = format!(
            "{proxy} still has the mode ipvs, but Kubernetes deprecated it in \
             1.{IPVS_DEPRECATED} and plans to turn it off in 1.40: use `nftables`, the default"
        );
        problems.warn(&[Step::Key("kube_proxy"), Step::Key("mode")], &message);
    }
}

/// Whether a kubelet works with an API server, or a kubeadm, of another minor version.
fn goes_with(kubelet: u64, other: u64) -> bool {
    (other.saturating_sub(SKEW)..=other).contains(&kubelet)
}

fn api_server(kubelet: &Program<'_>, file: &RecipeFile, problems: &mut Problems<'_>) {
    let Some(server) = &file.cluster.api_server_version else {
        return;
    };
    let (Some(at), Some(of)) = (kubelet.minor(), minor(server)) else {
        return;
    };
    if !goes_with(at, of) {
        let how = if at > of { "newer" } else { "too much older" };
        let message = format!(
            "{kubelet} is {how} than the API server, {server}: a kubelet must have its minor \
             version or be up to {SKEW} older"
        );
        kubelet.wrong(&message, problems);
    }
}

fn runtime(
    kubelet: &Program<'_>,
    runtime: &Runtime,
    artifacts: &[Artifact],
    problems: &mut Problems<'_>,
) {
    let Some(program) = Program::at(runtime.shared.name, runtime.program, artifacts) else {
        return;
    };
    let version = runtime.version_in(program.artifact);
    match (runtime.misfit)(&version, &kubelet.artifact.version) {
        Some(Misfit::Wrong(how)) => program.wrong(&format!("{program} {how}"), problems),
        Some(Misfit::Odd(how)) => problems.warn(&program.way(), &format!("{program} {how}")),
        None => {}
    }
}

#[cfg(test)]
mod tests;
