//! Keys and certificates of openssl's making, and the file that says what they sign.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::judge;

/// A folder of keys.
pub struct Keys {
    pub folder: PathBuf,
}

impl Keys {
    /// Of RSA with self-signed certificates, as NAME.key and NAME.pem, and `release.key` of
    /// Ed25519 with `release.pub`. `None`, with a printed skip, without openssl.
    pub fn make(folder: &Path, names: &[&str]) -> Option<Keys> {
        fs::create_dir_all(folder).unwrap();
        let keys = Keys {
            folder: folder.to_owned(),
        };
        for name in names {
            keys.openssl(&format!(
                "req -new -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj \
                 /CN={name} -days 3650"
            ))?;
            keys.close(name);
        }
        keys.openssl("genpkey -algorithm ED25519 -out release.key")?;
        keys.close("release");
        keys.openssl("pkey -in release.key -pubout -out release.pub")?;
        Some(keys)
    }

    fn close(&self, name: &str) {
        let path = self.path(&format!("{name}.key"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file of keys.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// `openssl WORDS` in the folder, which must succeed.
    pub fn openssl(&self, words: &str) -> Option<Vec<u8>> {
        let mut command = Command::new("openssl");
        command.args(words.split(' ')).current_dir(&self.folder);
        let output = judge::run(&mut command)?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {words}: {said}");
        Some(output.stdout)
    }
}
