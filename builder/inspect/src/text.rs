//! A report for people.

use crate::report::{OwnerKind, Report};
use nodeimg_values::size::size;

/// How many owners are named in the list of sizes.
const LARGEST: usize = 10;

/// Text that a terminal and a page show as it is: control characters, and those that turn the
/// direction of writing, are escaped.
pub fn visible(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || turns(c) || c == '\u{2028}' || c == '\u{2029}' {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Adds one line; whatever is in it, it stays one. A line break at its start is an empty line
/// before it.
pub(crate) fn line(out: &mut String, line: std::fmt::Arguments<'_>) {
    let text = line.to_string();
    let text = match text.strip_prefix('\n') {
        Some(rest) => {
            out.push('\n');
            rest
        }
        None => &text,
    };
    out.push_str(&visible(text));
    out.push('\n');
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
    write_all(&mut out, report);
    out
}

fn write_all(out: &mut String, report: &Report) {
    let image = &report.image;
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
    line(
        out,
        format_args!(
            "image         {} {}",
            or_none(&image.id),
            or_none(&image.version)
        ),
    );
    line(
        out,
        format_args!("architecture  {}", or_none(&image.architecture)),
    );
    line(
        out,
        format_args!("base system   {}", or_none(&image.system)),
    );
    if let Some(disk) = &report.disk {
        line(
            out,
            format_args!("\npartitions of a disk of {}", size(disk.size)),
        );
        for partition in &disk.partitions {
            line(
                out,
                format_args!(
                    "  {:24} {:>10}  {}",
                    partition.label,
                    size(partition.size),
                    partition.guid
                ),
            );
        }
    }
    boot(out, report);
    if !report.artifacts.is_empty() {
        line(out, format_args!("\nartifacts"));
        for (name, version) in &report.artifacts {
            line(out, format_args!("  {name:24} {version}"));
        }
    }
    line(out, format_args!("\nenabled units"));
    for (name, by) in &report.units {
        line(out, format_args!("  {name:40} {}", by.join(", ")));
    }
    line(out, format_args!("\nusers"));
    for user in &report.users {
        line(
            out,
            format_args!(
                "  {:20} {:>5} {:>5}  {}",
                user.name, user.uid, user.gid, user.shell
            ),
        );
    }
    if !report.writable.is_empty() {
        line(out, format_args!("\nwritable"));
        for writable in &report.writable {
            line(
                out,
                format_args!("  {:32} {}", writable.path, writable.backing),
            );
        }
    }
    line(
        out,
        format_args!("\nconfiguration (files that no package brings)"),
    );
    for (path, bytes) in &report.configuration {
        line(out, format_args!("  {path:64} {:>10}", size(*bytes)));
    }
    sizes(out, report);
    line(out, format_args!("\n{} packages", report.packages.len()));
    for package in &report.packages {
        line(
            out,
            format_args!("  {:32} {}", package.name, package.version),
        );
    }
}

fn boot(out: &mut String, report: &Report) {
    let Some(boot) = &report.boot else {
        return;
    };
    line(out, format_args!("\nEFI system partition"));
    for (path, bytes) in &boot.esp {
        line(out, format_args!("  {path:48} {:>10}", size(*bytes)));
    }
    let Some(uki) = &boot.uki else {
        return;
    };
    line(out, format_args!("\nUKI {}", uki.path));
    for section in &uki.sections {
        line(
            out,
            format_args!("  {:12} {:>10}", section.name, size(section.size)),
        );
    }
    let initrd = &uki.initrd;
    let or = |text: &Option<String>, other: &str| text.clone().unwrap_or_else(|| other.to_owned());
    line(
        out,
        format_args!("  kernel       {}", or(&uki.kernel, "unknown")),
    );
    line(
        out,
        format_args!("  command line {}", or(&uki.command_line, "none")),
    );
    line(
        out,
        format_args!(
            "  initrd       {} in {} files, {} modules",
            size(initrd.size),
            initrd.files,
            initrd.modules.len()
        ),
    );
    if let Some(hash) = &uki.root_hash {
        line(
            out,
            format_args!("  root hash    {hash}, as on the partitions"),
        );
    }
}

fn sizes(out: &mut String, report: &Report) {
    let total: u64 = report.sizes.iter().map(|size| size.stored).sum();
    line(
        out,
        format_args!("\nlargest parts of {} of files, compressed", size(total)),
    );
    for part in report.sizes.iter().take(LARGEST) {
        line(
            out,
            format_args!(
                "  {:40} {:>10} {:>6} files",
                owner(&part.owner),
                size(part.stored),
                part.files
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(
            visible("a\x1b[2Jb\nc\u{9b}d\u{202e}e"),
            "a\\u{1b}[2Jb\\nc\\u{9b}d\\u{202e}e"
        );
        assert_eq!(visible("größe → 1"), "größe → 1");
        let mut out = String::new();
        line(&mut out, format_args!("\n  {} end", "a\nb"));
        assert_eq!(out, "\n  a\\nb end\n");
    }
}
