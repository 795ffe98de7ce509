//! The operator's own word about whose node this is: `reprovision` and `bind`.
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};

use nodeimg_seed::contract::stamp::{Origin, TakenSeed};
use nodeimg_seed::text::problem::Problems;

use crate::apply::{self, State};
use crate::machine::Machine;
use crate::media::{System, identity};
use crate::root::gate::Open;
use crate::root::{Access, Root};
use crate::source::guard::NOTE;

/// Lets the next run of first boot take a seed from any source, after a question.
pub(crate) fn ask(root: &Root, yes: bool) -> Result<String, String> {
    let state = State::read(root);
    check_reader(&state)?;
    let Some(stamp) = state.known(root) else {
        return Ok(
            "This node is not set up: its next boot takes a seed from any source.".to_owned(),
        );
    };
    let name = &stamp.host_name;
    if !yes {
        print!(
            "The next boot takes a seed from any source: a volume that somebody else attaches, too.\n\
             A new instance replaces {name} (instance {}). Type `yes` to go on: ",
            stamp.instance_id
        );
        let mut answer = String::new();
        let asked = io::stdout()
            .flush()
            .and_then(|()| io::stdin().lock().read_line(&mut answer));
        asked.map_err(|error| format!("no answer: {error}; with --yes there is no question"))?;
        if answer.trim() != "yes" {
            return Err("nothing has changed: the answer was not `yes`".to_owned());
        }
    }
    let text = format!("{}\n", stamp.instance_id);
    root.replace(NOTE, text.as_bytes(), Access::PUBLIC, &mut Open)
        .and_then(|()| root.sync_parent(NOTE, &mut Open))
        .map_err(|error| format!("{}: cannot be written: {error}", root.shown(NOTE)))?;
    log(
        root,
        "reprovision: the next boot takes a seed from any source",
    );
    Ok(format!(
        "The next boot of {name} takes a seed from any source, once. Attach the seed and reboot; to \
         undo this, remove {}.",
        root.shown(NOTE)
    ))
}

/// Records this machine as the node's own.
pub(crate) fn bind(root: &Root) -> Result<String, String> {
    let state = State::read(root);
    check_reader(&state)?;
    let lost = state.is_lost();
    let Some(mut stamp) = state.stamp else {
        let reason = match lost {
            true => {
                "the record of this node's instance is lost: set it up again with \
                     `nodeimg-firstboot reprovision`"
            }
            false => "this node is not set up: the boot that sets it up records its machine",
        };
        return Err(reason.to_owned());
    };
    let machine = identity::machine(&System::default())
        .ok_or("the firmware of this machine has no identifier (SMBIOS UUID) to record")?;
    let seed = stamp.seed.get_or_insert_with(TakenSeed::default);
    let origin = seed.origin.get_or_insert_with(Origin::default);
    origin.machine = Some(machine.clone());
    apply::write_stamp(root, &stamp, &mut Open).map_err(|failure| {
        format!(
            "{}: {} failed: {}",
            failure.path, failure.doing, failure.cause
        )
    })?;
    log(root, "bind: this node belongs to this machine from now on");
    Ok(format!(
        "{} belongs to this machine ({machine}) from now on.",
        stamp.host_name
    ))
}

fn check_reader(state: &State) -> Result<(), String> {
    let mut problems = Problems::new();
    match state.check_reader(&mut problems) {
        Some(()) => Ok(()),
        None => Err(problems.iter().map(ToString::to_string).collect()),
    }
}

/// In the kernel's log, which the journal keeps.
fn log(root: &Root, text: &str) {
    if Machine::of(root).is_some()
        && let Ok(mut log) = OpenOptions::new().write(true).open("/dev/kmsg")
    {
        // <5>: normal, but significant.
        let _best_effort = log.write_all(format!("<5>nodeimg-firstboot: {text}\n").as_bytes());
    }
}
