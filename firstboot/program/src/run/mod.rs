//! One run: settings, seed, checks, plan, apply, verdict.
pub(crate) mod commands;
mod prepare;
mod runtime;
pub(crate) mod scrub;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use nodeimg_firstboot::check::{self, Addresses, CheckedNode, Inputs};
use nodeimg_firstboot::contract::paths;
use nodeimg_firstboot::contract::paths::TEMPLATE_DIR;
use nodeimg_firstboot::contract::report::{Commands, Outcome, RESULT_PATH, Report};
use nodeimg_firstboot::contract::settings::{ImageSettings, SETTINGS_PATH};
use nodeimg_firstboot::contract::stamp::{Stamp, TakenSeed};
use nodeimg_firstboot::examine;
use nodeimg_firstboot::plan::{self, Ground, TemplateFile};
use nodeimg_firstboot::read::cloud_config::UserData;
use nodeimg_firstboot::read::meta_data::{self, MetaData};
use nodeimg_firstboot::read::seed::Seed;
use nodeimg_firstboot::text::problem::{Place, Problems, Waited};

use crate::apply::{self, Instance, Original, State, remedy_for};
use crate::cli::RunOptions;
use crate::machine;
use crate::media::{Patience, System};
use crate::root::gate::Open;
use crate::root::{Access, Root};
use crate::run::commands;
use crate::run::prepare;
use crate::run::runtime;
use crate::run::scrub;
use crate::search::{self, Seek};

const ADDRESS_POLL: Duration = Duration::from_millis(200);

/// Where `bootcmd` lies while it runs for the first time.
const BOOTCMD_NOW: &str = "/run/nodeimg/bootcmd";

const MAX_IMAGE_FILE: usize = 1 << 20;

/// Does everything, writes the verdict and hands it back.
pub(crate) fn run(root: &Root, options: &RunOptions) -> Report {
    let mut problems = Problems::new();
    let mut report = Report::new(Outcome::Failed);
    let before = root.is_real().then(|| runtime::look(root));
    let outcome = attempt(root, options, &mut report, &mut problems);
    let outcome = outcome.filter(|outcome| {
        *outcome == Outcome::Failed
            || before.is_none_or(|before| runtime::follow(root, &before, &mut problems).is_some())
    });
    report.problems = problems.into_vec();
    report.outcome = outcome.unwrap_or(Outcome::Failed);
    write_result(root, &report);
    report
}

/// `nodeimg-firstboot network`; see [`prepare`].
pub(crate) fn prepare_network(root: &Root) {
    let mut problems = Problems::new();
    if let Some(settings) = read_settings(root, &mut problems) {
        problems.append(prepare::before_networkd(root, &settings));
    }
    for problem in problems.into_vec() {
        println!("nodeimg-firstboot: {problem}");
    }
}

