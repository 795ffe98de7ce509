//! `nodeimg seed check`: what first boot would make of a seed, on this machine.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_seed::examine::{Elsewhere, Judge, Outlook, outlook};
use nodeimg_seed::plan::UnknownImage;
use nodeimg_seed::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile, near_miss};
use nodeimg_seed::text::problem::{Problems, Severity};
use nodeimg_values::date::Date;
use nodeimg_values::epoch::Epoch;
use serde_json::json;

use crate::cli::SeedCheckArgs;
use crate::cmd::Session;
use crate::image::firstboot::settings::settings_of;
use crate::image::{kubeadm, layers};
use crate::input::recipe::{self, Recipe};
use crate::output::KINDS;

pub fn run(session: &Session<'_>, args: &SeedCheckArgs) -> Result<()> {
    let recipe = recipe::load(&args.recipe, &KINDS)?;
    let mut problems = Problems::new();
    let seed = read(&args.seed, &mut problems)?;
    if !judge(session, &recipe, &seed, problems)? {
        bail!(
            "{}: this seed does not work with an image of recipe {} (name another recipe with \
             --recipe)",
            args.seed.display(),
            args.recipe
        );
    }
    Ok(())
}

/// Reads a seed as a node of that recipe would, and reports its problems:
/// whether it works. `problems` are those found before.
pub fn judge(
    session: &Session<'_>,
    recipe: &Recipe,
    seed: &Seed,
    mut problems: Problems,
) -> Result<bool> {
    let templates = layers::templates_of(recipe)?;
    // Certificates are judged by this machine's clock, not by an image's age.
    let settings = settings_of(recipe, Epoch(0));
    let known = layers::known_paths(recipe)?;
    let kubeadm = kubeadm::Judge::of(recipe, &known);
    let elsewhere = Elsewhere {
        judge: kubeadm.as_ref().map(|judge| judge as &dyn Judge),
        templates: &templates,
        // A seed is for nodes of either architecture; one that asks gets this machine's.
        architecture: std::env::consts::ARCH,
        now: Date::now()?.0,
        image: &UnknownImage {
            known: known.clone(),
        },
    };
    let outlook = outlook(seed, &settings, &elsewhere, &mut problems);
    tell(session, outlook.as_ref(), problems);
    Ok(outlook.is_some())
}

fn tell(session: &Session<'_>, outlook: Option<&Outlook>, problems: Problems) {
    let problems = problems.into_vec();
    if session.global.json {
        let mut result =
            json!({ "event": "seed", "good": outlook.is_some(), "problems": problems });
        if let Some(outlook) = outlook {
            result["instance_id"] = json!(outlook.instance_id);
            result["host_name"] = json!(outlook.host_name);
            result["pod_subnets"] = json!(outlook.pod_subnets);
            result["files"] = json!(outlook.files);
        }
        println!("{result}");
        return;
    }
    for problem in &problems {
        match problem.severity {
            Severity::Error => eprintln!("error: {problem}"),
            Severity::Warning if session.global.quiet => {}
            Severity::Warning => eprintln!("warning: {problem}"),
        }
    }
    if let (Some(outlook), false) = (outlook, session.global.quiet) {
        let count = outlook.files.len();
        println!("{}: a valid seed, {count} files", outlook.host_name);
    }
}

/// The layout that the directory has; NoCloud's if it has both.
fn read(directory: &Path, problems: &mut Problems) -> Result<Seed> {
    let layout = [Layout::NoCloud, Layout::ConfigDrive]
        .into_iter()
        .find(|layout| directory.join(layout.names().meta_data).exists())
        .with_context(|| {
            format!(
                "{} holds neither `meta-data` nor `openstack/latest/meta_data.json`{}",
                directory.display(),
                shown(&near_misses(directory))
            )
        })?;
    let names = layout.names();
    let take = |name: &str| read_file(&directory.join(name));
    let meta_data = take(names.meta_data)?;
    let user_data = take(names.user_data)?;
    if layout == Layout::NoCloud && user_data.is_none() {
        bail!(
            "{} holds `meta-data` but no `user-data`, and NoCloud needs both; it may be empty{}",
            directory.display(),
            shown(&near_misses(directory))
        );
    }
    let mut seed = Seed {
        user_data,
        vendor_data: take(names.vendor_data)?,
        vendor_data2: names.vendor_data2.map_or(Ok(None), take)?,
        network: take(names.network)?,
        ..Seed::new(layout, meta_data.context("the meta-data has disappeared")?)
    };
    if layout == Layout::NoCloud {
        seed.near = near_misses(directory);
    }
    seed.inject(take, problems)?;
    Ok(seed)
}

/// Files that someone probably meant to be of a NoCloud seed, with the names that they should
/// have, sorted.
fn near_misses(directory: &Path) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for entry in directory.read_dir().into_iter().flatten().flatten() {
        if let Some(expected) = near_miss(&entry.file_name().to_string_lossy()) {
            found.push((entry.path().display().to_string(), expected));
        }
    }
    found.sort();
    found
}

fn shown(near: &[(String, &'static str)]) -> String {
    let shown = near.iter();
    shown
        .map(|(found, expected)| format!("; found `{found}`, expected `{expected}`"))
        .collect()
}

/// `None` if there is nothing of that name.
fn read_file(path: &Path) -> Result<Option<SeedFile>> {
    let name = path.display().to_string();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).context(format!("opening {name}")),
    };
    let limit = u64::try_from(MAX_SEED_FILE)?;
    let mut bytes = Vec::new();
    file.take(limit + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("reading {name}"))?;
    if bytes.len() > MAX_SEED_FILE {
        bail!("{name} is larger than {MAX_SEED_FILE} bytes, the limit for a seed file");
    }
    Ok(Some(SeedFile::new(name, bytes)))
}
