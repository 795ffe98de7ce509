//! Step 1: whom the user trusts, and by which trusted roots.

use std::path::PathBuf;

use nodeimg_formats::verity::RootHash;
use nodeimg_signing::certificate::{Certificate, PublicKey};
use nodeimg_trust::{Instance, Roots};

use super::vouched::Vouched;

/// What the user gave for this verification.
pub struct Policy {
    /// Who may sign the sums and the statement; any of them is enough.
    pub anchors: Vec<Anchor>,
    /// Who may sign the EFI programs of a disk (`--secure-boot CERT`); none: their signatures
    /// are not judged, only compared with what is vouched for otherwise.
    pub secure_boot: Vec<Certificate>,
    /// `--root-hash`.
    pub root_hash: Option<Vouched<RootHash>>,
    /// `--lock`.
    pub lock: Option<PathBuf>,
    pub roots: Roots,
    /// No anchor is needed, and none is proved.
    pub integrity_only: bool,
}

/// Who may sign.
pub enum Anchor {
    /// `--key`: the file's name for people, and the key.
    Key(PathBuf, PublicKey),
    /// `--identity` and `--issuer`, both exact.
    Identity {
        identity: String,
        issuer: String,
        instance: Instance,
    },
}
