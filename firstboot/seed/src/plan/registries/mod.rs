//! What a container runtime is told of registries, as files: the same for those of a
//! recipe, which are in the image, and those of a seed.
mod containerd;
mod crio;

#[cfg(test)]
mod tests;

use super::PlannedFile;
use crate::check::registries::{Checked, Entry};
use crate::contract::registries::Format;
use crate::text::yaml::write::quoted;

const HEAD: &str = "# Written by nodeimg, from the recipe and the seed.\n";

/// The files, which replace those of the same path.
pub fn files(checked: &Checked) -> Vec<PlannedFile> {
    let files = match checked.format {
        Format::Containerd => containerd::files(&checked.entries),
        Format::Crio => crio::files(&checked.entries),
    };
    files.into_iter().map(PlannedFile::over_image).collect()
}

/// The certificates of a host, below the folder that is named after it.
fn certificates(directory: &str, entry: &Entry) -> Vec<PlannedFile> {
    let at = |name: &str| format!("{directory}/{}/{name}", entry.name.host);
    let mut files = Vec::new();
    if let Some(ca) = &entry.ca {
        files.push(PlannedFile::public(&at(CA), ca));
    }
    if let Some((cert, key)) = &entry.client {
        files.push(PlannedFile::public(&at(CERT), cert));
        files.push(PlannedFile::private(&at(KEY), key.clone()));
    }
    files
}

/// Names that both runtimes take without being told.
const CA: &str = "ca.crt";
const CERT: &str = "client.cert";
const KEY: &str = "client.key";

/// A line of TOML. A basic string escapes as JSON does, and nothing that is written here
/// has control characters.
fn line(key: &str, value: &str) -> String {
    format!("{key} = {}\n", quoted(value))
}
