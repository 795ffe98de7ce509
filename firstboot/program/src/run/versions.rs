//! Which version of the image this is, and what is known of others on this node.
use std::io;

use nodeimg_seed::contract::update::{MAX_UPDATE, UPDATE_PATH, UpdateState};
use nodeimg_seed::text::problem::{Place, Problems};

use crate::root::gate::Open;
use crate::root::{Access, Root};

const OS_RELEASE: &str = "/usr/lib/os-release";
const MAX_OS_RELEASE: usize = 64 << 10;

/// What a kubelet remembers of its own making: another version, or one with another policy,
/// does not start with it (kubernetes/kubernetes#86689). No container runs at this point.
const OF_ONE_KUBELET: [&str; 2] = [
    "/var/lib/kubelet/cpu_manager_state",
    "/var/lib/kubelet/memory_manager_state",
];

/// The image: its name, and its version.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) version: String,
}

impl Image {
    /// `None` for a base system that does not say it.
    pub(crate) fn of(root: &Root) -> Option<Self> {
        let bytes = root.read(OS_RELEASE, MAX_OS_RELEASE).ok().flatten()?;
        let text = String::from_utf8_lossy(&bytes);
        let value = |key: &str| {
            let line = text.lines().rev().find_map(|line| line.strip_prefix(key))?;
            let value = line.trim().trim_matches(['"', '\'']);
            (!value.is_empty()).then(|| value.to_owned())
        };
        Some(Self {
            id: value("IMAGE_ID=")?,
            version: value("IMAGE_VERSION=")?,
        })
    }

    /// The version that a boot entry's name means, if it is one of this image. The name has
    /// `.` for `+`, behind which is how often an entry is tried.
    pub(crate) fn version_of<'a>(&self, stem: &'a str) -> Option<&'a str> {
        let id = self.id.replace('+', ".");
        stem.strip_prefix(&id)?.strip_prefix('_')
    }
}

/// Of the file; none without one.
pub(crate) fn bytes(root: &Root) -> Vec<u8> {
    let found = root.read(UPDATE_PATH, MAX_UPDATE).ok().flatten();
    found.map_or_else(Vec::new, |bytes| bytes.to_vec())
}

pub(crate) fn known(root: &Root) -> UpdateState {
    UpdateState::read(&bytes(root))
}

/// Makes a change of what is known durable, if it is one.
pub(crate) fn note(root: &Root, change: impl FnOnce(&mut UpdateState)) -> io::Result<()> {
    let old = bytes(root);
    let before = UpdateState::read(&old);
    let mut now = before.clone();
    change(&mut now);
    if now == before {
        return Ok(());
    }
    let access = Access {
        mode: 0o600,
        ..Access::PUBLIC
    };
    root.replace(UPDATE_PATH, &now.over(&old)?, access, &mut Open)?;
    root.sync_parent(UPDATE_PATH, &mut Open)
}

/// Before anything else starts: removes what the kubelet of another version left behind.
pub(crate) fn begin(root: &Root, problems: &mut Problems) {
    let Some(image) = Image::of(root) else {
        return;
    };
    if known(root).booted.as_ref() == Some(&image.version) {
        return;
    }
    for path in OF_ONE_KUBELET {
        if let Err(error) = root.remove(path, &mut Open) {
            let remedy = "if the kubelet does not start, remove it";
            let reason = format!("is of another version and cannot be removed: {error}");
            problems.warn(&Place::file(path), reason, remedy);
        }
    }
    let noted = note(root, |state| state.booted = Some(image.version));
    if let Err(error) = noted {
        let reason = format!("cannot be written: {error}");
        problems.warn(
            &Place::file(UPDATE_PATH),
            reason,
            "make room on the state partition",
        );
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use nodeimg_seed::text::problem::Problems;

    use super::{Image, begin, known};
    use crate::root::Root;

    #[test]
    fn another_version_starts_without_the_kubelets_own_state() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["usr/lib", "var/lib/kubelet"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        let root = Root::open(directory.path()).unwrap();
        let state = at("var/lib/kubelet/cpu_manager_state");
        let other = at("var/lib/kubelet/pki");
        let boot = |version: &str| {
            let text = format!("ID=debian\nIMAGE_ID=n+1\nIMAGE_VERSION=\"{version}\"\n");
            fs::write(at("usr/lib/os-release"), text).unwrap();
            fs::write(&other, "").unwrap();
            let mut problems = Problems::new();
            begin(&root, &mut problems);
            assert!(problems.into_vec().is_empty());
            assert_eq!(known(&root).booted.as_deref(), Some(version));
        };
        fs::write(&state, "{}").unwrap();
        boot("1");
        assert!(!state.exists());
        fs::write(&state, "{}").unwrap();
        boot("1");
        assert!(state.exists());
        boot("2");
        assert!(!state.exists() && other.exists());
        let image = Image::of(&root).unwrap();
        assert_eq!(image.version_of("n.1_2.0"), Some("2.0"));
        for other in ["n.1", "n.12_1", "m_2"] {
            assert_eq!(image.version_of(other), None, "{other}");
        }
    }

    #[test]
    fn an_image_without_a_version_has_nothing_to_compare() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        begin(&root, &mut Problems::new());
        assert_eq!(known(&root).booted, None);
        assert!(!directory.path().join("var").exists());
    }
}
