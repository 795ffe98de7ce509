//! Authenticode: signatures inside EFI programs, which firmware verifies with Secure Boot
//! ([Windows Authenticode Portable Executable Signature Format](https://download.microsoft.com/download/9/c/5/9c5b2167-8017-4bae-9fde-d599bac8184a/authenticode_pe.docx),
//! [UEFI 2.10, 32.2](https://uefi.org/specs/UEFI/2.10/32_Secure_Boot_and_Driver_Signing.html)).
//!
//! ```text
//! the program, to a multiple of 8 bytes
//! certificate table:  4 length, 2 revision 200h, 2 kind 2 (PKCS#7), SignedData,
//!                     to a multiple of 8; one for each signature
//! ```
//! The hash is over the program without its checksum, the certificate table, and where the
//! header says that the table is.

use anyhow::{Context, Result, bail};
use nodeimg_formats::pe::Image;
use sha2::{Digest as _, Sha256};

use crate::certificate::Certificate;
use crate::der::{self, CONTEXT_0, OCTET_STRING, OID, element, sequence};
use crate::pkcs7::{self, Parts};
use crate::signer::Signer;

const INDIRECT_DATA: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 4];
const PE_IMAGE_DATA: &[u8] = &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 2, 1, 15];
/// What every signer writes for the name of the file.
const NO_NAME: &str = "<<<Obsolete>>>";
const HEADER: usize = 8;
const REVISION: u16 = 0x200;
const PKCS7: u16 = 2;
const ALIGNMENT: usize = 8;

/// The hash of a program, signed or not, as firmware takes it.
///
/// # Errors
/// It is not an EFI program, or damaged.
pub fn hash(program: &[u8]) -> Result<[u8; 32]> {
    let image = Image::read(program)?;
    let mut hasher = Sha256::new();
    for part in image.hashed() {
        hasher.update(part);
    }
    let unsigned = image.without_certificates().len();
    hasher.update(&[0; ALIGNMENT][..unsigned.next_multiple_of(ALIGNMENT) - unsigned]);
    Ok(hasher.finalize().into())
}

/// The signature of a program, which `what` names for people: SignedData, to be put into it by
/// [`with`]. `None` if another machine has yet to sign.
///
/// # Errors
/// It is not an EFI program; or those of [`Signer::sign`].
pub fn sign(signer: &Signer<'_>, what: &str, program: &[u8]) -> Result<Option<Vec<u8>>> {
    let content = indirect_data(&hash(program).with_context(|| what.to_owned())?);
    pkcs7::attached(signer, what, INDIRECT_DATA, &content)
}

fn indirect_data(hash: &[u8; 32]) -> Vec<u8> {
    let name: Vec<u8> = NO_NAME.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let link = element(CONTEXT_0, &[&element(0xa2, &[&element(0x80, &[&name])])]);
    let no_flags = element(3, &[&[0]]);
    let data = sequence(&[
        &element(OID, &[PE_IMAGE_DATA]),
        &sequence(&[&no_flags, &link]),
    ]);
    let digest = sequence(&[&pkcs7::sha256_name(), &element(OCTET_STRING, &[hash])]);
    sequence(&[&data, &digest])
}

/// The program with these signatures instead of those that it has.
///
/// # Errors
/// It is not an EFI program.
pub fn with(program: &[u8], signatures: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut image = without(program)?;
    image.resize(image.len().next_multiple_of(ALIGNMENT), 0);
    let place = image.len();
    for signature in signatures {
        let length = (HEADER + signature.len()).next_multiple_of(ALIGNMENT);
        image.extend((length as u32).to_le_bytes());
        image.extend(REVISION.to_le_bytes());
        image.extend(PKCS7.to_le_bytes());
        image.extend(signature);
        image.resize(image.len().next_multiple_of(ALIGNMENT), 0);
    }
    let size = image.len() - place;
    let at = Image::read(&image)?.certificate_entry();
    let entry = match size {
        0 => (0, 0),
        _ => (
            u32::try_from(place).context("the program has more than 4 GiB")?,
            size as u32,
        ),
    };
    image[at..at + 4].copy_from_slice(&entry.0.to_le_bytes());
    image[at + 4..at + 8].copy_from_slice(&entry.1.to_le_bytes());
    Ok(image)
}

/// The program without its signatures.
///
/// # Errors
/// It is not an EFI program.
pub fn without(program: &[u8]) -> Result<Vec<u8>> {
    let read = Image::read(program)?;
    let mut image = read.without_certificates().to_vec();
    let at = read.certificate_entry();
    image[at..at + 8].fill(0);
    Ok(image)
}

/// The signatures in a program, each SignedData with what fills it up.
///
/// # Errors
/// It is not an EFI program, or its certificate table is damaged.
pub fn signatures(program: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut table = Image::read(program)?.certificates();
    let mut found = Vec::new();
    while !table.is_empty() {
        let parts = || -> Option<(usize, &[u8])> {
            let length = u32::from_le_bytes(table.get(..4)?.try_into().ok()?) as usize;
            Some((length, table.get(HEADER..length)?))
        };
        let (length, content) = parts().context("the certificate table is damaged")?;
        found.push(own_length(content).to_vec());
        table = table
            .get(length.next_multiple_of(ALIGNMENT)..)
            .unwrap_or_default();
    }
    Ok(found)
}

/// Without the zeros behind it.
fn own_length(signature: &[u8]) -> &[u8] {
    let mut rest = signature;
    match der::take(&mut rest) {
        Some(_) => &signature[..signature.len() - rest.len()],
        None => signature,
    }
}

/// Checks that one of the program's signatures is by this certificate's key, over this program.
///
/// # Errors
/// It has none, others' only, or was changed since.
pub fn verify(program: &[u8], certificate: &Certificate) -> Result<()> {
    let signatures = signatures(program)?;
    if signatures.is_empty() {
        bail!(
            "it is not signed, but `{}` should have signed it",
            certificate.subject
        );
    }
    let content = indirect_data(&hash(program)?);
    let mut others = Vec::new();
    for signature in &signatures {
        let Some(parts) = Parts::of(signature) else {
            others.push("a signature of another form".to_owned());
            continue;
        };
        if !parts.is_by(certificate) {
            others.push(match Certificate::from_der(parts.certificate) {
                Ok(other) => format!("`{}`", other.subject),
                Err(_) => "a certificate that cannot be read".to_owned(),
            });
            continue;
        }
        if parts.content != content {
            bail!("it was changed after `{}` signed it", certificate.subject);
        }
        return Ok(());
    }
    bail!(
        "it is signed by {}, but `{}` should have signed it",
        others.join(", "),
        certificate.subject
    )
}
