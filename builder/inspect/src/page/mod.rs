//! A report, or what differs between two images, as one HTML page that needs nothing else: no
//! network, no script.

mod difference;

use std::fmt::{Result, Write};

use crate::report::{OwnerKind, Report};
use crate::text::{owner, visible};
use crate::treemap::{Tile, layout};
use nodeimg_values::size::size;

pub use difference::page as difference;

const STYLE: &str = include_str!("style.css");
/// Sides of the two maps, for wide and narrow windows, as in the style sheet.
const MAPS: [(&str, f64, f64); 2] = [("wide", 160.0, 90.0), ("tall", 90.0, 150.0)];
/// Tiles of less of the map's area are drawn without a label.
const LABELLED: f64 = 0.004;
/// An owner with less of the map's area is one tile; others are divided by directory.
const DIVIDED: f64 = 0.04;
/// Directories of an owner that are told apart; the rest is one tile.
const DIRECTORIES: usize = 24;

/// The page, as a whole document.
pub fn page(report: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut out, report);
    out
}

fn write_page(out: &mut String, report: &Report) -> Result {
    let image = &report.image;
    let name = escape(image.id.as_deref().unwrap_or("image"));
    let version = escape(image.version.as_deref().unwrap_or(""));
    let architecture = escape(image.architecture.as_deref().unwrap_or(""));
    let system = escape(image.system.as_deref().unwrap_or(""));
    let title = format!("{name} {version}");
    begin(out, &title, &format!("{title} {architecture}"))?;
    let stored: u64 = report.sizes.iter().map(|size| size.stored).sum();
    writeln!(
        out,
        "<p class=\"soft\">{system} · {} packages · {} enabled units · {} of files, compressed</p>",
        report.packages.len(),
        report.units.len(),
        size(stored)
    )?;
    chain(out, report)?;
    maps(out, report, stored)?;
    tables(out, report)?;
    writeln!(out, "</body>\n</html>")
}

/// The head of a document, and its first heading; both are HTML.
fn begin(out: &mut String, title: &str, heading: &str) -> Result {
    writeln!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>{heading}</h1>"
    )
}

/// From the firmware to the services.
fn chain(out: &mut String, report: &Report) -> Result {
    let Some(boot) = &report.boot else {
        return Ok(());
    };
    writeln!(out, "<h2>Boot</h2>\n<ol class=\"chain\">")?;
    let loader = boot
        .esp
        .keys()
        .find(|path| path.to_lowercase().starts_with("/efi/boot/"));
    if let Some(path) = loader {
        step(
            out,
            "Firmware",
            &format!("starts <code>{}</code>", escape(path)),
        )?;
    }
    if let Some(uki) = &boot.uki {
        let kernel = escape(uki.kernel.as_deref().unwrap_or("unknown"));
        let bytes: u64 = uki.sections.iter().map(|section| section.size).sum();
        let text = format!(
            "<code>{}</code>, {}: kernel {kernel}, initrd, command line",
            escape(&uki.path),
            size(bytes)
        );
        step(out, "Unified kernel image", &text)?;
        let modules = uki.initrd.modules.len();
        let text = format!(
            "{} in {} files, {modules} kernel modules",
            size(uki.initrd.size),
            uki.initrd.files
        );
        step(out, "Initrd", &text)?;
        let root = match &uki.root_hash {
            Some(hash) => format!(
                "checked block by block against <code>{}…</code>",
                escape(&hash.chars().take(16).collect::<String>())
            ),
            None => "read-only".to_owned(),
        };
        step(out, "Root, dm-verity", &root)?;
    }
    let text = format!("{} enabled units", report.units.len());
    step(out, "systemd", &text)?;
    writeln!(out, "</ol>")
}

fn step(out: &mut String, title: &str, text: &str) -> Result {
    writeln!(out, "<li><b>{title}</b>{text}</li>")
}

fn maps(out: &mut String, report: &Report, total: u64) -> Result {
    writeln!(out, "<h2>What made it big</h2>")?;
    writeln!(
        out,
        "<p class=\"legend soft\"><span><i class=\"package\"></i>package</span>\
         <span><i class=\"artifact\"></i>artifact</span><span><i class=\"image\"></i>made by the \
         build</span></p>"
    )?;
    let parts: Vec<_> = report.sizes.iter().filter(|part| part.stored > 0).collect();
    for (class, width, height) in MAPS {
        writeln!(out, "<div class=\"map {class}\">")?;
        let map = Map {
            width,
            height,
            total: total as f64,
        };
        let sizes: Vec<f64> = parts.iter().map(|part| part.stored as f64).collect();
        let all = Tile {
            x: 0.0,
            y: 0.0,
            width,
            height,
        };
        for (part, tile) in parts.iter().zip(layout(&sizes, all)) {
            let kind = class_of(part.owner.kind);
            let name = owner(&part.owner);
            if (part.stored as f64) < DIVIDED * map.total {
                map.tile(out, tile, kind, &[&name], part.stored)?;
                continue;
            }
            for (path, bytes, inner) in divided(&part.directories, tile) {
                map.tile(out, inner, kind, &[name.as_str(), &path], bytes)?;
            }
        }
        writeln!(out, "</div>")?;
    }
    Ok(())
}

