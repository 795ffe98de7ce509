//! A whole inventory: `nodeimg seed new --inventory` and `nodeimg seed check --inventory`.
//!
//! ```text
//! inventory ── count up ── clashes ── seeds, all judged ── ledger ── OUT/NAME, exports
//!              ledger                 nothing is written before the last one is good
//! ```

mod args;
mod tell;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_machine::inventory::export::Seeded;
use nodeimg_machine::inventory::ledger::Ledger;
use nodeimg_machine::inventory::pools::count_up;
use nodeimg_machine::inventory::{Inventory, Row, clashes};
use nodeimg_machine::seed::{self, Before};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::write::Files;
use nodeimg_values::date::Date;
use nodeimg_values::parallel::{cores, in_parallel};
use serde_json::json;

use super::check::Bench;
use super::new::{Keys, node};
use crate::cli::SeedNewArgs;
use crate::cmd::Session;
use crate::input::chosen::Chosen;
use crate::input::recipe::RecipeRef;
use crate::output::KINDS;
use args::Layers;

const DAY: u64 = 24 * 3600;

/// One machine of an inventory, and its seed.
struct Member {
    row: Row,
    files: Files,
}

pub fn check(session: &Session<'_>, inventory: &Path, recipe: &RecipeRef) -> Result<()> {
    let base = args::bare(recipe);
    let (members, _) = members(session, inventory, &base)?;
    let count = members.len();
    let event = json!({ "event": "inventory", "good": true, "nodes": count });
    session.say(
        &event,
        &format!("{}: {count} valid seeds", inventory.display()),
    );
    Ok(())
}

pub fn write(session: &Session<'_>, inventory: &Path, base: &SeedNewArgs) -> Result<()> {
    let (members, ledger) = members(session, inventory, base)?;
    let to = |member: &Member| seed_of(base, member.row.host_name());
    let before = in_parallel(cores(), members.len(), |i| {
        let member = &members[i];
        Before::of(&member.files, &to(member))
    });
    let before = before.into_iter().collect::<Result<Vec<_>>>()?;
    let both = members.iter().zip(&before);
    let others: Vec<_> = both
        .filter(|(_, before)| **before == Before::Other)
        .map(|(member, _)| member.row.host_name())
        .collect();
    if !others.is_empty() && !base.force {
        bail!(
            "{}: seeds of {} are there and would change: replace them with --force",
            base.out.display(),
            tell::names(&others)
        );
    }
    let exports = exports(base, &members)?;
    ledger.save()?;
    seed::private_directory(&base.out)?;
    let both = members.iter().zip(&before);
    let changed: Vec<_> = both
        .filter(|(_, before)| **before != Before::Same)
        .map(|(member, _)| (&member.files, to(member)))
        .collect();
    seed::write_all(&changed, &base.out)?;
    for (export, files) in exports {
        export.write(&files)?;
    }
    warn_of_strangers(session, base, &members, &ledger)?;
    tell::written(session, base, &before);
    Ok(())
}

fn seed_of(base: &SeedNewArgs, name: &str) -> PathBuf {
    match base.fleet.img {
        true => base.out.join(format!("{name}.img")),
        false => base.out.join(name),
    }
}

/// Every machine with its seed, all of them good, and the ledger as it will be.
fn members(
    session: &Session<'_>,
    path: &Path,
    base: &SeedNewArgs,
) -> Result<(Vec<Member>, Ledger)> {
    let layers = Layers::new();
    let mut inventory = Inventory::read(path, &layers.flags())?;
    args::counted_for_all(base, &mut inventory.rows);
    let mut ledger = Ledger::beside(path)?;
    count_up(&mut inventory.rows, &mut ledger)?;
    let found = clashes::find(&inventory.rows);
    if !found.is_empty() {
        tell::clashes(session, &found);
        bail!(
            "{}: nothing was written, because machines share what they may not",
            path.display()
        );
    }
    let folder = inventory.folder().to_owned();
    let mut all = Vec::new();
    for row in inventory.rows {
        let args = layers.over(base, &row, &folder)?;
        let since = since(&args, row.host_name(), &mut ledger)?;
        all.push((row, args, since));
    }
    let members = judged(session, all)?;
    Ok((members, ledger))
}

