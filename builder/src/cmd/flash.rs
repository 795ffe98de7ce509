//! `nodeimg flash`: a built disk onto a device.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sys::signal::Signal;
use nodeimg_flash::device::Here;
use nodeimg_flash::flash::{Done, Failed, Holds, Job, Ready, Stop};
use nodeimg_flash::image::{Expected, Source, is_standard_input};
use nodeimg_flash::list;
use nodeimg_formats::gpt::Entry;
use nodeimg_formats::gpt::kinds::Root;
use nodeimg_machine::qemu::image::Manifest;
use nodeimg_machine::qemu::seed;
use nodeimg_seed::text::problem::Problems;
use nodeimg_values::arch::Arch;
use nodeimg_values::atomic::CHECKSUMS;
use nodeimg_values::digest::{Algorithm, Digest};
use nodeimg_values::signals::heeded;
use serde_json::json;

use super::Session;
use super::seed::check;
use crate::cli::FlashArgs;
use crate::input::chosen::Chosen;
use crate::input::recipe::{RecipeRef, built_in};
use crate::output::{KINDS, QCOW2, RAW, ZST};

/// The labels by which a seed can say what its node is.
const ARCH_LABELS: [&str; 2] = ["kubernetes.io/arch", "beta.kubernetes.io/arch"];

pub fn run(session: &Session<'_>, args: &FlashArgs) -> Result<()> {
    if args.list {
        return list(session);
    }
    let image = args.image.as_deref().context("name an image")?;
    let device = args.device.clone().context("name a device")?;
    let mut found = Found::of(image)?;
    if let Some(digest) = &args.sha256 {
        found.expected = Some(Expected {
            digest: digest.clone(),
            by: "--sha256".to_owned(),
        });
    }
    let mut problems = Problems::new();
    let seed = args.seed.as_deref().map(|directory| -> Result<_> {
        Ok((
            check::read(directory, &mut problems)?,
            seed::files(directory)?,
        ))
    });
    let seed = seed.transpose()?;
    let ready = Ready::of(Job {
        here: Here::default(),
        source: found.source.clone(),
        device,
        expected: found.expected.clone(),
        wipe: args.wipe.clone(),
        dry_run: args.dry_run,
        read_back: !args.no_read_back,
    })?;
    let arch = found.arch_of(ready.partitions())?;
    let mut node = None;
    if let (Some((seed, _)), Some(directory)) = (&seed, &args.seed) {
        let chosen = found.chosen(args.recipe.as_ref())?;
        let outlook = check::judge(session, &chosen, seed, problems, arch)?;
        let Some(outlook) = outlook else {
            bail!(
                "{}: this seed does not work with an image of recipe {}; nothing was written",
                directory.display(),
                chosen.recipe.name
            );
        };
        is_for(arch, &outlook.labels, directory)?;
        node = Some(outlook.host_name);
    }
    announce(session, args, &ready, arch, node.as_deref());
    let stop = on_signals()?;
    let device = ready.device.path();
    let name = ready.name().to_owned();
    let files = seed.as_ref().map(|(_, files)| files.as_slice());
    match ready.go(files, stop, session.progress) {
        Ok(done) => {
            tell(session, args, &name, &device, &found, &done);
            Ok(())
        }
        Err(failed) => Err(refused(session, failed, &device)),
    }
}

/// What could be written to as it is, or after `--wipe`.
pub fn free_devices() -> Result<Vec<String>> {
    let all = list::candidates(&Here::default())?.into_iter();
    let free = all.filter(|one| one.obstacle().is_none() && !one.device.name.starts_with("loop"));
    Ok(free.map(|one| one.path().display().to_string()).collect())
}

fn list(session: &Session<'_>) -> Result<()> {
    let candidates = list::candidates(&Here::default())?;
    if session.global.json {
        println!("{}", list::json(&candidates));
    } else if candidates.is_empty() {
        println!("no disk was found");
    } else {
        print!("{}", list::text(&candidates));
    }
    Ok(())
}

/// An image, and what is known of it without reading it.
struct Found {
    source: Source,
    expected: Option<Expected>,
    manifest: Option<Manifest>,
}

