//! Documents of kubeadm, kubelet and kube-proxy, and flags of Kubernetes' programs, that
//! people lay in: judged as those of a seed are.
//!
//! A line with a variable of another tool (`${TOKEN}`, `{{ name }}`, `@NAME@`) has no value
//! yet: nothing is said of it.

use std::collections::BTreeSet;

use anyhow::Result;
use nodeimg_seed::check::kubeadm::minor;
use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::text::problem::{Place, Problem, Problems, Severity};
use nodeimg_seed::text::yaml::{self, Kind as YamlKind, Node as Yaml, Scalar};
use nodeimg_values::epoch::Epoch;

use super::units::{command, unit_of};
use super::{Findings, Judged, at, is_given};
use crate::image::firstboot::settings::settings_of;
use crate::image::kubeadm::ground::Ground;
use crate::image::kubeadm::{flags, of_text};
use crate::image::units::Unit;
use crate::input::published::{self, Release};
use crate::tree::{ImagePath, Kind, Node, Origin};

/// A larger file is not a configuration.
const MOST: u64 = 1 << 20;
/// Examples.
const NOT_READ: [&str; 3] = ["/usr/share/doc", "/usr/share/examples", "/usr/src"];
/// Whose files the kubelet reads as one, in order of their names.
pub const DROP_INS: &str = "/etc/kubernetes/kubelet.conf.d";

pub fn judge(judged: &Judged<'_>, found: &mut Findings) -> Result<()> {
    let mut settings = settings_of(judged.recipe, Epoch(0));
    let version = judged.kubernetes.map(ToString::to_string);
    if judged.recipe.profile.joins == Join::Kubeadm {
        settings.kubeadm = settings.kubeadm.or_else(|| version.clone());
    }
    let known = minor(version.as_deref()).and_then(|minor| published::of(minor.into()));
    for (path, node) in judged.own() {
        let Kind::File(content) = &node.kind else {
            continue;
        };
        let is_example = |top: &&str| top.parse().is_ok_and(|top| path.is_within(&top));
        if content.len() > MOST || NOT_READ.iter().any(is_example) {
            continue;
        }
        let Ok(text) = String::from_utf8(content.head(MOST)?) else {
            continue;
        };
        let file = File { path, node, known };
        file.documents(judged, &text, &settings, found);
        file.drop_in(&text, found);
        file.flags(&text, found);
    }
    Ok(())
}

struct File<'a> {
    path: &'a ImagePath,
    node: &'a Node,
    /// What the image's Kubernetes publishes, if its version is known.
    known: Option<&'static Release>,
}

