//! Files that a kernel is to start: whether it can.
//!
//! The first line of a script is for the kernel
//! ([execve(2)](https://manpages.debian.org/trixie/manpages-dev/execve.2.en.html)): an
//! interpreter by its whole path and at most one argument, up to the line's end. A carriage
//! return belongs to the last word, so `/bin/sh` becomes a program that is not there.

use anyhow::{Context, Result};
use nodeimg_formats::elf::program;

use super::{Findings, Judged, at};
use crate::image::libraries;
use crate::input::artifact::pointer;
use crate::tree::{ImagePath, Kind, Node, Origin};

/// What the kernel reads of a script's first line.
const FIRST_LINE: usize = 255;
/// What is read to tell what a file is.
const HEAD: u64 = 4096;
const BOM: &[u8] = b"\xef\xbb\xbf";
/// Where programs are, and nothing else.
const PROGRAMS_IN: [&str; 7] = [
    "/usr/bin",
    "/usr/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/libexec",
    "/usr/lib/nodeimg/bin",
    "/opt/cni/bin",
];
/// Code for what is not this machine's processor.
const FIRMWARE: [&str; 2] = ["/usr/lib/firmware", "/usr/share/qemu"];
/// Where the shell's own look-up ends.
pub const PATH: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

pub fn judge(
    judged: &Judged<'_>,
    path: &ImagePath,
    node: &Node,
    found: &mut Findings,
) -> Result<()> {
    let Kind::File(content) = &node.kind else {
        return Ok(());
    };
    let head = content
        .head(HEAD)
        .with_context(|| format!("reading {path}"))?;
    if let Some(what) = pointer::of(&head) {
        found.problems.push(format!(
            "`{path}` (from {}) is {what}, not the file itself: {}",
            node.origin,
            pointer::REMEDY
        ));
        return Ok(());
    }
    if let Some(problem) = faulty(judged, path, node, &head) {
        found.add(
            &node.origin,
            format!("{} {problem}", at(path, 1, &node.origin)),
        );
    }
    Ok(())
}

/// What keeps the kernel from starting it.
fn faulty(judged: &Judged<'_>, path: &ImagePath, node: &Node, head: &[u8]) -> Option<String> {
    let is_program = node.stat.mode & 0o111 != 0
        && PROGRAMS_IN
            .iter()
            .any(|top| top.parse().is_ok_and(|top| path.is_within(&top)));
    if let Some(script) = head.strip_prefix(b"#!") {
        let line = script.split(|byte| *byte == b'\n').next()?;
        return broken(line).or_else(|| {
            let asks = is_program || node.stat.mode & 0o111 != 0 && is_plain(&node.origin);
            asks.then(|| missing(judged, line)).flatten()
        });
    }
    if head.starts_with(BOM) && head[BOM.len()..].starts_with(b"#!") {
        return Some(
            "begins with a byte order mark before its `#!`, so no kernel starts it: save it as \
             UTF-8 without one"
                .to_owned(),
        );
    }
    if head.starts_with(b"\xff\xfe#\0!\0") || head.starts_with(b"\xfe\xff\0#\0!") {
        return Some("is a script in UTF-16, which no kernel starts: save it as UTF-8".to_owned());
    }
    let is_firmware = FIRMWARE
        .iter()
        .any(|top| top.parse().is_ok_and(|top| path.is_within(&top)));
    if program::is_elf(head) {
        let wrong = program::check_arch(head, judged.arch).err();
        return wrong.filter(|_| !is_firmware).map(|e| format!("{e:#}"));
    }
    if sourced(path) && has_carriage_return(head) {
        return Some(
            "has Windows line ends (a carriage return before each line end), which its shell \
             takes for part of each command: convert it, as with `sed -i 's/\\r$//'`"
                .to_owned(),
        );
    }
    None
}

/// Whether every executable file of such a source is meant to be run.
fn is_plain(origin: &Origin) -> bool {
    !matches!(origin, Origin::Artifact(_))
}

/// Read by a shell without a first line of its own.
fn sourced(path: &ImagePath) -> bool {
    path.name().ends_with(".sh") || path.name().ends_with(".bash")
}

fn has_carriage_return(head: &[u8]) -> bool {
    head.windows(2).any(|pair| pair == b"\r\n")
}

/// What is wrong with a script's first line (without `#!`), whatever the tree.
fn broken(line: &[u8]) -> Option<String> {
    if line.contains(&b'\r') {
        let first = line.split(|byte| *byte == b'\r').next().unwrap_or_default();
        return Some(format!(
            "has Windows line ends: its interpreter would be `{}\\r`, with a carriage return, \
             and the node would say \"No such file or directory\"; convert it, as with `sed -i \
             's/\\r$//'`, and tell git to keep it (`* text eol=lf` in .gitattributes)",
            String::from_utf8_lossy(first).trim().escape_debug()
        ));
    }
    let words = words(line);
    let Some(interpreter) = words.first() else {
        return Some("has no interpreter after its `#!`".to_owned());
    };
    if line.len() + 2 > FIRST_LINE {
        return Some(format!(
            "has a first line longer than {FIRST_LINE} bytes, which the kernel cuts"
        ));
    }
    (!interpreter.starts_with('/')).then(|| {
        format!(
            "has the interpreter `{}`, which is not a whole path: write `#!/usr/bin/env {}`",
            interpreter.escape_debug(),
            interpreter.escape_debug()
        )
    })
}

fn words(line: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(line);
    text.split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The interpreter, or what `env` looks for, that is not in the tree.
fn missing(judged: &Judged<'_>, line: &[u8]) -> Option<String> {
    if !judged.has_base() {
        return None;
    }
    let words = words(line);
    let interpreter = words.first()?;
    if let Some(problem) = absent(judged, interpreter) {
        return Some(format!(
            "has the interpreter `{interpreter}`, which {problem}"
        ));
    }
    if !interpreter.ends_with("/env") {
        return None;
    }
    let name = words[1..]
        .iter()
        .find(|word| !word.starts_with('-') && !word.contains('='))?;
    let there = match name.starts_with('/') {
        true => absent(judged, name).is_none(),
        false => PATH
            .iter()
            .any(|place| absent(judged, &format!("{place}/{name}")).is_none()),
    };
    (!there).then(|| {
        format!("asks `env` for `{name}`, which is not in the image: add the package that has it to `base.packages`")
    })
}

/// Why `program` cannot be started, if it is known; messages go on after its name.
pub fn absent(judged: &Judged<'_>, program: &str) -> Option<String> {
    let path: ImagePath = program.parse().ok()?;
    if matches!(
        judged.tree.get(&path).map(|node| &node.kind),
        Some(Kind::Directory)
    ) {
        return Some("is a directory".to_owned());
    }
    let Some(way) = libraries::follow(judged.tree, program) else {
        return (!judged.comes_later(&path)).then(|| "is not in the image".to_owned());
    };
    let node = judged.tree.get(way.last()?)?;
    (node.stat.mode & 0o111 == 0).then(|| match &node.origin {
        Origin::Recipe(key) if key == "file" => {
            "is not executable: set `mode = \"0755\"` for it in its `[[file]]`".to_owned()
        }
        Origin::Artifact(name) => {
            format!("is not executable: set `mode = \"0755\"` in the `files` of artifact.{name}")
        }
        Origin::Overlay(_) => format!(
            "is not executable (its mode is {:04o}): an overlay's files are executable in \
             /usr/local/bin and other directories of programs, or if they begin with `#!`",
            node.stat.mode
        ),
        _ => "is not executable".to_owned(),
    })
}