impl Found {
    fn of(image: &Path) -> Result<Found> {
        if is_standard_input(image) {
            return Ok(Found {
                source: Source::StandardInput,
                expected: None,
                manifest: None,
            });
        }
        let shown = image.display();
        let meta = fs::metadata(image).with_context(|| format!("looking for the image {shown}"))?;
        let (file, manifest) = match meta.is_dir() {
            true => {
                let manifest = Manifest::read(image)?.with_context(|| {
                    format!(
                        "{shown} has no manifest.json: name an output directory of `nodeimg \
                         build`, or a disk image"
                    )
                })?;
                (disk_in(image, &manifest)?, Some(manifest))
            }
            false => {
                let directory = directory_of(image);
                let manifest = Manifest::read(directory)?;
                // A manifest of other files does not describe this one.
                let manifest = manifest.filter(|manifest| manifest.output(image).is_some());
                (image.to_owned(), manifest)
            }
        };
        let expected = expected(&file, manifest.as_ref())?;
        Ok(Found {
            source: Source::File(file),
            expected,
            manifest,
        })
    }

    /// The image's, by its manifest and its partitions, which must agree.
    fn arch_of(&self, partitions: &[Entry]) -> Result<Option<Arch>> {
        let has = |arch: &Arch| {
            let root = Root::of(*arch);
            partitions.iter().any(|entry| root.has(entry.kind))
        };
        let there = Arch::ALL.into_iter().find(has);
        let said = self.manifest.as_ref().map(|manifest| manifest.image.arch);
        match (said, there) {
            (Some(said), Some(there)) if said != there => bail!(
                "the image is for {said} according to its manifest.json, and for {there} according \
                 to its partition table"
            ),
            (said, there) => Ok(said.or(there)),
        }
    }

    /// The recipe that was named, or the built-in one that the image is of.
    fn chosen(&self, named: Option<&RecipeRef>) -> Result<Chosen> {
        let name = self
            .manifest
            .as_ref()
            .and_then(|it| it.image.name.as_deref());
        let of_image = || {
            let name = name.filter(|name| built_in(name).is_some())?;
            Some(RecipeRef::BuiltIn(name.to_owned()))
        };
        let recipe = named.cloned().or_else(of_image).context(
            "the seed cannot be checked: the image names no built-in recipe, so name its recipe \
             with --recipe FILE",
        )?;
        Chosen::load(&recipe, None, &KINDS, &[])
    }
}

/// The disk that a build wrote.
fn disk_in(directory: &Path, manifest: &Manifest) -> Result<PathBuf> {
    let listed = [RAW, ZST, QCOW2].map(|name| directory.join(name));
    let mut listed = listed
        .into_iter()
        .filter(|path| manifest.output(path).is_some());
    let there = listed.clone().find(|path| path.exists());
    match (there, listed.next()) {
        (Some(path), _) => Ok(path),
        (None, Some(path)) => bail!(
            "{} is not there, but manifest.json lists it",
            path.display()
        ),
        (None, None) => bail!(
            "{} has no disk among its outputs: `nodeimg build --output disk` writes one",
            directory.display()
        ),
    }
}

/// What the files beside an image say of it.
fn expected(file: &Path, manifest: Option<&Manifest>) -> Result<Option<Expected>> {
    let by_manifest = manifest.and_then(|manifest| manifest.output(file));
    let by_sums = of_sums(file)?;
    match (by_manifest, by_sums) {
        (Some(one), Some(other)) if *one != other => bail!(
            "manifest.json and {CHECKSUMS} beside {} name different digests of it",
            file.display()
        ),
        (Some(digest), _) => Ok(Some(Expected {
            digest: digest.clone(),
            by: "manifest.json".to_owned(),
        })),
        (None, by_sums) => Ok(by_sums.map(|digest| Expected {
            digest,
            by: CHECKSUMS.to_owned(),
        })),
    }
}

/// Lines of `sha256sum`: the digest, a blank, a blank or `*`, the name.
fn of_sums(file: &Path) -> Result<Option<Digest>> {
    let sums = directory_of(file).join(CHECKSUMS);
    let text = match fs::read_to_string(&sums) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("reading {}", sums.display())),
    };
    let name = file.file_name().and_then(|name| name.to_str());
    for line in text.lines() {
        let Some((hex, rest)) = line.split_once(' ') else {
            continue;
        };
        if rest.strip_prefix([' ', '*']) == name && name.is_some() {
            let digest = Digest::new(Algorithm::Sha256, hex);
            return digest.map(Some).with_context(|| sums.display().to_string());
        }
    }
    Ok(None)
}

fn directory_of(file: &Path) -> &Path {
    let directory = file.parent().filter(|parent| *parent != Path::new(""));
    directory.unwrap_or(Path::new("."))
}

