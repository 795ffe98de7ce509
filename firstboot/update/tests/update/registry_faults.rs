//! Registries that cut, lie, are slow, know no ranges or have lost what they had, at each of the
//! documents and blobs that an update asks for, and the stores that they redirect to.
//!
//! After each fault the node boots what it ran before, and goes on with a registry that is well.

use std::time::Duration;

use nodeimg_test_support::faulty_server::{Answer, Fault, Server, faulty, good};
use nodeimg_update::engine::Moved;
use nodeimg_update::source::Source;
use nodeimg_update::source::login::Logins;
use nodeimg_update::source::registry::Registry;
use serde_json::{Value, json};

use crate::fixture::{BLOCK, Machine, QUICK};
use crate::model::boot;
use crate::registries::{Pieces, published};
use crate::servers::{B, IMAGE, new, old};

/// A registry whose every answer can be another one.
struct Faulty {
    server: Server,
    pieces: Pieces,
    /// Where blobs are, if a redirect leads there.
    store: Option<Server>,
}

/// What an update asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Tag,
    Manifest,
    Config,
    Envelope,
    Root,
    Tree,
    Uki,
}

const DOCUMENTS: [What; 4] = [What::Tag, What::Manifest, What::Config, What::Envelope];
const BLOBS: [What; 3] = [What::Root, What::Tree, What::Uki];

impl Faulty {
    fn start(redirects: bool) -> Faulty {
        let faulty = Faulty {
            server: Server::start(),
            pieces: published(&new(), Some("an envelope")),
            store: redirects.then(|| Server::start_at("127.0.0.2")),
        };
        for what in DOCUMENTS.into_iter().chain(BLOBS) {
            let (path, bytes) = faulty.piece(what);
            faulty.server.serve(&path, &bytes);
            if let Some(store) = faulty.store.as_ref().filter(|_| path.contains("/blobs/")) {
                let to = Fault::Redirect(store.url(&format!("{path}?secret=x")));
                faulty.server.script(&path, vec![self::faulty(b"", to)]);
                store.serve(&format!("{path}?secret=x"), &bytes);
            }
        }
        faulty
    }

    /// Its path in the registry, and its bytes.
    fn piece(&self, what: What) -> (String, Vec<u8>) {
        let index: Value = serde_json::from_slice(&self.pieces.blobs[&self.pieces.top]).unwrap();
        let digest = |of: &Value| of["digest"].as_str().unwrap().to_owned();
        let named = digest(&index["manifests"][1]);
        let manifest: Value = serde_json::from_slice(&self.pieces.blobs[&named]).unwrap();
        let layer = |number: usize| digest(&manifest["layers"][number]);
        let (kind, name, digest) = match what {
            What::Tag => ("manifests", "stable".to_owned(), self.pieces.top.clone()),
            What::Manifest => ("manifests", named.clone(), named),
            What::Config => (
                "blobs",
                digest(&manifest["config"]),
                digest(&manifest["config"]),
            ),
            What::Uki => ("blobs", layer(0), layer(0)),
            What::Root => ("blobs", layer(1), layer(1)),
            What::Tree => ("blobs", layer(2), layer(2)),
            What::Envelope => ("blobs", layer(3), layer(3)),
        };
        let bytes = self.pieces.blobs[&digest].clone();
        (format!("/v2/fleet/node/{kind}/{name}"), bytes)
    }

    /// The next answers for it, the last one for ever; at the store, if there is one.
    fn answers(&self, what: What, answers: Vec<Answer>) {
        let (path, _) = self.piece(what);
        match self.store.as_ref().filter(|_| path.contains("/blobs/")) {
            Some(store) => store.script(&format!("{path}?secret=x"), answers),
            None => self.server.script(&path, answers),
        }
    }

