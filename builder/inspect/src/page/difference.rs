//! What differs between two images, as a page.

use std::fmt::{Result, Write};

use super::{begin, escape};
use crate::difference::{Changes, Difference, shown};
use crate::report::Report;
use nodeimg_values::size::size;

/// A part with more rows is folded.
const OPEN: usize = 30;
/// Rows of sizes that are drawn.
const LARGEST: usize = 16;
const SIZES: &str = "sizes, compressed";

/// The page, as a whole document.
pub fn page(difference: &Difference, before: &Report, after: &Report) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut out, difference, before, after);
    out
}

fn write_page(
    out: &mut String,
    difference: &Difference,
    before: &Report,
    after: &Report,
) -> Result {
    let (one, other) = (named(before), named(after));
    let title = format!("{} → {}", escape(&one), escape(&other));
    begin(out, &title, &title)?;
    if difference.is_empty() {
        writeln!(out, "<p class=\"soft\">the images are the same</p>")?;
        return writeln!(out, "</body>\n</html>");
    }
    let total = |report: &Report| report.sizes.iter().map(|part| part.stored).sum::<u64>();
    let (old, new) = (total(before), total(after));
    writeln!(
        out,
        "<p class=\"soft\">files, compressed: {} → {} ({})</p>",
        size(old),
        size(new),
        grown(old, new)
    )?;
    counts(out, difference)?;
    sizes(out, &difference.sizes)?;
    writeln!(out, "<h2>Changes</h2>")?;
    for (name, changes) in difference.parts() {
        // Sizes are drawn above.
        if name != SIZES {
            table(out, &heading(name), changes)?;
        }
    }
    if !difference.configuration.is_empty() {
        writeln!(out, "<h2>Settings</h2>")?;
    }
    for (path, changes) in &difference.configuration {
        table(out, &format!("<code>{}</code>", escape(path)), changes)?;
    }
    writeln!(out, "</body>\n</html>")
}

fn named(report: &Report) -> String {
    let image = &report.image;
    let parts = [&image.id, &image.version, &image.architecture];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    match parts.is_empty() {
        true => "image".to_owned(),
        false => parts.join(" "),
    }
}

/// With a capital.
fn heading(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn grown(old: u64, new: u64) -> String {
    match new.checked_sub(old) {
        Some(more) => format!("+{}", size(more)),
        None => format!("−{}", size(old - new)),
    }
}

/// How many of each kind.
fn counts(out: &mut String, difference: &Difference) -> Result {
    writeln!(out, "<ul class=\"counts\">")?;
    for (name, changes) in difference.parts() {
        if !changes.is_empty() && name != SIZES {
            count(out, &heading(name), changes)?;
        }
    }
    let settings = difference.configuration.values();
    let settings: usize = settings.map(rows).sum();
    if settings > 0 {
        writeln!(
            out,
            "<li><b>Settings</b><span class=\"changed\">~{settings}</span></li>"
        )?;
    }
    writeln!(out, "</ul>")
}

fn count(out: &mut String, name: &str, changes: &Changes) -> Result {
    write!(out, "<li><b>{name}</b>")?;
    let kinds = [
        ("added", "+", changes.added.len()),
        ("removed", "−", changes.removed.len()),
        ("changed", "~", changes.changed.len()),
    ];
    for (class, sign, count) in kinds {
        if count > 0 {
            write!(out, "<span class=\"{class}\">{sign}{count}</span>")?;
        }
    }
    writeln!(out, "</li>")
}

fn rows(changes: &Changes) -> usize {
    changes.added.len() + changes.removed.len() + changes.changed.len()
}

/// What grew and what shrank, by how much: bars to the right and to the left.
fn sizes(out: &mut String, changes: &Changes) -> Result {
    let bytes = |text: &str| text.parse::<u64>().unwrap_or_default();
    let mut all: Vec<(&str, u64, u64)> = Vec::new();
    all.extend(
        changes
            .added
            .iter()
            .map(|(name, new)| (name.as_str(), 0, bytes(new))),
    );
    all.extend(
        changes
            .removed
            .iter()
            .map(|(name, old)| (name.as_str(), bytes(old), 0)),
    );
    let both = changes.changed.iter();
    all.extend(both.map(|(name, [old, new])| (name.as_str(), bytes(old), bytes(new))));
    all.retain(|(_, old, new)| old != new);
    all.sort_by(|(one, a, b), (other, c, d)| (c.abs_diff(*d), one).cmp(&(a.abs_diff(*b), other)));
    let Some(largest) = all.first().map(|(_, old, new)| old.abs_diff(*new)) else {
        return Ok(());
    };
    writeln!(out, "<h2>What grew, what shrank</h2>\n<div class=\"bars\">")?;
    for (name, old, new) in all.iter().take(LARGEST) {
        let width = old.abs_diff(*new) as f64 * 50.0 / largest as f64;
        let (class, left) = match new > old {
            true => ("grew", 50.0),
            false => ("shrank", 50.0 - width),
        };
        writeln!(
            out,
            "<div><span>{}</span><i><b class=\"{class}\" style=\"left:{left:.2}%;width:{width:.2}%\">\
             </b></i><span>{}</span></div>",
            escape(name),
            grown(*old, *new)
        )?;
    }
    writeln!(out, "</div>")?;
    let rest = all.len().saturating_sub(LARGEST);
    match rest {
        0 => Ok(()),
        _ => writeln!(out, "<p class=\"soft\">and {rest} that changed less</p>"),
    }
}

/// Nothing if nothing differs. The title is HTML.
fn table(out: &mut String, title: &str, changes: &Changes) -> Result {
    let count = rows(changes);
    if count == 0 {
        return Ok(());
    }
    let open = if count <= OPEN { " open" } else { "" };
    writeln!(
        out,
        "<details{open}><summary>{title} ({count})</summary><div class=\"scroll\"><table class=\"diff\">"
    )?;
    let value = |text: &str| escape(&shown(text));
    let mut row = |class: &str, sign: &str, name: &str, text: String| {
        writeln!(
            out,
            "<tr class=\"{class}\"><td>{sign}</td><td><code>{}</code></td><td>{text}</td></tr>",
            escape(name)
        )
    };
    for (name, old) in &changes.removed {
        row("removed", "−", name, value(old))?;
    }
    for (name, new) in &changes.added {
        row("added", "+", name, value(new))?;
    }
    for (name, [old, new]) in &changes.changed {
        row(
            "changed",
            "~",
            name,
            format!("{} → {}", value(old), value(new)),
        )?;
    }
    writeln!(out, "</table></div></details>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_with_their_sign() {
        assert_eq!(grown(0, 2048), "+2.0 KiB");
        assert_eq!(grown(2048, 0), "−2.0 KiB");
        assert_eq!(heading("enabled units"), "Enabled units");
    }
}
