//! `extra_args`: flags that the program does not take, or that are nodeimg's own.

use nodeimg_seed::text::suggest::{list, nearest};

use super::{Component, gates, gone, labels};
use crate::input::published::{self, Release};
use crate::input::recipe::problems::Problems;
use crate::input::recipe::source::Step;
use crate::input::recipe::value::Version;

const UNIT: &str = "the unit of this image gives it";
const ONLY_SAYS: &str = "the program would print something and stop";
const FIRST_BOOT: &str = "first boot gives it, from the seed";

pub const OF_KUBELET: &[(&str, &str)] = &[
    ("bootstrap-kubeconfig", UNIT),
    ("cert-dir", UNIT),
    (
        "cgroup-driver",
        "it is `systemd` on both sides: kubelet and container runtime must agree",
    ),
    (
        "client-ca-file",
        "first boot puts the cluster's CA where this image looks for it",
    ),
    ("cluster-dns", "set `cluster.cluster_dns`"),
    ("cluster-domain", "set `cluster.cluster_domain`"),
    ("config", UNIT),
    ("config-dir", UNIT),
    (
        "container-runtime-endpoint",
        "this image decides where the container runtime's socket is",
    ),
    ("help", ONLY_SAYS),
    ("hostname-override", "first boot gives the node its name"),
    (
        "image-service-endpoint",
        "this image decides where the container runtime's socket is",
    ),
    ("kubeconfig", UNIT),
    ("max-pods", "set `kubelet.max_pods`"),
    ("node-ip", FIRST_BOOT),
    ("provider-id", FIRST_BOOT),
    (
        "register-with-taints",
        "it would win over the taints of a node's seed: set `registerWithTaints` in `kubelet.config`",
    ),
    (
        "root-dir",
        "this image keeps the kubelet's state at `/var/lib/kubelet`",
    ),
    (
        "tls-cert-file",
        "first boot puts the certificate where this image looks for it",
    ),
    (
        "tls-private-key-file",
        "first boot puts the key where this image looks for it",
    ),
    ("version", ONLY_SAYS),
];

pub const OF_KUBE_PROXY: &[(&str, &str)] = &[
    ("cleanup", ONLY_SAYS),
    ("cluster-cidr", "set `cluster.cluster_cidr`"),
    ("config", UNIT),
    ("help", ONLY_SAYS),
    ("hostname-override", "first boot gives the node its name"),
    ("init-only", ONLY_SAYS),
    (
        "kubeconfig",
        "first boot puts the kubeconfig where this image looks for it",
    ),
    (
        "master",
        "the kubeconfig of the seed says where the API server is",
    ),
    ("proxy-mode", "set `kube_proxy.mode`"),
    ("version", ONLY_SAYS),
    ("write-config-to", ONLY_SAYS),
];

/// What kube-proxy still looks at if it has a configuration file: how it logs.
/// <https://github.com/kubernetes/kubernetes/blob/master/cmd/kube-proxy/app/options.go>
fn beside_a_file(name: &str) -> bool {
    name == "v" || name == "vmodule" || name.starts_with("log")
}

impl Component {
    pub fn flags(
        &self,
        release: &Release,
        version: &Version,
        arguments: &[String],
        problems: &mut Problems<'_>,
    ) {
        for (index, argument) in arguments.iter().enumerate() {
            let way = [
                Step::Key(self.table),
                Step::Key("extra_args"),
                Step::Index(index),
            ];
            // Told elsewhere: it is not a flag, or one of `credential_provider`.
            let Some(flag) = argument.strip_prefix("--") else {
                continue;
            };
            let (name, value) = flag
                .split_once('=')
                .map_or((flag, None), |(name, value)| (name, Some(value)));
            // Kubernetes takes `_` for `-` (pull request 61053).
            let name = name.replace('_', "-");
            if name.starts_with("image-credential-provider-") {
                continue;
            }
            let message = self
                .refused(release, version, &name)
                .or_else(|| self.bad_value(release, &name, value));
            if let Some(message) = message {
                problems.add(&way, &message);
            } else if let Some(message) = self.deprecated(release, version, &name) {
                problems.warn(&way, &message);
            }
        }
    }

    /// Why the program, or the image, cannot have the flag at all.
    fn refused(&self, release: &Release, version: &Version, name: &str) -> Option<String> {
        let (program, minor) = (self.program, version.major_minor().1);
        if let Some((_, why)) = self.owned_flags.iter().find(|(owned, _)| *owned == name) {
            return Some(format!("`--{name}` is not set here: {why}"));
        }
        if release.flag(program, name).is_some() {
            let is_idle = self.table == "kube_proxy" && !beside_a_file(name);
            return is_idle.then(|| {
                format!(
                    "kube-proxy ignores `--{name}` beside its configuration file: {}",
                    self.field(release, name)
                )
            });
        }
        if self.table == "kubelet"
            && let Some(why) = gone::why(name, minor)
        {
            return Some(format!(
                "kubelet {version} would not start: the flag `--{name}` {why}"
            ));
        }
        let others: Vec<&str> = (published::OLDEST..=published::NEWEST)
            .filter_map(published::of)
            .filter(|other| other.flag(program, name).is_some())
            .map(Release::minor)
            .collect();
        let hint = if !others.is_empty() {
            format!("; it is one of Kubernetes {}", list(others))
        } else if let Some(near) = nearest(name, release.flag_names(program)) {
            format!("; did you mean `--{near}`?")
        } else {
            String::new()
        };
        Some(format!(
            "{program} {version} would not start: it has no flag `--{name}`{hint}"
        ))
    }

    fn bad_value(&self, release: &Release, name: &str, value: Option<&str>) -> Option<String> {
        let flag = release.flag(self.program, name)?;
        let program = self.program;
        let Some(value) = value else {
            return (flag.kind != "bool").then(|| {
                format!("`--{name}` wants a value, and {program} would take the next word for it: `--{name}=VALUE`")
            });
        };
        if name == "feature-gates" {
            return gates::of_flag(release, program, value);
        }
        if name == "node-labels" {
            return labels::of_flag(value);
        }
        let must = flag.misfit(name, value)?;
        Some(format!(
            "{program} would not start: `--{name}` must be {must}, not `{value}`"
        ))
    }

    fn deprecated(&self, release: &Release, version: &Version, name: &str) -> Option<String> {
        let flag = release.flag(self.program, name)?;
        flag.is_deprecated.then(|| {
            let (program, instead) = (self.program, self.field(release, name));
            format!("{program} {version} warns at each start that `--{name}` will go: {instead}")
        })
    }

    /// Where the configuration says the same.
    fn field(&self, release: &Release, name: &str) -> String {
        let folded = name.replace('-', "");
        let fields = release.fields(self.api, self.kind);
        let is = |field: &&str| field.to_lowercase() == folded;
        let starts = |field: &&str| field.to_lowercase().starts_with(&folded);
        let field = fields
            .clone()
            .find(is)
            .or_else(|| fields.clone().find(starts));
        match field {
            Some(field) => format!("set `{field}` in `{}.config`", self.table),
            None => format!("set its field in `{}.config`", self.table),
        }
    }
}
