//! Step 8: what is in the root, and in archives: every file against `manifest.json`, both SBOMs
//! against what is there, and the SBOMs in the image against those beside it.
//!
//! ```text
//! archive    tars, as listings
//! bills      SBOMs against dpkg's database, programs, container images, and one another
//! files      a listing against the manifest
//! contents   every file of a root, hashed on all cores: a listing
//! ```

mod archive;
mod bills;
mod contents;
mod files;

use std::panic::{self, AssertUnwindSafe};

use nodeimg_values::digest::Digest;

use super::bill::Bill;
use super::inside::Checked;
use super::known::Known;
use super::policy::Policy;
use super::step::{Fault, Judged, Step, Verdict};
use crate::output::sign::extension;
use crate::output::{QCOW2, RAW, ZST};
use contents::Listing;

const ROOTFS: &str = "rootfs.tar.zst";
const OVERLAY: &str = "overlay.tar.zst";

pub fn check(known: &mut Known, _policy: &Policy) -> Judged {
    let has_root = known.files.keys().any(|name| {
        [RAW, ZST, QCOW2, "root.squashfs"].contains(&name.as_str())
            || name.ends_with(extension::IMAGE)
    });
    if known.inside.roots.is_empty() && (has_root || known.is_lone()) {
        return Ok(Verdict::not_reached(Step::Verity));
    }
    let mut said = Said::default();
    // A file system that holds may yet be one that its reader gives up on.
    let judged = panic::catch_unwind(AssertUnwindSafe(|| judge(known, &mut said)));
    match judged {
        Ok(judged) => judged?,
        Err(_) => {
            return Err(Fault::new("the file system is damaged: its reader gave up"));
        }
    }
    if said.looked.is_empty() {
        return Ok(Verdict::not_applicable("no output holds files of an image"));
    }
    let verdict = Verdict::passed(format!("{} of {}", said.proves(), said.looked.join(", ")));
    Ok(said.notes.into_iter().fold(verdict, Verdict::with))
}

/// What is told in the end.
#[derive(Default)]
struct Said {
    /// Outputs that were looked into.
    looked: Vec<String>,
    files: usize,
    with_manifest: bool,
    with_bill: bool,
    notes: Vec<String>,
}

impl Said {
    fn proves(&self) -> String {
        let mut parts = Vec::new();
        if self.with_manifest {
            parts.push(format!(
                "{} paths are those that manifest.json lists, with their contents, owners and modes",
                self.files
            ));
        }
        if self.with_bill {
            parts.push(
                "the SBOMs list every package, Go module and container image that is there, and \
                 no other"
                    .to_owned(),
            );
        }
        match parts.is_empty() {
            true => "every file can be read".to_owned(),
            false => parts.join("; "),
        }
    }
}

fn judge(known: &Known, said: &mut Said) -> Result<(), Fault> {
    let outer = Bill::listed(known)?;
    let other = Bill::listed_in_cyclonedx(known)?;
    if let (Some(one), Some(two)) = (&outer, &other)
        && let Some(differs) = one.difference(two)
    {
        return Err(Fault::new(differs).at(format!("{} and {}", one.name, two.name)));
    }
    let mains = known.inside.roots.iter().filter(|root| !root.is_extension);
    let mains: Vec<&Checked> = mains.collect();
    for root in &mains {
        let listing = contents::of_root(&root.root)
            .map_err(|error| Fault::from(error).at(root.name.clone()))?;
        whole(known, &root.name, &listing, outer.as_ref(), said)?;
    }
    if known.files.contains_key(ROOTFS) {
        let listing = archive::listing(known, ROOTFS)?;
        // The same tree: its SBOM was compared already.
        match mains.is_empty() {
            true => whole(known, ROOTFS, &listing, outer.as_ref(), said)?,
            false => only_files(known, ROOTFS, &listing, said)?,
        }
    }
    let is_of_larger = !mains.is_empty() || known.files.contains_key(ROOTFS);
    if known.files.contains_key(OVERLAY) {
        match is_of_larger {
            true => said.notes.push(format!(
                "manifest.json lists the files of the whole root, not those of {OVERLAY}: only \
                 its sum was checked"
            )),
            false => {
                let listing = archive::listing(known, OVERLAY)?;
                whole(known, OVERLAY, &listing, outer.as_ref(), said)?;
            }
        }
    }
    let extensions = known.inside.roots.iter().filter(|root| root.is_extension);
    for extension in extensions {
        let listing = contents::of_root(&extension.root)
            .map_err(|error| Fault::from(error).at(extension.name.clone()))?;
        if let Some(manifest) = &known.manifest {
            files::known_contents(&listing, manifest, !is_of_larger)
                .map_err(|fault| placed(fault, &extension.name))?;
        }
        said.looked.push(extension.name.clone());
        said.notes.push(format!(
            "a system extension has its files in other places: of {} only contents were compared",
            extension.name
        ));
    }
    Ok(())
}

/// A tree with the SBOMs of itself.
fn whole(
    known: &Known,
    name: &str,
    listing: &Listing,
    outer: Option<&Bill>,
    said: &mut Said,
) -> Result<(), Fault> {
    only_files(known, name, listing, said)?;
    let at = |fault| placed(fault, name);
    let checked = bills::check(listing, outer, known.manifest.as_deref(), &mut said.notes);
    said.with_bill = checked.map_err(at)?;
    Ok(())
}

fn only_files(known: &Known, name: &str, listing: &Listing, said: &mut Said) -> Result<(), Fault> {
    match &known.manifest {
        Some(manifest) => {
            files::check(listing, manifest).map_err(|fault| placed(fault, name))?;
            said.with_manifest = true;
            let with = manifest.files.iter();
            let with = with.filter(|file| !file.xattrs.is_empty()).count();
            if with > 0 {
                said.notes.push(format!(
                    "the extended attributes of {with} files of {name} were not compared with \
                     manifest.json: the root hash, or the sum of the archive, vouches for them"
                ));
            }
            said.files = said.files.max(listing.files.len());
        }
        None => said.notes.push(format!(
            "there is no manifest.json beside {name}: what should be in it is known by its own \
             SBOMs only"
        )),
    }
    said.looked.push(name.to_owned());
    Ok(())
}

/// With the output before a path in it.
fn placed(mut fault: Fault, name: &str) -> Fault {
    fault.place = Some(match fault.place {
        Some(place) => format!("{name}, {place}"),
        None => name.to_owned(),
    });
    fault
}

/// For messages: the first digits.
fn short(digest: &Digest) -> String {
    format!("{}:{}…", digest.algorithm().name(), &digest.hex()[..16])
}
