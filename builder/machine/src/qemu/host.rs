//! QEMU on this machine, and whether the guest can run on the processor itself.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use nodeimg_values::arch::Arch;

use super::{MachineFacts, facts};

/// What runs the guest's instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Accel {
    /// The processor, by Linux
    Kvm,
    /// The processor, by macOS
    Hvf,
    /// QEMU itself, for any architecture
    Tcg,
}

impl Accel {
    /// QEMU's word.
    pub fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Hvf => "hvf",
            Accel::Tcg => "tcg",
        }
    }
}

/// QEMU, found.
#[derive(Debug)]
pub struct Host {
    pub program: PathBuf,
    pub accel: Accel,
    /// Why it will be slow.
    pub slow: Option<String>,
}

impl Host {
    /// QEMU for `arch`, by the PATH; the accelerator is the best one here
    /// unless `asked` names one.
    pub fn find(arch: Arch, asked: Option<Accel>) -> Result<Host> {
        let facts = facts(arch);
        let path = env::var_os("PATH").unwrap_or_default();
        let mut places: Vec<PathBuf> = env::split_paths(&path)
            .map(|directory| directory.join(facts.program))
            .collect();
        if is_own(arch) {
            // Red Hat's only one, for virtual machines of the own architecture.
            places.push("/usr/libexec/qemu-kvm".into());
        }
        let Some(program) = places.into_iter().find(|path| is_program(path)) else {
            bail!("{}", missing(facts));
        };
        let (accel, slow) = choose(arch, asked, &Processor::look(arch))?;
        Ok(Host {
            program,
            accel,
            slow,
        })
    }
}

fn missing(facts: &MachineFacts) -> String {
    format!(
        "{} is not installed, or not on PATH; install it with its firmware ({})",
        facts.program, facts.packages
    )
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn is_own(arch: Arch) -> bool {
    Arch::of_machine(env::consts::ARCH) == Some(arch)
}

/// Whether this machine's processor can run the guest: by what, or why not.
#[derive(Debug)]
struct Processor(Result<Accel, String>);

impl Processor {
    fn look(arch: Arch) -> Processor {
        if !is_own(arch) {
            let own = env::consts::ARCH;
            return Processor(Err(format!("this machine is {own}")));
        }
        if cfg!(target_os = "macos") {
            return Processor(Ok(Accel::Hvf));
        }
        Processor(kvm(arch).map(|()| Accel::Kvm))
    }
}

/// [KVM's interface](https://docs.kernel.org/virt/kvm/api.html).
fn kvm(arch: Arch) -> Result<(), String> {
    let device = Path::new("/dev/kvm");
    match OpenOptions::new().read(true).write(true).open(device) {
        Ok(_) => {}
        Err(e) if e.kind() == ErrorKind::NotFound => return Err("there is no /dev/kvm".to_owned()),
        Err(e) if e.kind() == ErrorKind::PermissionDenied => {
            return Err("this user may not use /dev/kvm; is it in the group `kvm`?".to_owned());
        }
        Err(e) => return Err(format!("/dev/kvm: {e}")),
    }
    // The device of a machine that is virtual itself may run guests that are
    // made for it alone; firmware is not.
    let drivers = ["/sys/module/kvm_intel", "/sys/module/kvm_amd"];
    if arch == Arch::Amd64 && !drivers.iter().any(|driver| Path::new(driver).exists()) {
        return Err("/dev/kvm does not belong to an Intel or AMD processor".to_owned());
    }
    Ok(())
}

fn choose(
    arch: Arch,
    asked: Option<Accel>,
    processor: &Processor,
) -> Result<(Accel, Option<String>)> {
    match (asked, &processor.0) {
        (Some(Accel::Tcg), _) => Ok((Accel::Tcg, Some("--accel tcg".to_owned()))),
        (None, Err(why)) => Ok((Accel::Tcg, Some(why.clone()))),
        (None, Ok(accel)) => Ok((*accel, None)),
        (Some(asked), Ok(accel)) if asked == *accel => Ok((asked, None)),
        (Some(asked), Ok(accel)) => bail!(
            "--accel {}: this machine has {} for {arch}",
            asked.name(),
            accel.name()
        ),
        (Some(asked), Err(why)) => bail!(
            "--accel {} is not available for {arch}: {why}; leave it out, or use --accel tcg",
            asked.name()
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_processor_is_used_where_it_can_be() {
        let has = Processor(Ok(Accel::Kvm));
        let lacks = Processor(Err("no such thing".into()));
        let chosen = |asked, processor| choose(Arch::Amd64, asked, processor).unwrap();
        assert_eq!(chosen(None, &has), (Accel::Kvm, None));
        assert_eq!(chosen(Some(Accel::Kvm), &has), (Accel::Kvm, None));
        assert_eq!(
            chosen(None, &lacks),
            (Accel::Tcg, Some("no such thing".into()))
        );
        assert_eq!(chosen(Some(Accel::Tcg), &has).0, Accel::Tcg);
    }

    #[test]
    fn one_that_is_not_here_is_refused_with_the_reason() {
        let lacks = Processor(Err("there is no /dev/kvm".into()));
        let error = choose(Arch::Arm64, Some(Accel::Kvm), &lacks).unwrap_err();
        assert!(
            error.to_string().contains("there is no /dev/kvm"),
            "{error}"
        );
        let has = Processor(Ok(Accel::Kvm));
        let error = choose(Arch::Arm64, Some(Accel::Hvf), &has).unwrap_err();
        assert!(error.to_string().contains("has kvm"), "{error}");
    }

    #[test]
    fn another_architecture_is_always_emulated() {
        let other = Arch::ALL.into_iter().find(|arch| !is_own(*arch)).unwrap();
        assert!(
            Processor::look(other)
                .0
                .unwrap_err()
                .contains("this machine is")
        );
    }
}
