//! `nodeimg seed`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{NonEmptyStringValueParser, TypedValueParser};
use clap::{Args, Subcommand};

use nodeimg_machine::inventory::export::Export;

use super::{duration, file};
use crate::input::recipe::RecipeRef;

/// `nodeimg seed ...`
#[derive(Debug, Subcommand)]
pub enum SeedVerb {
    /// Read a seed as first boot would, and report everything that is wrong with it
    Check(SeedCheckArgs),
    /// Write the seed of one node (a directory, or the image of a volume), or those of a whole inventory
    New(Box<SeedNewArgs>),
    /// Create a certificate authority for a cluster that has none
    Ca(SeedCaArgs),
    /// Create a bootstrap token, and the Secret that makes the cluster accept it for a while
    Token(SeedTokenArgs),
}

/// `nodeimg seed token`
#[derive(Debug, Args)]
pub struct SeedTokenArgs {
    /// A new directory for `token` and `secret.json`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// How long the cluster accepts it, in hours (24h), minutes (90m) or days (7d)
    #[arg(long, default_value = "24h", value_name = "TIME")]
    pub ttl: Ttl,
    /// A group of those who join with it, below system:bootstrappers:; may be given more than once
    #[arg(
        long,
        value_name = "GROUP",
        default_value = "system:bootstrappers:kubeadm:default-node-token"
    )]
    pub group: Vec<String>,
}

/// Seconds.
#[derive(Clone, Copy, Debug)]
pub struct Ttl(pub u64);

impl FromStr for Ttl {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Ttl> {
        // A year: a token that outlives its batch is a way in. A bare number has no unit that
        // people agree on.
        let bare = text.bytes().all(|byte| byte.is_ascii_digit());
        match duration(text).filter(|time| !bare && (60..=366 * 24 * 3600).contains(time)) {
            Some(seconds) => Ok(Ttl(seconds)),
            None => anyhow::bail!("write a time from 1m to 366d, such as 90m, 24h or 7d"),
        }
    }
}

/// `nodeimg seed ca`
#[derive(Debug, Args)]
pub struct SeedCaArgs {
    /// A new directory for `ca.crt` and `ca.key`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Common name of the CA
    #[arg(long, default_value = "kubernetes-ca", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// How long the CA is valid
    #[arg(long, default_value_t = 3650, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// `nodeimg seed new`
#[derive(Clone, Debug, Args)]
pub struct SeedNewArgs {
    /// A new directory, or a file ending in `.img` for the image of a FAT volume labelled CIDATA; with --inventory, the directory of all seeds
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    #[command(flatten)]
    pub fleet: SeedFleetArgs,
    /// The recipe of the image that the seed is for
    #[arg(long, short, default_value = "hard-way", value_name = "NAME|FILE")]
    pub recipe: RecipeRef,
    /// The node's name
    #[arg(long, value_name = "NAME", required_unless_present = "inventory")]
    pub host_name: Option<String>,
    /// The node's address, or the network it is in (192.168.10.0/24, !10.0.0.0/8); twice for dual-stack
    #[arg(long, value_name = "IP|CIDR")]
    pub node_ip: Vec<String>,
    /// The network of the node's pods (10.200.0.0/24); twice for dual-stack
    #[arg(long, value_name = "CIDR")]
    pub pod_subnet: Vec<String>,
    /// URL of the API server (`https://server.kubernetes.local:6443`)
    #[arg(long, value_name = "URL")]
    pub api_server: Option<String>,
    /// A line of /etc/hosts; may be given more than once
    #[arg(long = "hosts", value_name = "NAME=IP")]
    pub hosts: Vec<NameValue>,
    /// The cluster's CA certificate (PEM)
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub ca: Option<PathBuf>,
    #[command(flatten)]
    pub identity: SeedIdentityArgs,
    /// File of public keys that may log in as root, as in authorized_keys; may be given more than once
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub ssh_key: Vec<PathBuf>,
    /// The node's network, as cloud-init's network-config version 1 or 2 [default: DHCP]
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub network: Option<PathBuf>,
    /// Instance id, which tells this seed from earlier ones [default: derived from the content]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub instance_id: Option<String>,
    /// A label of the node; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<NameValue>,
    /// A taint of the node; may be given more than once
    #[arg(long = "taint", value_name = "KEY=VALUE:EFFECT")]
    pub taints: Vec<String>,
    /// The node's provider id, as its cloud provider names it
    #[arg(long, value_name = "URL")]
    pub provider_id: Option<String>,
    /// Registries of container images with mirrors, certificates and logins (YAML, the value of `nodeimg.registries`)
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub registries: Option<PathBuf>,
    #[command(flatten)]
    pub update: SeedUpdateArgs,
    /// Replace an existing seed
    #[arg(long)]
    pub force: bool,
}

/// A file only: what was written before is kept beside it.
fn inventory() -> impl TypedValueParser<Value = PathBuf> {
    NonEmptyStringValueParser::new().try_map(|text| match text.as_str() {
        "-" => anyhow::bail!("`-`: an inventory has a record of its seeds beside it: name a file"),
        _ => Ok(PathBuf::from(text)),
    })
}

/// Many nodes at once.
#[derive(Clone, Debug, Args)]
pub struct SeedFleetArgs {
    /// Write a seed for every machine of this file (CSV or TOML, keys as these flags); flags given here hold for all
    #[arg(long, value_name = "FILE", conflicts_with = "host_name", value_parser = inventory())]
    pub inventory: Option<PathBuf>,
    /// Write images of volumes (NAME.img) instead of directories
    #[arg(long, requires = "inventory")]
    pub img: bool,
    /// Also write the nodes for metal3, tinkerbell, matchbox or nocloud-http; may be given more than once
    #[arg(long, value_name = "FORM=PATH", requires = "inventory")]
    pub export: Vec<Export>,
    /// Sign all certificates again, with new keys, valid from today on
    #[arg(long, requires = "inventory")]
    pub renew: bool,
}

/// How a node proves itself to its cluster.
#[derive(Clone, Debug, Args)]
pub struct SeedIdentityArgs {
    /// The kubelet's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key", value_parser = file())]
    pub cert: Option<PathBuf>,
    /// The kubelet's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert", value_parser = file())]
    pub key: Option<PathBuf>,
    /// The CA's private key (PEM), to sign the certificates that the profile needs and that you do not give
    #[arg(long, value_name = "FILE", requires = "ca", value_parser = file())]
    pub ca_key: Option<PathBuf>,
    /// How long the signed certificates are valid, at most as long as the CA
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// Another name or address for the signed kubelet certificate; may be given more than once
    #[arg(long, value_name = "NAME|IP", requires = "ca_key")]
    pub san: Vec<String>,
    /// kube-proxy's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "kube_proxy_key", value_parser = file())]
    pub kube_proxy_cert: Option<PathBuf>,
    /// kube-proxy's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "kube_proxy_cert", value_parser = file())]
    pub kube_proxy_key: Option<PathBuf>,
    /// Sign nothing for kube-proxy, because something else implements Services
    #[arg(long, conflicts_with = "kube_proxy_cert")]
    pub no_kube_proxy: bool,
    /// Bootstrap token with which the kubelet requests its certificate
    #[arg(
        long,
        value_name = "TOKEN",
        env = "NODEIMG_BOOTSTRAP_TOKEN",
        hide_env_values = true
    )]
    pub bootstrap_token: Option<String>,
    /// Hash of the CA's public key as kubeadm prints it (sha256:...); may be given more than once
    #[arg(long, value_name = "HASH")]
    pub ca_cert_hash: Vec<String>,
    /// The configuration of `kubeadm join` (YAML)
    #[arg(long, value_name = "FILE", conflicts_with = "kubeadm_init", value_parser = file())]
    pub kubeadm_join: Option<PathBuf>,
    /// The configuration of `kubeadm init` (YAML)
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub kubeadm_init: Option<PathBuf>,
}

