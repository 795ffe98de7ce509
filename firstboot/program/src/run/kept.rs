//! Which container runtime the kept state is of: an image with another one would start
//! with a second store of images, beside one that nothing looks after any more.
//!
//! A runtime other than the default one leaves a note of its name on the state. The
//! default one leaves none, as nodes of earlier versions had no other: its own files say
//! that it has run.
use nodeimg_seed::contract::runtime::{DEFAULT, RUNTIMES, Runtime};
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::text::problem::{Place, Problems};

use crate::apply::Failure;
use crate::root::gate::Open;
use crate::root::{Access, Root};

const NOTE: &str = "/var/lib/nodeimg/runtime";
const MAX_NOTE: usize = 4096;

/// Addresses of pods that are gone with the runtime that made them.
const NETWORK: [&str; 2] = ["/var/lib/cni/networks", "/var/lib/cni/results"];

/// Checks that the state is of the image's runtime, or makes it so if the image says that
/// it may; `None` if it is not.
pub(crate) fn settle(root: &Root, settings: &ImageSettings, problems: &mut Problems) -> Option<()> {
    let runtime = settings.runtime;
    let before = match earlier(root) {
        Ok(before) => before.filter(|before| *before != runtime),
        Err(unknown) => {
            refuse(&unknown, runtime, problems);
            return None;
        }
    };
    let Some(before) = before else {
        return told(note(root, runtime), problems);
    };
    if !settings.clean_runtime {
        refuse(before.name, runtime, problems);
        return None;
    }
    println!(
        "nodeimg-firstboot: removing the images and containers of {}, since this image has {}",
        before.name, runtime.name
    );
    told(clean(root, before), problems)?;
    told(note(root, runtime), problems)
}

/// The runtime that has run on this state; the name of one that is unknown here is an error.
fn earlier(root: &Root) -> Result<Option<&'static Runtime>, String> {
    let note = root.read(NOTE, MAX_NOTE).ok().flatten();
    let Some(note) = note else {
        let holds = |path: &&str| root.list(path).is_ok_and(|names| !names.is_empty());
        return Ok(DEFAULT.state.iter().any(holds).then_some(DEFAULT));
    };
    let name = String::from_utf8_lossy(&note).trim().to_owned();
    let found = RUNTIMES.iter().find(|runtime| runtime.name == name);
    found.map_or(Err(name), |runtime| Ok(Some(*runtime)))
}

fn refuse(before: &str, runtime: &Runtime, problems: &mut Problems) {
    let now = runtime.name;
    let reason = format!(
        "holds the images and containers of another container runtime, {before}; this image has \
         {now}, which cannot use them"
    );
    let remedy = format!(
        "boot an image with {before}, give the node an empty state, or build the image with \
         `first_boot.runtime_change = \"clean\"`"
    );
    problems.error(&Place::file("/var/lib"), reason, remedy);
}

fn note(root: &Root, runtime: &Runtime) -> Result<(), Failure> {
    if runtime.is_default() || root.exists(NOTE) {
        return Ok(());
    }
    let text = format!("{}\n", runtime.name);
    root.replace(NOTE, text.as_bytes(), Access::PUBLIC, &mut Open)
        .and_then(|()| root.sync_parent(NOTE, &mut Open))
        .map_err(failed(NOTE, "writing it"))
}

/// The note goes last: until then the next boot does all of it again.
fn clean(root: &Root, before: &Runtime) -> Result<(), Failure> {
    for path in before.state.iter().chain(&NETWORK) {
        root.empty(path, &mut Open)
            .map_err(failed(path, "removing what is in it"))?;
    }
    root.remove(NOTE, &mut Open)
        .map_err(failed(NOTE, "removing it"))
}

fn failed(path: &str, doing: &'static str) -> impl FnOnce(std::io::Error) -> Failure {
    let path = path.to_owned();
    move |cause| Failure { path, doing, cause }
}

fn told(done: Result<(), Failure>, problems: &mut Problems) -> Option<()> {
    done.map_err(|failure| failure.tell(problems)).ok()
}