/// `None` when a problem stopped it.
fn attempt(
    root: &Root,
    options: &RunOptions,
    report: &mut Report,
    problems: &mut Problems,
) -> Option<Outcome> {
    let settings = read_settings(root, problems)?;
    let state = State::read(root);
    let finished = state.finished(root);
    let system = (root.is_real() && options.seed.is_none()).then(System::default);
    let seek = Seek {
        root,
        seed: options.seed.as_deref(),
        finished: finished.is_some(),
        wait: Duration::from_secs(u64::from(settings.seed_wait)),
        system: system.as_ref(),
        metadata: &settings.metadata,
        early: false,
    };
    let Some(sought) = search::seek(&seek, report, problems) else {
        return problems
            .has_errors()
            .then_some(Outcome::Failed)
            .or_else(|| unchanged(root, finished?, report, problems));
    };
    let seed = &sought.seed;
    report.source = Some(sought.place.clone());
    let meta = meta_data::read(seed, problems)?;
    report.instance_id = Some(meta.instance_id.clone());
    let whole = |stamp: &&Stamp| {
        stamp.instance_id == meta.instance_id && !commands::wants_seed(root, stamp, seed)
    };
    if let Some(stamp) = finished.filter(whole) {
        let outcome = unchanged(root, stamp, report, problems)?;
        report.scrub = scrub::settle(root, &settings, stamp, &sought, problems);
        return Some(outcome);
    }
    let network = prepare::network(root, seed, problems);
    let (node, secret) = read_node(root, seed, &meta, &settings, options, problems)?;
    report.host_name = Some(node.host_name.clone());
    report.node_ips = node.node_ips.iter().map(ToString::to_string).collect();
    report.pod_subnets = node.pod_subnets.iter().map(ToString::to_string).collect();
    let templates = read_templates(root, problems)?;
    let ground = Ground {
        templates: &templates,
        network: network.as_ref(),
        image: &Original::new(root, &state),
        writable: &settings.writable,
    };
    let plan = plan::plan(&node, &ground, problems)?;
    if let Some(text) = plan.text(paths::BOOTCMD).filter(|_| root.is_real()) {
        boot_commands(root, text, &meta.instance_id, problems)?;
    }
    let instance = Instance {
        id: &meta.instance_id,
        host_name: &node.host_name,
        seed: TakenSeed {
            digest: seed.digest(),
            secret,
        },
    };
    if let Err(failure) = apply::apply(root, &plan, &instance, &state, &mut Open) {
        failure.tell(problems);
        return None;
    }
    report.files = plan.paths();
    name_machine(root, &node.host_name, problems)?;
    if plan.text(paths::TIME_SERVERS).is_some() {
        ask_systemd(root, "try-restart", "systemd-timesyncd.service", problems);
    }
    if let Some(stamp) = State::read(root).finished(root) {
        start_commands(root, stamp, report, problems);
        report.scrub = scrub::settle(root, &settings, stamp, &sought, problems);
    }
    Some(Outcome::Applied)
}

/// `bootcmd` of a new instance runs before its files are written, as in cloud-init.
fn boot_commands(
    root: &Root,
    text: &str,
    instance_id: &str,
    problems: &mut Problems,
) -> Option<()> {
    let access = Access {
        mode: 0o700,
        uid: 0,
        gid: 0,
    };
    let written = root.replace(BOOTCMD_NOW, text.as_bytes(), access, &mut Open);
    if let Err(error) = written {
        let reason = format!("cannot be written: {error}");
        problems.error(&Place::file(BOOTCMD_NOW), reason, remedy_for(&error));
        return None;
    }
    commands::boot(Path::new(BOOTCMD_NOW), instance_id, problems);
    // It lies in memory; a rest of it does no harm.
    let _best_effort = root.remove(BOOTCMD_NOW, &mut Open);
    Some(())
}

/// Has systemd run what the instance's seed asks for, if that is not done.
fn start_commands(root: &Root, stamp: &Stamp, report: &mut Report, problems: &mut Problems) {
    if commands::pending(root, stamp) {
        report.commands = Some(Commands::Pending);
        ask_systemd(root, "start", commands::UNIT, problems);
    }
}

fn ask_systemd(root: &Root, verb: &str, unit: &str, problems: &mut Problems) {
    if !root.is_real() {
        return;
    }
    if let Err(error) = machine::systemctl(&["--no-block", verb, unit]) {
        let remedy = format!("try it by hand: systemctl {verb} {unit}");
        problems.warn(&Place::file(unit), error.to_string(), remedy);
    }
}

fn unchanged(
    root: &Root,
    stamp: &Stamp,
    report: &mut Report,
    problems: &mut Problems,
) -> Option<Outcome> {
    report.instance_id = Some(stamp.instance_id.clone());
    report.host_name = Some(stamp.host_name.clone());
    name_machine(root, &stamp.host_name, problems)?;
    if root.is_real() && stamp.all_files().any(|path| path == paths::BOOTCMD) {
        commands::boot(Path::new(paths::BOOTCMD), &stamp.instance_id, problems);
    }
    start_commands(root, stamp, report, problems);
    Some(Outcome::Unchanged)
}

fn name_machine(root: &Root, name: &str, problems: &mut Problems) -> Option<()> {
    if !root.is_real() {
        return Some(());
    }
    let set = machine::set_host_name(name);
    set.map_err(|error| {
        let place = Place::file(paths::HOSTNAME);
        problems.error(
            &place,
            format!("the host name cannot be set: {error}"),
            "run as root",
        );
    })
    .ok()
}

