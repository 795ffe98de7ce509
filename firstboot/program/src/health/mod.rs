//! Whether a version of the image that is tried keeps the node.
//!
//! ```text
//! health    before boot-complete.target, in a counted boot: asks what the image can break
//!   yes     bless: the entry is counted no more (entries.rs)
//!   no      the entry is bad at once; systemd restarts the machine into the version before
//!   unknown systemd restarts the machine; the loader counts
//! versions  at each boot: which versions did not make it, and why
//! ```
//!
//! # Invariants
//! - Nothing is asked that the cluster or a network service can break: their outage never
//!   takes a version back.
//! - A version is taken back only if there is another one to start.
mod checks;
mod entries;
mod kubelet;
mod runtime;
mod systemd;

use std::time::{Duration, Instant};

use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::contract::update::{FailedVersion, Healthy, UpdateState};
use nodeimg_seed::text::problem::Problems;

use crate::machine::Machine;
use crate::media::{self, Entry, System};
use crate::root::Root;
use crate::run::result;
use crate::run::versions::{self, Image};
use checks::{Asked, Asking};
use entries::Entries;

/// Less than the `TimeoutStartSec=` of the unit, so that there is time to write down why.
const PATIENCE: Duration = Duration::from_secs(9 * 60);
const PAUSE: Duration = Duration::from_secs(2);

/// What a version did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lack {
    why: String,
    /// The unit whose log tells more.
    unit: Option<String>,
}

impl Lack {
    fn of(unit: &str, why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            unit: Some(unit.to_owned()),
        }
    }
}

/// `nodeimg-firstboot health`: what to print, or why this version is not healthy.
pub(crate) fn judge(root: &Root) -> Result<String, String> {
    let system = System::default();
    let Some((path, entry)) = media::counted(&system) else {
        return Ok("this boot is not counted: there is nothing to decide".to_owned());
    };
    let image = Image::of(root).ok_or("the image does not say which version it is")?;
    match Entries::read(&system) {
        Ok(entries) if !entries.has_other(&image, &entry) => {
            return Ok("no other version is on this disk that could take over".to_owned());
        }
        Ok(_) => {}
        Err(error) => println!("whether another version could take over is not known: {error}"),
    }
    let mut problems = Problems::new();
    let settings = result::read_settings(root, &mut problems)
        .ok_or_else(|| problems.iter().map(ToString::to_string).collect::<String>())?;
    match wait(root, &settings) {
        Ok(()) => Ok(format!("version {} is healthy", image.version)),
        Err((lack, is_definite)) => {
            let noted = note_failure(root, &image, &entry, &lack);
            if is_definite {
                Entries::write(&system)?.mark_bad(&path, &entry)?;
            }
            noted.map_err(|error| format!("{}; it cannot be written down: {error}", lack.why))?;
            Err(format!(
                "version {} is not healthy: {}",
                image.version, lack.why
            ))
        }
    }
}

/// Until every answer is yes, one is a definite no, or the time is over; what is lacking, and
/// whether that is definite.
fn wait(root: &Root, settings: &ImageSettings) -> Result<(), (Lack, bool)> {
    let began = Instant::now();
    let mut asking = Asking::new(root, settings);
    let mut told = None;
    loop {
        let lack = match asking.all() {
            Asked::Yes => return Ok(()),
            Asked::Never(lack) => return Err((lack, true)),
            Asked::NotYet(lack) => lack,
        };
        if began.elapsed() > PATIENCE {
            return Err((lack, false));
        }
        if told.as_ref() != Some(&lack) {
            println!("waiting: {}", lack.why);
            told = Some(lack);
        }
        std::thread::sleep(PAUSE);
    }
}

fn note_failure(root: &Root, image: &Image, entry: &Entry, lack: &Lack) -> std::io::Result<()> {
    let log = lack.unit.as_deref().map(systemd::log).unwrap_or_default();
    versions::note(root, |state| {
        state.fail(FailedVersion {
            version: image.version.clone(),
            boots: entry.done(),
            why: lack.why.clone(),
            log,
        });
    })
}

/// `nodeimg-firstboot bless`: the entry that was booted is counted no more.
pub(crate) fn bless(root: &Root) -> Result<String, String> {
    let system = System::default();
    let Some((path, entry)) = media::counted(&system) else {
        return Ok("this boot is not counted".to_owned());
    };
    let done = Entries::write(&system)?.bless(&path, &entry)?;
    if let Some(image) = Image::of(root) {
        let healthy = Healthy {
            version: image.version,
            network: Machine::of(root).is_some_and(|machine| checks::has_address(&machine)),
        };
        let noted = versions::note(root, |state| state.succeed(healthy));
        noted.map_err(|error| format!("{done}, but this cannot be written down: {error}"))?;
    }
    Ok(done)
}

