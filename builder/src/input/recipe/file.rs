//! What a recipe file may say, as it is written.
//!
//! Every key is optional here: a file that extends another one says only what
//! differs. [`super::Recipe`] is what comes out of all of them together.

use std::collections::BTreeMap;

use nodeimg_formats::oci::Reference;
use nodeimg_seed::contract::profile::Profile;
use nodeimg_seed::contract::runtime::Runtime;
use nodeimg_values::arch::Arch;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::base::BasePart;
use super::credential_provider::CredentialProvider;
use super::extra::{FilePart, HealthPart};
use super::handler::HandlerName;
use super::image::PathPerArch;
use super::network::Cidrs;
use super::output::OutputName;
use super::profile::ProfileName;
use super::registries::RegistryPart;
use super::runtime::RuntimeName;
use super::runtime::containerd::ContainerdPart;
use super::runtime::crio::CrioPart;
use super::update::UpdatePart;
use super::url::{PerArch, UrlTemplate};
use super::value::{ArtifactVersion, ByteSize, Domain, Name, RecipePath, Version, Word};
use super::verify::{TrustPart, VerifyPart};
use crate::input::artifact::InstallRule;

/// A nodeimg recipe.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "nodeimg recipe")]
pub struct RecipeFile {
    /// Another recipe to start from: the name of a built-in one, or a path
    /// relative to this file. Tables are merged key by key, lists are added
    /// to, `artifact` and `file` entries are merged by `name` and `path`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extends: Option<String>,
    /// Part of the output directory's name, with `version` and the architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The image's version; by default that of `kubernetes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The version of Kubernetes, `1.37.1`, which every artifact with the `version`
    /// `{kubernetes}` gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Version>,
    /// One line that describes the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// How much the node sets up by itself at first boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ProfileName>")]
    pub profile: Option<&'static Profile>,
    /// The container runtime; `containerd` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RuntimeName>")]
    pub runtime: Option<&'static Runtime>,
    /// The pause image that every pod uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_image: Option<String>,
    /// The outputs that a build writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<OutputName>")]
    pub outputs: Vec<String>,
    /// Programs beside runc that a pod's RuntimeClass can choose.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<HandlerName>")]
    pub handlers: Vec<String>,
    /// Kernel modules loaded at boot, besides `nf_conntrack` for kube-proxy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<Word>,
    /// Directories that stay writable on the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writable: Vec<RecipePath>,
    /// Folders to lay over the built-in overlay, relative to this file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlay: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<BasePart>,
    #[serde(default)]
    pub cluster: ClusterPart,
    #[serde(default)]
    pub kubelet: KubeletPart,
    #[serde(default)]
    pub kube_proxy: KubeProxyPart,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containerd: Option<ContainerdPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crio: Option<CrioPart>,
    /// Registries of container images, by name: `docker.io`, `registry.example:5000`,
    /// with CRI-O also a part of one, `docker.io/library`; with containerd also `_default`
    /// for all others.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub registries: BTreeMap<String, RegistryPart>,
    #[serde(default)]
    pub units: UnitsPart,
    #[serde(default)]
    pub sysext: SysextPart,
    #[serde(default)]
    pub disk: DiskPart,
    #[serde(default)]
    pub first_boot: FirstBootPart,
    /// Disks of this image update themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdatePart>,
    /// Kernel parameters set at boot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctl: BTreeMap<String, SysctlValue>,
    /// Mirrors: URL prefixes to try first at another place: `"https://dl.k8s.io/" = "https://mirror.example/k8s/"`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mirrors: BTreeMap<String, String>,
    /// Who must vouch for the inputs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub trust: TrustPart,
    /// Programs that the kubelet asks for the login of a registry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub credential_provider: Vec<CredentialProvider>,
    /// Pinned inputs, fetched by digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifact: Vec<ArtifactPart>,
    /// Single files in addition to those of the overlay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub file: Vec<FilePart>,
    /// Programs that say whether a new version of the image is healthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<HealthPart>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The disk image.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskPart {
    /// Size of the machine's disk, `"32 GiB"`: the image is as small as possible, whatever it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// Size of the EFI system partition; `"256 MiB"` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub esp_size: Option<ByteSize>,
    /// Room that a node has for each of its two roots, `"2 GiB"`; by default twice the files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot_size: Option<ByteSize>,
    /// Kernel arguments to add after nodeimg's own: `["quiet"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_args: Vec<String>,
    /// The initrd, which runs until the root is mounted; nodeimg's own by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initrd: Option<InitrdKind>,
    /// Kernel modules to put into the initrd and to load there, besides those that find a
    /// disk: `["dm-crypt"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initrd_modules: Vec<Word>,
}

/// The program that mounts a disk's root.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InitrdKind {
    /// A single program of nodeimg's own: small and fast.
    #[default]
    Nodeimg,
    /// systemd with udev: larger and slower, with everything that systemd supports.
    Systemd,
}

