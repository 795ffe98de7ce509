//! Where others are: the API server's URL and the entries for `/etc/hosts`.
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Inputs, names};
use crate::text::field::shown;
use crate::text::problem::Problems;

/// One line of `/etc/hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostEntry {
    pub address: IpAddr,
    pub name: String,
}

pub(super) fn check_api_server(
    inputs: &Inputs<'_>,
    pods: &[IpNet],
    problems: &mut Problems,
) -> Option<String> {
    let node = &inputs.user.node;
    let Some(given) = &node.api_server else {
        let ready = node.kubelet.given.contains(&"kubeconfig")
            && (!inputs.gives("kube_proxy") || node.kube_proxy.given.contains(&"kubeconfig"));
        if !inputs.gives("api_server") && !ready {
            let reason = "is missing: kubelet and kube-proxy must know their API server";
            problems.error(
                &inputs.missing("api_server"),
                reason,
                "add `https://HOST:6443`",
            );
        }
        return None;
    };
    match host_of(&given.value) {
        Err((reason, remedy)) => {
            problems.error(&given.place, reason, remedy);
            None
        }
        Ok(host) => {
            if let Ok(address) = host.parse::<IpAddr>()
                && let Some(pod) = pods.iter().find(|pod| pod.contains(&address))
            {
                let reason = format!("{address} is inside the pod subnet {pod}");
                problems.error(&given.place, reason, "correct one of the two");
            }
            Some(given.value.clone())
        }
    }
}

/// The host of an `https://host[:port][/path]` URL; anything else is an error.
pub fn host_of(url: &str) -> Result<&str, (String, String)> {
    let fail = |reason: &str| {
        Err((
            reason.to_owned(),
            "write it like `https://server.kubernetes.local:6443`".to_owned(),
        ))
    };
    let Some(rest) = url.strip_prefix("https://") else {
        return fail(if url.starts_with("http://") {
            "is not encrypted (`http:`), which Kubernetes does not accept"
        } else {
            "is not an https URL"
        });
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    if authority.contains('@') {
        return fail("has a user name or password in it");
    }
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.' | '~');
    if !path.chars().all(safe) {
        return fail("has a path with a query, a fragment or odd characters");
    }
    let (host, port) = match host_and_port(authority) {
        Ok(parts) => parts,
        Err(reason) => return fail(reason),
    };
    // `parse` alone would take `+1`.
    let number = |port: &str| {
        let digits = port.bytes().all(|byte| byte.is_ascii_digit());
        digits && port.parse::<u16>().is_ok_and(|number| number > 0)
    };
    if !port.is_none_or(number) {
        return fail("has no valid port number");
    }
    let named = host.to_ascii_lowercase();
    if host.parse::<IpAddr>().is_err() && names::wrong_with(&named).is_some() {
        return fail("has no valid host name");
    }
    // Only digits and dots, but not an address: a typo such as `10.0.0.300`.
    if host.chars().all(|c| c.is_ascii_digit() || c == '.') && host.parse::<IpAddr>().is_err() {
        return fail("has a host that is not a valid IPv4 address");
    }
    Ok(host)
}

/// `host`, `host:port`, `[v6]` or `[v6]:port`; the port is not checked.
fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), &'static str> {
    let Some(bracketed) = authority.strip_prefix('[') else {
        return Ok(match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        });
    };
    let Some((host, rest)) = bracketed.split_once(']') else {
        return Err("has an IPv6 address that is not closed by `]`");
    };
    if host.parse::<std::net::Ipv6Addr>().is_err() {
        return Err("has something other than an IPv6 address in brackets");
    }
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err("has no valid port number"),
    }
}

pub(super) fn check_hosts(inputs: &Inputs<'_>, problems: &mut Problems) -> Vec<HostEntry> {
    let mut entries = Vec::new();
    for pair in &inputs.user.node.hosts {
        let name = pair.name.to_ascii_lowercase();
        if names::wrong_with(&name).is_some() {
            let reason = format!(
                "`{}` is not a host name that can be given an address",
                shown(&pair.name)
            );
            problems.error(&pair.value.place, reason, "write `name: address`");
            continue;
        }
        match pair.value.value.parse::<IpAddr>() {
            Ok(address) if !address.is_unspecified() && !address.is_multicast() => {
                entries.push(HostEntry { address, name });
            }
            _ => {
                let reason = "is not the IP address of one machine";
                problems.error(&pair.value.place, reason, "write `name: address`");
            }
        }
    }
    entries
}