/// `nodeimg-firstboot versions`: writes down which versions are bad, and why.
pub(crate) fn look_back(root: &Root) -> Result<String, String> {
    let system = System::default();
    let image = Image::of(root).ok_or("the image does not say which version it is")?;
    let told = media::take_failure(&system);
    let bad = Entries::read(&system)?.bad(&image)?;
    let mut names = Vec::new();
    let has_address = Machine::of(root).is_some_and(|machine| checks::has_address(&machine));
    let noted = versions::note(root, |state| {
        // It may have come since.
        let healthy = state
            .healthy
            .as_mut()
            .filter(|it| it.version == image.version);
        if let Some(healthy) = healthy {
            healthy.network |= has_address;
        }
        for entry in &bad {
            names.extend(note_bad(state, &image, entry, told.as_ref()));
        }
    });
    noted.map_err(|error| format!("what is known of versions cannot be written: {error}"))?;
    Ok(match names.as_slice() {
        [] => "no version on this disk has failed".to_owned(),
        names => format!(
            "failed, and not started unless nothing else is left: {}",
            names.join(", ")
        ),
    })
}

/// Notes an entry that has no try left; its version, if it is another one of this image.
/// `told` is what an initrd has left: which entry it was of, and why.
fn note_bad(
    state: &mut UpdateState,
    image: &Image,
    entry: &Entry,
    told: Option<&(String, String)>,
) -> Option<String> {
    let named = image.version_of(&entry.stem)?;
    let is_it = |version: &&str| version.replace('+', ".") == named;
    if is_it(&image.version.as_str()) {
        return None;
    }
    let known = state.failed.iter().map(|failed| failed.version.as_str());
    let known = known.chain(state.applied.iter().map(|it| it.version.as_str()));
    let version = known.into_iter().find(is_it).unwrap_or(named).to_owned();
    let why = match (told, state.failure(&version)) {
        (Some((stem, why)), _) if *stem == entry.stem => format!("in the initrd: {why}"),
        // Nothing new.
        (_, Some(_)) => String::new(),
        (_, None) => SILENT.to_owned(),
    };
    state.fail(FailedVersion {
        version: version.clone(),
        boots: entry.done(),
        why,
        log: Vec::new(),
    });
    Some(version)
}

/// Of a version that nobody has said anything about.
const SILENT: &str = "it never came as far as its own health check: the kernel or systemd stopped, \
                      or the machine was switched off each time";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nodeimg_seed::contract::update::{Applied, FailedVersion, UpdateState};

    use super::{SILENT, note_bad};
    use crate::media::Entry;
    use crate::run::versions::Image;

    #[test]
    fn why_a_version_is_bad() {
        let image = Image {
            id: "n".to_owned(),
            version: "1+a".to_owned(),
        };
        let mut state = UpdateState {
            applied: Some(Applied {
                version: "2+b".to_owned(),
                ..Applied::default()
            }),
            ..UpdateState::default()
        };
        state.fail(FailedVersion {
            version: "3".to_owned(),
            boots: 1,
            why: "the kubelet".to_owned(),
            log: vec!["a line".to_owned()],
        });
        let told = ("n_4".to_owned(), "the disk".to_owned());
        for (name, expected) in [
            // Its own.
            ("n_1.a+0-3.efi", None),
            ("other_2+0-3.efi", None),
            // By the name that the updater has for it.
            ("n_2.b+0-3.efi", Some(("2+b", SILENT))),
            ("n_3+0-2.efi", Some(("3", "the kubelet"))),
            ("n_4+0-3.efi", Some(("4", "in the initrd: the disk"))),
        ] {
            let entry = Entry::of(name).unwrap();
            let version = note_bad(&mut state, &image, &entry, Some(&told));
            let noted = version.as_deref().map(|version| {
                let failed = state.failure(version).unwrap();
                assert_eq!(failed.boots, entry.done());
                (version, failed.why.as_str())
            });
            assert_eq!(noted, expected, "{name}");
        }
        assert_eq!(state.failure("3").unwrap().log, ["a line"]);
        // The second boot changes nothing but the order.
        let mut again = state.clone();
        for name in ["n_2.b+0-3.efi", "n_3+0-2.efi", "n_4+0-3.efi"] {
            note_bad(&mut again, &image, &Entry::of(name).unwrap(), None);
        }
        assert_eq!(again, state);
    }
}
