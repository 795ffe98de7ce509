//! The node that a disk under test is made into, and the cluster that it joins.

use std::fs::File;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ipnet::Ipv4Net;
use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::text::secret::Secret;

use super::api::{Api, Cluster, GATEWAY};
use crate::pki::{Authority, Subject, Validity};
use crate::seed;
use nodeimg_seed::write::Node;

pub const HOST_NAME: &str = "nodeimg-test";
/// What QEMU's user network gives to its guest.
pub const ADDRESS: &str = "10.0.2.15";
/// If a recipe does not describe its cluster.
const CLUSTER: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 200, 0, 0), 16);
/// Good for nothing but the fake API server.
pub const TOKEN: &str = "abcdef.0123456789abcdef";
const DAYS: u32 = 2;
/// Every request to the API server.
const LOG: &str = "api.log";

/// Both sides of one node.
pub struct Identity {
    pub joins: Join,
    /// Empty if the profile has none.
    pub pod_subnet: String,
    /// For every profile that has a cluster, but for kubeadm of an unknown version.
    pub api: Option<Api>,
    /// A seed directory.
    pub seed: PathBuf,
}

impl Identity {
    /// Writes the seed into `directory` and starts the API server, if the
    /// profile wants one; its log goes into `logs`. `now` is in seconds since 1970.
    pub fn make(
        settings: &ImageSettings,
        directory: &Path,
        logs: &Path,
        now: u64,
    ) -> Result<Identity> {
        let joins = settings.profile.joins;
        let mut node = Node {
            host_name: HOST_NAME.to_owned(),
            ..Node::default()
        };
        let cluster = Cluster::of(settings).filter(|_| joins == Join::Kubeadm);
        let api = match joins {
            Join::Never => None,
            Join::Kubeadm if cluster.is_none() => None,
            Join::Certificate | Join::Token | Join::Kubeadm => {
                let path = logs.join(LOG);
                let context = || format!("writing {}", path.display());
                let log = File::create(&path).with_context(context)?;
                let authority = join(&mut node, joins, now)?;
                let served = serve(&mut node, authority, now, log);
                Some(served.context("starting the fake API server")?)
            }
        };
        if let (Some(api), Some(server)) = (&api, &node.api_server) {
            match &cluster {
                Some(cluster) => api.publish(cluster, server)?,
                None => node.pod_subnet = vec![pod_subnet(settings).to_string()],
            }
        }
        let seed = directory.join("seed");
        seed::write(&node.files(None), &seed, false)?;
        Ok(Identity {
            joins,
            pod_subnet: node.pod_subnet.pop().unwrap_or_default(),
            api,
            seed,
        })
    }
}

/// What the node proves itself with, and its cluster by; the CA that signs.
fn join(node: &mut Node, joins: Join, now: u64) -> Result<Authority> {
    let validity = Validity::days(now, DAYS);
    let (authority, _) = Authority::generate("nodeimg-test", validity)?;
    node.node_ip = vec![ADDRESS.to_owned()];
    if joins != Join::Certificate {
        node.bootstrap_token = Some(Secret::new(TOKEN.to_owned()));
    }
    if joins == Join::Kubeadm {
        node.ca_cert_hashes = vec![authority.pin()];
        return Ok(authority);
    }
    node.ca = Some(authority.cert().to_owned());
    node.kube_proxy = Some(authority.issue(&Subject::kube_proxy(), validity)?);
    if joins == Join::Certificate {
        let names = vec![HOST_NAME.to_owned()];
        let subject = Subject::kubelet(HOST_NAME, names, vec![ADDRESS.parse()?]);
        node.kubelet = Some(authority.issue(&subject, validity)?);
    }
    Ok(authority)
}

fn serve(node: &mut Node, authority: Authority, now: u64, log: File) -> Result<Api> {
    let token = Secret::new(TOKEN.to_owned());
    let api = Api::start(authority, token, Validity::days(now, DAYS), log)?;
    node.api_server = Some(format!("https://{GATEWAY}:{}", api.port));
    Ok(api)
}

/// The first of the cluster's that a node could have.
fn pod_subnet(settings: &ImageSettings) -> Ipv4Net {
    let given = settings.cluster_cidr.as_deref().unwrap_or_default();
    let cluster = given.split(',').find_map(|text| text.parse().ok());
    let cluster: Ipv4Net = cluster.unwrap_or(CLUSTER);
    let length = cluster.prefix_len().max(24);
    Ipv4Net::new(cluster.network(), length).unwrap_or(cluster)
}
