//! What the fake API server keeps: objects by their paths, and its clients.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::wire::Object;

/// Who a caller has proved to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    pub name: String,
    pub groups: Vec<String>,
}

/// A Node as it has shown itself.
#[derive(Clone, Debug, Default)]
pub struct SeenNode {
    /// Who made it.
    pub by: Caller,
    pub addresses: Vec<(String, String)>,
    pub kubelet_version: String,
    /// Types with their statuses and messages.
    pub conditions: BTreeMap<String, (String, String)>,
}

impl SeenNode {
    pub fn is_ready(&self) -> bool {
        let ready = self.conditions.get("Ready");
        ready.is_some_and(|(status, _)| status == "True")
    }

    /// Whether nothing but a network plugin keeps it from being ready. Of several
    /// reasons, the kubelet makes a list in brackets.
    pub fn waits_for_network(&self) -> bool {
        let begins = [
            "container runtime network not ready:",
            "runtime network not ready:",
        ];
        self.conditions.get("Ready").is_some_and(|(status, why)| {
            status == "False"
                && begins.iter().any(|begin| why.starts_with(begin))
                && why.contains("reason:NetworkPluginNotReady")
        })
    }
}

struct Kept {
    value: Value,
    /// When it was made and last changed.
    made: u64,
    changed: u64,
}

/// Not a clone of a real one: what a node asks for to register, no more.
#[derive(Default)]
pub struct Store {
    objects: BTreeMap<String, Kept>,
    version: u64,
    pub nodes: BTreeMap<String, SeenNode>,
    /// Every client, with its first request.
    pub callers: BTreeMap<String, String>,
    /// Subjects of certificates that were asked for by token and signed.
    pub signed: Vec<String>,
}

