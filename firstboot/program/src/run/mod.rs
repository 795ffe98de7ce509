//! One run: settings, seed, checks, plan, apply, report.
pub(crate) mod commands;
mod early;
mod here;
mod kept;
mod outstanding;
mod prepare;
mod renewed;
pub(crate) mod reprovision;
pub(crate) mod result;
mod runtime;
pub(crate) mod scrub;
mod steady;

use std::path::Path;
use std::time::Duration;

use nodeimg_seed::contract::paths;
use nodeimg_seed::contract::report::{Commands, Outcome, Report};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::contract::stamp::{Origin, Stamp, TakenSeed};
use nodeimg_seed::examine::examine;
use nodeimg_seed::read::meta_data::{self, MetaData};
use nodeimg_seed::read::seed::Seed;
use nodeimg_seed::text::problem::{Place, Problems};

use crate::apply::{self, Instance, Original, State, UNKNOWN, remedy_for};
use crate::cli::RunOptions;
use crate::machine::Machine;
use crate::media::{System, identity};
use crate::root::gate::Open;
use crate::root::{Access, Root};
use crate::search::{self, Seek};
use crate::source::{Guard, Sought};
use here::Here;

/// Where `bootcmd` lies while it runs for the first time.
const BOOTCMD_NOW: &str = "/run/nodeimg/bootcmd";

/// Does everything, writes the report and returns it.
pub(crate) fn run(root: &Root, options: &RunOptions) -> Report {
    let mut problems = Problems::new();
    let mut report = Report::new(Outcome::Failed);
    let machine = Machine::of(root);
    let boot = Boot::begin(root, machine, options, &mut problems);
    let outcome = boot.and_then(|boot| boot.whole(&mut report, &mut problems));
    report.problems = problems.into_vec();
    report.outcome = outcome.unwrap_or(Outcome::Failed);
    result::write(root, &report);
    report
}

/// `nodeimg-firstboot network`; see [`early`].
pub(crate) fn prepare_network(root: &Root) {
    let mut problems = Problems::new();
    if let Some(settings) = result::read_settings(root, &mut problems) {
        problems.append(early::before_networkd(root, &settings));
    }
    for problem in problems.into_vec() {
        println!("nodeimg-firstboot: {problem}");
    }
}

/// The inputs of a run.
struct Boot<'a> {
    root: &'a Root,
    machine: Option<Machine>,
    options: &'a RunOptions,
    settings: ImageSettings,
    state: State,
}

impl<'a> Boot<'a> {
    fn begin(
        root: &'a Root,
        machine: Option<Machine>,
        options: &'a RunOptions,
        problems: &mut Problems,
    ) -> Option<Self> {
        Some(Self {
            root,
            machine,
            options,
            settings: result::read_settings(root, problems)?,
            state: State::read(root),
        })
    }

    /// One attempt, and what it changes for a container runtime that may have started.
    fn whole(&self, report: &mut Report, problems: &mut Problems) -> Option<Outcome> {
        self.state.check_reader(problems)?;
        kept::settle(self.root, &self.settings, problems)?;
        let followed = self.machine.map(|machine| {
            let runtime = runtime::of(&self.settings);
            (machine, runtime, runtime.look(self.root))
        });
        let outcome = self.attempt(report, problems)?;
        if let Some((machine, runtime, before)) = followed
            && outcome != Outcome::Failed
        {
            runtime.follow(self.root, machine, &before, problems)?;
        }
        Some(outcome)
    }

    /// One attempt under the rule of whose seed this node takes.
    fn attempt(&self, report: &mut Report, problems: &mut Problems) -> Option<Outcome> {
        self.state.tell(problems);
        let system = self
            .machine
            .filter(|_| self.options.seed.is_none())
            .map(|_| System::default());
        let guard = Guard::of(
            self.root,
            system.as_ref(),
            self.settings.reprovision,
            self.state.known(self.root).as_ref(),
        );
        guard.announce();
        let outcome = self.keep(system.as_ref(), &guard, report, problems);
        guard.tell(outcome == Some(Outcome::Unchanged), problems);
        if outcome.is_some_and(|outcome| outcome != Outcome::Failed) && !report.seed_refused {
            guard.spend(self.root, problems);
        }
        outcome
    }

