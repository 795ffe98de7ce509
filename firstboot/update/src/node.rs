//! What this node is and was told.
//!
//! Everything lies below a root directory, which is another one in tests and on a copy.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use nodeimg_formats::update::when;
use nodeimg_formats::verity::RootHash;
use nodeimg_seed::contract::update::{UPDATE_PATH, UpdateState};
use nodeimg_values::atomic;
use serde::{Deserialize, Serialize};

/// What the image says: source and keys.
pub const IMAGE_CONFIG: &str = "/usr/lib/nodeimg/update.toml";
/// What is said over it on the node; its keys count only where the image allows that.
pub const NODE_CONFIG: &str = "/etc/nodeimg/update.toml";
/// Versions that an operator holds back, one a line; `*` is every one.
pub const HELD: &str = "/var/lib/nodeimg/update-hold";
/// For which version `kubeadm upgrade node` has run, or need not run.
pub const KUBEADM_DONE: &str = "/var/lib/nodeimg/kubeadm-version";
/// What kured looks for.
pub const REBOOT_REQUIRED: &str = "/run/reboot-required";

/// A node's file system.
#[derive(Clone, Debug)]
pub struct Node(PathBuf);

/// The image that runs.
#[derive(Clone, Debug)]
pub struct Running {
    pub id: String,
    pub version: String,
    pub root: RootHash,
    /// Empty if there is none yet.
    pub machine_id: String,
}

/// `update.toml`. What a later version of this program reads is ignored, with a word about it: a
/// node that goes back to this one must still find its source.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Config {
    /// A directory, `https://HOST/DIR/`, or `oci://HOST/REPOSITORY[:TAG]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Files with public keys in PEM. One of them has signed what is taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<PathBuf>,
    /// The keys are those of the node's own configuration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub key_from_seed: bool,
    /// The format of what this image keeps in /var; 1 if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_version: Option<u32>,
    /// When the node looks for updates, as systemd.time(7) says it, or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When it may reboot by itself; never if there is no window.
    #[serde(default)]
    pub reboot: Reboot,
    #[serde(flatten, skip_serializing)]
    unknown: BTreeMap<String, toml::Value>,
}

/// A window for reboots.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reboot {
    /// When it opens, as systemd.time(7) says it, or `never`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// How long it is open: `2h`; an hour by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<String>,
    /// Of the window: `Europe/Berlin`. The node's own by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

impl Reboot {
    /// What systemd reads, and how long it is open, in seconds; none without a window.
    ///
    /// # Errors
    /// A value is not of its form.
    pub fn window(&self) -> Result<Option<(String, u64)>> {
        let window = self.window.as_deref().map(str::trim);
        let Some(window) = window.filter(|window| *window != when::NEVER) else {
            return Ok(None);
        };
        when::window(window, self.duration.as_deref(), self.zone.as_deref())
            .map_err(|(key, why)| anyhow!("reboot.{key} {why}"))?;
        let calendar = match &self.zone {
            Some(zone) => format!("{window} {zone}"),
            None => window.to_owned(),
        };
        let length = self.duration.as_deref().and_then(when::span);
        Ok(Some((calendar, length.unwrap_or(HOUR))))
    }
}

const HOUR: u64 = 3600;

impl Node {
    pub fn at(root: &Path) -> Node {
        Node(root.to_owned())
    }

