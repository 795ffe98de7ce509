//! Step 4: how it was built, as the statement of provenance says
//! ([build type](https://nodeimg.invalid/how-to/sbom-and-provenance.html#build-type-v1)).

use std::collections::BTreeMap;
use std::io::Read;

use anyhow::{Context, Result, bail, ensure};
use nodeimg_formats::verity::RootHash;
use nodeimg_values::arch::Arch;
use nodeimg_values::digest::{Algorithm, Digest, Expected};
use serde_json::Value;

use super::known::{Known, Sums};
use super::policy::{Pinned, Policy};
use super::step::{Fault, Judged, Step, Verdict};
use super::vouched::files::Listed;
use crate::output::manifest::{Manifest, VERSION};
use crate::output::provenance::{self, FILE, PREDICATE, STATEMENT, VERIFIED};
use crate::output::sign::MANIFEST;

/// All that a build may be told from outside.
const PARAMETERS: [&str; 4] = ["arch", "outputs", "recipe", "version"];
/// Manifests and statements are never longer, in bytes.
const LONGEST: u64 = 256 << 20;

/// A statement of provenance.
#[derive(Clone, Debug)]
pub struct Statement {
    value: Value,
}

/// Name and digests of what went in.
struct Dependency<'a> {
    name: &'a str,
    digests: BTreeMap<&'a str, &'a str>,
}

impl Statement {
    /// # Errors
    /// It is not an in-toto statement of SLSA provenance.
    pub fn parse(bytes: &[u8]) -> Result<Statement> {
        let value: Value = serde_json::from_slice(bytes).context("it is not JSON")?;
        let kind = value["_type"].as_str().unwrap_or_default();
        ensure!(kind == STATEMENT, "its _type is `{kind}`, not {STATEMENT}");
        let kind = value["predicateType"].as_str().unwrap_or_default();
        ensure!(
            kind == PREDICATE,
            "its predicateType is `{kind}`, not {PREDICATE}"
        );
        Ok(Statement { value })
    }

    fn definition(&self) -> &Value {
        &self.value["predicate"]["buildDefinition"]
    }

    fn build_type(&self) -> &str {
        self.definition()["buildType"].as_str().unwrap_or_default()
    }

    /// Whether it says how nodeimg built, and not how a service ran it.
    pub fn is_own(&self) -> bool {
        self.build_type() == provenance::build_type()
    }

    fn subjects(&self) -> Result<Vec<(&str, &str)>> {
        let subjects = self.value["subject"]
            .as_array()
            .context("it names no subject")?;
        let subjects = subjects.iter().map(|subject| {
            let name = subject["name"].as_str().context("a subject has no name")?;
            let hex = subject["digest"]["sha256"].as_str();
            Ok((
                name,
                hex.with_context(|| format!("the subject `{name}` has no SHA-256"))?,
            ))
        });
        subjects.collect()
    }

    /// The files that it is about.
    pub fn sums(&self) -> Result<Sums> {
        let mut sums = Sums::new();
        for (name, hex) in self.subjects()? {
            if name.starts_with(VERIFIED) {
                continue;
            }
            if name.is_empty() || name.contains('/') || name == "." || name == ".." {
                bail!("the subject `{name}` is not a file of a directory");
            }
            let digest = Digest::new(Algorithm::Sha256, hex)
                .with_context(|| format!("the subject `{name}`"))?;
            if sums.insert(name.to_owned(), digest).is_some() {
                bail!("it names `{name}` twice");
            }
        }
        ensure!(!sums.is_empty(), "it names no file");
        Ok(sums)
    }

    /// The root hashes that it is about: `root` of a disk, or an extension's name.
    pub fn root_hashes(&self) -> Result<BTreeMap<String, RootHash>> {
        let subjects = self.subjects()?.into_iter();
        let hashes = subjects.filter_map(|(name, hex)| Some((name.strip_prefix(VERIFIED)?, hex)));
        hashes
            .map(|(name, hex)| Ok((name.to_owned(), hex.parse()?)))
            .collect()
    }

    /// What the build was told: `recipe`, `version` or `arch`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.definition()["externalParameters"][name].as_str()
    }

    /// The outputs that the build was told to write.
    pub fn outputs(&self) -> Vec<&str> {
        let outputs = self.definition()["externalParameters"]["outputs"].as_array();
        outputs
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    }

    fn dependencies(&self) -> Vec<Dependency<'_>> {
        let all = self.definition()["resolvedDependencies"].as_array();
        let all = all.into_iter().flatten().filter_map(|one| {
            let digests = one["digest"].as_object().into_iter().flatten();
            let digests = digests.filter_map(|(kind, hex)| Some((kind.as_str(), hex.as_str()?)));
            Some(Dependency {
                name: one["name"].as_str()?,
                digests: digests.collect(),
            })
        });
        all.collect()
    }

    fn builder(&self) -> &str {
        let id = &self.value["predicate"]["runDetails"]["builder"]["id"];
        id.as_str().unwrap_or("nobody")
    }
}

