//! `kubeadm`: `kubeadm upgrade node`, once after the switch to another version, before the
//! kubelet starts.
//!
//! It takes the cluster's configuration of kubelets, so it needs the API server. An API server
//! that does not answer is not a fault of this version: the kubelet starts with what it had, and
//! the next boot tries it again. kubeadm that fails although the API server answers is one: the
//! unit fails, and the image's health check says so.
//!
//! A control plane is an operator's: the versions of its static pods and of etcd do not go back
//! with the image.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nodeimg_seed::text::kubeconfig;
use serde_json::json;

use super::Said;
use crate::cli::Options;
use crate::node::{KUBEADM_DONE, Node};
use crate::source::net::{Client, Request};

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

/// By these, a node is kubeadm's.
const KUBELET_CONFIG: &str = "/etc/kubernetes/kubelet.conf";
const KUBELET_FLAGS: &str = "/var/lib/kubelet/kubeadm-flags.env";
/// And a control plane by this.
const API_SERVER: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
/// kubeadm is tried so often, since an API server may just be restarting.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(10);

/// What kubeadm needs of the machine.
trait Around {
    /// Whether the API server says that it is ready.
    fn is_ready(&self, server: &str, authorities: &str) -> bool;
    /// Runs the command; an error is why it has failed.
    fn run(&self, command: &[&str]) -> Result<()>;
    fn pause(&self);
}

pub fn upgrade(options: &Options) -> Result<Said> {
    let node = Node::at(&options.root);
    once(&node, &Live)
}

fn once(node: &Node, around: &dyn Around) -> Result<Said> {
    let version = node.running()?.version;
    let what = match due(node, &version)? {
        Due::Upgrade => match attempt(node, around)? {
            true => "kubeadm has upgraded this node",
            false => {
                return Ok(said(
                    "the API server does not answer: the next boot tries `kubeadm upgrade node` \
                     again",
                ));
            }
        },
        Due::Operator => {
            "this is a control plane, which an operator upgrades: `kubeadm upgrade apply` on one, \
             `kubeadm upgrade node` on the others"
        }
        Due::Nothing(why) => why,
        Due::NotKubeadm => return Ok(said("this is not a node of kubeadm's")),
    };
    node.write(KUBEADM_DONE, format!("{version}\n").as_bytes())?;
    Ok(said(what))
}

fn said(text: &str) -> Said {
    Said {
        text: text.to_owned(),
        json: json!({ "kubeadm": text }),
        status: 0,
    }
}

enum Due {
    Upgrade,
    Operator,
    Nothing(&'static str),
    NotKubeadm,
}

fn due(node: &Node, version: &str) -> Result<Due> {
    if !node.has(KUBELET_CONFIG) || !node.has(KUBELET_FLAGS) {
        return Ok(Due::NotKubeadm);
    }
    let done = node.read(KUBEADM_DONE)?;
    match done.as_deref().map(str::trim) {
        Some(done) if done == version => Ok(Due::Nothing("kubeadm has nothing to do")),
        // This version has joined the node itself, unless an update has brought it.
        None if node.state().applied.is_none_or(|it| it.version != version) => Ok(Due::Nothing(
            "kubeadm has joined this node with this version",
        )),
        _ if node.has(API_SERVER) => Ok(Due::Operator),
        _ => Ok(Due::Upgrade),
    }
}

/// Whether kubeadm has done it; not if there is no API server to ask.
fn attempt(node: &Node, around: &dyn Around) -> Result<bool> {
    let text = node.read(KUBELET_CONFIG)?.unwrap_or_default();
    let config = kubeconfig::read(&text).map_err(|error| {
        anyhow::anyhow!("{KUBELET_CONFIG}, line {}: {}", error.line, error.reason)
    })?;
    let authorities = config.ca.as_ref().map_or("", |ca| ca.expose());
    let mut failed = None;
    for number in 0..ATTEMPTS {
        if number > 0 {
            around.pause();
        }
        // Asked each time: it may go away in between.
        if !around.is_ready(&config.server, authorities) {
            failed = None;
            continue;
        }
        match around.run(&COMMAND) {
            Ok(()) => return Ok(true),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        // It was well right before, and is so now.
        Some(error) if around.is_ready(&config.server, authorities) => Err(error),
        _ => Ok(false),
    }
}

/// Renewing certificates and etcd are a control plane's.
const COMMAND: [&str; 3] = ["kubeadm", "upgrade", "node"];

/// This machine.
struct Live;

impl Around for Live {
    fn is_ready(&self, server: &str, authorities: &str) -> bool {
        let url = format!("{}/readyz", server.trim_end_matches('/'));
        let request = Request {
            url: &url,
            accept: "",
            authorization: None,
        };
        let client = Client::new(true, authorities.as_bytes());
        let answer = client.ok().and_then(|it| it.send(request, None).ok());
        // A cluster may let nobody ask without a login: it answers all the same.
        answer.is_some_and(|it| matches!(it.status().as_u16(), 200 | 401 | 403))
    }

    fn run(&self, command: &[&str]) -> Result<()> {
        let [program, arguments @ ..] = command else {
            bail!("there is no command");
        };
        let shown = || command.join(" ");
        let status = Command::new(program)
            .args(arguments)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
            .stdin(Stdio::null())
            .status();
        let status = status.with_context(|| format!("running {}", shown()))?;
        match status.success() {
            true => Ok(()),
            false => bail!("{} has failed ({status}); its own words are above", shown()),
        }
    }

    fn pause(&self) {
        std::thread::sleep(PAUSE);
    }
}