    /// Where a path of the node is.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.0.join(absolute.trim_start_matches('/'))
    }

    pub fn is_live(&self) -> bool {
        self.0 == Path::new("/")
    }

    fn text(&self, path: &str) -> Result<Option<String>> {
        let path = self.path(path);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// # Errors
    /// It is not a nodeimg image, or did not boot from a verified root.
    pub fn running(&self) -> Result<Running> {
        let release = match self.text("/etc/os-release")? {
            Some(text) => text,
            None => self.text("/usr/lib/os-release")?.unwrap_or_default(),
        };
        let (Some(id), Some(version)) = (
            value(&release, "IMAGE_ID"),
            value(&release, "IMAGE_VERSION"),
        ) else {
            bail!("os-release has no IMAGE_ID and IMAGE_VERSION: this is not a nodeimg image");
        };
        let line = self.text("/proc/cmdline")?.unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let hash = words.find_map(|word| word.strip_prefix("roothash="));
        let Some(hash) = hash else {
            bail!("the kernel's command line has no roothash=: this system has no slots");
        };
        Ok(Running {
            id,
            version,
            root: hash
                .parse()
                .context("roothash= on the kernel's command line")?,
            machine_id: self.machine_id()?,
        })
    }

    /// Empty if there is none yet.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn machine_id(&self) -> Result<String> {
        let id = self.text("/etc/machine-id")?.unwrap_or_default();
        Ok(id.trim().to_owned())
    }

    /// What the image says, with the node's own source over it.
    ///
    /// # Errors
    /// A file is damaged, or the node says what only the image may.
    pub fn config(&self) -> Result<Config> {
        let mut config = self.config_in(IMAGE_CONFIG)?.unwrap_or_default();
        let Some(own) = self.config_in(NODE_CONFIG)? else {
            return Ok(config);
        };
        if own.key_from_seed || own.state_version.is_some() {
            bail!("{NODE_CONFIG}: key_from_seed and state_version are the image's to say");
        }
        if !own.keys.is_empty() {
            if !config.key_from_seed {
                bail!(
                    "{NODE_CONFIG} names keys, but the image does not let a seed do so \
                     (`key = \"seed\"` in the recipe)"
                );
            }
            config.keys = own.keys;
        }
        config.source = own.source.or(config.source);
        config.schedule = own.schedule.or(config.schedule);
        let of_image = config.reboot;
        config.reboot = Reboot {
            window: own.reboot.window.or(of_image.window),
            duration: own.reboot.duration.or(of_image.duration),
            zone: own.reboot.zone.or(of_image.zone),
        };
        Ok(config)
    }

    /// What is said on the node itself.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn own_config(&self) -> Result<Option<Config>> {
        self.config_in(NODE_CONFIG)
    }

    fn config_in(&self, path: &str) -> Result<Option<Config>> {
        let Some(text) = self.text(path)? else {
            return Ok(None);
        };
        let shown = || self.path(path).display().to_string();
        let config: Config = toml::from_str(&text).with_context(shown)?;
        for key in config.unknown.keys() {
            let key = key.escape_debug();
            eprintln!("warning: {}: this version knows no `{key}`", shown());
        }
        Ok(Some(config))
    }

    pub fn has(&self, path: &str) -> bool {
        self.path(path).exists()
    }

    /// # Errors
    /// The file cannot be read.
    pub fn read(&self, path: &str) -> Result<Option<String>> {
        self.text(path)
    }

    /// What is known of versions here.
    pub fn state(&self) -> UpdateState {
        UpdateState::read(&fs::read(self.path(UPDATE_PATH)).unwrap_or_default())
    }

    /// # Errors
    /// It cannot be written.
    pub fn write_state(&self, change: impl FnOnce(&mut UpdateState)) -> Result<()> {
        let path = self.path(UPDATE_PATH);
        let old = fs::read(&path).unwrap_or_default();
        let mut state = UpdateState::read(&old);
        change(&mut state);
        let bytes = state.over(&old).context("writing what was updated")?;
        self.write(UPDATE_PATH, &bytes)
    }

    /// Versions that an operator holds back.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn held(&self) -> Result<Vec<String>> {
        let text = self.text(HELD)?.unwrap_or_default();
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// # Errors
    /// The file cannot be written.
    pub fn hold(&self, versions: &[String]) -> Result<()> {
        if !versions.is_empty() {
            return self.write(HELD, (versions.join("\n") + "\n").as_bytes());
        }
        match fs::remove_file(self.path(HELD)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("removing {HELD}"))
            }
            _ => Ok(()),
        }
    }

    /// # Errors
    /// It cannot be written.
    pub fn require_reboot(&self, why: &str) -> Result<()> {
        self.write(REBOOT_REQUIRED, format!("{why}\n").as_bytes())
    }

    /// Writes a file, atomically, and the directories above it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(path);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("making {}", directory.display()))?;
        }
        atomic::write_file(&path, bytes)
    }
}

/// A value of os-release(5).
pub fn value(release: &str, key: &str) -> Option<String> {
    let mut lines = release.lines();
    let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
    let value = value.trim();
    let bare = ['"', '\''].iter().find_map(|quote| {
        let inner = value.strip_prefix(*quote)?;
        inner.strip_suffix(*quote)
    });
    let value = bare.unwrap_or(value);
    (!value.is_empty()).then(|| value.to_owned())
}
