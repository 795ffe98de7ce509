//! All signatures of an output directory but that of its checksums: made by keys, or taken from
//! a directory that was published.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodeimg_signing::efi::{self, Variable};
use nodeimg_signing::signer::Signer;
use nodeimg_signing::{authenticode, pkcs7};
use serde_json::json;

use super::esp::{self, Esp};
use super::extension;
use super::keys::{Enroll, Keys};
use super::target::Target;
use super::update::Update;

/// The UKI on its own.
pub const UKI: &str = "uki.efi";
const ROOT_HASH: &str = "root.roothash";
pub const DETACHED: &str = ".p7s";
const LOADER: &str = "loader/loader.conf";
/// Only on a virtual machine; elsewhere a person has to choose it in the menu.
const ENROLL_LINE: &str = "secure-boot-enroll if-safe\n";
/// What firmware is given, beside the disk.
const ENROLLED: [&str; 5] = ["PK.auth", "KEK.auth", "db.auth", "dbx.auth", "db.der"];

#[derive(Default, PartialEq, Eq)]
pub struct Signatures {
    /// Of EFI programs, by path in the ESP, and of [`UKI`].
    pub programs: BTreeMap<String, Vec<Vec<u8>>>,
    /// For enrolment, by name.
    pub enroll: BTreeMap<String, Vec<u8>>,
    /// Of root hashes, by the name of the file of the signature.
    pub root_hashes: BTreeMap<String, Vec<u8>>,
    /// What a system extension's partition of its signature holds, by the name of its file.
    pub extensions: BTreeMap<String, Vec<u8>>,
}

impl Signatures {
    /// By these keys. What another machine has yet to sign is left out.
    pub fn by(
        keys: &Keys<'_>,
        target: &Target,
        esp: Option<&Esp>,
        update: Option<&Update>,
    ) -> Result<Signatures> {
        let mut made = Signatures::default();
        if !keys.secure_boot.is_empty() {
            made.sign_programs(keys, target, esp, update)?;
        }
        if let Some(enroll) = &keys.enroll {
            made.sign_variables(enroll, target)?;
        }
        if let Some(signer) = &keys.root_hash {
            made.sign_root_hashes(signer, target)?;
        }
        Ok(made)
    }

    fn sign_programs(
        &mut self,
        keys: &Keys<'_>,
        target: &Target,
        esp: Option<&Esp>,
        update: Option<&Update>,
    ) -> Result<()> {
        let mut programs: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for (path, bytes) in esp.into_iter().flat_map(|esp| &esp.contents.files) {
            if esp::is_program(path) {
                programs.insert(path, bytes);
            }
        }
        let alone = match target.has(UKI) {
            true => target.bytes(UKI)?,
            false => None,
        };
        if let Some(bytes) = &alone {
            programs.insert(UKI, bytes);
        }
        programs.extend(update.map(Update::program));
        // The UKI is there several times: it is signed once.
        let mut known: BTreeMap<[u8; 32], Vec<Vec<u8>>> = BTreeMap::new();
        for (path, bytes) in programs {
            let hash = authenticode::hash(bytes).with_context(|| format!("`{path}`"))?;
            let signatures = match known.entry(hash) {
                Entry::Occupied(there) => there.into_mut(),
                Entry::Vacant(place) => {
                    let name = path.rsplit('/').next().unwrap_or(path);
                    let mut signatures = Vec::new();
                    for signer in &keys.secure_boot {
                        signatures.extend(authenticode::sign(signer, name, bytes)?);
                    }
                    place.insert(signatures)
                }
            };
            let signatures = signatures.clone();
            self.programs.insert(path.to_owned(), signatures);
        }
        Ok(())
    }

    fn sign_variables(&mut self, enroll: &Enroll<'_>, target: &Target) -> Result<()> {
        let own = |signer: &Signer<'_>| Ok::<_, anyhow::Error>(vec![signer.certificate()?.clone()]);
        let (pk, kek) = (own(&enroll.pk)?, own(&enroll.kek)?);
        let variables = [
            (Variable::Pk, &enroll.pk, &pk, &[][..]),
            (Variable::Kek, &enroll.pk, &kek, &[]),
            (Variable::Db, &enroll.kek, &enroll.db, &[]),
            (Variable::Dbx, &enroll.kek, &enroll.dbx, &enroll.dbx_hashes),
        ];
        for (variable, signer, certificates, hashes) in variables {
            let lists = efi::lists(enroll.owner, certificates, hashes);
            if lists.is_empty() {
                continue;
            }
            if let Some(signed) = efi::signed(signer, variable, &lists, target.epoch)? {
                self.enroll
                    .insert(format!("{}.auth", variable.name()), signed);
            }
        }
        // For firmware whose menu takes certificates; the first is the one that signs.
        if let Some(first) = enroll.db.first() {
            self.enroll.insert("db.der".to_owned(), first.der.clone());
        }
        Ok(())
    }