    fn updates(&self, machine: &Machine) -> anyhow::Result<Moved> {
        let name = format!("{}/fleet/node:stable", self.server.address());
        let source = Registry::open(&name, b"", Logins::default(), QUICK)?;
        let [version] = source.versions(IMAGE)?.try_into().unwrap();
        let document = source.manifest(IMAGE, &version)?;
        assert_eq!(document.envelope.as_deref(), Some("an envelope"));
        let manifest = serde_json::from_slice(&document.plain.unwrap())?;
        machine.install(&manifest, &source)
    }
}

fn boots(machine: &Machine) -> String {
    boot(&machine.disk, machine.size).unwrap().entry
}

/// The same with one byte changed; of the root, in a block that the node does not have.
fn changed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = (bytes.len() / 2).min(3 * BLOCK + 5);
    bytes[at] ^= 1;
    bytes
}

#[test]
fn faults_that_pass_are_survived_at_every_document_and_blob() {
    let faults = |size: usize| {
        let slow = Fault::Slow(size / 20 + 1, Duration::from_millis(1));
        vec![
            vec![Fault::Cut(size / 2), Fault::Cut(0)],
            vec![Fault::UnframedCut(size / 2)],
            vec![Fault::Status(503), Fault::Status(429)],
            vec![Fault::Status(502), Fault::Status(500)],
            vec![Fault::Garbage],
            vec![Fault::Chunked],
            vec![slow],
            vec![Fault::IgnoreRange; 3],
            vec![Fault::IgnoreRange, Fault::Cut(size / 3)],
            vec![Fault::ShortRange(size / 3 + 1)],
        ]
    };
    for what in DOCUMENTS.into_iter().chain(BLOBS) {
        let size = Faulty::start(false).piece(what).1.len();
        for faults in faults(size) {
            // A document whose end is not told may be cut unseen; its digest tells.
            let is_document = DOCUMENTS.contains(&what);
            if is_document && matches!(faults[0], Fault::UnframedCut(_)) {
                continue;
            }
            // Large registries keep blobs elsewhere.
            let registry = Faulty::start(what == What::Root);
            let (_, bytes) = registry.piece(what);
            let told = format!("{what:?} {faults:?}");
            let answers = faults.into_iter().map(|fault| faulty(&bytes, fault));
            registry.answers(what, answers.chain([good(&bytes)]).collect());
            let machine = Machine::running(&old());
            let moved = registry.updates(&machine);
            let moved = moved.unwrap_or_else(|error| panic!("{told}: {error:#}"));
            assert_eq!(moved.fetched, 25 * B, "{told}");
            assert!(boots(&machine).contains("1.1"), "{told}");
        }
    }
}

#[test]
fn faults_that_stay_are_told_of_and_the_old_version_boots() {
    for what in DOCUMENTS.into_iter().chain(BLOBS) {
        let (_, bytes) = Faulty::start(false).piece(what);
        let is_document = DOCUMENTS.contains(&what);
        let mut cases = vec![
            (
                faulty(&bytes, Fault::Status(403)),
                "does not let this node in",
            ),
            (
                faulty(&bytes, Fault::Status(500)),
                "gave up after 3 attempts",
            ),
            (faulty(&bytes, Fault::Cut(0)), "gave up after 3 attempts"),
            (faulty(&bytes, Fault::Garbage), "gave up after 3 attempts"),
            (
                faulty(&bytes, Fault::Status(404)),
                match what {
                    What::Tag => "is not an update of amd64 nodes",
                    _ => "does not have",
                },
            ),
        ];
        if !is_document {
            cases.extend([
                (faulty(&bytes, Fault::Encoded("gzip")), "Content-Encoding"),
                (
                    faulty(&bytes, Fault::ContentRange("bytes 7-8/9".to_owned())),
                    "another range",
                ),
            ]);
        }
        if what != What::Tag {
            let wrong = match what {
                What::Root => "of the root",
                What::Tree | What::Uki => "",
                _ => "is not the file of its manifest",
            };
            cases.push((good(&changed(&bytes)), wrong));
        }
        let mut last = None;
        for (answer, why) in cases {
            let fault = answer.fault.clone();
            let registry = Faulty::start(false);
            registry.answers(what, vec![answer]);
            let machine = Machine::running(&old());
            let error = match registry.updates(&machine) {
                Err(error) => format!("{error:#}"),
                Ok(_) => panic!("{what:?} {fault:?}: taken"),
            };
            assert!(error.contains(why), "{what:?} {fault:?}: {error}");
            assert!(error.contains("127.0.0.1"), "{what:?} {fault:?}: {error}");
            assert!(boots(&machine).contains("1.0"), "{what:?} {fault:?}");
            last = Some(machine);
        }
        // The next registry, or the same one tomorrow.
        let machine = last.unwrap();
        Faulty::start(false).updates(&machine).unwrap();
        assert!(boots(&machine).contains("1.1"), "{what:?}");
    }
}

