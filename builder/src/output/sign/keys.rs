//! The file of keys: which key signs what.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_formats::guid::Guid;
use nodeimg_signing::certificate::Certificate;
use nodeimg_signing::signer::{Exchange, Given, Purpose, Signer};
use nodeimg_values::digest::{Algorithm, Digest};
use nodeimg_values::regular;
use serde::Deserialize;

/// What the file says; paths are relative to it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    secure_boot: Vec<Key>,
    root_hash: Option<Key>,
    checksums: Option<Key>,
    enroll: Option<EnrollPart>,
}

/// One key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    key: Option<PathBuf>,
    sign_command: Option<String>,
    certificate: Option<PathBuf>,
}

/// The keys that firmware is to know.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrollPart {
    pk: Key,
    kek: Key,
    db: Vec<PathBuf>,
    /// Certificates, or `sha256:` and the hash of a program.
    #[serde(default)]
    dbx: Vec<String>,
    owner: Option<String>,
}

/// Keys, ready to sign: all that could be wrong with them was looked at.
pub struct Keys<'a> {
    /// Each signs every EFI program.
    pub secure_boot: Vec<Signer<'a>>,
    pub root_hash: Option<Signer<'a>>,
    pub checksums: Option<Signer<'a>>,
    pub enroll: Option<Enroll<'a>>,
}

/// What the variables of Secure Boot will hold.
pub struct Enroll<'a> {
    pub pk: Signer<'a>,
    pub kek: Signer<'a>,
    pub db: Vec<Certificate>,
    pub dbx: Vec<Certificate>,
    /// Of programs, as Authenticode has them.
    pub dbx_hashes: Vec<[u8; 32]>,
    pub owner: Guid,
}

