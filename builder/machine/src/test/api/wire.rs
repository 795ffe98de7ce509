//! Objects as kubelets send them: JSON, or protobuf in an envelope.
//!
//! ```text
//!  "k8s\0" | Unknown { 1: TypeMeta { 1: apiVersion, 2: kind }, 2: raw }
//!  raw     | any object { 1: ObjectMeta { 1: name, 2: generateName, 11: labels, 12: annotations }, 2: spec, 3: status }
//!  map     | one field for each of its entries { 1: key, 2: value }
//! ```
//!
//! Specs: [Kubernetes' encodings](https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding),
//! [protobuf's wire format](https://protobuf.dev/programming-guides/encoding/); field numbers by
//! [generated.proto](https://github.com/kubernetes/api/blob/master/core/v1/generated.proto). Answers are JSON,
//! which every client takes, so that nothing is written here.
//!
//! Left out: all fields but those that are looked at, groups of protobuf.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

const MAGIC: &[u8] = b"k8s\0";

/// The fields of an object that are read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub generate_name: String,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    /// Of a Node: types with their addresses.
    pub addresses: Vec<(String, String)>,
    /// Of a Node's status.
    pub kubelet_version: String,
    /// Of a CertificateSigningRequest: PEM.
    pub request: String,
    pub signer: String,
    pub usages: Vec<String>,
}

impl Object {
    /// `None` if it has neither form.
    pub fn read(body: &[u8]) -> Option<Object> {
        match body.strip_prefix(MAGIC) {
            Some(envelope) => Object::of_protobuf(envelope),
            None => Some(Object::of_json(&serde_json::from_slice(body).ok()?)),
        }
    }

    fn of_json(value: &Value) -> Object {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let request = STANDARD.decode(text(&value["spec"]["request"]));
        let usages = value["spec"]["usages"].as_array();
        let addresses = value["status"]["addresses"].as_array();
        let pairs = |key: &str| {
            let pairs = value["metadata"][key].as_object().into_iter().flatten();
            pairs
                .map(|(key, value)| (key.clone(), text(value)))
                .collect()
        };
        Object {
            api_version: text(&value["apiVersion"]),
            kind: text(&value["kind"]),
            name: text(&value["metadata"]["name"]),
            generate_name: text(&value["metadata"]["generateName"]),
            labels: pairs("labels"),
            annotations: pairs("annotations"),
            addresses: addresses
                .into_iter()
                .flatten()
                .map(|address| (text(&address["type"]), text(&address["address"])))
                .collect(),
            kubelet_version: text(&value["status"]["nodeInfo"]["kubeletVersion"]),
            request: String::from_utf8(request.unwrap_or_default()).unwrap_or_default(),
            signer: text(&value["spec"]["signerName"]),
            usages: usages.into_iter().flatten().map(text).collect(),
        }
    }

    fn of_protobuf(envelope: &[u8]) -> Option<Object> {
        let mut object = Object::default();
        let mut raw: &[u8] = &[];
        for (number, value) in fields(envelope)? {
            match number {
                1 => {
                    for (number, value) in fields(value)? {
                        match number {
                            1 => object.api_version = text(value),
                            2 => object.kind = text(value),
                            _ => {}
                        }
                    }
                }
                2 => raw = value,
                _ => {}
            }
        }
        for (number, value) in fields(raw)? {
            match (number, object.kind.as_str()) {
                (1, _) => object.meta(value)?,
                (2, "CertificateSigningRequest") => object.request_spec(value)?,
                (3, "Node") => object.node_status(value)?,
                _ => {}
            }
        }
        Some(object)
    }

    fn meta(&mut self, meta: &[u8]) -> Option<()> {
        for (number, value) in fields(meta)? {
            match number {
                1 => self.name = text(value),
                2 => self.generate_name = text(value),
                11 => self.labels.extend([pair(value)?]),
                12 => self.annotations.extend([pair(value)?]),
                _ => {}
            }
        }
        Some(())
    }

    fn request_spec(&mut self, spec: &[u8]) -> Option<()> {
        for (number, value) in fields(spec)? {
            match number {
                1 => self.request = text(value),
                5 => self.usages.push(text(value)),
                7 => self.signer = text(value),
                _ => {}
            }
        }
        Some(())
    }

