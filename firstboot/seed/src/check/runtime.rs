//! Whether a seed names the socket of the container runtime that the image has: a kubelet
//! that is told another one would start no pod, and kubeadm would fail.
//!
//! Only sockets of runtimes that nodeimg knows are refused: a node may bring its own.
use std::str::from_utf8;

use super::{Inputs, lines_on};
use crate::contract::runtime::{Runtime, other_at};
use crate::text::problem::Problems;

/// Keys of the kubelet's and of kubeadm's configuration, and the kubelet's flag.
const KEYS: [&str; 4] = [
    "containerRuntimeEndpoint",
    "container-runtime-endpoint",
    "criSocket",
    "cri-socket",
];

pub(super) fn check(inputs: &Inputs<'_>, problems: &mut Problems) {
    let runtime = inputs.settings.runtime;
    let given = &inputs.user.node.kubeadm;
    for config in given.join.iter().chain(&given.init) {
        if let Some((line, other)) = other_in(config.text.expose(), runtime) {
            let place = lines_on(&config.place, line);
            problems.error(&place, reason(other, runtime), remedy(runtime));
        }
    }
    for file in &inputs.user.files {
        let text = from_utf8(file.content.expose()).unwrap_or_default();
        if let Some((line, other)) = other_in(text, runtime) {
            let reason = format!("line {line} of the file {}", reason(other, runtime));
            problems.error(&file.path.place, reason, remedy(runtime));
        }
    }
}

fn reason(other: &Runtime, runtime: &Runtime) -> String {
    format!(
        "names the socket of {}, but this image has {}",
        other.name, runtime.name
    )
}

fn remedy(runtime: &Runtime) -> String {
    format!("write `{}`, or remove the line", runtime.kubeadm_socket)
}

/// The first line that names another runtime's socket.
fn other_in(text: &str, runtime: &Runtime) -> Option<(usize, &'static Runtime)> {
    text.lines().zip(1..).find_map(|(line, number)| {
        let other = other_at(endpoint_in(line)?, runtime)?;
        Some((number, other))
    })
}

/// The value of one of [`KEYS`] in a line of YAML, JSON or flags.
fn endpoint_in(line: &str) -> Option<&str> {
    if line.trim_start().starts_with('#') {
        return None;
    }
    let after = KEYS
        .iter()
        .find_map(|key| line.split_once(key).map(|(_, after)| after))?;
    let between = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ':' | '=');
    let value = after.trim_start_matches(between);
    let end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '}');
    value.split(end).next()
}

#[cfg(test)]
mod tests {
    use super::endpoint_in;

    #[test]
    fn an_endpoint_is_found_however_it_is_written() {
        let socket = "unix:///run/crio/crio.sock";
        for line in [
            "criSocket: unix:///run/crio/crio.sock",
            "  criSocket: 'unix:///run/crio/crio.sock' # mine",
            "{\"nodeRegistration\": {\"criSocket\": \"unix:///run/crio/crio.sock\"}}",
            "containerRuntimeEndpoint: unix:///run/crio/crio.sock",
            "ARGS=--v=2 --container-runtime-endpoint=unix:///run/crio/crio.sock --x",
            "kubeadm reset --cri-socket unix:///run/crio/crio.sock",
        ] {
            assert_eq!(endpoint_in(line), Some(socket), "{line}");
        }
        for line in ["# criSocket: unix:///run/crio/crio.sock", "a: b", ""] {
            assert_eq!(endpoint_in(line), None, "{line}");
        }
    }
}
