//! What must be so of every image. To add a case: a row in [`CASES`], a function.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use nodeimg_seed::contract::profile::Join;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_values::date::Date;
use tempfile::TempDir;

use super::cluster;
use super::facts::{Facts, Findings};
use super::identity::{ADDRESS, HOST_NAME, Identity};
use super::machine::{Bench, Boot, Plan};
use super::pictures;
use super::tamper;
use crate::qemu::Format;
use crate::qemu::image::Image;
use nodeimg_values::temporary;

/// What first boot's unit is called on the console.
const FIRST_BOOT: &str = "make this image into its node";
/// The power is cut within so long after that.
const CUT_WITHIN: u32 = 4000;
/// What the initrd says when it gives up.
const GIVEN_UP: &str = "What keeps this node from booting";
const NOT_SET_UP: &str = "THIS NODE IS NOT SET UP";

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    pub name: &'static str,
    /// For a reader.
    pub about: &'static str,
    run: fn(&mut Cases) -> Result<Outcome>,
}

const CASES: [Case; 5] = [
    Case {
        name: "boot",
        about: "a verified root, no failed unit, the seed's node, registered if the profile has a \
            kubelet",
        run: Cases::boot,
    },
    Case {
        name: "reboot",
        about: "the same node again, nothing rewritten",
        run: Cases::reboot,
    },
    Case {
        name: "power-cut",
        about: "the power is cut during first boot, and the next boot succeeds",
        run: Cases::power_cut,
    },
    Case {
        name: "tampered-root",
        about: "one bit of the root is flipped, and the node does not come up",
        run: Cases::tampered_root,
    },
    Case {
        name: "no-seed",
        about: "without a seed, first boot reports so, and no kubelet starts",
        run: Cases::no_seed,
    },
];

/// How a case ended.
#[derive(Debug)]
pub enum Outcome {
    /// With a note for the reader.
    Passed(String),
    Failed(Vec<String>),
    /// Why it is not for this image.
    Skipped(String),
}

impl Outcome {
    fn of(findings: Findings, note: String) -> Outcome {
        match findings.0 {
            found if found.is_empty() => Outcome::Passed(note),
            found => Outcome::Failed(found),
        }
    }
}

/// Those of these names, or all of them if there is none.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Case>> {
    if names.is_empty() {
        return Ok(CASES.iter().collect());
    }
    let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    if let Some(odd) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!(
            "--case {odd}: there is no such case; the cases are {}",
            known.join(", ")
        );
    }
    let wanted = |case: &&Case| names.iter().any(|name| name == case.name);
    Ok(CASES.iter().filter(wanted).collect())
}

/// The first boot was not as it should be.
#[derive(Clone)]
struct NotUp;

/// What the cases of one test share.
pub struct Cases {
    bench: Bench,
    identity: Identity,
    /// For copies of the disk and what nodes write.
    files: TempDir,
    /// Of the first boot, once there was one; its state is in `first`.
    machine_id: Option<Result<String, NotUp>>,
}

impl Cases {
    /// Makes the node's seed and starts the API server.
    pub fn new(bench: Bench, settings: &ImageSettings) -> Result<Cases> {
        let parent = temporary::large();
        let files = tempfile::Builder::new()
            .prefix("nodeimg-test-")
            .tempdir_in(&parent)
            .with_context(|| format!("creating a directory in {}", parent.display()))?;
        let now = Date::now()?.0;
        let identity = Identity::make(settings, files.path(), &bench.logs, now)?;
        Ok(Cases {
            bench,
            identity,
            files,
            machine_id: None,
        })
    }

    pub fn run(&mut self, case: &Case) -> Result<Outcome> {
        let needs_cluster = !matches!(case.name, "tampered-root" | "no-seed");
        let has_none = self.identity.api.is_none();
        if needs_cluster && has_none && self.identity.joins == Join::Kubeadm {
            let why = "the recipe does not say which kubeadm the image has, so the format that it reads \
                 is unknown";
            return Ok(Outcome::Skipped(why.to_owned()));
        }
        (case.run)(self).with_context(|| format!("case {}", case.name))
    }

