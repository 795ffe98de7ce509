//! The command line of `nodeimg verify`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use nodeimg_formats::verity::RootHash;

use super::{NetworkArgs, file};
use crate::input::recipe::RecipeRef;
use crate::input::recipe::verify::SigstoreInstance;
use crate::input::vouch::roots::GivenRoot;
use crate::programs::Given;

#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// An output directory of `nodeimg build`, its URL (http, https), a disk, or a block device
    #[arg(value_name = "DIR|DISK|URL")]
    pub image: String,
    /// A public key or certificate (PEM) whose owner may have signed; may be given more than once
    #[arg(long = "key", value_name = "FILE", value_parser = file())]
    pub keys: Vec<PathBuf>,
    /// Who may have signed with Sigstore: the exact mail address or URL in the certificate
    #[arg(long, value_name = "IDENTITY", requires = "issuer")]
    pub identity: Option<String>,
    /// Who vouches for that identity: the exact URL of the OIDC issuer
    #[arg(long, value_name = "URL", requires = "identity")]
    pub issuer: Option<String>,
    /// The Sigstore that judges the identity: public-good, github (private repositories of GitHub) or private [default: public-good, or private with --trusted-root FILE]
    #[arg(long, value_name = "INSTANCE", requires = "identity", value_parser = sigstore())]
    pub sigstore: Option<SigstoreInstance>,
    /// A trusted root of Sigstore instead of nodeimg's own; INSTANCE is `private` (the default), `public-good` or `github`
    #[arg(long = "trusted-root", value_name = "[INSTANCE=]FILE")]
    pub trusted_roots: Vec<GivenRoot>,
    /// The lock that it must be made from
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub lock: Option<PathBuf>,
    /// The recipe of that lock: who must vouch for what went in [default: beside the lock]
    #[arg(long, short, value_name = "NAME|FILE")]
    pub recipe: Option<RecipeRef>,
    /// A certificate (PEM) of Secure Boot that the programs of a disk must be signed by; may be given more than once
    #[arg(long, value_name = "FILE", value_parser = file())]
    pub secure_boot: Vec<PathBuf>,
    /// The root hash that a disk must have
    #[arg(long, value_name = "HEX")]
    pub root_hash: Option<RootHash>,
    /// Trust nobody: only compare the files with their own sums and each other
    #[arg(long, conflicts_with_all = ["keys", "identity", "lock", "recipe", "secure_boot", "root_hash", "rebuild"])]
    pub integrity_only: bool,
    /// Also build it again from recipe and lock, and compare all bytes
    #[arg(long)]
    pub rebuild: bool,
    /// With --rebuild, the first-boot binary for ARCH
    #[arg(long = "firstboot", value_name = "ARCH=FILE", requires = "rebuild")]
    pub firstboot: Vec<Given>,
    /// With --rebuild, the updater for ARCH
    #[arg(long = "update", value_name = "ARCH=FILE", requires = "rebuild")]
    pub update: Vec<Given>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Write the result as a verification summary (SLSA VSA v1), to be signed and passed on
    #[arg(long, value_name = "FILE")]
    pub vsa: Option<PathBuf>,
}

fn sigstore() -> impl TypedValueParser<Value = SigstoreInstance> {
    let named = |name: String| {
        let mut all = SigstoreInstance::ALL.into_iter();
        all.find(|one| one.name() == name).unwrap_or_default()
    };
    PossibleValuesParser::new(SigstoreInstance::ALL.map(SigstoreInstance::name)).map(named)
}
