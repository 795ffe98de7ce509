//! `nodeimg doctor`: what this machine can do, and how to get the rest.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use nix::unistd::{AccessFlags, access, geteuid};
use nodeimg_machine::qemu::firmware::Firmware;
use nodeimg_machine::qemu::host::Host;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::Expected;
use nodeimg_values::progress::{Mode, Progress};
use nodeimg_values::system;
use serde_json::json;

use super::{Session, flash, help};
use crate::cli::{DoctorArgs, NetworkArgs};
use crate::input::fetch::{Denied, Fetcher, Gone, Mirrors, Options, Request, Retry};
use crate::input::recipe::{self, RecipeRef};
use crate::output::KINDS;
use crate::programs::FIRSTBOOT;

/// A cold build of a disk needs about this much, in bytes.
const ROOM: u64 = 4 << 30;

/// For one that answers; who takes longer is of no use to a build.
const PATIENCE: Duration = Duration::from_secs(8);

/// The servers that recipes without Kubernetes do not ask.
const KUBERNETES: [&str; 2] = ["kubernetes", "github"];

/// One finding, a line.
struct Finding {
    name: &'static str,
    /// The good state, or the problem and its remedy.
    state: Result<String, String>,
    /// Whether nothing can be built without it.
    needed: bool,
}