    fn sign_root_hashes(&mut self, signer: &Signer<'_>, target: &Target) -> Result<()> {
        let mut names = target.ending(extension::ROOT_HASH);
        names.extend(target.has(ROOT_HASH).then(|| ROOT_HASH.to_owned()));
        for name in names {
            let text = target.bytes(&name)?.unwrap_or_default();
            let hash = String::from_utf8_lossy(&text).trim_end().to_owned();
            if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                bail!("{} does not hold a root hash", target.path(&name).display());
            }
            let Some(signature) = pkcs7::detached(signer, &name, hash.as_bytes())? else {
                continue;
            };
            if let Some(stem) = name.strip_suffix(extension::ROOT_HASH) {
                let fingerprint = signer.certificate()?.fingerprint();
                // As systemd-repart writes it.
                let text = json!({
                    "rootHash": hash,
                    "certificateFingerprint": fingerprint.hex(),
                    "signature": STANDARD.encode(&signature),
                });
                let image = format!("{stem}{}", extension::IMAGE);
                self.extensions.insert(image, text.to_string().into_bytes());
            }
            self.root_hashes
                .insert(format!("{name}{DETACHED}"), signature);
        }
        Ok(())
    }

    /// Those of a directory that was signed.
    pub fn of(
        published: &Target,
        esp: Option<&Esp>,
        update: Option<&Update>,
    ) -> Result<Signatures> {
        let mut found = Signatures::default();
        if let Some((name, program)) = update.map(Update::program) {
            let signatures = authenticode::signatures(program)?;
            found.programs.insert(name.to_owned(), signatures);
        }
        for (path, bytes) in esp.into_iter().flat_map(|esp| &esp.contents.files) {
            if esp::is_program(path) {
                found
                    .programs
                    .insert(path.clone(), authenticode::signatures(bytes)?);
            } else if let Some(name) = path.strip_prefix(esp::ENROLL) {
                found.enroll.insert(name.to_owned(), bytes.clone());
            }
        }
        if published.has(UKI)
            && let Some(bytes) = published.bytes(UKI)?
        {
            found
                .programs
                .insert(UKI.to_owned(), authenticode::signatures(&bytes)?);
        }
        for name in ENROLLED.iter().filter(|name| published.has(name)) {
            if let Some(bytes) = published.bytes(name)? {
                found.enroll.insert((*name).to_owned(), bytes);
            }
        }
        for name in published.ending(DETACHED) {
            let bytes = published.bytes(&name)?.unwrap_or_default();
            found.root_hashes.insert(name, bytes);
        }
        for name in published.ending(extension::IMAGE) {
            let file = published.file(&name)?;
            if let Some(text) = extension::signature(&file).with_context(|| name.clone())? {
                found.extensions.insert(name, text);
            }
        }
        Ok(found)
    }

    /// The files of an ESP with these signatures.
    pub fn put_into(&self, esp: &Esp) -> Result<Vec<(String, Vec<u8>)>> {
        let mut files = esp.contents.files.clone();
        for (path, bytes) in &mut files {
            if let Some(found) = self.programs.get(path.as_str()) {
                *bytes = authenticode::with(bytes, found).with_context(|| format!("`{path}`"))?;
            }
        }
        let signed = self
            .enroll
            .iter()
            .filter(|(name, _)| name.ends_with(".auth"));
        for (name, bytes) in signed {
            files.insert(format!("{}{name}", esp::ENROLL), bytes.clone());
        }
        let enrolls = files.keys().any(|path| path.starts_with(esp::ENROLL));
        if let Some(text) = files.get_mut(LOADER).filter(|_| enrolls)
            && !text.ends_with(ENROLL_LINE.as_bytes())
        {
            text.extend(ENROLL_LINE.as_bytes());
        }
        Ok(files.into_iter().collect())
    }

    pub fn is_empty(&self) -> bool {
        *self == Signatures::default()
    }
}
