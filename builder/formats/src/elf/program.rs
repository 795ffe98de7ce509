//! What the header of an ELF file says of it.
//!
//! [System V gABI, object files](https://gabi.xinuos.com/elf/02-eheader.html):
//!
//! ```text
//!  0  7f 45 4c 46   magic          16  e_type     (u16)   32  e_phoff     (u64)
//!  4  EI_CLASS      2 = 64 bit     18  e_machine  (u16)   54  e_phentsize (u16)
//!  5  EI_DATA       1 = LSB        24  e_entry    (u64)   56  e_phnum     (u16)
//! ```

use anyhow::{Context, Result, bail};
use nodeimg_values::arch::Arch;

use super::{HEADER_LEN, u16_at, u32_at, u64_at};
use crate::readable::Readable;

const MAGIC: [u8; 4] = *b"\x7fELF";
const PT_INTERP: u32 = 3;
/// Program headers follow the ELF header in every linker's output; more than
/// this away cannot be a program for a kernel.
const MAX_HEADERS: u64 = 1 << 20;

pub fn is_elf(head: &[u8]) -> bool {
    head.starts_with(&MAGIC)
}

/// Machines that are not a computer's processor: what is for them goes with every
/// architecture. Kernels run BPF, graphics cards and controllers have programs of their own.
const DEVICES: [u16; 6] = [
    94,  // Xtensa
    140, // TI C6000
    164, // Hexagon
    190, // CUDA
    224, // AMD GPU
    247, // BPF
];

/// Refuses an ELF file of another architecture; anything that is no ELF passes, and so does
/// what is for a device or for the kernel's own machine (BPF, of either byte order).
/// `head` is the file's beginning.
pub fn check_arch(head: &[u8], arch: Arch) -> Result<()> {
    if !is_elf(head) {
        return Ok(());
    }
    let (Some(class), Some(data), Some(machine)) = (head.get(4), head.get(5), u16_at(head, 18))
    else {
        bail!("is an ELF file that ends within its header");
    };
    let swapped = if *data == 1 {
        machine
    } else {
        machine.swap_bytes()
    };
    if DEVICES.contains(&swapped) {
        return Ok(());
    }
    if *data != 1 {
        bail!("is a big-endian ELF file, but the image is for {arch}");
    }
    if machine != arch.elf_machine() {
        bail!(
            "is an ELF file for {}, but the image is for {arch}",
            machine_name(machine)
        );
    }
    if *class != 2 {
        bail!("is a 32-bit ELF file, but the image is for {arch}");
    }
    Ok(())
}

/// Whether a 64-bit ELF file of `size` bytes lacks its end: linkers write the table of
/// sections last, and the header says where that is.
pub fn is_cut(head: &[u8], size: u64) -> bool {
    if !is_elf(head) || head.get(4) != Some(&2) || head.get(5) != Some(&1) {
        return false;
    }
    let (Some(offset), Some(each), Some(count)) =
        (u64_at(head, 40), u16_at(head, 58), u16_at(head, 60))
    else {
        return false;
    };
    offset != 0 && offset.saturating_add(u64::from(each) * u64::from(count)) > size
}

/// Whether `content` is an ELF program that needs no dynamic loader.
pub fn is_static(content: &dyn Readable) -> Result<bool> {
    let head = content
        .head(HEADER_LEN as u64)
        .context("reading an ELF header")?;
    if !is_elf(&head) || head.get(4) != Some(&2) || head.get(5) != Some(&1) {
        return Ok(false);
    }
    let (Some(entry), Some(offset), Some(size), Some(count)) = (
        u64_at(&head, 24),
        u64_at(&head, 32),
        u16_at(&head, 54),
        u16_at(&head, 56),
    ) else {
        return Ok(false);
    };
    let end = offset.saturating_add(u64::from(size) * u64::from(count));
    if entry == 0 || size < 4 || count == 0 || end > MAX_HEADERS {
        return Ok(false);
    }
    let bytes = content.head(end).context("reading ELF program headers")?;
    let table = usize::try_from(offset).ok().and_then(|at| bytes.get(at..));
    let Some(table) = table.filter(|t| t.len() == usize::from(size) * usize::from(count)) else {
        return Ok(false);
    };
    Ok(table
        .chunks(usize::from(size))
        .all(|header| u32_at(header, 0) != Some(PT_INTERP)))
}

fn machine_name(machine: u16) -> String {
    if let Some(arch) = Arch::ALL.iter().find(|a| a.elf_machine() == machine) {
        return arch.to_string();
    }
    match machine {
        3 => "i386".to_owned(),
        21 => "ppc64".to_owned(),
        22 => "s390x".to_owned(),
        40 => "32-bit arm".to_owned(),
        243 => "riscv64".to_owned(),
        other => format!("machine {other}"),
    }
}
