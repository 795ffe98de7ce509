//! What a UKI is made of.

use nodeimg_formats::verity::RootHash;
use nodeimg_values::digest::Digest;
use nodeimg_values::parallel::{cores, in_parallel};

use super::{Program, Said, differs, sections_of};
use crate::output::sbom;
use crate::verify::bill::Bill;
use crate::verify::step::Fault;
use crate::verify::vouched::Vouched;

/// Those that a build adds to systemd's stub.
const ADDED: [&str; 5] = [".osrel", ".cmdline", ".uname", ".initrd", ".linux"];
/// Those that the stub would take, and that no build writes
/// ([UAPI.5](https://uapi-group.org/specifications/specs/unified_kernel_image/)).
const FOREIGN: [&str; 9] = [
    ".dtb", ".dtbauto", ".hwids", ".ucode", ".splash", ".pcrpkey", ".pcrsig", ".profile", ".efifw",
];
/// Before the root hash.
const ROOT_HASH: &str = "roothash=";

/// # Errors
/// A section is missing, foreign or another one, or the command line boots another root. The
/// result is the root hash that it boots.
pub fn check(
    program: &Program<'_>,
    bill: Option<&Bill>,
    root_hash: &Option<Vouched<RootHash>>,
    said: &mut Said,
) -> Result<RootHash, Fault> {
    let sections = sections_of(program.bytes)?;
    for name in ADDED {
        if !sections.contains_key(name) {
            return Err(Fault::new(format!("it has no section `{name}`")));
        }
    }
    if let Some(name) = FOREIGN.iter().find(|name| sections.contains_key(**name)) {
        return Err(Fault::new(format!(
            "it has a section `{name}`, which no build writes and the kernel would be given"
        )));
    }
    let line = String::from_utf8_lossy(sections[".cmdline"]).into_owned();
    let hash = command_line(&line, root_hash)?;
    let Some(bill) = bill else { return Ok(hash) };
    let parts = [(".linux", "linux"), (".initrd", "initrd"), ("", "uki")];
    let digests = in_parallel(cores(), parts.len(), |index| {
        let name = parts[index].0;
        Digest::sha256(sections.get(name).copied().unwrap_or(program.bytes))
    });
    for ((name, part), found) in parts.into_iter().zip(digests) {
        let Some(wanted) = bill.digest_of_boot(part) else {
            said.notes
                .push(format!("{} does not list `{part}`", sbom::SPDX));
            continue;
        };
        if *wanted == found {
            continue;
        }
        let which = match name {
            "" => format!("all of it (its command line is `{}`)", line.escape_debug()),
            name => format!("section `{name}`"),
        };
        return Err(Fault::new(format!(
            "{which} is {found}, but {} lists {wanted} as `{part}`",
            sbom::SPDX
        )));
    }
    if let Some(note) = bill
        .root_hash
        .as_ref()
        .filter(|listed| **listed != hash.to_string())
    {
        return Err(differs(
            &format!("the root hash in {}", sbom::SPDX),
            note,
            hash,
        ));
    }
    Ok(hash)
}

/// The one root hash on a command line.
fn command_line(line: &str, wanted: &Option<Vouched<RootHash>>) -> Result<RootHash, Fault> {
    let mut found = line
        .split_ascii_whitespace()
        .filter_map(|word| word.strip_prefix(ROOT_HASH));
    let shown = line.escape_debug();
    let (Some(hash), None) = (found.next(), found.next()) else {
        return Err(Fault::new(format!(
            "section `.cmdline` does not name just one root hash: `{shown}`"
        )));
    };
    let Ok(hash) = hash.parse::<RootHash>() else {
        return Err(Fault::new(format!(
            "section `.cmdline` names a root hash of another form: `{shown}`"
        )));
    };
    match wanted {
        Some(wanted) if **wanted != hash => Err(differs(
            "the root hash in section `.cmdline`",
            &hash.to_string(),
            **wanted,
        )),
        _ => Ok(hash),
    }
}
