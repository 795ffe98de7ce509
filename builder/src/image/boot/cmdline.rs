//! The kernel's command line, which is part of the UKI: whoever signs or
//! measures that has the root hash signed and measured with it.

use std::fmt::Write;

use nodeimg_formats::verity::RootHash;
use nodeimg_values::arch::Arch;

use crate::input::recipe::disk;

/// A command line; there is none without a root hash.
pub struct CommandLine(String);

impl CommandLine {
    /// Of the root that `root` stands for; `extra` comes last.
    pub fn new(root: RootHash, arch: Arch, extra: &[String]) -> CommandLine {
        let mut text = format!("roothash={root} {}", disk::own_words(arch));
        for word in extra {
            // Writing to a String cannot fail.
            let _ = write!(text, " {word}");
        }
        CommandLine(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Write as _;

    use super::*;
    use nodeimg_formats::guid::Guid;
    use nodeimg_formats::verity::{self, Data, Params};

    #[test]
    fn the_root_hash_comes_first_and_the_recipe_last() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[1; 4096]).unwrap();
        let data = Data {
            file: &file,
            start: 0,
            size: 4096,
        };
        let params = Params {
            salt: [0; 32],
            uuid: Guid::derived(&["test"]),
        };
        let root = verity::write(data, &params, &mut Vec::new()).unwrap();
        let extra = ["console=hvc0".to_owned(), "quiet".to_owned()];
        for (arch, console) in [
            (Arch::Amd64, "console=tty0 console=ttyS0,115200"),
            (Arch::Arm64, "console=tty0 console=ttyAMA0,115200"),
        ] {
            let want = format!(
                "roothash={root} root=/dev/mapper/root rootfstype=squashfs ro gpt panic=30 loglevel=6 {console} console=hvc0 quiet"
            );
            assert_eq!(CommandLine::new(root, arch, &extra).as_str(), want);
        }
    }
}
