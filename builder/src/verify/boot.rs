//! Step 6: the EFI programs: their signatures, their sections, the root hash on the command line;
//! and the signatures of root hashes.

mod hashes;
mod sections;

use std::collections::BTreeMap;

use anyhow::Context;
use nodeimg_formats::verity::RootHash;
use nodeimg_signing::authenticode;
use nodeimg_values::digest::Digest;

use super::bill::Bill;
use super::inside::Disk;
use super::known::Known;
use super::policy::Policy;
use super::step::{Fault, Judged, Step, Verdict};
use super::vouched::Vouched;
use crate::output::sbom;
use crate::output::sign::{esp, signatures};

/// A program and where it is, for people.
struct Program<'a> {
    /// `disk.raw, EFI/Linux/a.efi`.
    place: String,
    bytes: &'a [u8],
    is_uki: bool,
    /// The disk that it is on.
    disk: Option<&'a Disk>,
}

pub fn check(known: &mut Known, policy: &Policy) -> Judged {
    let alone = known.bytes(signatures::UKI)?;
    let disks = || known.inside.disks.iter();
    let has_disk = known.files.keys().any(|name| is_disk(name));
    if has_disk && disks().next().is_none() {
        return Ok(Verdict::not_reached(Step::Disk));
    }
    let mut programs = Vec::new();
    for disk in disks() {
        for (path, bytes) in disk.esp.iter().flat_map(|esp| &esp.files) {
            if esp::is_program(path) {
                programs.push(Program {
                    place: format!("{}, `{}`", disk.name, path.escape_debug()),
                    bytes,
                    is_uki: path.to_ascii_lowercase().starts_with("efi/linux/"),
                    disk: Some(disk),
                });
            }
        }
    }
    if let Some(bytes) = &alone {
        programs.push(Program {
            place: signatures::UKI.to_owned(),
            bytes,
            is_uki: true,
            disk: None,
        });
    }
    let mut said = Said::default();
    for program in &programs {
        let at = |fault: Fault| match fault.place {
            Some(_) => fault,
            None => fault.at(program.place.clone()),
        };
        signature(program, policy, &mut said).map_err(at)?;
    }
    same(&programs)?;
    // What is on the disk is not looked into twice.
    if programs
        .iter()
        .any(|program| program.is_uki && program.disk.is_some())
    {
        programs.retain(|program| program.disk.is_some());
    }
    let bill = Bill::listed(known)?;
    let root_hash = known.root_hash(policy)?;
    let mut booted = Vec::new();
    for program in &programs {
        let at = |fault: Fault| fault.at(program.place.clone());
        if program.is_uki {
            let hash =
                sections::check(program, bill.as_ref(), &root_hash, &mut said).map_err(at)?;
            if let Some(disk) = program.disk {
                disk.root_of(hash)
                    .map_err(|error| Fault::from(error).at(disk.name.clone()))?;
            }
            booted.push(hash);
        } else if let Some(bill) = &bill {
            loader(program, bill).map_err(at)?;
        }
    }
    let signed = hashes::check(known, policy, &mut said)?;
    if programs.is_empty() && signed == 0 {
        return Ok(Verdict::not_applicable(
            "there is no EFI program and no signed root hash among the outputs",
        ));
    }
    // By the user's certificate or root hash; with neither nobody vouches for a lone disk.
    if known.is_lone() {
        let given = booted.into_iter().map(Vouched::given);
        known.inside.booted = given.collect();
    }
    Ok(said.verdict(programs.len(), signed, policy))
}

fn is_disk(name: &str) -> bool {
    use crate::output::{QCOW2, RAW, ZST};
    [RAW, ZST, QCOW2].contains(&name) || name.ends_with(crate::output::sign::extension::IMAGE)
}

/// What is told of programs that hold.
#[derive(Default)]
struct Said {
    /// Subjects of certificates.
    signers: Vec<String>,
    unsigned: usize,
    notes: Vec<String>,
}

