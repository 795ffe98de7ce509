//! What comes of a seed, and whether a change of one place shows.
use std::borrow::Cow;
use std::collections::BTreeSet;

use nodeimg_seed::check::Addresses;
use nodeimg_seed::contract::paths::is_below;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::examine::{Surroundings, examine};
use nodeimg_seed::plan::{Before, Image, TemplateFile};
use nodeimg_seed::read::cloud_config::UserData;
use nodeimg_seed::read::meta_data;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::{Problem, Problems, Severity, Waited};
use nodeimg_seed::text::secret::SecretBytes;
use nodeimg_seed::text::template::PLACEHOLDERS;

use crate::document::Tree;

/// What a document is of its seed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Meta,
    User,
    /// One of several parts of the user-data, by MIME.
    Part,
    Vendor,
}

#[derive(Clone)]
pub struct Document {
    pub role: Role,
    /// Above the tree.
    pub head: String,
    pub tree: Tree,
}

impl Document {
    pub fn new(role: Role, head: &str, text: &str) -> Self {
        Self {
            role,
            head: head.to_owned(),
            tree: Tree::of(text).unwrap(),
        }
    }

    fn text(&self) -> String {
        let mut text = self.head.clone();
        self.tree.write(&mut text);
        text.push('\n');
        text
    }

    /// Counted as in messages.
    fn line_of(&self, path: &[String]) -> Option<usize> {
        Some(self.head.matches('\n').count() + 1 + self.tree.line_of(path)?)
    }
}

/// A seed whose documents can be changed.
pub struct Sample {
    pub name: String,
    pub layout: Layout,
    pub settings: ImageSettings,
    pub documents: Vec<Document>,
    /// As they are: those that are of another form, and the network.
    pub others: Vec<(Role, Vec<u8>)>,
    pub network: Option<Vec<u8>>,
}

/// What is compared.
pub struct Outcome {
    /// Of the plan, with the names of the node; `None` if the seed is refused.
    pub plan: Option<String>,
    pub problems: Vec<Problem>,
}

impl Sample {
    pub fn seed(&self, documents: &[Document]) -> Seed {
        let names = self.layout.names();
        let mut seed = Seed::new(self.layout, SeedFile::new(names.meta_data, ""));
        let mut parts = String::new();
        for document in documents {
            let text = document.text();
            match document.role {
                Role::Meta => seed.meta_data = SeedFile::new(names.meta_data, text),
                Role::User => seed.user_data = Some(SeedFile::new(names.user_data, text)),
                Role::Vendor => seed.vendor_data = Some(SeedFile::new(names.vendor_data, text)),
                Role::Part => {
                    let merge = if parts.is_empty() {
                        ""
                    } else {
                        "Merge-Type: dict(recurse_list,recurse_dict)+list(append)\n"
                    };
                    parts.push_str("--B\nContent-Type: text/cloud-config\n");
                    parts.push_str(merge);
                    parts.push('\n');
                    parts.push_str(&text);
                }
            }
        }
        for (role, bytes) in &self.others {
            match role {
                Role::Meta => seed.meta_data = SeedFile::new(names.meta_data, bytes.clone()),
                Role::Vendor => {
                    seed.vendor_data = Some(SeedFile::new(names.vendor_data, bytes.clone()));
                }
                _ => seed.user_data = Some(SeedFile::new(names.user_data, bytes.clone())),
            }
        }
        if !parts.is_empty() {
            let head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B\n\n";
            let text = format!("{head}{parts}--B--\n");
            seed.user_data = Some(SeedFile::new(names.user_data, text));
        }
        seed.network = self
            .network
            .as_ref()
            .map(|bytes| SeedFile::new(names.network, bytes.clone()));
        seed
    }

    pub fn outcome(&self, documents: &[Document]) -> Outcome {
        let mut problems = Problems::new();
        let mut seed = self.seed(documents);
        let take = |name: &str| Ok::<_, ()>(Some(SeedFile::new(name, name)));
        seed.inject(take, &mut problems).unwrap();
        let place = Place::new();
        let plan = meta_data::read(&seed, &mut problems).and_then(|meta| {
            let examined = examine(&seed, &meta, &self.settings, &place, &mut problems)?;
            let names = format!("{} {}", examined.node.host_name, examined.node.fqdn);
            Some(format!("{names} {}", examined.plan?.digest()))
        });
        let problems: Vec<Problem> = problems.iter().cloned().collect();
        let good = problems.iter().all(|one| one.severity == Severity::Warning);
        Outcome {
            plan: plan.filter(|_| good),
            problems,
        }
    }
}

