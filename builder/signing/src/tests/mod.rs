#![allow(clippy::unwrap_used)]
//! Keys of openssl's making, and signatures judged by openssl, sbverify and osslsigncode.

mod commands;
mod judged;
mod keys;
mod mutations;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::judge;

use crate::signer::{Given, Purpose, Signer};

/// Files of one test.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// `openssl WORDS` in this folder; `None`, with a printed skip, without openssl.
    fn openssl(&self, words: &str) -> Option<Vec<u8>> {
        self.run("openssl", words)
    }

    fn run(&self, program: &str, words: &str) -> Option<Vec<u8>> {
        let mut command = Command::new(program);
        command.args(words.split(' ')).current_dir(self.0.path());
        let output = judge::run(&mut command)?;
        assert!(
            output.status.success(),
            "{program} {words}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        Some(output.stdout)
    }

    /// A key by `genpkey WORDS` as NAME.key, and its certificate NAME.pem.
    fn pair(&self, name: &str, words: &str) -> Option<Given> {
        self.openssl(&format!("genpkey -algorithm {words} -out {name}.key"))?;
        self.openssl(&format!(
            "req -new -x509 -key {name}.key -subj /CN={name} -days 3650 -out {name}.pem"
        ))?;
        self.close(&format!("{name}.key"));
        Some(Given {
            key: Some(self.path(&format!("{name}.key"))),
            sign_command: None,
            certificate: Some(self.path(&format!("{name}.pem"))),
        })
    }

    fn rsa(&self, name: &str) -> Option<Given> {
        self.pair(name, "RSA -pkeyopt rsa_keygen_bits:2048")
    }

    fn close(&self, name: &str) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn open(given: &Given, purpose: Purpose) -> Signer<'static> {
    Signer::open("test", given, purpose, None).unwrap()
}

fn refusal(given: &Given, purpose: Purpose) -> String {
    let Err(error) = Signer::open("test", given, purpose, None) else {
        panic!("{given:?} was accepted");
    };
    format!("{error:#}")
}

fn key_of(path: &Path) -> Given {
    Given {
        key: Some(path.to_owned()),
        ..Given::default()
    }
}

/// A program of two sections whose length is not a multiple of 8.
fn program() -> Vec<u8> {
    let mut image = vec![0; 0x605];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(60, &0x80u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664u16.to_le_bytes());
    put(0x86, &2u16.to_le_bytes());
    put(0x94, &240u16.to_le_bytes());
    put(0x96, &0x22eu16.to_le_bytes());
    let optional = 0x98;
    put(optional, &0x20bu16.to_le_bytes());
    for (at, number) in [
        (16, 0x1000u32),
        (32, 0x1000),
        (36, 0x200),
        (56, 0x3000),
        (60, 0x200),
        (64, 7),
        (108, 16),
    ] {
        put(optional + at, &number.to_le_bytes());
    }
    put(optional + 68, &10u16.to_le_bytes());
    for (index, (name, address)) in [(".text", 0x1000u32), (".cmdline", 0x2000)]
        .iter()
        .enumerate()
    {
        let at = optional + 240 + index * 40;
        put(at, name.as_bytes());
        let place = 0x200 + index as u32 * 0x200;
        for (field, number) in [(8, 0x200), (12, *address), (16, 0x200), (20, place)] {
            put(at + field, &number.to_le_bytes());
        }
        put(at + 36, &0x6000_0020u32.to_le_bytes());
    }
    put(0x400, b"roothash=00");
    put(0x600, b"extra");
    image
}