impl Said {
    fn verdict(self, programs: usize, signed: usize, policy: &Policy) -> Verdict {
        let mut parts = Vec::new();
        if programs > 0 {
            parts.push(match policy.secure_boot.is_empty() {
                true => "the EFI programs are those that the SBOM lists, whole, and boot the \
                         verified root only"
                    .to_owned(),
                false => format!(
                    "the EFI programs are signed by {} and boot the verified root only",
                    self.signers.join(", ")
                ),
            });
        }
        if signed > 0 {
            parts.push(match signed {
                1 => "a given certificate signed the root hash".to_owned(),
                _ => format!("given certificates signed {signed} root hashes"),
            });
        }
        let mut verdict = Verdict::passed(match parts.is_empty() {
            true => "root hashes have signatures in the right form".to_owned(),
            false => parts.join("; "),
        });
        if policy.secure_boot.is_empty() && programs > 0 {
            verdict = verdict.with(match self.unsigned {
                0 => {
                    "no certificate was given (--secure-boot): who signed the EFI programs was \
                      not judged"
                }
                _ => {
                    "no certificate was given (--secure-boot), and EFI programs are not signed: \
                      Secure Boot would refuse them"
                }
            });
        }
        self.notes.into_iter().fold(verdict, Verdict::with)
    }
}

fn signature(program: &Program<'_>, policy: &Policy, said: &mut Said) -> Result<(), Fault> {
    // Whole, and nothing of it outside of what is signed.
    let found = authenticode::signatures(program.bytes)
        .map_err(|error| Fault::from(error.context("it cannot be read")))?;
    if policy.secure_boot.is_empty() {
        said.unsigned += usize::from(found.is_empty());
        return Ok(());
    }
    match Vouched::program(program.bytes.to_vec(), &policy.secure_boot) {
        Ok((_, certificate)) => {
            let subject = format!("`{}`", certificate.subject);
            if !said.signers.contains(&subject) {
                said.signers.push(subject);
            }
            Ok(())
        }
        Err(error) => Err(Fault::from(error).help(
            "sign the image by `nodeimg sign`, or give the certificate of who signed it by \
             --secure-boot",
        )),
    }
}

/// The UKI is on the disk and apart: it is one program.
fn same(programs: &[Program<'_>]) -> Result<(), Fault> {
    let mut ukis = programs.iter().filter(|program| program.is_uki);
    let alone = programs.iter().find(|program| program.disk.is_none());
    if let Some(alone) = alone
        && let Some(other) = ukis.find(|uki| uki.disk.is_some() && uki.bytes != alone.bytes)
    {
        return Err(
            Fault::new(format!("it is another kernel than {}", alone.place))
                .at(other.place.clone()),
        );
    }
    Ok(())
}

/// systemd-boot is Debian's, but for a signature.
fn loader(program: &Program<'_>, bill: &Bill) -> Result<(), Fault> {
    let Some(wanted) = bill.digest_of_boot("systemd-boot") else {
        return Ok(());
    };
    let unsigned = authenticode::without(program.bytes)?;
    let found = [program.bytes, &unsigned].map(Digest::sha256);
    if found.contains(wanted) {
        return Ok(());
    }
    Err(Fault::new(format!(
        "it is not the systemd-boot that {} lists ({wanted})",
        sbom::SPDX
    )))
}

/// Sections of a program by name.
fn sections_of(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, Fault> {
    let mut found = BTreeMap::new();
    for section in nodeimg_formats::pe::sections(bytes)? {
        let start = section.offset as usize;
        let length = section.size.min(section.stored) as usize;
        let content = bytes
            .get(start..start.saturating_add(length))
            .with_context(|| format!("section `{}` is cut short", section.name))?;
        let name = section.name.escape_debug().to_string();
        if found.insert(name.clone(), content).is_some() {
            return Err(Fault::new(format!(
                "it has two sections `{name}`: what boots would be a matter of luck"
            )));
        }
    }
    Ok(found)
}

/// For messages.
fn differs(what: &str, there: &str, wanted: RootHash) -> Fault {
    Fault::new(format!("{what} is {there}, but the root hash is {wanted}"))
}