/// `None` if the change shows, else what is missing.
pub fn fault(
    before: &Outcome,
    after: &Outcome,
    old: &Document,
    new: &Document,
    path: &[String],
) -> Option<String> {
    let mut words: BTreeSet<String> = BTreeSet::new();
    let is_index = |key: &&String| key.parse::<usize>().is_err();
    let keys: Vec<&String> = path.iter().filter(is_index).collect();
    words.extend(keys.last().map(|key| (*key).clone()));
    words.extend(keys.last().map(|key| format!("{key}x")));
    let lines = [old.line_of(path), new.line_of(path)];
    // An archive's part is named by its number.
    let index = path.first().and_then(|first| first.parse::<usize>().ok());
    let parts = Vec::from_iter(index.map(|index| format!("part {}", index + 1)));
    let above: Vec<String> = (1..keys.len())
        .map(|length| {
            let above = keys[..length].iter();
            above.map(|key| key.as_str()).collect::<Vec<_>>().join(".")
        })
        .collect();
    // A value can be wrong because of another of the same group.
    let group = keys.len().checked_sub(2).map(|at| keys[at].as_str());
    let names = |problem: &Problem| {
        let key = problem.key.as_deref().unwrap_or_default();
        let within = |word: &str| {
            key.split('.')
                .any(|part| part == word || key.ends_with(word))
                || problem.reason.contains(&format!("`{word}"))
                || problem.remedy.contains(&format!("`{word}"))
        };
        let is_error = problem.severity == Severity::Error;
        words.iter().any(|word| within(word))
            || parts.iter().any(|part| problem.file.contains(part))
            || above.iter().any(|above| key == above && says_idle(problem))
            || (words.contains("hostname") && problem.remedy.contains("correct the host name"))
            || (problem.line.is_some() && lines.contains(&problem.line))
            || (is_error && group.is_some_and(within))
    };
    match (&before.plan, &after.plan) {
        (old, Some(_)) if old != &after.plan => None,
        (_, Some(_)) => {
            let mut all = before.problems.iter().chain(&after.problems);
            let named = all.any(names);
            (!named).then(|| "has no effect, and no warning names it".to_owned())
        }
        (_, None) => {
            let is_new = |problem: &&Problem| !before.problems.contains(problem);
            let errors = after.problems.iter().filter(is_new);
            let mut errors = errors.filter(|problem| problem.severity == Severity::Error);
            let all: Vec<String> = errors.clone().map(ToString::to_string).collect();
            (!errors.any(names)).then(|| format!("is refused without its name: {all:?}"))
        }
    }
}

/// Whether all that is below the key is told as well.
fn says_idle(problem: &Problem) -> bool {
    ["no effect", "not applied", "not read"]
        .iter()
        .any(|words| problem.reason.contains(words))
}

/// A machine whose image has what seeds may ask for.
pub struct Place {
    templates: Vec<TemplateFile>,
    now: u64,
}

impl Place {
    fn new() -> Self {
        let lines = PLACEHOLDERS.iter();
        let lines = lines.map(|known| format!("{}={{{{ {} }}}}\n", known.name, known.name));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            templates: vec![TemplateFile {
                path: "/etc/every-value".to_owned(),
                text: lines.collect(),
            }],
            now: now.unwrap().as_secs(),
        }
    }
}

impl Surroundings for Place {
    fn architecture(&self) -> &str {
        "x86_64"
    }

    fn addresses(&self, _user: &UserData) -> (Addresses, Option<Waited>) {
        (Addresses::Unknown, None)
    }

    fn now(&self) -> u64 {
        self.now
    }

    fn templates(&self, _problems: &mut Problems) -> Option<Cow<'_, [TemplateFile]>> {
        Some(Cow::Borrowed(&self.templates))
    }

    fn image(&self) -> &dyn Image {
        self
    }
}

const FILES: &[(&str, &str)] = &[
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nold:x:900:900::/:/bin/sh\n",
    ),
    ("/etc/group", "root:x:0:\nold:x:900:\nusers:x:100:\n"),
    ("/etc/shadow", "root:*:19000:0:99999:7:::\n"),
    ("/etc/gshadow", "root:*::\n"),
    ("/etc/ssl/certs/ca-certificates.crt", "# of the image\n"),
    ("/usr/share/zoneinfo/Europe/Berlin", "TZif"),
    ("/etc/there", "of the image\n"),
    (nodeimg_seed::contract::paths::UPDATER, ""),
];

impl Image for Place {
    fn file(&self, path: &str) -> Result<Option<Before>, String> {
        let found = FILES.iter().find(|(name, _)| *name == path);
        Ok(found.map(|(_, text)| Before {
            bytes: SecretBytes::new(text.as_bytes().to_vec()),
            mode: 0o644,
            uid: 0,
            gid: 0,
        }))
    }

    fn exists(&self, path: &str) -> bool {
        self.file(path).is_ok_and(|file| file.is_some())
    }

    fn is_directory(&self, path: &str) -> bool {
        FILES.iter().any(|(name, _)| is_below(name, path))
    }
}