pub(crate) fn read_settings(root: &Root, problems: &mut Problems) -> Option<ImageSettings> {
    let place = Place::file(root.shown(SETTINGS_PATH));
    let remedy = "boot an image made by nodeimg, or give its root by --root";
    match root.read(SETTINGS_PATH, MAX_IMAGE_FILE) {
        Ok(Some(bytes)) => ImageSettings::from_json(&bytes)
            .map_err(|error| problems.error(&place, error.to_string(), ""))
            .ok(),
        Ok(None) => {
            problems.error(
                &place,
                "is not there: this is no image with a first boot",
                remedy,
            );
            None
        }
        Err(error) => {
            problems.error(&place, format!("cannot be read: {error}"), remedy);
            None
        }
    }
}

/// The node, and whether its seed holds secrets.
fn read_node(
    root: &Root,
    seed: &Seed,
    meta: &MetaData,
    settings: &ImageSettings,
    options: &RunOptions,
    problems: &mut Problems,
) -> Option<(CheckedNode, bool)> {
    let (user_file, user) = examine::user_data(seed, meta, settings.profile, problems)?;
    let (addresses, waited) = known_addresses(root, options, &user);
    let node = check::check(
        &Inputs {
            settings,
            meta,
            user: &user,
            user_file: &user_file,
            addresses: &addresses,
            waited,
            now: machine::now(),
        },
        problems,
    )?;
    Some((node, user.secret || scrub::tells_password(&seed.meta_data)))
}

/// On a running node, waits for the address that the seed asks for; how long, where in vain.
fn known_addresses(
    root: &Root,
    options: &RunOptions,
    user: &UserData,
) -> (Addresses, Option<Waited>) {
    if !root.is_real() {
        if options.assumed.is_empty() {
            return (Addresses::Unknown, None);
        }
        return (Addresses::Known(options.assumed.clone()), None);
    }
    let system = System::default();
    let mut patience = Patience::new(&system);
    let mut said = false;
    loop {
        let addresses = Addresses::Known(machine::addresses());
        if !check::still_missing(user, &addresses) {
            return (addresses, None);
        }
        if patience.is_over() {
            return (addresses, Some(patience.waited()));
        }
        if !said {
            println!(
                "nodeimg-firstboot: waiting for the node's address {}",
                patience.shown()
            );
            said = true;
        }
        sleep(ADDRESS_POLL);
    }
}

/// Every file below the template directory, by the path that it renders to.
fn read_templates(root: &Root, problems: &mut Problems) -> Option<Vec<TemplateFile>> {
    let mut templates = Vec::new();
    let mut open = vec![String::new()];
    while let Some(inside) = open.pop() {
        let directory = format!("{TEMPLATE_DIR}{inside}");
        let failed = |error: std::io::Error, problems: &mut Problems| {
            let place = Place::file(root.shown(&directory));
            problems.error(
                &place,
                format!("cannot be read: {error}"),
                "rebuild the image",
            );
        };
        let names = root
            .list(&directory)
            .map_err(|error| failed(error, problems))
            .ok()?;
        for (name, is_directory) in names {
            let path = format!("{inside}/{name}");
            if is_directory {
                open.push(path);
                continue;
            }
            let read = root
                .read(&format!("{TEMPLATE_DIR}{path}"), MAX_IMAGE_FILE)
                .and_then(|bytes| {
                    let bytes =
                        bytes.ok_or_else(|| std::io::Error::other("is a link to nothing"))?;
                    String::from_utf8(bytes.to_vec())
                        .map_err(|_| std::io::Error::other("is not UTF-8 text"))
                });
            let text = read.map_err(|error| failed(error, problems)).ok()?;
            templates.push(TemplateFile { path, text });
        }
    }
    Some(templates)
}

/// The verdict must not hide behind a failure to write it down.
pub(crate) fn write_result(root: &Root, report: &Report) {
    let access = Access {
        mode: 0o644,
        uid: 0,
        gid: 0,
    };
    let written = report
        .to_json()
        .map_err(std::io::Error::other)
        .and_then(|text| root.replace(RESULT_PATH, text.as_bytes(), access, &mut Open));
    if let Err(error) = written {
        eprintln!(
            "nodeimg-firstboot: writing {}: {error}",
            root.shown(RESULT_PATH)
        );
    }
}
