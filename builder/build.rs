//! Puts the programs of `programs.txt` into nodeimg, so that it searches for none.
//!
//! They come from the folder that `NODEIMG_PROGRAMS` names:
//!
//! ```text
//! SHA256SUMS               of all of them, as sha256sum(1) writes it
//! amd64/nodeimg-firstboot
//! arm64/nodeimg-firstboot
//! ```
//! `ci/static programs` makes it. Without the variable nodeimg has none inside, and finds
//! them where its documentation says; a release build warns of that, if the variable is not
//! `none`.
//!
//! The documentation goes inside too, for `nodeimg help`.
//!
//! Each is checked against `SHA256SUMS` here, kept compressed (zlib, a format of one locked
//! crate, so that the bytes do not depend on this machine's tools), and checked against the
//! same digest when it is taken out.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use sha2::{Digest, Sha256};

const VARIABLE: &str = "NODEIMG_PROGRAMS";
const LIST: &str = "programs.txt";
const SUMS: &str = "SHA256SUMS";
/// With `e_machine` of their ELF files (System V gABI).
const ARCHS: [(&str, u16); 2] = [("amd64", 62), ("arm64", 183)];
const MAKE: &str = "`ci/static programs` makes the folder";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={LIST}");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets no OUT_DIR")?);
    let given = env::var_os(VARIABLE).filter(|value| !value.is_empty());
    let rows = match given {
        Some(none) if none == "none" => String::new(),
        Some(folder) => inside(Path::new(&folder), &out)?,
        None => {
            if env::var_os("PROFILE").is_some_and(|profile| profile == "release") {
                println!(
                    "cargo::warning=this nodeimg has no programs for images inside and will \
                     search for them: {MAKE}, and {VARIABLE}=FOLDER puts them in; `ci/static` \
                     builds a whole one"
                );
            }
            String::new()
        }
    };
    let source = format!("pub(super) const INSIDE: &[Inside] = &[\n{rows}];\n");
    fs::write(out.join("programs.rs"), source)?;
    fs::write(out.join("pages.z"), pages(Path::new("../docs"))?)?;
    Ok(())
}

/// Every page that `SUMMARY.md` lists, in its order, each after a line `\0PATH`; compressed.
fn pages(folder: &Path) -> Result<Vec<u8>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let summary = fs::read_to_string(folder.join("SUMMARY.md"))?;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let paths = summary
        .split(".md)")
        .filter_map(|part| part.rsplit_once('('));
    for (_, path) in paths {
        let file = folder.join(format!("{path}.md"));
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        write!(encoder, "\0{path}\n{text}")?;
    }
    Ok(encoder.finish()?)
}

/// Compresses every program of `folder` into `out`; the rows of the table of them.
fn inside(folder: &Path, out: &Path) -> Result<String> {
    let read = |path: &Path| {
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read(path).map_err(|e| format!("{VARIABLE}: {}: {e} ({MAKE})", path.display()))
    };
    if !folder.is_absolute() {
        let shown = folder.display();
        return Err(format!("{VARIABLE} is {shown}: give an absolute path").into());
    }
    let sums = String::from_utf8(read(&folder.join(SUMS))?)?;
    let list = fs::read_to_string(LIST)?;
    let names = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_whitespace().next());
    let mut rows = String::new();
    for name in names {
        for (arch, machine) in ARCHS {
            let path = format!("{arch}/{name}");
            let bytes = read(&folder.join(&path))?;
            let sha256 = hex(&Sha256::digest(&bytes));
            let listed = sums.lines().find_map(|line| {
                let (digest, listed) = line.split_once("  ")?;
                (listed == path).then_some(digest)
            });
            if listed != Some(&sha256) {
                let listed = listed.unwrap_or("nothing");
                let folder = folder.display();
                return Err(format!(
                    "{VARIABLE}: {folder}/{path} has the SHA-256 digest {sha256}, and {SUMS} \
                     there says {listed} ({MAKE})"
                )
                .into());
            }
            if !bytes.starts_with(b"\x7fELF") || bytes.get(18..20) != Some(&machine.to_le_bytes()) {
                let folder = folder.display();
                return Err(format!(
                    "{VARIABLE}: {folder}/{path} is not an ELF program for {arch} ({MAKE})"
                )
                .into());
            }
            let packed = out.join(format!("{name}-{arch}.zlib"));
            let mut to = ZlibEncoder::new(Vec::new(), Compression::best());
            to.write_all(&bytes)?;
            fs::write(&packed, to.finish()?)?;
            writeln!(
                rows,
                "Inside {{ program: {name:?}, arch: {arch:?}, size: {}, sha256: {sha256:?}, \
                 packed: include_bytes!({packed:?}) }},",
                bytes.len()
            )?;
        }
    }
    Ok(rows)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