/// A blob that was collected in the middle of an update, as registries do with what no tag names
/// any more.
#[test]
fn what_came_before_a_blob_was_gone_is_not_fetched_again() {
    let registry = Faulty::start(false);
    let (_, root) = registry.piece(What::Root);
    let gone = faulty(&root, Fault::Status(404));
    registry.answers(What::Root, vec![faulty(&root, Fault::Cut(6 * BLOCK)), gone]);
    let machine = Machine::running(&old());
    let error = format!("{:#}", registry.updates(&machine).unwrap_err());
    assert!(error.contains("does not have it: status 404"), "{error}");
    assert!(boots(&machine).contains("1.0"));
    let moved = Faulty::start(false).updates(&machine).unwrap();
    assert!(moved.kept >= 6 * B, "{moved:?}");
    assert!(moved.fetched <= 19 * B, "{moved:?}");
    assert!(boots(&machine).contains("1.1"));
}

/// Whose fault it is: the store's where the registry redirects, without what lets one in there.
#[test]
fn the_store_behind_a_registry_is_named() {
    for (fault, why) in [
        (Fault::Status(403), "does not let this node in"),
        (Fault::Status(404), "does not have it"),
        (Fault::Status(503), "has a fault"),
        (Fault::Cut(0), "stopped answering"),
        (Fault::Encoded("gzip"), "Content-Encoding"),
    ] {
        for what in BLOBS {
            let registry = Faulty::start(true);
            let (_, bytes) = registry.piece(what);
            registry.answers(what, vec![faulty(&bytes, fault.clone())]);
            let machine = Machine::running(&old());
            let error = format!("{:#}", registry.updates(&machine).unwrap_err());
            let store = registry.store.as_ref().unwrap().address().to_string();
            let told = format!("{store} {why}");
            let told = match fault {
                Fault::Encoded(_) => format!("{store} answers with {why}"),
                _ => told,
            };
            assert!(error.contains(&told), "{what:?} {fault:?}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}

/// An index or a manifest that is one, but not of an update that can be.
#[test]
fn documents_of_another_shape_are_refused() {
    let registry = Faulty::start(false);
    let (_, index) = registry.piece(What::Tag);
    let index: Value = serde_json::from_slice(&index).unwrap();
    let with = |place: &str, value: Value| {
        let mut index = index.clone();
        *index.pointer_mut(place).unwrap() = value;
        index
    };
    for document in [
        json!([]),
        json!("text"),
        with("/manifests/1/digest", json!("sha256:../../../x")),
        with("/manifests/1/digest", json!("md5:00")),
        with("/manifests/1/digest", json!("")),
        with("/manifests/1/size", json!(-1)),
        with("/manifests", json!({})),
        with("/manifests", json!([])),
    ] {
        let bytes = serde_json::to_vec(&document).unwrap();
        registry.answers(What::Tag, vec![good(&bytes)]);
        let machine = Machine::running(&old());
        registry.updates(&machine).unwrap_err();
        assert!(boots(&machine).contains("1.0"), "{document}");
    }
    // A list without end.
    registry.answers(What::Tag, vec![good(&vec![b' '; 5 << 20])]);
    let error = registry.updates(&Machine::running(&old())).unwrap_err();
    assert!(
        format!("{error:#}").contains("answers with more than"),
        "{error:#}"
    );
}