/// Which base systems the system extension goes with.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SysextPart {
    /// The `ID` in their os-release, such as `debian`; by default any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Word>,
    /// The `VERSION_ID` to go with that `id`, such as `13`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_id: Option<Word>,
}

/// How a node finds its seed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstBootPart {
    /// Seconds to wait for a seed that is not there at once: 60 by default,
    /// at most 600.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u32>,
    /// Metadata services at 169.254.169.254 to ask if there is no other seed; none by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata: Vec<MetadataService>,
    /// Whether a seed may run commands (`bootcmd`, `runcmd`, scripts); yes by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commands: Option<bool>,
    /// Whether secrets on a writable seed volume are overwritten after use; yes by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrub: Option<bool>,
    /// What to do with a kept state whose images and containers are of another container
    /// runtime; refuse it by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_change: Option<RuntimeChange>,
    /// Which seeds of a new instance a node takes once it is set up: only those from where its
    /// own seed came from by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reprovision: Option<Reprovision>,
}

/// Which seeds of a new instance a node that is set up takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Reprovision {
    /// Those from any source.
    Any,
    /// Those from the source of its own seed; any on another machine, or if the operator says
    /// so.
    SameSource,
    /// None, unless the operator says so.
    Never,
}

/// What first boot does with the state of another container runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeChange {
    /// The node is not set up.
    Refuse,
    /// The other runtime's images and containers are removed.
    Clean,
}

/// A cloud's metadata service.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataService {
    /// OpenStack's.
    Openstack,
    /// EC2's, version 2.
    Ec2,
}

/// Settings that all nodes of the cluster share.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterPart {
    /// The network that every node's pod subnet lies in; a list of two for dual-stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_cidr: Option<Cidrs>,
    /// The network of Service addresses; a list of two for dual-stack.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_cidr: Option<Cidrs>,
    /// Addresses of the cluster's DNS service, inside `service_cidr`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cluster_dns: Vec<std::net::IpAddr>,
    /// The domain of Services, `cluster.local`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_domain: Option<Domain>,
    /// The version of the cluster's oldest API server, `1.37.2`: a kubelet that
    /// does not work with it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_server_version: Option<Version>,
}

/// The kubelet's settings.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubeletPart {
    /// Maximum number of pods on a node (`maxPods`); by default the kubelet's own, 110.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_pods: Option<u32>,
    /// Command-line flags after nodeimg's own: `["--v=4"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    /// Node labels set at registration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Any other field of KubeletConfiguration v1beta1, by its own name.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub config: toml::Table,
}

/// How kube-proxy implements Services.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    Iptables,
    Ipvs,
    #[default]
    Nftables,
}

/// kube-proxy's settings.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubeProxyPart {
    /// `nftables` (the default), `iptables` or `ipvs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ProxyMode>,
    /// Command-line flags after nodeimg's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_args: Vec<String>,
    /// Any other field of KubeProxyConfiguration v1alpha1, by its own name.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub config: toml::Table,
}

/// systemd units.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitsPart {
    /// Units to enable at boot, by each unit's own `[Install]` section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enable: Vec<Word>,
    /// Units to link to /dev/null, so that they never start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mask: Vec<Word>,
}

/// A kernel parameter's value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a whole number or a string")]
pub enum SysctlValue {
    Number(i64),
    Text(String),
}

/// The kind of an artifact.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArtifactKind {
    /// One program (or script), installed as it is.
    Binary,
    /// A tar archive, plain or compressed with gzip, zstd or xz.
    Archive,
    /// A container image that the container runtime has from the node's first start on.
    OciImage,
}

/// One pinned input.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArtifactPart {
    pub name: Name,
    /// `binary`: the download is the file; `archive`: a tar, plain or compressed;
    /// `oci_image`: a container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<ArtifactKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<ArtifactVersion>,
    /// The container runtime that it is for; images with another one go without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RuntimeName>")]
    pub runtime: Option<&'static Runtime>,
    /// The URL that it is published at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<PerArch>,
    /// The publisher's checksum file; `lock` fails if the digests differ from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<UrlTemplate>,
    /// Values of `{arch}`, if the publisher uses other names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arch_names: BTreeMap<Arch, String>,
    /// Which files to install, and where.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<InstallRule>,
    /// Maximum unpacked size; 2 GiB by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unpacked: Option<ByteSize>,
    /// Whether to allow setuid and setgid files from it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_setuid: Option<bool>,
    /// Who vouches for it upstream; `lock` fetches and verifies that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyPart>,
    /// For `oci_image`: its name, `registry.k8s.io/pause:3.10.2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Reference>,
    /// For `oci_image`: an OCI layout (a directory or a tar) or a tar of `docker save`
    /// to read it from instead of a registry, relative to this recipe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<PathPerArch>,
    /// For `oci_image`: more names for it on the node.
    #[serde(rename = "as", default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Reference>,
}