pub fn check(known: &mut Known, policy: &Policy) -> Judged {
    let Some(sums) = known.sums.as_deref() else {
        return Ok(Verdict::not_applicable("a disk by itself has no statement"));
    };
    let sums = sums.clone();
    let Some(listed) = known.files.get(FILE) else {
        return Ok(match sums.contains_key(FILE) {
            true => Verdict::not_reached(Step::Files),
            false => Verdict::not_applicable(format!("the build wrote no {FILE}")),
        });
    };
    let read = |listed: &Listed| Statement::parse(&bytes(listed)?).context("reading it");
    let statement = listed.read(read).map_err(|error| at(FILE, &error))?;
    subjects(&statement, &sums)?;
    parameters(&statement)?;
    if let Some(listed) = known.files.get(MANIFEST) {
        let manifest = listed
            .read(manifest)
            .map_err(|error| at(MANIFEST, &error))?;
        agree(&manifest, &statement, &sums)?;
        known.manifest = Some(manifest);
    }
    let mut proves = format!(
        "the statement is about these very files; {} {} for {} was built as nodeimg builds, with \
         no parameter from outside but its outputs ({})",
        statement.parameter("recipe").unwrap_or_default(),
        statement.parameter("version").unwrap_or_default(),
        statement.parameter("arch").unwrap_or_default(),
        statement.outputs().join(", ")
    );
    let mut notes = vec![format!(
        "built by {}, as the statement says",
        statement.builder()
    )];
    match &policy.pinned {
        Some(pinned) => {
            let count = inputs(&statement, pinned)?;
            proves = format!("{proves}, from the {count} inputs of {}", pinned.label);
        }
        None => notes.push(
            "what went in was not compared with a lock (--lock FILE, or --recipe)".to_owned(),
        ),
    }
    known.statement = Some(statement);
    let verdict = Verdict::passed(proves);
    Ok(notes.into_iter().fold(verdict, Verdict::with))
}

fn bytes(listed: &Listed) -> Result<Vec<u8>> {
    ensure!(listed.size <= LONGEST, "it has more than {LONGEST} bytes");
    let mut bytes = Vec::new();
    let file = &listed.file;
    file.take(LONGEST).read_to_end(&mut bytes)?;
    // What was hashed, and not what somebody has written since.
    ensure!(
        Digest::sha256(&bytes) == listed.sha256,
        "it changed while it was read"
    );
    Ok(bytes)
}

fn manifest(listed: &Listed) -> Result<Manifest> {
    let manifest: Manifest =
        serde_json::from_slice(&bytes(listed)?).context("it is not a manifest of nodeimg")?;
    ensure!(
        manifest.version == VERSION,
        "it has format {}, but this nodeimg reads {VERSION}",
        manifest.version
    );
    Ok(manifest)
}

fn at(place: &str, error: &anyhow::Error) -> Fault {
    Fault::new(format!("{error:#}"))
        .at(place)
        .help("verify with the version of nodeimg that built the image; else do not use it")
}

fn wrong(place: &str, what: String) -> Fault {
    Fault::new(what).at(place).help(
        "the statement is of another build than the files: fetch both again from the publisher, \
         and do not use the image until they agree",
    )
}

/// Subjects and files are the same.
fn subjects(statement: &Statement, sums: &Sums) -> Result<(), Fault> {
    let named = statement.sums().map_err(|error| at(FILE, &error))?;
    statement.root_hashes().map_err(|error| at(FILE, &error))?;
    let others = different(&named, sums, &[FILE]);
    match others.is_empty() {
        true => Ok(()),
        false => {
            let what = format!("its subjects are not the files here: {}", others.join("; "));
            Err(wrong(FILE, what))
        }
    }
}

/// What two lists differ in, but for some names.
fn different(named: &Sums, sums: &Sums, but: &[&str]) -> Vec<String> {
    let mut others = Vec::new();
    for (name, digest) in named {
        match sums.get(name) {
            Some(listed) if listed == digest => {}
            Some(_) => others.push(format!("{name} with another SHA-256")),
            None => others.push(format!("{name}, which is not listed")),
        }
    }
    let missing = sums.keys().filter(|name| !named.contains_key(*name));
    let missing = missing.filter(|name| !but.contains(&name.as_str()));
    others.extend(missing.map(|name| format!("{name} is not among them")));
    others
}

