//! Directories that the kubelet is told to use in the part of the image that nothing can be
//! written to.

use nodeimg_seed::contract::paths::{is_below, is_volatile};

use crate::input::recipe::Artifact;
use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::source::Step;

/// Fields with a directory of the kubelet's, and a good value for each.
const FIELDS: [(&str, &str); 3] = [
    ("podLogsDir", "/var/log/pods"),
    ("staticPodPath", "/etc/kubernetes/manifests"),
    ("volumePluginDir", "/var/lib/kubelet/volume-plugins"),
];
/// The flag with such a directory that the recipe may give.
const FLAG: &str = "--volume-plugin-dir=";

pub fn check(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    if file.base.is_none() {
        return;
    }
    for (field, instead) in FIELDS {
        let given = file.kubelet.config.get(field).and_then(toml::Value::as_str);
        let Some(path) = given.filter(|path| is_sealed(file, path)) else {
            continue;
        };
        let way = [Step::Key("kubelet"), Step::Key("config"), Step::Key(field)];
        match field {
            // An image may bring its pods along.
            "staticPodPath" if may_have(file, artifacts, path) => {}
            _ => problems.add(&way, &message(path, instead)),
        }
    }
    for (index, argument) in file.kubelet.extra_args.iter().enumerate() {
        if let Some(path) = argument.strip_prefix(FLAG)
            && is_sealed(file, path)
        {
            let way = [
                Step::Key("kubelet"),
                Step::Key("extra_args"),
                Step::Index(index),
            ];
            problems.add(&way, &message(path, FIELDS[2].1));
        }
    }
}

fn message(path: &str, instead: &str) -> String {
    format!(
        "`{path}` is read-only in this image: use `{instead}`, or add the directory to `writable`"
    )
}

fn is_sealed(file: &RecipeFile, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let own = file.writable.iter().map(|path| path.0.to_string());
    let of_profile = file.profile.iter().flat_map(|profile| profile.writable);
    let mut writable = own
        .chain(of_profile.map(|path| (*path).to_owned()))
        .chain(["/etc", "/var", "/run", "/tmp"].map(str::to_owned));
    path.starts_with('/')
        && !is_volatile(path)
        && !writable.any(|top| path == top || is_below(path, &top))
}

/// Whether something of the recipe may be at a path.
fn may_have(file: &RecipeFile, artifacts: &[Artifact], path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let mut files = file.file.iter().map(|part| part.path.0.to_string());
    !file.overlay.is_empty()
        || artifacts
            .iter()
            .any(|artifact| installs_below(artifact, path))
        || files.any(|file| is_below(&file, path))
}

fn installs_below(artifact: &Artifact, path: &str) -> bool {
    let mut rules = artifact.rules.iter();
    rules.any(|rule| String::from(rule.to.clone()).starts_with(path))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::input::recipe::source::Source;

    /// What is said of a recipe with a base system.
    fn said(text: &str) -> String {
        let sources = [Source {
            label: "mine.toml".to_owned(),
            text: format!("profile = \"kubeadm\"\n{text}[base]\nsuite = \"trixie\"\n"),
            directory: None,
        }];
        let file: RecipeFile = sources[0].parse().unwrap();
        let mut problems = Problems::new(&sources);
        check(&file, &[], &mut problems);
        let done = problems.done();
        done.map_or_else(|error| format!("{error:#}"), |_| String::new())
    }

    #[test]
    fn directories_that_nothing_can_be_written_to_are_refused() {
        for (text, parts) in [
            (
                "[kubelet.config]\nvolumePluginDir = \"/usr/libexec/x\"\n",
                ["mine.toml:3:", "/var/lib/kubelet/volume-plugins"],
            ),
            (
                "[kubelet.config]\nstaticPodPath = \"/opt/pods\"\n",
                ["kubelet.config.staticPodPath", "/etc/kubernetes/manifests"],
            ),
            (
                "[kubelet.config]\npodLogsDir = \"/srv/logs/\"\n",
                ["kubelet.config.podLogsDir", "/var/log/pods"],
            ),
            (
                "[kubelet]\nextra_args = [\"--volume-plugin-dir=/usr/x\"]\n",
                ["kubelet.extra_args[0]", "/var/lib/kubelet/volume-plugins"],
            ),
        ] {
            let said = said(text);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        }
    }

    #[test]
    fn places_on_the_state_and_pods_of_the_image_are_taken() {
        for text in [
            "[kubelet.config]\nstaticPodPath = \"/etc/kubernetes/manifests\"\n",
            "[kubelet.config]\nvolumePluginDir = \"/var/lib/x\"\npodLogsDir = \"/var/log/pods\"\n",
            "writable = [\"/opt/pods\"]\n[kubelet.config]\nstaticPodPath = \"/opt/pods\"\n",
            "[kubelet.config]\nstaticPodPath = \"/usr/share/pods\"\n[[file]]\npath = \"/usr/share/pods/a.yaml\"\ncontent = \"\"\n",
        ] {
            assert_eq!(said(text), "");
        }
    }
}
