//! What the image's kubeadm would refuse, and what would not work on its nodes, in documents
//! of a seed or of the image itself: each at its key.
//!
//! ```text
//! nodeimg.kubeadm, write_files,
//! overlays, file                ->  documents  ->  types       fields and their types, flags
//!                                              ->  node        nodeRegistration
//!                                              ->  discovery   how a node finds its cluster
//!                                              ->  cluster     versions, addresses, paths
//!                                              ->  plane       flags and files of its programs
//!                                              ->  component   kubelet and kube-proxy
//! ```
//! Sources: kubeadm's `cmd/kubeadm/app/apis/kubeadm/validation` and `util/config`, whose
//! verdicts `tests/judges` compares with these.

mod cluster;
mod component;
mod discovery;
pub mod flags;
pub mod ground;
mod networks;
mod node;
mod plane;
mod types;

use nodeimg_seed::check::Inputs;
use nodeimg_seed::check::kubeadm::{document, version_of};
use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::examine;
use nodeimg_seed::plan::Shape;
use nodeimg_seed::read::cloud_config::WriteFile;
use nodeimg_seed::read::network::Network;
use nodeimg_seed::text::field::Field;
use nodeimg_seed::text::problem::{Place, Problems};
use nodeimg_seed::text::yaml::{self, Document};

use crate::input::recipe::Recipe;
use ground::Ground;

/// The groups of documents that kubeadm and what it sets up read.
const GROUPS: [&str; 3] = [
    "kubeadm.k8s.io/",
    "kubelet.config.k8s.io/",
    "kubeproxy.config.k8s.io/",
];

/// Judges the seeds of an image that kubeadm sets up.
pub struct Judge<'a> {
    /// Paths that the image is known to have.
    pub known: &'a [(String, Shape)],
    /// Whether the image is a whole system, whose other directories are read-only.
    pub is_sealed: bool,
}

impl<'a> Judge<'a> {
    /// For images of this recipe, which have these paths; `None` if kubeadm has no part in
    /// them.
    pub fn of(recipe: &'a Recipe, known: &'a [(String, Shape)]) -> Option<Self> {
        (recipe.profile.joins == Join::Kubeadm).then(|| Self {
            known,
            is_sealed: recipe.base.is_some(),
        })
    }
}

impl examine::Judge for Judge<'_> {
    fn judge(&self, inputs: &Inputs<'_>, network: Option<&Network>, problems: &mut Problems) {
        let ground = Ground::of(self, inputs, network);
        let given = &inputs.user.node.kubeadm;
        for config in given.join.iter().chain(&given.init) {
            let documents = config.documents.as_deref().unwrap_or_default();
            let set = Set {
                documents: documents
                    .iter()
                    .map(|document| located(document, &config.place))
                    .collect(),
            };
            set.judge(&ground, problems);
        }
        for file in &inputs.user.files {
            of_file(file, inputs.settings, &ground, problems);
        }
    }
}

/// What one run of kubeadm reads.
struct Set<'a> {
    /// Those that are not empty.
    documents: Vec<One<'a>>,
}

/// One document.
struct One<'a> {
    api: &'a str,
    kind: &'a str,
    root: Option<Field<'a>>,
    place: Place,
}

fn located<'a>(document: &'a Document, place: &Place) -> One<'a> {
    let place = place.clone().line(document.line);
    One {
        api: document.text("apiVersion"),
        kind: document.text("kind"),
        root: document.root.as_ref().map(|node| Field {
            node,
            place: place.clone().line(node.line),
        }),
        place,
    }
}

/// A file that a seed writes, if it has documents of kubeadm or what it sets up.
fn of_file(
    file: &WriteFile,
    settings: &ImageSettings,
    ground: &Ground<'_>,
    problems: &mut Problems,
) {
    let Ok(text) = std::str::from_utf8(file.content.expose()) else {
        return;
    };
    if file.append {
        return;
    }
    let path = &file.path.value;
    let name = match file.first_line {
        Some(_) => file.path.place.file.clone(),
        None => format!("{}, {path}", file.path.place.file),
    };
    let place = Place::file(name).key(path);
    let first = file.first_line.unwrap_or(1);
    if let Some(release) = ground.release
        && flags::DEFAULTS.contains(&path.as_str())
    {
        for (index, words) in flags::of_defaults(text) {
            let place = place.clone().line(first + index);
            for (name, reason, remedy) in flags::of_words(release, "kubelet", &words) {
                problems.error(&place, format!("--{name}: {reason}"), remedy);
            }
        }
    }
    of_text(text, first, &place, settings, ground, problems);
}

