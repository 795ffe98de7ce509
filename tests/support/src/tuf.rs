//! A repository of The Update Framework of the tests' own, with the shape of the public
//! Sigstores' ([specification](https://theupdateframework.github.io/specification/latest/)):
//! two of three holders sign roots and targets, a key that is online the rest.

use std::collections::BTreeMap;

use rcgen::{KeyPair, PublicKeyData, SigningKey};
use serde_json::{Value, json};

use super::archive::sha256;
use super::sigstore::{hex, pem_of};

/// When nothing expires.
pub const LATER: &str = "2099-01-01T00:00:00Z";
/// How many holders must sign.
pub const THRESHOLD: usize = 2;
const HOLDERS: usize = 3;

/// The keys of one version of the root.
struct Keys {
    holders: Vec<KeyPair>,
    online: KeyPair,
}

impl Keys {
    fn new() -> Keys {
        let make = || KeyPair::generate().unwrap();
        Keys {
            holders: (0..HOLDERS).map(|_| make()).collect(),
            online: make(),
        }
    }
}

/// The repository: every version of its root.
pub struct Repository {
    keys: Keys,
    /// Version 1 first.
    roots: Vec<Vec<u8>>,
}

/// One state of what the root's keys sign.
#[derive(Clone, Copy)]
pub struct Release<'a> {
    pub trusted_root: &'a str,
    /// Of targets, snapshot and timestamp.
    pub version: u64,
    pub timestamp_expires: &'a str,
    /// How many holders sign the targets.
    pub signers: usize,
}

impl<'a> Release<'a> {
    pub fn of(trusted_root: &'a str, version: u64) -> Release<'a> {
        Release {
            trusted_root,
            version,
            timestamp_expires: LATER,
            signers: THRESHOLD,
        }
    }
}

impl Repository {
    #[expect(clippy::new_without_default, reason = "it makes keys")]
    pub fn new() -> Repository {
        let keys = Keys::new();
        let root = root(1, &keys);
        let first = signed(&root, keys.holders.iter().take(THRESHOLD));
        Repository {
            keys,
            roots: vec![first],
        }
    }

    /// The root to begin with.
    pub fn first(&self) -> &[u8] {
        &self.roots[0]
    }

    /// The next version of the root has other keys; `old` and `new` holders sign it.
    pub fn rotate(&mut self, old: usize, new: usize) {
        let next = Keys::new();
        let version = u64::try_from(self.roots.len()).unwrap() + 1;
        let signers = self.keys.holders.iter().take(old);
        let signers = signers.chain(next.holders.iter().take(new));
        self.roots.push(signed(&root(version, &next), signers));
        self.keys = next;
    }

    /// Every file below the repository's URL.
    pub fn files(&self, release: &Release<'_>) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for (root, version) in self.roots.iter().zip(1..) {
            files.insert(format!("{version}.root.json"), root.clone());
        }
        let version = release.version;
        let file = release.trusted_root.as_bytes();
        let digest = sha256(file);
        let document = |kind: &str, expires: &str, more: (&str, Value)| {
            let mut document = json!({
                "_type": kind, "spec_version": "1.0.31", "version": version, "expires": expires,
            });
            document[more.0] = more.1;
            document
        };
        let listed = json!({ "trusted_root.json": {
            "length": file.len(), "hashes": { "sha256": digest },
        }});
        let targets = document("targets", LATER, ("targets", listed));
        let targets = signed(&targets, self.keys.holders.iter().take(release.signers));
        let pinned = json!({ "targets.json": pin(version, &targets) });
        let snapshot = document("snapshot", LATER, ("meta", pinned));
        let snapshot = signed(&snapshot, [&self.keys.online]);
        let pinned = json!({ "snapshot.json": pin(version, &snapshot) });
        let timestamp = document("timestamp", release.timestamp_expires, ("meta", pinned));
        let timestamp = signed(&timestamp, [&self.keys.online]);
        files.insert(format!("targets/{digest}.trusted_root.json"), file.into());
        files.insert(format!("{version}.targets.json"), targets);
        files.insert(format!("{version}.snapshot.json"), snapshot);
        files.insert("timestamp.json".to_owned(), timestamp);
        files
    }
}

fn root(version: u64, keys: &Keys) -> Value {
    let mut all = serde_json::Map::new();
    for key in keys.holders.iter().chain([&keys.online]) {
        let public = pem_of("PUBLIC KEY", &key.subject_public_key_info());
        let entry = json!({
            "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": { "public": public },
        });
        all.insert(id(key), entry);
    }
    let holders: Vec<String> = keys.holders.iter().map(id).collect();
    let holders = json!({ "keyids": holders, "threshold": THRESHOLD });
    let online = json!({ "keyids": [id(&keys.online)], "threshold": 1 });
    json!({
        "_type": "root",
        "spec_version": "1.0.31",
        "version": version,
        "expires": LATER,
        "consistent_snapshot": true,
        "keys": all,
        "roles": {
            "root": holders, "targets": holders, "snapshot": online, "timestamp": online,
        },
    })
}

/// Any name does, if it is a key's own.
fn id(key: &KeyPair) -> String {
    sha256(&key.subject_public_key_info())
}

fn pin(version: u64, bytes: &[u8]) -> Value {
    json!({
        "version": version, "length": bytes.len(), "hashes": { "sha256": sha256(bytes) },
    })
}

fn signed<'k>(document: &Value, signers: impl IntoIterator<Item = &'k KeyPair>) -> Vec<u8> {
    // TUF's canonical JSON escapes no line ends.
    let canonical = document.to_string().replace("\\n", "\n");
    let signatures: Vec<Value> = signers
        .into_iter()
        .map(|key| {
            let signature = SigningKey::sign(key, canonical.as_bytes()).unwrap();
            json!({ "keyid": id(key), "sig": hex(&signature) })
        })
        .collect();
    let whole = json!({ "signed": document, "signatures": signatures });
    whole.to_string().into_bytes()
}