impl<'a> Keys<'a> {
    /// Reads the file, and every key and certificate that it names. With `exchange`, another
    /// machine has the private keys.
    pub fn open(path: &Path, exchange: Option<&'a Exchange>) -> Result<Keys<'a>> {
        let shown = path.display();
        let text = regular::read_text(path).with_context(|| format!("reading {shown}"))?;
        let file: File = match toml::from_str(&text) {
            Ok(file) => file,
            // Without the line itself: a command may have a PIN in it.
            Err(error) => {
                let before = error.span().and_then(|span| text.get(..span.start));
                let line = before.map_or(1, |text| text.lines().count().max(1));
                bail!("{shown}:{line}: {}", error.message());
            }
        };
        let beside = path.parent().unwrap_or(Path::new(""));
        Keys::of(file, beside, exchange).with_context(|| format!("{shown}"))
    }

    /// Those of every key that signs, and those that firmware will take.
    pub fn certificates(&self) -> Vec<&Certificate> {
        let enroll = self.enroll.iter();
        let enrolled = enroll.flat_map(|enroll| [&enroll.pk, &enroll.kek]);
        let signers = self.secure_boot.iter().chain(&self.root_hash);
        let signers = signers.chain(&self.checksums).chain(enrolled);
        let mut all: Vec<_> = signers
            .filter_map(|signer| signer.certificate().ok())
            .collect();
        all.extend(self.enroll.iter().flat_map(|enroll| &enroll.db));
        let mut seen = BTreeSet::new();
        all.retain(|certificate| seen.insert(certificate.der.as_slice()));
        all
    }

    fn of(file: File, beside: &Path, exchange: Option<&'a Exchange>) -> Result<Keys<'a>> {
        let open = |name: &str, key: Key, purpose| {
            let given = Given {
                key: key.key.map(|path| beside.join(path)),
                sign_command: key.sign_command,
                certificate: key.certificate.map(|path| beside.join(path)),
            };
            Signer::open(name, &given, purpose, exchange)
        };
        let boot = Purpose::SecureBoot;
        let secure_boot = file.secure_boot.into_iter();
        let secure_boot: Vec<_> = secure_boot
            .map(|key| open("secure_boot", key, boot))
            .collect::<Result<_>>()?;
        let root_hash = file
            .root_hash
            .map(|key| open("root_hash", key, Purpose::RootHash));
        let checksums = file
            .checksums
            .map(|key| open("checksums", key, Purpose::Checksums));
        let enroll = match file.enroll {
            Some(part) => {
                let (pk, kek) = (part.pk, part.kek);
                let (pk, kek) = (open("enroll.pk", pk, boot)?, open("enroll.kek", kek, boot)?);
                let lists = (part.db.as_slice(), part.dbx.as_slice());
                let enroll = enroll(pk, kek, lists, part.owner.as_deref(), beside)?;
                enroll.check(&secure_boot)?;
                Some(enroll)
            }
            None => None,
        };
        let keys = Keys {
            secure_boot,
            root_hash: root_hash.transpose()?,
            checksums: checksums.transpose()?,
            enroll,
        };
        if keys.secure_boot.is_empty() && keys.root_hash.is_none() && keys.checksums.is_none() {
            bail!(
                "it has no key: add a table [[secure_boot]], [root_hash] or [checksums] with \
                 `key` or `sign_command`, and `certificate`"
            );
        }
        Ok(keys)
    }
}

fn enroll<'a>(
    pk: Signer<'a>,
    kek: Signer<'a>,
    (db, dbx): (&[PathBuf], &[String]),
    owner: Option<&str>,
    beside: &Path,
) -> Result<Enroll<'a>> {
    let certificate = |path: &Path| Certificate::from_file(&beside.join(path));
    let owner = match owner {
        Some(text) => text.parse().context("enroll.owner")?,
        None => Guid::derived(&["signature owner", pk.certificate()?.fingerprint().hex()]),
    };
    let mut enroll = Enroll {
        pk,
        kek,
        db: db
            .iter()
            .map(|path| certificate(path))
            .collect::<Result<_>>()
            .context("enroll.db")?,
        dbx: Vec::new(),
        dbx_hashes: Vec::new(),
        owner,
    };
    for entry in dbx {
        match entry.strip_prefix("sha256:") {
            Some(hex) => enroll.dbx_hashes.push(hash_of(hex)?),
            None => enroll
                .dbx
                .push(certificate(Path::new(entry)).context("enroll.dbx")?),
        }
    }
    Ok(enroll)
}

fn hash_of(hex: &str) -> Result<[u8; 32]> {
    let digest = Digest::new(Algorithm::Sha256, hex).context("enroll.dbx")?;
    let mut hash = [0; 32];
    for (index, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digest.hex()[2 * index..2 * index + 2], 16)?;
    }
    Ok(hash)
}

impl Enroll<'_> {
    /// Firmware with these variables must boot what these keys sign.
    fn check(&self, secure_boot: &[Signer<'_>]) -> Result<()> {
        if secure_boot.is_empty() {
            bail!(
                "[enroll] is there, but no [[secure_boot]]: a machine that learns these keys would \
                 not boot the disk that it has them from"
            );
        }
        if self.db.is_empty() {
            bail!("enroll.db names no certificate: with that, firmware boots nothing");
        }
        for signer in secure_boot {
            let own = signer.certificate()?;
            if !self.db.iter().any(|other| other.der == own.der) {
                bail!(
                    "enroll.db lacks the certificate `{}` of [[secure_boot]]: firmware would not \
                     boot what it signs",
                    own.subject
                );
            }
            if self.dbx.iter().any(|other| other.der == own.der) {
                bail!(
                    "enroll.dbx revokes the certificate `{}` of [[secure_boot]]: firmware would \
                     not boot what it signs",
                    own.subject
                );
            }
        }
        for (name, signer) in [("pk", &self.pk), ("kek", &self.kek)] {
            let own = signer.certificate()?;
            if !own.is_self_issued {
                bail!(
                    "enroll.{name}: the certificate `{}` is issued by an authority; firmware \
                     takes only one that is signed by its own key (openssl req -x509)",
                    own.subject
                );
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