/// The documents of a text whose first line is line `first` of the file at `place`.
pub fn of_text(
    text: &str,
    first: usize,
    place: &Place,
    settings: &ImageSettings,
    ground: &Ground<'_>,
    problems: &mut Problems,
) {
    if !GROUPS.iter().any(|group| text.contains(group)) {
        return;
    }
    // A script with such a document in it is not a document.
    let Ok(documents) = yaml::documents(text, first) else {
        return;
    };
    let is_ours = |document: &Document| {
        let api = document.text("apiVersion");
        GROUPS.iter().any(|group| api.starts_with(group))
    };
    if !documents.iter().any(is_ours) {
        return;
    }
    for document in &documents {
        if let Some(version) = version_of(document)
            && let Some(root) = located(document, place).root
        {
            document::check(&root, version, settings, problems);
        }
    }
    let all = documents.iter().map(|document| located(document, place));
    let set = Set {
        documents: all.collect(),
    };
    // The kubelet and kube-proxy read files of their own.
    if documents
        .iter()
        .any(|document| version_of(document).is_some())
    {
        set.refuse_empty(problems);
        set.judge(ground, problems);
    } else {
        for one in set.documents.iter().filter(|one| one.is_ours()) {
            types::check(one, ground, problems);
            component::check(one, &set, ground, problems);
        }
    }
}

impl<'a> One<'a> {
    fn is_ours(&self) -> bool {
        GROUPS.iter().any(|group| self.api.starts_with(group))
    }

    /// The root, if it is a document of kubeadm and of that kind.
    fn of_kind(&self, kind: &str) -> Option<&Field<'a>> {
        let is_kubeadm = self.api.starts_with(GROUPS[0]);
        self.root
            .as_ref()
            .filter(|_| is_kubeadm && self.kind == kind)
    }
}

impl<'a> Set<'a> {
    /// The first document of kubeadm of that kind.
    fn find(&self, kind: &str) -> Option<&Field<'a>> {
        self.documents.iter().find_map(|one| one.of_kind(kind))
    }

    fn refuse_empty(&self, problems: &mut Problems) {
        for one in self.documents.iter().filter(|one| one.root.is_none()) {
            let reason = "is an empty document, which kubeadm refuses";
            problems.error(&one.place, reason, "remove the `---` around it");
        }
    }

    fn judge(&self, ground: &Ground<'_>, problems: &mut Problems) {
        self.check_kinds(problems);
        for one in &self.documents {
            types::check(one, ground, problems);
            component::check(one, self, ground, problems);
        }
        for kind in ["InitConfiguration", "JoinConfiguration"] {
            if let Some(root) = self.find(kind) {
                node::check(root, ground, problems);
            }
        }
        if let Some(root) = self.find("InitConfiguration") {
            node::check_init(root, ground, problems);
        }
        if let Some(root) = self.find("JoinConfiguration") {
            discovery::check(root, ground, problems);
        }
        if let Some(root) = self.find("ClusterConfiguration") {
            cluster::check(root, self, ground, problems);
        }
    }

    /// One of each kind, and those that the run reads.
    fn check_kinds(&self, problems: &mut Problems) {
        let joins = self.find("JoinConfiguration").is_some();
        let begins = |kind: &str| self.find(kind).is_some();
        let inits = begins("InitConfiguration") || begins("ClusterConfiguration");
        for (at, one) in self.documents.iter().enumerate() {
            let Some(root) = &one.root else { continue };
            if root.node.entries().is_none() {
                let reason = format!("is {}, not a document of kubeadm", root.node.what());
                problems.error(&root.place, reason, "write a mapping");
                continue;
            }
            let has_group = one.api.contains('/');
            if !has_group || one.kind.is_empty() {
                let reason = "has no `apiVersion: GROUP/VERSION` and `kind`, without which kubeadm \
                    reads no document";
                problems.error(&root.place, reason, "add them, or remove the document");
                continue;
            }
            if self.documents[..at]
                .iter()
                .any(|first| first.kind == one.kind)
            {
                let reason = format!("is a second `{}`; kubeadm takes one of each kind", one.kind);
                problems.error(&root.place, reason, "put them into one document");
            } else if !one.is_ours() {
                let reason = format!("is of `{}`, which kubeadm does not read", one.api);
                problems.warn(&root.place, reason, "remove it");
            } else if joins && !inits && one.kind != "JoinConfiguration" {
                let reason = format!(
                    "is a {}, which `kubeadm join` does not read: a node that joins gets it from \
                     its cluster",
                    one.kind
                );
                problems.warn(&root.place, reason, "remove it");
            }
        }
    }
}

#[cfg(test)]
mod tests;