/// Fails if this machine cannot build.
pub fn run(session: &Session<'_>, args: &DoctorArgs) -> Result<ExitCode> {
    let mut findings = vec![needed("build", programs()), needed("store", store(session))];
    findings.extend(mirrors(session, &args.network)?);
    findings.extend([
        other("run amd64", machine(Arch::Amd64)),
        other("run arm64", machine(Arch::Arm64)),
        other("test", test()),
        other("flash", devices()),
    ]);
    let can_build = findings.iter().all(|one| !one.needed || one.state.is_ok());
    let checks: Vec<_> = findings
        .iter()
        .map(|one| {
            json!({
                "name": one.name, "ok": one.state.is_ok(), "needed": one.needed,
                "text": one.state.as_ref().unwrap_or_else(|text| text),
            })
        })
        .collect();
    let event = json!({ "event": "doctor", "can_build": can_build, "checks": checks });
    let lines = findings.iter().map(|one| match &one.state {
        Ok(text) => format!("{:<10} ok  {text}", one.name),
        Err(text) => format!("{:<10} --  {text}", one.name),
    });
    let last = verdict(&findings);
    let text = lines.collect::<Vec<_>>().join("\n");
    match session.global.json {
        true => session.progress.event(&event),
        false => help::write(format!("{text}\n{last}\n").as_bytes())?,
    }
    Ok(match can_build {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// The last line, which names every finding that stands in the way of a build.
fn verdict(findings: &[Finding]) -> String {
    let bad = findings
        .iter()
        .filter(|one| one.needed && one.state.is_err());
    let bad: Vec<&str> = bad.map(|one| one.name).collect();
    let (Some((last, others)), enough) = (
        bad.split_last(),
        bad.iter().all(|name| KUBERNETES.contains(name)),
    ) else {
        return "this machine can build images".to_owned();
    };
    let names = match others {
        [] => (*last).to_owned(),
        others => format!("{} and {last}", others.join(", ")),
    };
    match enough {
        true => format!(
            "this machine can build recipe container-host; for recipes with Kubernetes, see {names}"
        ),
        false => format!("this machine cannot build images yet: see {names}"),
    }
}

fn needed(name: &'static str, state: Result<String, String>) -> Finding {
    Finding {
        name,
        state,
        needed: true,
    }
}

fn other(name: &'static str, state: Result<String, String>) -> Finding {
    Finding {
        name,
        state,
        needed: false,
    }
}

/// In one line.
fn said(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// The programs that go into images.
fn programs() -> Result<String, String> {
    let found = |arch: &Arch| FIRSTBOOT.find(*arch, &[]).is_ok();
    let (there, lacking): (Vec<Arch>, Vec<Arch>) = Arch::ALL.into_iter().partition(found);
    let names = |archs: &[Arch]| {
        let names: Vec<&str> = archs.iter().map(|arch| arch.name()).collect();
        names.join(" and ")
    };
    match (there.as_slice(), lacking.as_slice()) {
        (there, []) => Ok(format!("for {}", names(there))),
        ([], lacking) => Err(format!(
            "no first-boot binary for {}: use a released nodeimg, or run ci/firstboot",
            names(lacking)
        )),
        (there, lacking) => Ok(format!(
            "for {}; `ci/firstboot {}` makes the binary for the other",
            names(there),
            names(lacking)
        )),
    }
}

fn store(session: &Session<'_>) -> Result<String, String> {
    let root = session.store_root().map_err(|error| said(&error))?;
    let whole = std::path::absolute(&root).unwrap_or_else(|_| root.clone());
    let mut there = whole.as_path();
    while !there.exists() {
        there = there.parent().unwrap_or(Path::new("/"));
    }
    let shown = root.display();
    if let Err(error) = access(there, AccessFlags::W_OK) {
        return Err(format!(
            "{shown}: {} ({error}): name another with --store DIR or NODEIMG_STORE",
            there.display()
        ));
    }
    let free = system::free_space(there);
    match free {
        Ok(free) if free < ROOM => Err(format!(
            "{shown}: {} MB are free, an image needs {} MB: `nodeimg store gc` makes room",
            free / 1_000_000,
            ROOM / 1_000_000
        )),
        Ok(free) => Ok(format!("{shown}, {} GB free", free / 1_000_000_000)),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// The servers that a build needs, asked in the way that a build asks them.
fn mirrors(session: &Session<'_>, network: &NetworkArgs) -> Result<Vec<Finding>> {
    let recipe = recipe::load(&RecipeRef::BuiltIn("hard-way".to_owned()), &KINDS)?;
    let (_folder, store) = Session::passing_store()?;
    let options = Options {
        connect_timeout: PATIENCE,
        idle_timeout: PATIENCE,
        retry: Retry {
            attempts: 1,
            ..Retry::default()
        },
        ..session.fetch_options(&recipe, network, "nodeimg fetch")?
    };
    let quiet = Progress::new(Mode::Quiet);
    let suite = "dists/trixie/InRelease";
    let asked = [
        (
            "kubernetes",
            "https://dl.k8s.io/release/stable.txt".to_owned(),
        ),
        ("github", "https://github.com/robots.txt".to_owned()),
        (
            "debian",
            Mirrors::snapshot("debian", "20260701T000000Z", suite),
        ),
    ];
    let found = std::thread::scope(|scope| {
        let threads = asked.map(|(name, url)| {
            let fetcher = Fetcher::new(&store, options.clone(), &quiet);
            let place = options.mirrors.candidates(&url);
            (
                name,
                place,
                scope.spawn(move || answers(&fetcher, name, url)),
            )
        });
        threads.map(|(name, places, thread)| {
            let state = thread
                .join()
                .unwrap_or_else(|_| Err("the check failed".to_owned()));
            let first = places
                .first()
                .map(|place| crate::input::fetch::shown(&place.url));
            let state = state.map(|()| first.unwrap_or_default());
            needed(name, state)
        })
    });
    Ok(found.into_iter().collect())
}

/// Whether the server answers at all; "not found" counts.
fn answers(fetcher: &Fetcher<'_>, name: &str, url: String) -> Result<(), String> {
    let request = Request {
        what: name.to_owned(),
        url,
        want: Expected::default(),
        max_size: 16 << 20,
        accept: None,
    };
    match fetcher.download(&request) {
        Err(error) if !error.is::<Gone>() && !error.is::<Denied>() => {
            let error = said(&error);
            let error = error.strip_prefix(&format!("{name}: ")).unwrap_or(&error);
            Err(format!("{error}: see `nodeimg help mirrors-and-offline`"))
        }
        _ => Ok(()),
    }
}

/// QEMU, its firmware and the processor.
fn machine(arch: Arch) -> Result<String, String> {
    let host = Host::find(arch, None).map_err(|error| said(&error))?;
    let firmware = Firmware::choose(None, arch, &host).map_err(|error| said(&error))?;
    let how = match &host.slow {
        Some(why) => format!("emulated, slow: {why}"),
        None => format!("with {}", host.accel.name()),
    };
    let (program, code) = (host.program.display(), firmware.code.path.display());
    Ok(format!("{program}, {code}; {how}"))
}

fn test() -> Result<String, String> {
    let found = Arch::ALL.into_iter().filter(|arch| machine(*arch).is_ok());
    let names: Vec<&str> = found.map(Arch::name).collect();
    match names.is_empty() {
        true => Err("needs a machine to run: see above".to_owned()),
        false => Ok(format!("images for {}", names.join(" and "))),
    }
}

/// What an image could be written to.
fn devices() -> Result<String, String> {
    let found = flash::free_devices().map_err(|error| said(&error))?;
    match (found.is_empty(), geteuid().is_root()) {
        (true, _) => Err(
            "no device that nothing uses: plug one in (`nodeimg flash --list` lists all)"
                .to_owned(),
        ),
        (false, true) => Ok(found.join(", ")),
        (false, false) => Err(format!(
            "writing to {} needs root: use sudo",
            found.join(", ")
        )),
    }
}
