//! What firmware knows of keys: signature lists, and variables that are signed
//! ([UEFI 2.10, 8.2 and 32.4](https://uefi.org/specs/UEFI/2.10/32_Secure_Boot_and_Driver_Signing.html#signature-database)).
//!
//! ```text
//! list      16 kind, 4 length of the list, 4 zero, 4 length of an entry
//!           entries: 16 owner, then a certificate or a SHA-256
//! variable  EFI_TIME 16, 4 length, 2 revision 200h, 2 kind EF1h, 16 PKCS#7, SignedData;
//!           then the lists
//! signed    name in UTF-16, 16 vendor, 4 attributes, EFI_TIME, the lists
//! ```

use anyhow::Result;
use nodeimg_formats::guid::Guid;
use nodeimg_values::date::Date;
use nodeimg_values::epoch::Epoch;

use crate::certificate::Certificate;
use crate::pkcs7;
use crate::signer::Signer;

const X509: Guid = Guid::known(0xa5c059a1_94e4_4aa7_87b5_ab155c2bf072);
const SHA256: Guid = Guid::known(0xc1c41626_504c_4092_aca9_41f936934328);
const PKCS7: Guid = Guid::known(0x4aafd29d_68df_49ee_8aa9_347d375665a7);
const GLOBAL: Guid = Guid::known(0x8be4df61_93ca_11d2_aa0d_00e098032b8c);
const SECURITY: Guid = Guid::known(0xd719b2cb_3d3a_4596_a3bc_dad00e67656f);
/// Kept, for boot and for running systems, changed by time-stamped signatures only.
const ATTRIBUTES: u32 = 0x27;
const REVISION: u16 = 0x200;
const KIND: u16 = 0xef1;

/// A variable of Secure Boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variable {
    /// Whose key may change everything.
    Pk,
    /// Whose keys may change the two others.
    Kek,
    /// What may boot.
    Db,
    /// What may not, whatever `db` says.
    Dbx,
}

impl Variable {
    pub fn name(self) -> &'static str {
        match self {
            Variable::Pk => "PK",
            Variable::Kek => "KEK",
            Variable::Db => "db",
            Variable::Dbx => "dbx",
        }
    }

    fn vendor(self) -> Guid {
        match self {
            Variable::Pk | Variable::Kek => GLOBAL,
            Variable::Db | Variable::Dbx => SECURITY,
        }
    }
}

/// A list for each certificate, since they differ in length, and one for all hashes of
/// programs.
pub fn lists(owner: Guid, certificates: &[Certificate], hashes: &[[u8; 32]]) -> Vec<u8> {
    let owner = owner.mixed_endian();
    let mut out = Vec::new();
    let mut list = |kind: Guid, entries: &[&[u8]]| {
        let Some(first) = entries.first() else {
            return;
        };
        let entry = owner.len() + first.len();
        out.extend(kind.mixed_endian());
        out.extend(((28 + entry * entries.len()) as u32).to_le_bytes());
        out.extend(0u32.to_le_bytes());
        out.extend((entry as u32).to_le_bytes());
        for bytes in entries {
            out.extend(owner);
            out.extend(*bytes);
        }
    };
    for certificate in certificates {
        list(X509, &[&certificate.der]);
    }
    let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    list(SHA256, &hashes);
    out
}

/// The content of an `.auth` file: `lists` for `variable`, signed by the key that may change
/// it. Firmware takes it if `time` is later than that of the last change. `None` if another
/// machine has yet to sign.
///
/// # Errors
/// Those of [`Signer::sign`].
pub fn signed(
    signer: &Signer<'_>,
    variable: Variable,
    lists: &[u8],
    time: Epoch,
) -> Result<Option<Vec<u8>>> {
    let time = efi_time(time);
    let name = variable.name();
    let mut message: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    message.extend(variable.vendor().mixed_endian());
    message.extend(ATTRIBUTES.to_le_bytes());
    message.extend(time);
    message.extend(lists);
    let Some(signature) = pkcs7::bare(signer, &format!("{name}.auth"), &message)? else {
        return Ok(None);
    };
    let mut out = time.to_vec();
    out.extend((24 + signature.len() as u32).to_le_bytes());
    out.extend(REVISION.to_le_bytes());
    out.extend(KIND.to_le_bytes());
    out.extend(PKCS7.mixed_endian());
    out.extend(signature);
    out.extend(lists);
    Ok(Some(out))
}

/// ```text
/// 0 year  2 month  3 day  4 hour  5 minute  6 second  7.. zero
/// ```
fn efi_time(epoch: Epoch) -> [u8; 16] {
    let at = Date(epoch.0).utc();
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    let [low, high] = (year as u16).to_le_bytes();
    let mut time = [0; 16];
    time[..7].copy_from_slice(&[low, high, u8::from(month), day, hour, minute, second]);
    time
}
