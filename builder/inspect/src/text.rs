//! A report for people.

use std::fmt::Write;

use crate::report::{OwnerKind, Report};

/// How many owners are named in the list of sizes.
const LARGEST: usize = 10;

/// A size for people: `12.3 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// What the owner is called in a list: a file's own package, `containerd (artifact)`.
pub fn owner(owner: &crate::report::Owner) -> String {
    match owner.kind {
        OwnerKind::Package | OwnerKind::Image => owner.name.clone(),
        OwnerKind::Artifact => format!("{} (artifact)", owner.name),
    }
}

/// The report as text, ending in a newline.
pub fn report(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) -> std::fmt::Result {
    let image = &report.image;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    writeln!(
        out,
        "image         {} {}",
        or_none(&image.id),
        or_none(&image.version)
    )?;
    writeln!(out, "architecture  {}", or_none(&image.architecture))?;
    writeln!(out, "base system   {}", or_none(&image.system))?;
    if let Some(disk) = &report.disk {
        writeln!(out, "\npartitions of a disk of {}", size(disk.size))?;
        for partition in &disk.partitions {
            writeln!(
                out,
                "  {:24} {:>10}  {}",
                partition.label,
                size(partition.size),
                partition.guid
            )?;
        }
    }
    boot(out, report)?;
    if !report.artifacts.is_empty() {
        writeln!(out, "\nartifacts")?;
        for (name, version) in &report.artifacts {
            writeln!(out, "  {name:24} {version}")?;
        }
    }
    writeln!(out, "\nenabled units")?;
    for (name, by) in &report.units {
        writeln!(out, "  {name:40} {}", by.join(", "))?;
    }
    writeln!(out, "\nusers")?;
    for user in &report.users {
        writeln!(
            out,
            "  {:20} {:>5} {:>5}  {}",
            user.name, user.uid, user.gid, user.shell
        )?;
    }
    if !report.writable.is_empty() {
        writeln!(out, "\nwritable")?;
        for writable in &report.writable {
            writeln!(out, "  {:32} {}", writable.path, writable.backing)?;
        }
    }
    writeln!(out, "\nconfiguration (files that no package brings)")?;
    for (path, bytes) in &report.configuration {
        writeln!(out, "  {path:64} {:>10}", size(*bytes))?;
    }
    sizes(out, report)?;
    writeln!(out, "\n{} packages", report.packages.len())?;
    for package in &report.packages {
        writeln!(out, "  {:32} {}", package.name, package.version)?;
    }
    Ok(())
}

fn boot(out: &mut String, report: &Report) -> std::fmt::Result {
    let Some(boot) = &report.boot else {
        return Ok(());
    };
    writeln!(out, "\nEFI system partition")?;
    for (path, bytes) in &boot.esp {
        writeln!(out, "  {path:48} {:>10}", size(*bytes))?;
    }
    let Some(uki) = &boot.uki else {
        return Ok(());
    };
    writeln!(out, "\nUKI {}", uki.path)?;
    for section in &uki.sections {
        writeln!(out, "  {:12} {:>10}", section.name, size(section.size))?;
    }
    let initrd = &uki.initrd;
    writeln!(
        out,
        "  kernel       {}\n  command line {}\n  initrd       {} in {} files, {} modules",
        uki.kernel.as_deref().unwrap_or("unknown"),
        uki.command_line.as_deref().unwrap_or("none"),
        size(initrd.size),
        initrd.files,
        initrd.modules.len()
    )?;
    if let Some(hash) = &uki.root_hash {
        writeln!(out, "  root hash    {hash}, as on the partitions")?;
    }
    Ok(())
}

fn sizes(out: &mut String, report: &Report) -> std::fmt::Result {
    let total: u64 = report.sizes.iter().map(|size| size.stored).sum();
    writeln!(
        out,
        "\nlargest parts of {} of files, compressed",
        size(total)
    )?;
    for part in report.sizes.iter().take(LARGEST) {
        writeln!(
            out,
            "  {:40} {:>10} {:>6} files",
            owner(&part.owner),
            size(part.stored),
            part.files
        )?;
    }
    Ok(())
}