/// When the certificates of a node begin, if any is signed here: the moment of the ledger, or
/// today.
fn since(args: &SeedNewArgs, name: &str, ledger: &mut Ledger) -> Result<Date> {
    let now = Date::now()?.0;
    let today = Date(now - now % DAY);
    if args.identity.ca_key.is_none() {
        return Ok(today);
    }
    if let (Some(issued), false) = (ledger.issued(name), args.fleet.renew) {
        return issued
            .parse()
            .with_context(|| format!("the ledger's `issued` of {name}"));
    }
    ledger.issue(name, &today.to_string());
    Ok(today)
}

fn judged(session: &Session<'_>, all: Vec<(Row, SeedNewArgs, Date)>) -> Result<Vec<Member>> {
    let mut recipes: Vec<Chosen> = Vec::new();
    for (row, args, _) in &all {
        if !recipes.iter().any(|chosen| chosen.from == args.recipe) {
            let chosen = Chosen::load(&args.recipe, None, &KINDS, &[]);
            recipes.push(chosen.with_context(|| row.place_of("recipe").to_owned())?);
        }
    }
    let benches = recipes.iter().map(Bench::of).collect::<Result<Vec<_>>>()?;
    let made = in_parallel(cores(), all.len(), |i| {
        let (row, args, since) = &all[i];
        let at = recipes.iter().position(|chosen| chosen.from == args.recipe);
        let at = at.context("a recipe was not loaded")?;
        let node = node(args, &recipes[at].recipe, Keys::Derived(*since));
        let node = node.with_context(|| format!("{} ({})", row.place, row.host_name()))?;
        let files = node.files(args.instance_id.as_deref());
        let (outlook, problems) = benches[at].judge(&files.seed(), Problems::new());
        Ok((files, outlook.is_some(), problems))
    });
    let made = made.into_iter().collect::<Result<Vec<_>>>()?;
    let rows = all.iter().map(|(row, ..)| row);
    let said: Vec<_> = rows
        .zip(&made)
        .map(|(row, (.., problems))| (row, problems))
        .collect();
    tell::problems(session, &said);
    let bad: Vec<_> = all
        .iter()
        .zip(&made)
        .filter(|(_, (_, good, _))| !good)
        .collect();
    if !bad.is_empty() {
        let names: Vec<_> = bad.iter().map(|((row, ..), _)| row.host_name()).collect();
        bail!(
            "nothing was written, because the seeds of {} do not work",
            tell::names(&names)
        );
    }
    let members = all.into_iter().zip(made);
    Ok(members
        .map(|((row, ..), (files, ..))| Member { row, files })
        .collect())
}

type Exported<'a> = (
    &'a nodeimg_machine::inventory::export::Export,
    std::collections::BTreeMap<String, String>,
);

fn exports<'a>(base: &'a SeedNewArgs, members: &[Member]) -> Result<Vec<Exported<'a>>> {
    let nodes: Vec<_> = members
        .iter()
        .map(|member| Seeded {
            row: &member.row,
            files: &member.files,
        })
        .collect();
    let all = base.fleet.export.iter();
    all.map(|export| Ok((export, export.files(&nodes)?)))
        .collect()
}

/// Seeds that are no longer in the inventory, and parts that nobody of it has.
fn warn_of_strangers(
    session: &Session<'_>,
    base: &SeedNewArgs,
    members: &[Member],
    ledger: &Ledger,
) -> Result<()> {
    let known: std::collections::BTreeSet<_> = members
        .iter()
        .map(|member| member.row.host_name())
        .collect();
    let shown = base.out.display();
    let mut strangers = Vec::new();
    for entry in std::fs::read_dir(&base.out).with_context(|| format!("listing {shown}"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let node = name.strip_suffix(".img").unwrap_or(&name);
        if !known.contains(node) {
            strangers.push(name);
        }
    }
    strangers.sort();
    let strangers: Vec<_> = strangers.iter().map(String::as_str).collect();
    if !strangers.is_empty() {
        let names = tell::names(&strangers);
        session.progress.warn(&format!(
            "{shown} also holds {names}, which the inventory lacks"
        ));
    }
    let gone: Vec<_> = ledger.others(|node| known.contains(node));
    if !gone.is_empty() {
        let names = tell::names(&gone);
        session.progress.warn(&format!(
            "{names}: not in the inventory any more, and what they were given stays theirs until \
             their lines are removed from {}",
            ledger.path().display()
        ));
    }
    Ok(())
}
