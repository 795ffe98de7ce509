//! Files made from the recipe by real types: kubelet, kube-proxy, host settings; the
//! container runtime's is its own matter. Pure: a recipe in, text out.

pub mod credential_providers;
pub mod host;
pub mod kube_proxy;
pub mod kubelet;
pub mod runtime_classes;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::input::recipe::with_extra;

/// One generated file.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Where it lies in the image.
    pub path: &'static str,
    pub text: String,
    /// Another name that it has on the node: a link, so that the file itself
    /// stays below /usr, which is read-only.
    pub link: Option<&'static str>,
    /// The recipe key that it is mostly made from, for the manifest.
    pub key: &'static str,
}

fn yaml<T: Serialize>(ours: &T, extra: &toml::Table, what: &str) -> Result<String> {
    let table = with_extra(ours, extra, what)?;
    serde_saphyr::to_string(&table).with_context(|| format!("writing {what} as YAML"))
}

/// `NAME=a b c` for a systemd `EnvironmentFile=`; the recipe's checks keep
/// quotes, `$` and backslashes out of flags.
fn environment(comment: &str, name: &str, args: &[String]) -> String {
    format!("# {comment}\n{name}={}\n", args.join(" "))
}

#[cfg(test)]
mod tests;