    /// `None` when a problem stopped it. None of a seed's stops a node that is set up,
    /// unless a person has named that seed.
    fn keep(
        &self,
        system: Option<&System>,
        guard: &Guard,
        report: &mut Report,
        problems: &mut Problems,
    ) -> Option<Outcome> {
        let lost = self.state.recovered(self.root, UNKNOWN);
        let kept = self.state.finished().or(lost.as_ref());
        let Some(kept) = kept else {
            return self.follow_seed(system, guard, None, report, problems);
        };
        let mut found = Problems::new();
        let outcome = self.follow_seed(system, guard, Some(kept), report, &mut found);
        let now = State::read(self.root);
        if outcome.is_some() || now.finished() != self.state.finished() || now.is_half_done() {
            problems.append(found);
            return outcome;
        }
        steady::withdraw_network(self.root, self.machine, kept, problems);
        if self.options.seed.is_some() {
            problems.append(found);
            return None;
        }
        steady::tell_refused(report.source.as_deref(), kept, found, problems);
        *report = Report {
            seed_refused: true,
            source: report.source.take(),
            ..Report::new(Outcome::Failed)
        };
        self.unchanged(kept, report, problems)
    }

    /// Looks for a seed, and does what it asks for. `None` when a problem stopped it. Without
    /// a seed, the node stays what it is, `kept`.
    fn follow_seed(
        &self,
        system: Option<&System>,
        guard: &Guard,
        kept: Option<&Stamp>,
        report: &mut Report,
        problems: &mut Problems,
    ) -> Option<Outcome> {
        let root = self.root;
        let finished = self.state.finished();
        let seek = Seek {
            root,
            seed: self.options.seed.as_deref(),
            finished: self.state.needs_no_seed(root),
            wait: Duration::from_secs(u64::from(self.settings.seed_wait)),
            system,
            metadata: &self.settings.metadata,
            guard,
            early: false,
        };
        let Some(sought) = search::seek(&seek, report, problems) else {
            if problems.has_errors() {
                return None;
            }
            return self.unchanged(kept?, report, problems);
        };
        let seed = &sought.seed;
        report.source = Some(sought.place.clone());
        let meta = meta_data::read(seed, problems)?;
        report.instance_id = Some(meta.instance_id.clone());
        let recovered = match seed.has_served() {
            true => self.state.recovered(root, &meta.instance_id),
            false => None,
        };
        let finished = finished.or(recovered.as_ref());
        if !steady::names_itself(finished, &meta, seed, problems) {
            return None;
        }
        let same = finished.filter(|stamp| stamp.instance_id == meta.instance_id);
        let is_other = finished.is_some() && same.is_none();
        if is_other && !early::passes(root, seed, &meta, &self.settings, &self.state, problems) {
            return None;
        }
        let lost = same.map(|stamp| apply::missing(root, stamp));
        let repair = self.repairs(same, seed, guard);
        if let Some(stamp) = same.filter(|stamp| self.is_done(stamp, seed, guard)) {
            let outcome = self.unchanged(stamp, report, problems)?;
            report.scrub = scrub::settle(root, &self.settings, stamp, &sought, problems);
            return Some(outcome);
        }
        self.set_up(&sought, &meta, repair, report, problems)?;
        steady::tell_repaired(root, &lost.unwrap_or_default(), problems);
        let state = State::read(root);
        if let Some(stamp) = state.finished().filter(|_| repair) {
            steady::tell_withheld(root, stamp, problems);
        }
        steady::settle_network(root, self.machine, state.finished(), problems);
        if let Some(stamp) = state.finished() {
            self.start_commands(stamp, report, problems);
            report.scrub = scrub::settle(root, &self.settings, stamp, &sought, problems);
        }
        Some(Outcome::Applied)
    }

    /// Whether nothing is left to do for the instance of this seed.
    fn is_done(&self, stamp: &Stamp, seed: &Seed, guard: &Guard) -> bool {
        !outstanding::wants_seed(self.root, stamp, seed)
            && !steady::wants_repair(self.root, stamp, seed)
            && self.state.pending.is_none()
            && !guard.renews(stamp, seed)
    }

    /// Whether a run only brings back what an instance has lost. Not if the operator says that
    /// the seed is to be applied, or has corrected it, or if all of the instance is lost.
    fn repairs(&self, same: Option<&Stamp>, seed: &Seed, guard: &Guard) -> bool {
        same.is_some_and(|stamp| {
            self.state.whole(self.root).is_some()
                && !guard.renews(stamp, seed)
                && !outstanding::is_corrected(self.root, stamp, seed)
        })
    }