/// How a node is brought to newer versions of its image, instead of what the image says.
#[derive(Clone, Debug, Default, Args)]
pub struct SeedUpdateArgs {
    /// Where the node's updates come from (oci://registry.example/nodes/web, an https:// directory, a path)
    #[arg(long, value_name = "ADDRESS")]
    pub update_source: Option<String>,
    /// When the node looks for updates, as systemd's OnCalendar (`Sun 03:00`), or `never`
    #[arg(long, value_name = "TIME")]
    pub update_schedule: Option<String>,
    /// When the node may reboot into an update (`Sat,Sun 04:00`)
    #[arg(long, value_name = "TIME")]
    pub update_window: Option<String>,
    /// How long that window is open (`2h`)
    #[arg(long, value_name = "TIME")]
    pub update_duration: Option<String>,
    /// The time zone of the window (`Europe/Berlin`)
    #[arg(long, value_name = "ZONE")]
    pub update_zone: Option<String>,
    /// The public key that signs the node's updates (PEM), for an image that leaves it to seeds
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub update_key: Option<PathBuf>,
}

/// `NAME=VALUE`; the value may be empty.
#[derive(Clone, Debug)]
pub struct NameValue {
    pub name: String,
    pub value: String,
}

impl FromStr for NameValue {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<NameValue> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(NameValue {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => anyhow::bail!("`{text}` is not NAME=VALUE"),
        }
    }
}

/// `nodeimg seed check`
#[derive(Debug, Args)]
pub struct SeedCheckArgs {
    /// The directory with `meta-data` and `user-data`, or with `openstack/`
    #[arg(value_name = "DIR", required_unless_present = "inventory")]
    pub seed: Option<PathBuf>,
    /// Check every machine of this file instead, and what no two of them may share
    #[arg(long, value_name = "FILE", conflicts_with = "seed", value_parser = inventory())]
    pub inventory: Option<PathBuf>,
    /// The recipe of the image that the seed is for
    #[arg(long, short, default_value = "hard-way", value_name = "NAME|FILE")]
    pub recipe: RecipeRef,
}