/// The directories of an owner in its tile; small ones are one of them.
fn divided(directories: &[crate::report::DirectorySize], tile: Tile) -> Vec<(String, u64, Tile)> {
    let some = directories.iter().filter(|directory| directory.stored > 0);
    let mut all: Vec<(String, u64)> = some
        .map(|directory| (directory.path.clone(), directory.stored))
        .collect();
    let rest: u64 = all.iter().skip(DIRECTORIES).map(|(_, stored)| stored).sum();
    all.truncate(DIRECTORIES);
    if rest > 0 {
        all.push(("and others".to_owned(), rest));
        all.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
    }
    let sizes: Vec<f64> = all.iter().map(|(_, stored)| *stored as f64).collect();
    let tiles = layout(&sizes, tile);
    all.into_iter()
        .zip(tiles)
        .map(|((path, stored), tile)| (path, stored, tile))
        .collect()
}

struct Map {
    width: f64,
    height: f64,
    /// Bytes of all.
    total: f64,
}

impl Map {
    fn tile(
        &self,
        out: &mut String,
        tile: Tile,
        class: &str,
        names: &[&str],
        bytes: u64,
    ) -> Result {
        let percent = |part: f64, of: f64| part * 100.0 / of;
        let names: Vec<String> = names.iter().map(|name| escape(name)).collect();
        let name = names.join(" ");
        let shown = size(bytes);
        let label = match bytes as f64 >= LABELLED * self.total {
            true => format!("{}<br>{shown}", names.join("<br>")),
            false => String::new(),
        };
        writeln!(
            out,
            "<div class=\"tile {class}\" title=\"{name}: {shown}\" style=\"left:{:.3}%;top:{:.3}%;width:{:.3}%;height:{:.3}%\">{label}</div>",
            percent(tile.x, self.width),
            percent(tile.y, self.height),
            percent(tile.width, self.width),
            percent(tile.height, self.height),
        )
    }
}

fn class_of(kind: OwnerKind) -> &'static str {
    match kind {
        OwnerKind::Package => "package",
        OwnerKind::Artifact => "artifact",
        OwnerKind::Image => "image",
    }
}

fn tables(out: &mut String, report: &Report) -> Result {
    writeln!(out, "<h2>Contents</h2>")?;
    let code = |text: &str| format!("<code>{}</code>", escape(text));
    if let Some(disk) = &report.disk {
        let rows = disk.partitions.iter().map(|partition| {
            [
                escape(&partition.label),
                size(partition.size),
                code(&partition.guid),
            ]
        });
        table(out, "Partitions", ["Label", "Size", "GUID"], rows)?;
    }
    if let Some(uki) = report.boot.iter().find_map(|boot| boot.uki.as_ref()) {
        let rows = uki
            .sections
            .iter()
            .map(|section| [code(&section.name), size(section.size)]);
        table(out, "Sections of the UKI", ["Section", "Size"], rows)?;
        let words = uki.command_line.as_deref().unwrap_or_default();
        let rows = words.split_ascii_whitespace().map(|word| [code(word)]);
        table(out, "Kernel command line", ["Word"], rows)?;
        let rows = uki.initrd.modules.iter().map(|module| [code(module)]);
        table(out, "Kernel modules in the initrd", ["Module"], rows)?;
    }
    let rows = report.sizes.iter().map(|part| {
        [
            escape(&owner(&part.owner)),
            size(part.stored),
            size(part.size),
            part.files.to_string(),
        ]
    });
    table(out, "Sizes", ["Of", "Compressed", "Size", "Files"], rows)?;
    let rows = report
        .artifacts
        .iter()
        .map(|(name, version)| [escape(name), escape(version)]);
    table(out, "Artifacts", ["Name", "Version"], rows)?;
    let rows = report.packages.iter().map(|package| {
        [
            escape(&package.name),
            escape(&package.version),
            escape(&package.architecture),
        ]
    });
    table(out, "Packages", ["Name", "Version", "Architecture"], rows)?;
    let rows = report
        .units
        .iter()
        .map(|(name, by)| [code(name), escape(&by.join(", "))]);
    table(out, "Enabled units", ["Unit", "Wanted by"], rows)?;
    let rows = report.users.iter().map(|user| {
        [
            escape(&user.name),
            user.uid.to_string(),
            code(&user.home),
            code(&user.shell),
        ]
    });
    table(out, "Users", ["Name", "UID", "Home", "Shell"], rows)?;
    let rows = report
        .writable
        .iter()
        .map(|place| [code(&place.path), escape(&place.backing)]);
    table(out, "Writable on a running node", ["Path", "Kept in"], rows)?;
    let rows = report
        .configuration
        .iter()
        .map(|(path, bytes)| [code(path), size(*bytes)]);
    table(
        out,
        "Configuration that no package brings",
        ["File", "Size"],
        rows,
    )
}

/// Nothing if there is no row. A cell is HTML.
fn table<const N: usize>(
    out: &mut String,
    title: &str,
    heads: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<details><summary>{title} ({})</summary><div class=\"scroll\"><table>",
        rows.len()
    )?;
    writeln!(out, "<tr><th>{}</th></tr>", heads.join("</th><th>"))?;
    for row in rows {
        writeln!(out, "<tr><td>{}</td></tr>", row.join("</td><td>"))?;
    }
    writeln!(out, "</table></div></details>")
}

fn escape(text: &str) -> String {
    visible(text)
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
