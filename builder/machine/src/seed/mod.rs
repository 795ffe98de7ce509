//! A seed on disk: a directory, or the image of a medium. Both hold private
//! keys, so only their owner may read them; both appear whole or not at all.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_seed::read::seed::Layout;
use nodeimg_seed::write::Files;
use nodeimg_values::atomic::{AtomicFile, OutDir};
use nodeimg_values::parallel::{cores, in_parallel};

use crate::qemu::seed::medium;

/// Of a NoCloud medium
/// ([NoCloud](https://docs.cloud-init.io/en/latest/reference/datasources/nocloud.html)).
const LABEL: &str = "CIDATA";
/// How many seeds take their places at once: each is an open directory until then, and macOS
/// gives a process 256 open files.
const TOGETHER: usize = 100;

/// Writes into the file `to`, if its name ends in `.img`, else into a
/// directory. An existing one is replaced only if `replace` says so, and only
/// if it is a seed.
pub fn write(files: &Files, to: &Path, replace: bool) -> Result<()> {
    check_free(to, replace)?;
    let shown = to.display();
    if is_medium(to) {
        write_medium(files, to, replace)
    } else {
        write_directory(&texts(files), to, replace)
    }
    .with_context(|| format!("writing the seed {shown}"))
}

/// Whether a seed of this name is a medium's image.
pub fn is_medium(to: &Path) -> bool {
    to.extension().is_some_and(|extension| extension == "img")
}

/// Before anything is made: keys that nobody will have are better not made.
pub fn check_free(to: &Path, replace: bool) -> Result<()> {
    let shown = to.display();
    let meta = match fs::symlink_metadata(to) {
        Ok(meta) => meta,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e).with_context(|| format!("looking for {shown}")),
    };
    if !replace {
        bail!("{shown} already exists: choose another path, or replace it with --force");
    }
    if is_medium(to) {
        if !meta.is_file() {
            bail!("{shown} is not a file, so it is not replaced");
        }
        return Ok(());
    }
    if !meta.is_dir() {
        bail!(
            "{shown} is not a directory, so it is not replaced; the name of a volume's image \
            ends in `.img`"
        );
    }
    let names = Layout::NoCloud.names();
    let known = [
        names.meta_data,
        names.user_data,
        names.vendor_data,
        names.network,
    ];
    for entry in fs::read_dir(to).with_context(|| format!("listing {shown}"))? {
        let name = entry?.file_name();
        if !known.iter().any(|known| name == **known) {
            bail!(
                "{shown} also holds `{}`, which does not belong to a seed, so it is not replaced",
                name.to_string_lossy()
            );
        }
    }
    Ok(())
}

/// What lies where a seed is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    Absent,
    /// This very seed.
    Same,
    /// Another seed, which may be replaced.
    Other,
}

impl Before {
    /// What lies at `to`, where these files are to be.
    ///
    /// # Errors
    /// Something that is not a seed.
    pub fn of(files: &Files, to: &Path) -> Result<Before> {
        if to.symlink_metadata().is_err() {
            return Ok(Before::Absent);
        }
        check_free(to, true)?;
        let same = match is_medium(to) {
            true => {
                let mut here = tempfile::tempfile().context("making a temporary file")?;
                medium(&content(files), LABEL, &mut here)?;
                let mut bytes = Vec::new();
                here.seek(SeekFrom::Start(0))?;
                here.read_to_end(&mut bytes)?;
                fs::read(to)? == bytes
            }
            false => {
                let all = files.all();
                let texts = all.iter().map(|(name, text)| {
                    fs::read(to.join(name)).is_ok_and(|it| it == text.as_bytes())
                });
                fs::read_dir(to)?.count() == all.len() && texts.into_iter().all(|same| same)
            }
        };
        Ok(if same { Before::Same } else { Before::Other })
    }
}

/// A directory that only its owner reads, if it is not there.
pub fn private_directory(at: &Path) -> Result<()> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(at);
    made.with_context(|| format!("making the directory {}", at.display()))
}

fn content(files: &Files) -> Vec<(String, Vec<u8>)> {
    let all = files.all().into_iter();
    all.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
        .collect()
}

fn write_medium(files: &Files, to: &Path, replace: bool) -> Result<()> {
    let mut output = AtomicFile::private(to)?;
    medium(&content(files), LABEL, output.file_mut())?;
    match replace {
        true => output.commit(),
        false => output.commit_new(),
    }
}

/// Writes seeds into `directory`, each as [`write()`] does if it may replace: `NAME` or
/// `NAME.img` of each. So many directories at once take their places, because it is the disk
/// that seeds wait for.
pub fn write_all(seeds: &[(&Files, PathBuf)], directory: &Path) -> Result<()> {
    for some in seeds.chunks(TOGETHER) {
        let staged = in_parallel(cores(), some.len(), |i| {
            let (files, to) = &some[i];
            if is_medium(to) {
                return write(files, to, true).map(|()| None);
            }
            let staged = check_free(to, true).and_then(|()| stage(&texts(files), to, true));
            staged
                .map(Some)
                .with_context(|| format!("writing the seed {}", to.display()))
        });
        let staged = staged.into_iter().collect::<Result<Vec<_>>>()?;
        OutDir::commit_together(staged.into_iter().flatten().collect(), directory)?;
    }
    Ok(())
}

fn texts(files: &Files) -> Vec<(&'static str, &str, u32)> {
    let all = files.all().into_iter();
    all.map(|(name, text)| (name, text, 0o600)).collect()
}

/// A directory of files with their modes. If `replace` says so it takes the place of an
/// earlier one, that [`check_free`] has looked at, in one step.
pub fn write_directory(files: &[(&str, &str, u32)], to: &Path, replace: bool) -> Result<()> {
    let staged = stage(files, to, replace)?;
    for (name, ..) in files {
        File::open(staged.path().join(name))?.sync_all()?;
    }
    staged.commit().map(drop)
}

/// Nothing of it is flushed.
fn stage(files: &[(&str, &str, u32)], to: &Path, replace: bool) -> Result<OutDir> {
    let staged = OutDir::private(to, replace)?;
    for (name, text, mode) in files {
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create_new(true)
            .mode(*mode)
            .open(staged.path().join(name))?;
        file.set_permissions(Permissions::from_mode(*mode))?;
        file.write_all(text.as_bytes())?;
    }
    Ok(staged)
}

#[cfg(test)]
mod tests;