impl Store {
    /// Keeps an object that a client has sent; its own answer.
    pub fn put(&mut self, path: &str, object: &Object, more: Value) -> Value {
        self.version += 1;
        let version = self.version;
        let name = path.rsplit('/').next().unwrap_or_default();
        let mut value = json!({
            "apiVersion": object.api_version,
            "kind": object.kind,
            "metadata": {
                "name": name,
                "uid": uid(path),
                "resourceVersion": version.to_string(),
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
        });
        if let (Value::Object(value), Value::Object(mut more)) = (&mut value, more) {
            value.append(&mut more);
        }
        for (key, pairs) in [
            ("labels", &object.labels),
            ("annotations", &object.annotations),
        ] {
            if !pairs.is_empty() {
                value["metadata"][key] = json!(pairs);
            }
        }
        if let Some(at) = path.find("/namespaces/") {
            let namespace = path[at + 12..].split('/').next().unwrap_or_default();
            value["metadata"]["namespace"] = json!(namespace);
        }
        let made = self.objects.get(path).map_or(version, |kept| kept.made);
        let kept = Kept {
            value: value.clone(),
            made,
            changed: version,
        };
        self.objects.insert(path.to_owned(), kept);
        value
    }

    /// A ConfigMap that was there before anyone came.
    pub fn publish(&mut self, path: &str, data: Value) {
        let object = Object {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            ..Object::default()
        };
        self.put(path, &object, json!({ "data": data }));
    }

    /// Removes the objects of a collection.
    pub fn remove(&mut self, collection: &str) {
        self.version += 1;
        self.objects.retain(|path, _| !is_below(path, collection));
    }

    pub fn get(&self, path: &str) -> Option<&Value> {
        self.objects.get(path).map(|kept| &kept.value)
    }

    /// The objects right below a collection, or the one of them.
    fn below<'a>(
        &'a self,
        collection: &'a str,
        only: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Kept> {
        let wanted = move |path: &str| only.is_none_or(|name| path.ends_with(&format!("/{name}")));
        let objects = self.objects.iter();
        objects
            .filter(move |(path, _)| is_below(path, collection) && wanted(path))
            .map(|(_, kept)| kept)
    }

    /// `only` is the name of the object that is asked for, if it is one.
    pub fn list(
        &self,
        collection: &str,
        only: Option<&str>,
        (api_version, kind): (&str, &str),
    ) -> Value {
        let kept = self.below(collection, only);
        let items: Vec<_> = kept.map(|kept| &kept.value).collect();
        json!({
            "apiVersion": api_version,
            "kind": format!("{kind}List"),
            "metadata": { "resourceVersion": self.version.max(1).to_string() },
            "items": items,
        })
    }

    /// What has changed since `version`, as events of a watch, and the version now.
    pub fn since(&self, collection: &str, only: Option<&str>, version: u64) -> (Vec<Value>, u64) {
        let kept = self.below(collection, only);
        let changed = kept.filter(|kept| kept.changed > version);
        let event = |kept: &Kept| {
            let kind = if kept.made > version {
                "ADDED"
            } else {
                "MODIFIED"
            };
            json!({ "type": kind, "object": kept.value })
        };
        (changed.map(event).collect(), self.version)
    }

    pub fn node_registered(&mut self, path: &str, object: &Object, by: &Caller) -> Value {
        let name = path.rsplit('/').next().unwrap_or_default();
        let node = self.nodes.entry(name.to_owned()).or_default();
        node.by = by.clone();
        node.addresses.clone_from(&object.addresses);
        node.kubelet_version.clone_from(&object.kubelet_version);
        let address =
            |(kind, address): &(String, String)| json!({ "type": kind, "address": address });
        let addresses: Vec<_> = object.addresses.iter().map(address).collect();
        let more = json!({ "spec": {}, "status": { "addresses": addresses } });
        self.put(path, object, more)
    }

    /// A strategic merge patch of a Node's status.
    pub fn node_patched(&mut self, name: &str, patch: &Value) {
        let Some(node) = self.nodes.get_mut(name) else {
            return;
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        for condition in patch["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let status = text(&condition["status"]);
            if !status.is_empty() {
                let reason = text(&condition["message"]);
                node.conditions
                    .insert(text(&condition["type"]), (status, reason));
            }
        }
        let addresses = patch["status"]["addresses"].as_array();
        for address in addresses.into_iter().flatten() {
            let pair = (text(&address["type"]), text(&address["address"]));
            if !node.addresses.contains(&pair) && !pair.1.is_empty() {
                node.addresses.push(pair);
            }
        }
    }

    /// Labels and annotations of a merge patch, null takes one away; whether
    /// there were any.
    pub fn metadata_patched(&mut self, path: &str, patch: &Value) -> bool {
        let given = &patch["metadata"];
        let Some(kept) = self.objects.get_mut(path).filter(|_| given.is_object()) else {
            return false;
        };
        self.version += 1;
        kept.changed = self.version;
        let metadata = &mut kept.value["metadata"];
        metadata["resourceVersion"] = json!(self.version.to_string());
        for key in ["labels", "annotations"] {
            for (name, value) in given[key].as_object().into_iter().flatten() {
                match (value, metadata[key].as_object_mut()) {
                    (Value::Null, Some(pairs)) => {
                        pairs.remove(name);
                    }
                    (Value::Null, None) => {}
                    _ => metadata[key][name] = value.clone(),
                }
            }
        }
        true
    }

    /// A request that is signed at once, as an approver and a signer would.
    pub fn request_signed(
        &mut self,
        path: &str,
        object: &Object,
        cert: &str,
        subject: &str,
    ) -> Value {
        self.signed.push(subject.to_owned());
        let more = json!({
            "spec": {
                "request": STANDARD.encode(&object.request),
                "signerName": object.signer,
                "usages": object.usages,
            },
            "status": {
                "certificate": STANDARD.encode(cert),
                "conditions": [{ "type": "Approved", "status": "True", "reason": "nodeimg" }],
            },
        });
        self.put(path, object, more)
    }
}

fn is_below(path: &str, collection: &str) -> bool {
    let rest = path.strip_prefix(collection);
    let name = rest.and_then(|rest| rest.strip_prefix('/'));
    name.is_some_and(|name| !name.contains('/'))
}

/// The same for the same path, which is enough within one run.
fn uid(path: &str) -> String {
    let digest = nodeimg_values::digest::Digest::sha256(path.as_bytes()).to_string();
    let hex = digest.rsplit(':').next().unwrap_or_default().to_owned();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or("0").to_owned();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_waits_for_its_network_plugin_alone() {
        let plugin = "NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized";
        let now = format!("container runtime network not ready: {plugin}");
        let then = format!("runtime network not ready: {plugin}");
        let more = format!("[container runtime status check may not have completed yet, {then}]");
        for (status, why, waits) in [
            ("False", now.as_str(), true),
            ("False", then.as_str(), true),
            ("False", more.as_str(), false),
            (
                "False",
                "PLEG is not healthy: pleg was last seen active 3m ago",
                false,
            ),
            ("Unknown", now.as_str(), false),
            ("True", "kubelet is posting ready status", false),
        ] {
            let mut node = SeenNode::default();
            let ready = (status.to_owned(), why.to_owned());
            node.conditions.insert("Ready".to_owned(), ready);
            assert_eq!(node.waits_for_network(), waits, "{status}: {why}");
        }
        assert!(!SeenNode::default().waits_for_network());
    }
}