/// A seed may say for which architecture its node is; the kubelet would say another one.
fn is_for(arch: Option<Arch>, labels: &[String], seed: &Path) -> Result<()> {
    let Some(arch) = arch else { return Ok(()) };
    for label in labels {
        let Some((key, value)) = label.split_once('=') else {
            continue;
        };
        if ARCH_LABELS.contains(&key) && value != arch.name() {
            bail!(
                "{}: the seed is for a node of {value} (its label `{key}`), and the image is for \
                 {arch}; nothing was written",
                seed.display()
            );
        }
    }
    Ok(())
}

fn announce(
    session: &Session<'_>,
    args: &FlashArgs,
    ready: &Ready,
    arch: Option<Arch>,
    node: Option<&str>,
) {
    let name = ready.name();
    let arch_text = arch.map_or_else(|| "unknown architecture".to_owned(), |it| it.to_string());
    if ready.expected().is_none() {
        session.progress.warn(&format!(
            "nothing says what {name} must be: no manifest.json or {CHECKSUMS} beside it lists it, \
             and there is no --sha256; damage on the way here is not found"
        ));
    }
    let doing = if args.dry_run {
        "would write"
    } else {
        "writing"
    };
    let mut text = format!(
        "{doing} {name} ({arch_text}) to {}",
        ready.device.described()
    );
    if let Some(node) = node {
        text.push_str(&format!(", with the seed of {node}"));
    }
    for line in ready.content.lines(&ready.device) {
        text.push_str(&format!("\n  erases {line}"));
    }
    let event = json!({
        "event": "flash", "image": name, "arch": arch, "size": ready.size(),
        "device": ready.device.json(), "erases": ready.content.json(), "node": node,
        "sha256": ready.expected().map(|it| it.digest.hex()),
        "checked_by": ready.expected().map(|it| &it.by), "dry_run": args.dry_run,
    });
    session.say(&event, &text);
}

fn tell(
    session: &Session<'_>,
    args: &FlashArgs,
    name: &str,
    device: &Path,
    found: &Found,
    done: &Done,
) {
    let by = found.expected.as_ref().map(|expected| expected.by.as_str());
    let checked = match by {
        Some(by) => format!("it is the image that {by} names"),
        None => format!("its SHA-256 is {}", done.measured.sha256.hex()),
    };
    let device = device.display();
    let text = match args.dry_run {
        true => format!("{name} was read to its end, {checked}; nothing was written to {device}"),
        false => {
            let read = if args.no_read_back {
                "not read back"
            } else {
                "read back"
            };
            format!("{device} holds {name}: {checked}; written and {read}")
        }
    };
    let event = json!({
        "event": "flashed", "device": device.to_string(), "size": done.size,
        "sha256": done.measured.sha256.hex(), "checked_by": by,
        "read_back": !args.no_read_back && !args.dry_run, "dry_run": args.dry_run,
    });
    session.say(&event, &text);
    if !done.table_read {
        session.progress.note(&format!(
            "the kernel has not read the new partition table of {device}: unplug it and plug it in \
             again to look at its partitions here"
        ));
    }
}

fn refused(session: &Session<'_>, failed: Failed, device: &Path) -> anyhow::Error {
    let device = device.display();
    let (holds, text) = match failed.holds {
        Holds::Before => ("before", format!("nothing was written to {device}")),
        Holds::Part => (
            "part",
            format!("{device} holds a part of the image and does not boot: flash it again"),
        ),
        Holds::All => (
            "all",
            format!("{device} was written whole, but do not rely on it: flash another one"),
        ),
    };
    let error = format!("{:#}", failed.error);
    session.progress.event(&json!({
        "event": "flash-failed", "device": device.to_string(), "holds": holds, "why": error,
    }));
    anyhow::anyhow!("{error}; {text}")
}

/// Set by the first signal that wants the process to end; the second one ends it.
fn on_signals() -> Result<&'static Stop> {
    static STOP: Stop = Stop::new(false);
    let signals = heeded(&[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    // Threads that are started from here on do not get them either.
    signals.thread_block().context("waiting for signals")?;
    thread::spawn(move || {
        while signals.wait().is_ok() {
            if STOP.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
        }
    });
    Ok(&STOP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_for_another_architecture_is_refused() {
        let of = |arch, label: &str| is_for(arch, &[label.to_owned()], Path::new("seed"));
        let amd64 = Some(Arch::Amd64);
        for label in ARCH_LABELS {
            assert!(of(amd64, &format!("{label}=amd64")).is_ok());
            assert!(of(None, &format!("{label}=arm64")).is_ok());
            let error = format!("{:?}", of(amd64, &format!("{label}=arm64")));
            assert!(error.contains("for a node of arm64"), "{error}");
        }
        assert!(of(amd64, "example.com/arch=arm64").is_ok());
    }
}
