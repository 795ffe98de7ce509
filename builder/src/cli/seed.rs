//! `nodeimg seed`.

use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};

use crate::input::recipe::RecipeRef;

/// `nodeimg seed ...`
#[derive(Debug, Subcommand)]
pub enum SeedVerb {
    /// Read a seed as first boot would, and say all that is wrong with it
    Check(SeedCheckArgs),
    /// Write the seed of one node: a directory, or the image of a medium
    New(Box<SeedNewArgs>),
    /// Make a certificate authority for a cluster that has none
    Ca(SeedCaArgs),
}

/// `nodeimg seed ca`
#[derive(Debug, Args)]
pub struct SeedCaArgs {
    /// A directory that is not there yet, for `ca.crt` and `ca.key`
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Its common name
    #[arg(long, default_value = "kubernetes-ca", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
    /// How long it is valid
    #[arg(long, default_value_t = 3650, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
}

/// `nodeimg seed new`
#[derive(Debug, Args)]
pub struct SeedNewArgs {
    /// A directory that is not there yet, or a file that ends in `.img`: a FAT medium labelled CIDATA
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// The recipe of the image that the seed is for
    #[arg(long, short, default_value = "hard-way", value_name = "NAME|FILE")]
    pub recipe: RecipeRef,
    /// The node's name
    #[arg(long, value_name = "NAME")]
    pub host_name: String,
    /// Its address, or the network that it is in (192.168.10.0/24, !10.0.0.0/8); twice for dual-stack
    #[arg(long, value_name = "IP|CIDR")]
    pub node_ip: Vec<String>,
    /// The network of its pods (10.200.0.0/24); twice for dual-stack
    #[arg(long, value_name = "CIDR")]
    pub pod_subnet: Vec<String>,
    /// Where the API server is (`https://server.kubernetes.local:6443`)
    #[arg(long, value_name = "URL")]
    pub api_server: Option<String>,
    /// A line of /etc/hosts; may be given more than once
    #[arg(long = "hosts", value_name = "NAME=IP")]
    pub hosts: Vec<NameValue>,
    /// The cluster's CA certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    #[command(flatten)]
    pub identity: SeedIdentityArgs,
    /// Public keys that may log in as root, as in authorized_keys; may be given more than once
    #[arg(long, value_name = "FILE")]
    pub ssh_key: Vec<PathBuf>,
    /// The node's network, as cloud-init's network-config version 1 or 2 [default: DHCP]
    #[arg(long, value_name = "FILE")]
    pub network: Option<PathBuf>,
    /// What makes this seed another one than before [default: follows from the content]
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub instance_id: Option<String>,
    /// A label of the node; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub labels: Vec<NameValue>,
    /// A taint of the node; may be given more than once
    #[arg(long = "taint", value_name = "KEY=VALUE:EFFECT")]
    pub taints: Vec<String>,
    /// The node's name at its cloud provider
    #[arg(long, value_name = "URL")]
    pub provider_id: Option<String>,
    /// Replace a seed that is there
    #[arg(long)]
    pub force: bool,
}

/// How a node proves itself to its cluster.
#[derive(Debug, Args)]
pub struct SeedIdentityArgs {
    /// The kubelet's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The kubelet's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The CA's private key (PEM): signs what the profile needs and is not given
    #[arg(long, value_name = "FILE", requires = "ca")]
    pub ca_key: Option<PathBuf>,
    /// How long what is signed is valid, if the CA is valid as long
    #[arg(long, default_value_t = 365, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub days: u32,
    /// One more name or address for the kubelet's certificate that is signed
    #[arg(long, value_name = "NAME|IP", requires = "ca_key")]
    pub san: Vec<String>,
    /// kube-proxy's certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "kube_proxy_key")]
    pub kube_proxy_cert: Option<PathBuf>,
    /// kube-proxy's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "kube_proxy_cert")]
    pub kube_proxy_key: Option<PathBuf>,
    /// Sign nothing for kube-proxy: something else does Services
    #[arg(long, conflicts_with = "kube_proxy_cert")]
    pub no_kube_proxy: bool,
    /// A bootstrap token, with which the kubelet asks for its certificate
    #[arg(
        long,
        value_name = "TOKEN",
        env = "NODEIMG_BOOTSTRAP_TOKEN",
        hide_env_values = true
    )]
    pub bootstrap_token: Option<String>,
    /// The CA's public key as kubeadm knows it (sha256:...); may be given more than once
    #[arg(long, value_name = "HASH")]
    pub ca_cert_hash: Vec<String>,
    /// The configuration of `kubeadm join` (YAML)
    #[arg(long, value_name = "FILE", conflicts_with = "kubeadm_init")]
    pub kubeadm_join: Option<PathBuf>,
    /// The configuration of `kubeadm init` (YAML)
    #[arg(long, value_name = "FILE")]
    pub kubeadm_init: Option<PathBuf>,
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
    #[arg(value_name = "DIR")]
    pub seed: PathBuf,
    /// The recipe of the image that the seed is for
    #[arg(long, short, default_value = "hard-way", value_name = "NAME|FILE")]
    pub recipe: RecipeRef,
}
