//! Where the consoles and facts of a test go.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use nodeimg_values::temporary;

/// Where consoles and facts go; gone in the end unless the user named it or a
/// case failed.
pub enum Logs {
    Named(PathBuf),
    Temporary(tempfile::TempDir),
}

impl Logs {
    pub fn open(named: Option<&Path>) -> Result<Logs> {
        match named {
            Some(path) => {
                let context = || format!("creating {}", path.display());
                std::fs::create_dir_all(path).with_context(context)?;
                Ok(Logs::Named(path.to_owned()))
            }
            None => {
                let parent = temporary::large();
                let made = tempfile::Builder::new()
                    .prefix("nodeimg-test-logs-")
                    .tempdir_in(&parent);
                made.map(Logs::Temporary)
                    .with_context(|| format!("creating a directory in {}", parent.display()))
            }
        }
    }

    pub fn path(&self) -> &Path {
        match self {
            Logs::Named(path) => path,
            Logs::Temporary(directory) => directory.path(),
        }
    }

    pub fn keep(self) -> PathBuf {
        match self {
            Logs::Named(path) => path,
            Logs::Temporary(directory) => directory.keep(),
        }
    }
}
