//! Root hashes in files of their own, and their signatures.

use std::io::Read;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_formats::verity::RootHash;
use nodeimg_signing::pkcs7;
use serde_json::Value;

use super::{Said, differs};
use crate::output::discoverable;
use crate::output::sign::extension;
use crate::output::sign::signatures::{DETACHED, ROOT_HASH};
use crate::verify::inside::Disk;
use crate::verify::known::Known;
use crate::verify::policy::Policy;
use crate::verify::step::Fault;

/// # Errors
/// A root hash is another one than the statement's, or its signature does not hold. The result
/// is how many signatures are by a given certificate.
pub fn check(known: &Known, policy: &Policy, said: &mut Said) -> Result<usize, Fault> {
    let stated = known.root_hashes()?;
    let hash_of = |name: &str| {
        let found = stated.iter().find(|(stated, _)| stated == name);
        found.map(|(_, hash)| **hash)
    };
    let mut signed = 0;
    let mut names = known.ending(extension::ROOT_HASH);
    names.extend(
        known
            .files
            .contains_key(ROOT_HASH)
            .then(|| ROOT_HASH.to_owned()),
    );
    for name in names {
        let text = known.bytes(&name)?.context("it is not listed")?;
        let text = String::from_utf8_lossy(&text).trim_end().to_owned();
        let Ok(hash) = text.parse::<RootHash>() else {
            return Err(Fault::new("it does not hold a root hash").at(name));
        };
        let stem = name.trim_end_matches(".roothash");
        if let Some(wanted) = hash_of(stem).filter(|wanted| *wanted != hash) {
            return Err(differs("the root hash in it", &text, wanted).at(name));
        }
        let file = format!("{name}{DETACHED}");
        if let Some(signature) = known.bytes(&file)? {
            signed += by_given(&signature, &text, &file, policy, said)?;
        }
    }
    for disk in known.inside.disks.iter().filter(|disk| disk.is_extension()) {
        let stem = disk.name.trim_end_matches(".raw");
        let Some(hash) = hash_of(stem) else { continue };
        disk.root_of(hash)
            .map_err(|error| Fault::from(error).at(disk.name.clone()))?;
        signed += inside(disk, hash, policy, said)?;
    }
    Ok(signed)
}

fn by_given(
    signature: &[u8],
    text: &str,
    place: &str,
    policy: &Policy,
    said: &mut Said,
) -> Result<usize, Fault> {
    if policy.secure_boot.is_empty() {
        said.notes.push(format!(
            "no certificate was given (--secure-boot): whose signature {place} is was not judged"
        ));
        return Ok(0);
    }
    let mut given = policy.secure_boot.iter();
    if given.any(|certificate| pkcs7::is_detached_by(signature, text.as_bytes(), certificate)) {
        return Ok(1);
    }
    let subjects = policy.secure_boot.iter();
    let subjects: Vec<_> = subjects.map(|one| format!("`{}`", one.subject)).collect();
    Err(Fault::new(format!(
        "it is not a signature of the root hash {text} by {}",
        subjects.join(" or ")
    ))
    .at(place)
    .help("give the certificate of who signed root hashes by --secure-boot as well"))
}

/// The partition of a system extension's signature.
fn inside(disk: &Disk, hash: RootHash, policy: &Policy, said: &mut Said) -> Result<usize, Fault> {
    let place = format!("{}, partition of the signature", disk.name);
    let mut entries = disk.table.partitions.iter();
    let Some(entry) = entries.find(|entry| discoverable::is_signature(entry.kind)) else {
        return Ok(0);
    };
    let fault = |what: &str| Fault::new(what).at(place.clone());
    let mut bytes = Vec::new();
    disk.medium
        .window(entry.place.start, entry.place.size)?
        .take(extension::SIZE + 1)
        .read_to_end(&mut bytes)
        .context("reading the signature")?;
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    if bytes[end..].iter().any(|byte| *byte != 0) || bytes.len() as u64 > extension::SIZE {
        return Err(fault("something follows the signature"));
    }
    let Ok(value) = serde_json::from_slice::<Value>(&bytes[..end]) else {
        return Err(fault("it is not a signature as systemd reads it (JSON)"));
    };
    let text = hash.to_string();
    if value["rootHash"] != text {
        return Err(differs("its `rootHash`", &value["rootHash"].to_string(), hash).at(place));
    }
    let Ok(signature) = STANDARD.decode(value["signature"].as_str().unwrap_or_default()) else {
        return Err(fault("its `signature` is not base64"));
    };
    by_given(&signature, &text, &place, policy, said)
}