    fn state(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Boots with the seed; the boot must succeed.
    fn well(&self, name: &str, keep: &str) -> Result<(Boot, Findings)> {
        if let Some(api) = &self.identity.api {
            api.forget();
        }
        let go = self.identity.api.as_ref();
        let joins = self.identity.joins;
        let boot = self.bench.boot(Plan {
            name,
            seed: Some(&self.identity.seed),
            keep: Some(&self.state(keep)),
            go: go.map(|api| api.when(move |store| cluster::is_settled(joins, store))),
            pictures: true,
            cut: None,
        })?;
        let mut findings = Findings::default();
        self.expect_up(&boot, &mut findings);
        if boot.facts.is_whole() {
            self.expect_healthy(&boot.facts, &mut findings);
            if let Some(api) = &self.identity.api {
                api.look(|store| cluster::check(&self.identity, &boot.facts, store, &mut findings));
            }
        }
        Ok((boot, findings))
    }

    fn expect_up(&self, boot: &Boot, findings: &mut Findings) {
        if let Some(why) = &boot.failed {
            findings.add(why.clone());
        }
        if !boot.facts.is_whole() {
            findings.add("the node did not report all of its facts");
        }
    }

    fn expect_healthy(&self, facts: &Facts, findings: &mut Findings) {
        findings.expect("the state of systemd", facts.get("state"), "running");
        findings.expect("the list of failed units", facts.get("failed"), "");
        expect_verified_root(facts, findings);
        findings.expect("the host name", facts.get("host-name"), HOST_NAME);
        findings.expect_part("the addresses", facts.get("address"), ADDRESS);
        let runtime = self.bench.runtime.name;
        findings.expect(runtime, facts.get("runtime"), "active");
    }

    fn boot(&mut self) -> Result<Outcome> {
        let (boot, mut findings) = self.well("boot", "first")?;
        if boot.facts.is_whole() {
            findings.expect(
                "the outcome of first boot",
                &boot.facts.report("outcome"),
                "applied",
            );
        }
        self.machine_id = Some(match findings.0.is_empty() {
            true => Ok(boot.facts.get("machine-id").to_owned()),
            false => Err(NotUp),
        });
        Ok(Outcome::of(
            findings,
            with_time(self.registered(), &boot.facts),
        ))
    }

    fn registered(&self) -> String {
        let api = self.identity.api.as_ref();
        let note = api.and_then(|api| api.look(|store| cluster::note(&self.identity, store)));
        note.unwrap_or_else(|| format!("{HOST_NAME} is up"))
    }

    fn reboot(&mut self) -> Result<Outcome> {
        if self.machine_id.is_none() {
            self.boot()?;
        }
        let Some(Ok(before)) = self.machine_id.clone() else {
            return Ok(Outcome::Skipped("the first boot failed".to_owned()));
        };
        let (boot, mut findings) = self.well("reboot", "first")?;
        if boot.facts.is_whole() {
            findings.expect(
                "the outcome of first boot",
                &boot.facts.report("outcome"),
                "unchanged",
            );
            findings.expect("the machine id", boot.facts.get("machine-id"), &before);
        }
        if let Some(api) = &self.identity.api {
            api.look(|store| cluster::expect_no_second_join(store, &mut findings));
        }
        let note = with_time("unchanged".to_owned(), &boot.facts);
        Ok(Outcome::of(findings, note))
    }

    fn power_cut(&mut self) -> Result<Outcome> {
        // Another machine, which has not joined.
        if let Some(api) = &self.identity.api {
            api.forget_nodes();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let after = since.map_or(0, |now| now.subsec_millis() * 4) % CUT_WITHIN;
        let cut = self.bench.boot(Plan {
            name: "power-cut",
            seed: Some(&self.identity.seed),
            keep: Some(&self.state("cut")),
            go: None,
            pictures: false,
            cut: Some((FIRST_BOOT, Duration::from_millis(after.into()))),
        })?;
        if let Some(why) = cut.failed {
            let why = format!("before the power cut: {why}");
            return Ok(Outcome::Failed(vec![why]));
        }
        let (boot, mut findings) = self.well("after-power-cut", "cut")?;
        let outcome = boot.facts.report("outcome");
        if boot.facts.is_whole() && !["applied", "unchanged"].contains(&outcome.as_str()) {
            findings.add(format!("the outcome of first boot is `{outcome}`"));
        }
        let note = format!("cut {after} ms after first boot began, then {outcome}");
        Ok(Outcome::of(findings, note))
    }

    fn tampered_root(&mut self) -> Result<Outcome> {
        let image = &self.bench.image;
        if image.format != Format::Raw {
            let why = "this case changes one byte in a copy of disk.raw, and this image has \
                another format";
            return Ok(Outcome::Skipped(why.to_owned()));
        }
        let path = self.state("tampered.raw");
        tamper::copy(&image.path, &path)?;
        let copy = Image {
            path: path.clone(),
            identity: "tampered".to_owned(),
            format: image.format,
            arch: image.arch,
            size: image.size,
            machine_size: image.machine_size,
            recipe: None,
        };
        let boot = self.bench.boot_image(
            &copy,
            Plan {
                name: "tampered-root",
                seed: Some(&self.identity.seed),
                cut: Some((GIVEN_UP, Duration::ZERO)),
                ..Plan::default()
            },
        )?;
        fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        let mut findings = Findings::default();
        if !boot.facts.is_empty() {
            findings.add("the node booted");
        } else if let Some(why) = &boot.failed {
            findings.add(format!("the console never showed `{GIVEN_UP}`: {why}"));
        }
        for part in ["verity", "is corrupted"] {
            if !boot.console.contains(part) {
                findings.add(format!("the console does not show `{part}`"));
            }
        }
        Ok(Outcome::of(findings, "dm-verity detected it".to_owned()))
    }

    fn no_seed(&mut self) -> Result<Outcome> {
        let boot = self.bench.boot(Plan {
            name: "no-seed",
            ..Plan::default()
        })?;
        let mut findings = Findings::default();
        self.expect_up(&boot, &mut findings);
        if boot.facts.is_whole() {
            let facts = &boot.facts;
            findings.expect(
                "the outcome of first boot",
                &facts.report("outcome"),
                "failed",
            );
            expect_verified_root(facts, &mut findings);
            for unit in ["kubelet", "kube-proxy"] {
                if facts.get(unit) == "active" {
                    findings.add(format!("{unit} is active"));
                }
            }
        }
        if !boot.console.contains(NOT_SET_UP) {
            findings.add(format!("the console does not show `{NOT_SET_UP}`"));
        }
        Ok(Outcome::of(findings, "first boot reported it".to_owned()))
    }
}

/// The note and how long the boot took, if the node has said it.
fn with_time(note: String, facts: &Facts) -> String {
    match pictures::startup(facts) {
        Some(time) => format!("{note}; booted in {time}"),
        None => note,
    }
}

fn expect_verified_root(facts: &Facts, findings: &mut Findings) {
    findings.expect_part(
        "the root",
        facts.get("root"),
        "/dev/mapper/root squashfs ro",
    );
    // The kernel's own word for such a device.
    findings.expect_part(
        "the list of device-mapper devices",
        facts.get("verity"),
        "CRYPT-VERITY-",
    );
}
