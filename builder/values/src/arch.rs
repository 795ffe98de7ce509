//! The architectures that an image can be built for, by their
//! [Go and Debian names](https://wiki.debian.org/SupportedArchitectures).

use std::fmt;

use anyhow::{Result, bail};
use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An image's architecture. It is read by the names of kernels and of containers too
/// (`x86_64`, `aarch64`, `linux/amd64`), and written by its own.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    ValueEnum,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Arch {
    #[value(aliases = ["x86_64", "x86-64", "linux/amd64"])]
    #[serde(alias = "x86_64")]
    Amd64,
    #[value(aliases = ["aarch64", "linux/arm64"])]
    #[serde(alias = "aarch64")]
    Arm64,
}

impl Arch {
    pub const ALL: [Arch; 2] = [Arch::Amd64, Arch::Arm64];

    /// As in URLs of Kubernetes and in Debian: `amd64`, `arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Arch::Amd64 => "amd64",
            Arch::Arm64 => "arm64",
        }
    }

    /// `e_machine` of the ELF header (System V gABI, `EM_X86_64`, `EM_AARCH64`).
    pub fn elf_machine(self) -> u16 {
        match self {
            Arch::Amd64 => 62,
            Arch::Arm64 => 183,
        }
    }

    /// The directory of libraries below /usr/lib ([multiarch](https://wiki.debian.org/Multiarch/Tuples)).
    pub fn triplet(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64-linux-gnu",
            Arch::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// Of a machine whose processor Rust calls `cpu`, as in [`std::env::consts::ARCH`].
    pub fn of_machine(cpu: &str) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| arch.rust_cpu() == cpu)
    }

    /// What to build for: the architectures that were named, each once and in order, or
    /// that of the machine whose processor is `cpu` if there are none.
    pub fn named_or_own(named: &[Arch], cpu: &str) -> Result<Vec<Arch>> {
        let mut archs = named.to_vec();
        archs.sort_unstable();
        archs.dedup();
        if !archs.is_empty() {
            return Ok(archs);
        }
        match Arch::of_machine(cpu) {
            Some(own) => Ok(vec![own]),
            None => bail!(
                "this machine's architecture is {cpu}, and there are no images for it: add \
                 --arch amd64 or --arch arm64"
            ),
        }
    }

    /// The CPU part of a Rust target triple.
    pub fn rust_cpu(self) -> &'static str {
        match self {
            Arch::Amd64 => "x86_64",
            Arch::Arm64 => "aarch64",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_names_of_kernels_are_read_and_never_written() {
        for (name, arch) in [
            ("amd64", Arch::Amd64),
            ("x86_64", Arch::Amd64),
            ("arm64", Arch::Arm64),
            ("aarch64", Arch::Arm64),
        ] {
            assert_eq!(<Arch as ValueEnum>::from_str(name, false), Ok(arch));
            let quoted = format!("\"{name}\"");
            let read: Arch = serde_json::from_str(&quoted).unwrap();
            assert_eq!(read, arch, "{name}");
            assert_eq!(
                serde_json::to_string(&read).unwrap(),
                format!("\"{}\"", arch.name())
            );
        }
        assert!(<Arch as ValueEnum>::from_str("i386", false).is_err());
    }

    #[test]
    fn a_build_is_for_this_machine_unless_an_architecture_is_named() {
        use Arch::{Amd64, Arm64};
        for (named, cpu, archs) in [
            (&[][..], "x86_64", &[Amd64][..]),
            (&[], "aarch64", &[Arm64]),
            (&[Arm64], "x86_64", &[Arm64]),
            (&[Arm64, Amd64, Arm64], "aarch64", &[Amd64, Arm64]),
            (&[Amd64], "riscv64", &[Amd64]),
        ] {
            assert_eq!(Arch::named_or_own(named, cpu).unwrap(), archs, "{cpu}");
        }
        let refusal = Arch::named_or_own(&[], "riscv64").unwrap_err().to_string();
        assert!(
            refusal.contains("is riscv64") && refusal.contains("--arch arm64"),
            "{refusal}"
        );
    }
}