    /// Sets up the node that the seed asks for.
    fn set_up(
        &self,
        sought: &Sought,
        meta: &MetaData,
        repair: bool,
        report: &mut Report,
        problems: &mut Problems,
    ) -> Option<()> {
        let seed = &sought.seed;
        let here = Here {
            root: self.root,
            machine: self.machine,
            assumed: &self.options.assumed,
            image: Original::new(self.root, &self.state),
            is_early: false,
        };
        let examined = examine(seed, meta, &self.settings, &here, problems)?;
        let node = &examined.node;
        report.host_name = Some(node.host_name.clone());
        report.node_ips = node.node_ips.iter().map(ToString::to_string).collect();
        report.pod_subnets = node.pod_subnets.iter().map(ToString::to_string).collect();
        let plan = examined.plan?;
        let writable = &self.settings.writable;
        apply::fit::check(self.root, &plan, &self.state, writable, problems);
        if problems.has_errors() {
            return None;
        }
        // Before any file is written, as in cloud-init.
        if let Some(text) = plan.text(paths::BOOTCMD).filter(|_| self.machine.is_some()) {
            boot_commands(self.root, text, &meta.instance_id, problems)?;
        }
        let instance = Instance {
            id: &meta.instance_id,
            host_name: &node.host_name,
            seed: TakenSeed {
                digest: seed.digest(),
                secret: examined.secret || scrub::tells_password(&seed.meta_data),
                origin: Some(Origin {
                    machine: self
                        .machine
                        .and_then(|_| identity::machine(&System::default())),
                    ..sought.origin.clone()
                }),
            },
            repair,
        };
        match apply::apply(self.root, &plan, &instance, &self.state, &mut Open) {
            Ok(left) => left.iter().for_each(|failure| failure.tell_left(problems)),
            Err(failure) => {
                failure.tell(problems);
                return None;
            }
        }
        report.files = plan.paths();
        self.name_machine(&node.host_name, problems)?;
        for (file, unit) in [
            (paths::TIME_SERVERS, "systemd-timesyncd.service"),
            (paths::CHRONY_SOURCES, "chrony.service"),
        ] {
            if plan.text(file).is_some() {
                self.ask_systemd("try-restart", unit, problems);
            }
        }
        Some(())
    }

    /// An earlier boot has set up this instance.
    fn unchanged(
        &self,
        stamp: &Stamp,
        report: &mut Report,
        problems: &mut Problems,
    ) -> Option<Outcome> {
        report.instance_id = Some(stamp.instance_id.clone());
        report.host_name = Some(stamp.host_name.clone());
        steady::settle_network(self.root, self.machine, Some(stamp), problems);
        steady::mend(self.root, &self.state, stamp, problems);
        renewed::settle(self.root, stamp, problems);
        self.name_machine(&stamp.host_name, problems)?;
        if self.machine.is_some() && stamp.all_files().any(|path| path == paths::BOOTCMD) {
            commands::boot(Path::new(paths::BOOTCMD), &stamp.instance_id, problems);
        }
        self.start_commands(stamp, report, problems);
        Some(Outcome::Unchanged)
    }

    /// Lets systemd run the commands of the instance's seed, if they have not run yet.
    fn start_commands(&self, stamp: &Stamp, report: &mut Report, problems: &mut Problems) {
        if outstanding::is_pending(self.root, stamp) {
            report.commands = Some(Commands::Pending);
            self.ask_systemd("start", commands::UNIT, problems);
        }
    }

    fn ask_systemd(&self, verb: &str, unit: &str, problems: &mut Problems) {
        let Some(machine) = self.machine else {
            return;
        };
        if let Err(error) = machine.systemctl(&["--no-block", verb, unit]) {
            let remedy = format!("try it by hand: systemctl {verb} {unit}");
            problems.warn(&Place::file(unit), error.to_string(), remedy);
        }
    }

    fn name_machine(&self, name: &str, problems: &mut Problems) -> Option<()> {
        let Some(machine) = self.machine.filter(|_| !name.is_empty()) else {
            return Some(());
        };
        let set = machine.set_host_name(name);
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
}

/// Runs `bootcmd` of a new instance.
fn boot_commands(
    root: &Root,
    text: &str,
    instance_id: &str,
    problems: &mut Problems,
) -> Option<()> {
    let access = Access {
        mode: 0o700,
        ..Access::PUBLIC
    };
    let written = root.replace(BOOTCMD_NOW, text.as_bytes(), access, &mut Open);
    if let Err(error) = written {
        let reason = format!("cannot be written: {error}");
        problems.error(&Place::file(BOOTCMD_NOW), reason, remedy_for(&error));
        return None;
    }
    commands::boot(Path::new(BOOTCMD_NOW), instance_id, problems);
    // It is in memory; leftovers do no harm.
    let _best_effort = root.remove(BOOTCMD_NOW, &mut Open);
    Some(())
}
