//! `nodeimg seed check`: what first boot would make of a seed, on this machine.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::examine::{Elsewhere, Outlook, outlook};
use nodeimg_seed::plan::{TemplateFile, UnknownImage};
use nodeimg_seed::read::near;
use nodeimg_seed::read::seed::{Layout, MAX_SEED_FILE, Seed, SeedFile};
use nodeimg_seed::text::problem::{Problems, Severity};
use nodeimg_values::arch::Arch;
use nodeimg_values::date::Date;
use nodeimg_values::epoch::Epoch;
use serde_json::json;

use super::fleet;
use crate::cli::SeedCheckArgs;
use crate::cmd::Session;
use crate::image::firstboot::settings::settings_of;
use crate::image::{absent, layers, told};
use crate::input::chosen::Chosen;
use crate::input::lock::Lock;
use crate::input::recipe::Recipe;
use crate::output::KINDS;

pub fn run(session: &Session<'_>, args: &SeedCheckArgs) -> Result<()> {
    if let Some(inventory) = &args.inventory {
        return fleet::check(session, inventory, &args.recipe);
    }
    let directory = args.seed.as_deref().context("name a seed")?;
    let chosen = Chosen::load(&args.recipe, None, &KINDS, &[])?;
    let mut problems = Problems::new();
    let seed = read(directory, &mut problems)?;
    if judge(session, &chosen, &seed, problems, None)?.is_none() {
        bail!(
            "{}: this seed does not work with an image of recipe {} (name another recipe with \
             --recipe)",
            directory.display(),
            args.recipe
        );
    }
    Ok(())
}

/// Reads a seed as a node of that recipe would, and reports its problems: what comes of it, if it
/// works. `problems` are those found before; without an architecture the node has this machine's.
pub fn judge(
    session: &Session<'_>,
    chosen: &Chosen,
    seed: &Seed,
    problems: Problems,
    arch: Option<Arch>,
) -> Result<Option<Outlook>> {
    let mut bench = Bench::of(chosen)?;
    if let Some(arch) = arch {
        bench.architecture = arch.rust_cpu();
    }
    let (outlook, problems) = bench.judge(seed, problems);
    tell(session, outlook.as_ref(), problems);
    Ok(outlook)
}

/// What is known of the images of a recipe, for any number of seeds.
pub struct Bench<'a> {
    recipe: &'a Recipe,
    templates: Vec<TemplateFile>,
    settings: ImageSettings,
    image: UnknownImage,
    now: u64,
    /// As `uname -m` says it.
    architecture: &'static str,
}

impl<'a> Bench<'a> {
    pub fn of(chosen: &'a Chosen) -> Result<Bench<'a>> {
        let recipe = &chosen.recipe;
        Ok(Bench {
            recipe,
            templates: layers::templates_of(recipe)?,
            // Certificates are judged by this machine's clock, not by an image's age.
            settings: settings_of(recipe, Epoch(0)),
            image: UnknownImage {
                known: layers::known_paths(recipe)?,
                absent: absent(chosen)?,
            },
            now: Date::now()?.0,
            // A seed is for nodes of either architecture; one that asks gets this machine's.
            architecture: std::env::consts::ARCH,
        })
    }

    /// What a node would make of a seed, if it works, and all problems; `problems` are those
    /// found before.
    pub fn judge(&self, seed: &Seed, mut problems: Problems) -> (Option<Outlook>, Problems) {
        let judge = told::Judge::of(self.recipe, &self.image.known);
        let elsewhere = Elsewhere {
            judge: Some(&judge),
            templates: &self.templates,
            architecture: self.architecture,
            now: self.now,
            image: &self.image,
        };
        let outlook = outlook(seed, &self.settings, &elsewhere, &mut problems);
        (outlook, problems)
    }
}

/// What an image of the recipe's lock lacks; nothing is known without one.
fn absent(chosen: &Chosen) -> Result<Vec<String>> {
    let text = chosen.lock.as_deref();
    let lock = text.and_then(|text| Lock::parse(text, &chosen.label).ok());
    let packages = lock.map(|lock| lock.pins.packages.packages);
    absent::of(&chosen.recipe, &packages.unwrap_or_default())
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

/// The seed in a directory; NoCloud's if it has both layouts.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn read(directory: &Path, problems: &mut Problems) -> Result<Seed> {
    let layout = [Layout::NoCloud, Layout::ConfigDrive]
        .into_iter()
        .find(|layout| directory.join(layout.names().meta_data).exists())
        .with_context(|| {
            format!(
                "{} holds neither `meta-data` nor `openstack/latest/meta_data.json`{}",
                directory.display(),
                near_misses(directory)
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
            near_misses(directory)
        );
    }
    let mut seed = Seed {
        user_data,
        vendor_data: take(names.vendor_data)?,
        vendor_data2: names.vendor_data2.map_or(Ok(None), take)?,
        network: take(names.network)?,
        ..Seed::new(layout, meta_data.context("the meta-data has disappeared")?)
    };
    let near = near::beside(layout, &|inside| names_in(&directory.join(inside)));
    let shown = |name: String| directory.join(name).display().to_string();
    seed.near = near
        .into_iter()
        .map(|(found, wanted)| (shown(found), wanted))
        .collect();
    seed.inject(take, problems)?;
    Ok(seed)
}

/// What first boot would say of a directory that is nearly a seed.
fn near_misses(directory: &Path) -> String {
    let misses = near::misses(&|inside| names_in(&directory.join(inside)));
    misses.iter().map(|miss| format!("; {miss}")).collect()
}

/// Names, and whether each is a directory; nothing of one that cannot be read. Links count as
/// files, so that no loop is followed.
fn names_in(directory: &Path) -> Vec<(String, bool)> {
    let entries = directory.read_dir().into_iter().flatten().flatten();
    entries
        .map(|entry| {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            (
                entry.file_name().to_string_lossy().into_owned(),
                is_directory,
            )
        })
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