impl File<'_> {
    fn origin(&self) -> &Origin {
        &self.node.origin
    }

    fn documents(
        &self,
        judged: &Judged<'_>,
        text: &str,
        settings: &ImageSettings,
        found: &mut Findings,
    ) {
        let (filled, open) = filled(text);
        let ground = Ground::of_image(judged.recipe, settings, self.known, judged.tree);
        let mut problems = Problems::new();
        let place = Place::file(self.path.to_string()).key("");
        of_text(&filled, 1, &place, settings, &ground, &mut problems);
        for problem in problems.into_vec() {
            if problem.line.is_none_or(|line| !open.contains(&line)) {
                self.tell(&problem, found);
            }
        }
    }

    fn tell(&self, problem: &Problem, found: &mut Findings) {
        let place = at(self.path, problem.line.unwrap_or(1), self.origin());
        let key = problem.key.as_deref().unwrap_or_default();
        let key = match key.trim_start_matches('.') {
            "" => String::new(),
            key => format!(" {key}"),
        };
        let remedy = match problem.remedy.as_str() {
            "" => String::new(),
            remedy => format!("; {remedy}"),
        };
        let text = format!("{place}:{key} {}{remedy}", problem.reason);
        match problem.severity {
            Severity::Error => found.add(self.origin(), text),
            Severity::Warning => found.warnings.push(text),
        }
    }

    /// What the kubelet makes of a file in its folder.
    fn drop_in(&self, text: &str, found: &mut Findings) {
        let parent = self.path.parent();
        if parent.is_none_or(|parent| parent.as_str() != DROP_INS) || !is_given(self.origin()) {
            return;
        }
        if !self.path.name().ends_with(".conf") {
            found.problems.push(format!(
                "`{}` (from {}) has no effect: of {DROP_INS} the kubelet reads only files whose \
                 names end in `.conf`; rename it",
                self.path,
                self.origin()
            ));
        } else if !text.contains("KubeletConfiguration") {
            found.problems.push(format!(
                "{}: is not a KubeletConfiguration, and the kubelet would not start; begin it \
                 with `apiVersion: kubelet.config.k8s.io/v1beta1` and `kind: KubeletConfiguration`",
                at(self.path, 1, self.origin())
            ));
        }
    }

    /// Flags in units, in environment files of the kubelet and in static pods.
    fn flags(&self, text: &str, found: &mut Findings) {
        let Some(known) = self.known else { return };
        if unit_of(self.path).is_some() {
            let unit = Unit::parse(text);
            for setting in unit.settings() {
                let is_command = command::KEYS.contains(&setting.key.as_str());
                if setting.section == "Service" && is_command {
                    for one in command::read(&setting.value) {
                        let program = one.program.rsplit('/').next().unwrap_or_default();
                        self.words(known, program, &one.arguments, setting.line, found);
                    }
                }
            }
        } else if flags::DEFAULTS.contains(&self.path.as_str()) {
            for (index, words) in flags::of_defaults(text) {
                self.words(known, "kubelet", &words, index + 1, found);
            }
        } else if text.contains("kind: Pod") {
            self.pods(known, text, found);
        }
    }

    /// Static pods of a control plane: the image's tag says the version.
    fn pods(&self, known: &'static Release, text: &str, found: &mut Findings) {
        let (filled, open) = filled(text);
        let Ok(documents) = yaml::documents(&filled, 1) else {
            return;
        };
        for document in documents.iter().filter(|one| one.text("kind") == "Pod") {
            let root = document.root.as_ref();
            let containers = root.and_then(|root| root.get("spec")?.get("containers"));
            for container in containers.map(items).unwrap_or_default() {
                let tag = container
                    .get("image")
                    .and_then(Yaml::scalar)
                    .and_then(|image| image.text().rsplit_once(":v"))
                    .and_then(|(_, version)| published::of(minor(Some(version))?.into()));
                let release = tag.unwrap_or(known);
                let mut words = ["command", "args"]
                    .into_iter()
                    .filter_map(|key| container.get(key))
                    .flat_map(items);
                let Some(first) = words.next().and_then(Yaml::scalar) else {
                    continue;
                };
                let program = first.text().rsplit('/').next().unwrap_or_default();
                for word in words.filter(|word| !open.contains(&word.line)) {
                    let text = word.scalar().map_or("", Scalar::text).to_owned();
                    self.words(release, program, &[text], word.line, found);
                }
            }
        }
    }

    fn words(
        &self,
        release: &Release,
        program: &str,
        words: &[String],
        line: usize,
        found: &mut Findings,
    ) {
        // Which etcd it is is not known.
        if program == "etcd" {
            return;
        }
        for (name, reason, remedy) in flags::of_words(release, program, words) {
            let place = at(self.path, line, self.origin());
            found.add(
                self.origin(),
                format!("{place}: --{name}: {reason}; {remedy}"),
            );
        }
    }
}

fn items(node: &Yaml) -> &[Yaml] {
    match &node.kind {
        YamlKind::Sequence(items) => items,
        _ => &[],
    }
}

/// The text with its variables filled in by a word, and the lines that have some.
fn filled(text: &str) -> (String, BTreeSet<usize>) {
    let (mut filled, mut open) = (String::with_capacity(text.len()), BTreeSet::new());
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if !is_open(line) {
            filled.push_str(line);
            continue;
        }
        open.insert(index + 1);
        let trimmed = line.trim();
        if trimmed.starts_with("{{") && trimmed.ends_with("}}") {
            filled.push('\n');
            continue;
        }
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((_, behind)) = after.split_once("}}") else {
                break;
            };
            filled.push_str(before);
            filled.push('x');
            rest = behind;
        }
        filled.push_str(rest);
    }
    (filled, open)
}

/// Whether a variable of some tool is in it.
fn is_open(line: &str) -> bool {
    let follows = |sign: char, is_first: fn(char) -> bool| {
        let mut parts = line.split(sign).skip(1);
        parts.any(|part| part.starts_with(is_first))
    };
    line.contains("{{")
        || line.contains("{%")
        || follows('$', |c| {
            c.is_ascii_alphabetic() || matches!(c, '{' | '(' | '_')
        })
        || line.split('@').count() > 2 && follows('@', |c| c.is_ascii_uppercase())
        || follows('<', |c| c.is_ascii_alphabetic()) && line.contains('>')
}