/// The build type is known, and so is every parameter.
fn parameters(statement: &Statement) -> Result<(), Fault> {
    if !statement.is_own() {
        let what = format!(
            "its buildType is `{}`, but this nodeimg knows only {}",
            statement.build_type(),
            provenance::build_type()
        );
        return Err(Fault::new(what)
            .at(FILE)
            .help("verify with the version of nodeimg that built the image"));
    }
    let parameters = statement.definition()["externalParameters"].as_object();
    let mut names: Vec<&str> = parameters
        .into_iter()
        .flatten()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    if let Some(unknown) = names.iter().find(|name| !PARAMETERS.contains(name)) {
        let what = format!("the build was told `{unknown}`, a parameter that is not known here");
        return Err(Fault::new(what).at(FILE).help(
            "nobody can say what it does to the image: verify with the version of nodeimg that \
             built it",
        ));
    }
    if names != PARAMETERS {
        let what = format!(
            "externalParameters has {}, not {}",
            names.join(", "),
            PARAMETERS.join(", ")
        );
        return Err(Fault::new(what).at(FILE));
    }
    Ok(())
}

/// Manifest, statement and sums tell of one image.
fn agree(manifest: &Manifest, statement: &Statement, sums: &Sums) -> Result<(), Fault> {
    let image = &manifest.image;
    let arch = image.arch.to_string();
    for (name, of_manifest) in [
        ("recipe", image.name.as_str()),
        ("version", image.version.as_str()),
        ("arch", arch.as_str()),
    ] {
        let of_statement = statement.parameter(name).unwrap_or_default();
        if of_statement != of_manifest {
            let what =
                format!("it is of {name} `{of_manifest}`, but the statement of `{of_statement}`");
            return Err(wrong(MANIFEST, what));
        }
    }
    let outputs = manifest.outputs.iter();
    let outputs: Sums = outputs
        .map(|one| (one.file.clone(), one.sha256.clone()))
        .collect();
    let others = different(&outputs, sums, &[MANIFEST, FILE]);
    match others.is_empty() {
        true => Ok(()),
        false => {
            let what = format!("its outputs are not the files here: {}", others.join("; "));
            Err(wrong(MANIFEST, what))
        }
    }
}

/// What went in is what the lock pins for this architecture; the number of inputs.
fn inputs(statement: &Statement, pinned: &Pinned) -> Result<usize, Fault> {
    let arch = statement.parameter("arch").unwrap_or_default();
    let arch = Arch::ALL.into_iter().find(|one| one.name() == arch);
    let arch = arch.ok_or_else(|| Fault::new("it names no architecture").at(FILE))?;
    let dependencies = statement.dependencies();
    let lock = Digest::sha256(pinned.lock.text().as_bytes());
    let named = dependencies.iter().find(|one| one.name == "lock");
    let named = named.and_then(|one| one.digests.get("sha256").copied());
    let mut others = pins_differ(&dependencies, pinned, arch);
    if named != Some(lock.hex()) {
        let named = named.unwrap_or("nothing");
        others.insert(0, format!("the lock is {named}, not {}", lock.hex()));
    }
    if !others.is_empty() {
        let what = format!(
            "what went in is not what {} pins:\n  {}",
            pinned.label,
            others.join("\n  ")
        );
        return Err(Fault::new(what).at(FILE).help(
            "give the lock of the commit that the image was built from; else the image is made of \
             other things than you have reviewed",
        ));
    }
    Ok(pins(pinned, arch).len())
}

/// Everything that a lock pins for `arch`, by the names that a statement has.
fn pins(pinned: &Pinned, arch: Arch) -> BTreeMap<String, Expected> {
    let pins = &pinned.lock.pins;
    let mut all = BTreeMap::new();
    for pin in pins.artifacts.iter().filter(|pin| pin.request.arch == arch) {
        all.insert(format!("artifact/{}", pin.request.name), pin.bytes.clone());
    }
    for pin in pins.images.iter().filter(|pin| pin.request.arch == arch) {
        let digest = Expected::of(&pin.bytes.digest, None);
        all.insert(format!("image/{}", pin.request.name), digest);
    }
    for pin in pins.packages.packages.iter().filter(|pin| pin.arch == arch) {
        all.insert(format!("package/{}", pin.name), pin.expected());
    }
    all
}

fn pins_differ(dependencies: &[Dependency<'_>], pinned: &Pinned, arch: Arch) -> Vec<String> {
    let pins = pins(pinned, arch);
    let mut others = Vec::new();
    let of_lock = |name: &str| {
        ["artifact/", "image/", "package/"]
            .iter()
            .any(|kind| name.starts_with(kind))
    };
    for one in dependencies.iter().filter(|one| of_lock(one.name)) {
        let Some(pin) = pins.get(one.name) else {
            others.push(format!("{} is not pinned", one.name));
            continue;
        };
        let mut known = pin.digests();
        let same =
            known.all(|digest| one.digests.get(digest.algorithm().name()) == Some(&digest.hex()));
        if !same || one.digests.is_empty() {
            others.push(format!("{} has another digest", one.name));
        }
    }
    let is_named = |name: &String| dependencies.iter().any(|one| one.name == name);
    others.extend(
        pins.keys()
            .filter(|name| !is_named(name))
            .map(|name| format!("{name} did not go in")),
    );
    others
}
