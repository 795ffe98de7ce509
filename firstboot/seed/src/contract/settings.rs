//! What the builder tells first boot about the image: baked as JSON at
//! [`SETTINGS_PATH`], written and read with the one type here.
//!
//! # Invariants
//! Unknown keys and unknown versions are refused: a binary never half
//! understands an image.
use std::fmt;

use serde::{Deserialize, Serialize};

use super::profile::Profile;
use super::registries::ImageRegistries;
use super::runtime::{self, Runtime};

/// Where the builder bakes [`ImageSettings`].
pub const SETTINGS_PATH: &str = "/usr/lib/nodeimg/firstboot.json";

/// The only [`ImageSettings::version`] that this library reads and writes.
pub const SETTINGS_VERSION: u32 = 1;

/// The default of [`ImageSettings::seed_wait`].
pub const SEED_WAIT: u32 = 60;

/// The kubelet's default of `maxPods`:
/// <https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/>.
pub const MAX_PODS: u32 = 110;

/// A metadata service at the link-local address, which any neighbour on the wire could
/// claim to be: asked only if the recipe says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataService {
    Openstack,
    Ec2,
}

/// Which seed of a new instance a node takes once it is set up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reprovision {
    /// One from any source, as a node without a seed does.
    Any,
    /// One from where the node's own seed came from; any on another machine, or if the operator
    /// says so.
    #[default]
    SameSource,
    /// None, unless the operator says so.
    Never,
}

/// serde passes a reference to the field.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_same_source(rule: &Reprovision) -> bool {
    *rule == Reprovision::SameSource
}

/// What runs containers beside the container runtime's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handler {
    pub name: String,
    /// Without this, a machine cannot run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// The label of nodes that can run a handler, which its RuntimeClass selects.
pub fn handler_label(name: &str) -> String {
    format!("handlers.nodeimg/{name}")
}

/// The image's part of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageSettings {
    /// [`SETTINGS_VERSION`].
    pub version: u32,
    pub profile: &'static Profile,
    /// The container runtime.
    #[serde(default = "default_runtime", skip_serializing_if = "is_default")]
    pub runtime: &'static Runtime,
    /// Whether first boot removes what another runtime has left on the state, which it
    /// refuses otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub clean_runtime: bool,
    /// Pod network of the whole cluster; `a,b` when dual-stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_cidr: Option<String>,
    /// Service network of the cluster; `a,b` when dual-stack.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_cidr: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_domain: Option<String>,
    /// Absolute paths that a seed may write below.
    pub writable: Vec<String>,
    /// Seconds to wait for a seed that is not present at once.
    pub seed_wait: u32,
    /// Metadata services to ask, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<MetadataService>,
    /// Whether `bootcmd`, `runcmd` and scripts of a seed are refused.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbid_commands: bool,
    /// Version of the image's kubeadm, `1.36.0`, if it has one and it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeadm: Option<String>,
    /// Version of the image's kubelet, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<String>,
    /// How many pods the kubelet takes, if the recipe says it: [`MAX_PODS`] by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pods: Option<u32>,
    /// Whether secrets stay on a writable seed volume when they are no longer needed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_seed: bool,
    /// Which new instances a node that is set up takes.
    #[serde(default, skip_serializing_if = "is_same_source")]
    pub reprovision: Reprovision,
    /// What the container runtime knows of registries, and in which form.
    #[serde(default, skip_serializing_if = "ImageRegistries::is_default")]
    pub registries: ImageRegistries,
    /// What RuntimeClasses of the cluster can name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<Handler>,
    /// The image's build time in seconds since 1970: the real time cannot be earlier.
    pub epoch: u64,
}

fn default_runtime() -> &'static Runtime {
    runtime::DEFAULT
}

/// serde passes a reference to the field, which is one itself.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_default(runtime: &&'static Runtime) -> bool {
    runtime.is_default()
}

/// Why baked settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError(String);

impl fmt::Display for SettingsError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for SettingsError {}

impl ImageSettings {
    /// Pretty JSON with a final line break; the same value gives the same bytes.
    pub fn to_json(&self) -> Result<String, SettingsError> {
        let mut text = serde_json::to_string_pretty(self)
            .map_err(|error| SettingsError(format!("writing {SETTINGS_PATH}: {error}")))?;
        text.push('\n');
        Ok(text)
    }

    pub fn from_json(text: &[u8]) -> Result<Self, SettingsError> {
        let settings: Self = serde_json::from_slice(text).map_err(|error| {
            SettingsError(format!(
                "{error} (the first-boot binary does not match its image; rebuild the image)"
            ))
        })?;
        if settings.version != SETTINGS_VERSION {
            return Err(SettingsError(format!(
                "version {} is not {SETTINGS_VERSION} (the first-boot binary does not match its \
                 image; rebuild the image)",
                settings.version
            )));
        }
        Ok(settings)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::super::profile::hard_way;
    use super::super::runtime;
    use super::ImageSettings;

    fn sample() -> ImageSettings {
        ImageSettings {
            version: 1,
            profile: &hard_way::PROFILE,
            runtime: runtime::DEFAULT,
            clean_runtime: false,
            cluster_cidr: Some("10.200.0.0/16".to_owned()),
            service_cidr: None,
            cluster_domain: None,
            writable: vec!["/etc/kubernetes".to_owned()],
            seed_wait: super::SEED_WAIT,
            metadata: Vec::new(),
            forbid_commands: false,
            kubeadm: None,
            kubelet: None,
            max_pods: None,
            keep_seed: false,
            reprovision: super::Reprovision::SameSource,
            registries: super::ImageRegistries::default(),
            handlers: Vec::new(),
            epoch: 1_700_000_000,
        }
    }

    #[test]
    fn reads_what_it_writes() {
        let text = sample().to_json().unwrap();
        assert!(
            text.contains("\"profile\": \"hard-way\"") && text.ends_with("}\n"),
            "{text}"
        );
        assert_eq!(ImageSettings::from_json(text.as_bytes()).unwrap(), sample());
        assert!(!text.contains("runtime"), "{text}");
        assert!(!text.contains("reprovision"), "{text}");
        let other = ImageSettings {
            runtime: &runtime::crio::RUNTIME,
            clean_runtime: true,
            reprovision: super::Reprovision::Never,
            ..sample()
        };
        let text = other.to_json().unwrap();
        assert!(text.contains("\"runtime\": \"crio\""), "{text}");
        assert!(text.contains("\"reprovision\": \"never\""), "{text}");
        assert_eq!(ImageSettings::from_json(text.as_bytes()).unwrap(), other);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let text = sample().to_json().unwrap();
        for (from, to, expected) in [
            ("\"epoch\"", "\"epoc\"", "unknown field `epoc`"),
            ("hard-way", "easy-way", "unknown variant `easy-way`"),
            ("\"version\": 1", "\"version\": 2", "version 2 is not 1"),
            (
                "\"writable\"",
                "\"runtime\": \"docker\", \"writable\"",
                "unknown variant `docker`",
            ),
        ] {
            let error = ImageSettings::from_json(text.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
