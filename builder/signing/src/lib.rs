//! Signatures by one's own keys, byte for byte the same whenever key and bytes are.
//!
//! ```text
//! efi           signature lists and signed variables: PK, KEK, db, dbx
//! authenticode  signatures inside EFI programs
//! pkcs7         SignedData, of which the two above and a root hash's signature are kinds
//! dsse          signed statements
//! signer        a key with its certificate: from a file, by a command, or by exchange of files
//! certificate   who a key belongs to, and the check of signatures
//! der           ASN.1
//! ```
//!
//! # Invariants
//! - No signature has the time or anything random in it: RSA is PKCS#1 v1.5, ECDSA that of
//!   [RFC 6979](https://www.rfc-editor.org/rfc/rfc6979), and no attribute `signingTime` is written.
//! - What a key, a command or another machine has signed is verified before it is used.
//! - No private key is printed, nor copied to memory that is not wiped.

pub mod authenticode;
pub mod certificate;
mod der;
pub mod dsse;
pub mod efi;
pub mod pkcs7;
pub mod signer;
#[cfg(test)]
mod tests;
