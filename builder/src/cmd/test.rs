//! `nodeimg test`: a built disk tested in QEMU.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nodeimg_machine::qemu::firmware::Firmware;
use nodeimg_machine::qemu::host::{Accel, Host};
use nodeimg_machine::qemu::image::Image;
use nodeimg_machine::test::cases::{self, Case, Cases, Outcome};
use nodeimg_machine::test::logs::Logs;
use nodeimg_machine::test::machine::Bench;
use nodeimg_values::epoch::Epoch;
use serde_json::json;

use super::Session;
use crate::cli::TestArgs;
use crate::image::firstboot::settings::settings_of;
use crate::input::recipe::{self, Recipe, RecipeRef, built_in};
use crate::output::KINDS;

/// Of one boot, by default: an emulated one on a busy machine takes
/// minutes.
const EMULATED: u64 = 1200;
const REAL: u64 = 300;

/// Fails if a case has failed.
pub fn run(session: &Session<'_>, args: &TestArgs) -> Result<ExitCode> {
    let image = Image::find(&args.boot.image, args.boot.arch)?;
    let recipe = recipe_of(&image, args.recipe.as_ref())?;
    let host = Host::find(image.arch, args.boot.accel)?;
    let firmware = Firmware::choose(args.boot.firmware.as_ref(), image.arch, &host)?;
    let logs = Logs::open(args.logs.as_deref())?;
    let slow = host.accel == Accel::Tcg;
    let default = if slow { EMULATED } else { REAL };
    let chosen = cases::chosen(&args.cases)?;
    announce(session, &image, &host);
    let bench = Bench {
        image,
        runtime: recipe.runtime.shared,
        host,
        firmware,
        memory: args.size.memory.0,
        cpus: args.size.cpus,
        timeout: Duration::from_secs(args.timeout.unwrap_or(default)),
        logs: logs.path().to_owned(),
    };
    let mut cases = Cases::new(bench, &settings_of(&recipe, Epoch(0)))?;
    let mut failed = Vec::new();
    for case in chosen {
        let begun = Instant::now();
        let outcome = cases.run(case)?;
        tell(session, case, &outcome, begun.elapsed());
        if let Outcome::Failed(_) = outcome {
            failed.push(case.name);
        }
    }
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!(
        "{} failed; consoles and facts are in {}",
        failed.join(", "),
        logs.keep().display()
    );
}

/// The recipe that was named, or the built-in one that the image is of.
fn recipe_of(image: &Image, named: Option<&RecipeRef>) -> Result<Recipe> {
    if let Some(named) = named {
        return recipe::load(named, &KINDS);
    }
    let name = image.recipe.as_deref();
    match name.filter(|name| built_in(name).is_some()) {
        Some(name) => recipe::load(&RecipeRef::BuiltIn(name.to_owned()), &KINDS),
        None => bail!(
            "{} was not built from a built-in recipe: name the recipe with --recipe FILE",
            image.path.display()
        ),
    }
}

fn announce(session: &Session<'_>, image: &Image, host: &Host) {
    let disk = image.path.display();
    let how = match &host.slow {
        Some(why) => format!("on an emulated processor: minutes for each boot ({why})"),
        None => format!("with {}", host.accel.name()),
    };
    let event = json!({
        "event": "test",
        "disk": image.path,
        "arch": image.arch,
        "accelerator": host.accel.name(),
    });
    session.say(&event, &format!("testing {disk} ({}) {how}", image.arch));
}

fn tell(session: &Session<'_>, case: &Case, outcome: &Outcome, took: Duration) {
    let seconds = took.as_secs();
    let (result, lines) = match outcome {
        Outcome::Passed(note) => ("passed", vec![note.clone()]),
        Outcome::Failed(findings) => ("failed", findings.clone()),
        Outcome::Skipped(why) => ("skipped", vec![why.clone()]),
    };
    if session.global.json {
        session.progress.event(&json!({
            "event": "case",
            "case": case.name,
            "about": case.about,
            "result": result,
            "seconds": seconds,
            "why": lines,
        }));
    } else if !session.global.quiet || result == "failed" {
        let first = lines.first().map_or("", String::as_str);
        println!("{:<14} {result:<8} {seconds:>5} s  {first}", case.name);
        for line in lines.iter().skip(1) {
            println!("{:32}{line}", "");
        }
    }
}