    fn node_status(&mut self, status: &[u8]) -> Option<()> {
        for (number, value) in fields(status)? {
            match number {
                5 => {
                    self.addresses.push(pair(value)?);
                }
                7 => {
                    let mut info = fields(value)?.into_iter();
                    let version = info.find(|(number, _)| *number == 7);
                    self.kubelet_version =
                        version.map(|(_, value)| text(value)).unwrap_or_default();
                }
                _ => {}
            }
        }
        Some(())
    }
}

/// A message of two texts: an entry of a map, an address.
fn pair(message: &[u8]) -> Option<(String, String)> {
    let mut pair = (String::new(), String::new());
    for (number, value) in fields(message)? {
        match number {
            1 => pair.0 = text(value),
            2 => pair.1 = text(value),
            _ => {}
        }
    }
    Some(pair)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The fields with lengths of a message, in order; numbers are ignored.
fn fields(mut message: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message)?;
        match key & 7 {
            0 => {
                varint(&mut message)?;
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                found.push((key >> 3, value));
                message = rest;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn field(number: u8, value: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = value.len();
        while length > 0x7f {
            out.push(0x80 | (length & 0x7f) as u8);
            length >>= 7;
        }
        out.push(length as u8);
        out.extend_from_slice(value);
        out
    }

    fn envelope(kind: &str, raw: &[u8]) -> Vec<u8> {
        let types = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [
            MAGIC.to_vec(),
            field(1, &types),
            field(2, raw),
            field(3, b""),
        ]
        .concat()
    }

    #[test]
    fn a_node_is_the_same_in_both_forms() {
        let address = [field(1, b"InternalIP"), field(2, b"10.0.2.15")].concat();
        let info = [field(1, b"id"), field(7, b"v1.36.0")].concat();
        // A number (6: 8), which is ignored, and text of more than 127 bytes.
        let status = [
            field(1, &[7; 300]),
            vec![6 << 3, 8],
            field(5, &address),
            field(7, &info),
        ];
        let label = [field(1, b"kubernetes.io/hostname"), field(2, b"node-0")].concat();
        let annotation = [field(1, b"a"), field(2, b"")].concat();
        let meta = [
            field(1, b"node-0"),
            field(11, &label),
            field(12, &annotation),
        ];
        let raw = [field(1, &meta.concat()), field(3, &status.concat())].concat();
        let read = Object::read(&envelope("Node", &raw)).unwrap();
        let json = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {
                "name": "node-0", "annotations": { "a": "" },
                "labels": { "kubernetes.io/hostname": "node-0" },
            },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": "10.0.2.15" }],
                "nodeInfo": { "kubeletVersion": "v1.36.0" },
            },
        });
        assert_eq!(read, Object::read(json.to_string().as_bytes()).unwrap());
        assert_eq!(read.addresses[0].1, "10.0.2.15");
        assert_eq!(read.kubelet_version, "v1.36.0");
    }

    #[test]
    fn a_request_is_the_same_in_both_forms() {
        let spec = [
            field(1, b"PEM"),
            field(5, b"client auth"),
            field(7, b"kubernetes.io/kube-apiserver-client-kubelet"),
        ];
        let meta = field(1, &field(2, b"csr-"));
        let raw = [meta, field(2, &spec.concat())].concat();
        let read = Object::read(&envelope("CertificateSigningRequest", &raw)).unwrap();
        let json = json!({
            "apiVersion": "v1", "kind": "CertificateSigningRequest",
            "metadata": { "generateName": "csr-" },
            "spec": {
                "request": "UEVN", "usages": ["client auth"],
                "signerName": "kubernetes.io/kube-apiserver-client-kubelet",
            },
        });
        assert_eq!(read, Object::read(json.to_string().as_bytes()).unwrap());
    }

    #[test]
    fn damaged_objects_are_none() {
        let whole = envelope("Node", &field(1, &field(1, b"node-0")));
        for length in 0..whole.len() {
            // Some ends are ends of a field; none may panic.
            let _ = Object::read(&whole[..length]);
        }
        assert!(Object::read(b"k8s\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01").is_none());
        assert!(Object::read(b"k8s\0\x0a\x7f").is_none());
        assert!(Object::read(b"<html>").is_none());
    }
}
