//! `nodeimg verify`: whether an image is what somebody vouches for.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nodeimg_signing::certificate::{Certificate, PublicKey};
use nodeimg_trust::Instance;
use nodeimg_values::atomic::{self, CHECKSUMS};
use nodeimg_values::date::Date;
use nodeimg_values::{regular, temporary};
use tempfile::TempDir;

use super::{Session, build};
use crate::cli::{ArchArgs, BuildArgs, RecipeArgs, RecipesArgs, VerifyArgs};
use crate::image::boot;
use crate::input::chosen::{Chosen, read_if_there};
use crate::input::fetch::shown;
use crate::input::lock::Lock;
use crate::input::recipe::RecipeRef;
use crate::input::recipe::output::named;
use crate::input::recipe::verify::{SigstoreInstance, TrustPart};
use crate::input::vouch::demand::instance;
use crate::input::vouch::roots;
use crate::output::KINDS;
use crate::output::sign;
use crate::store::Store;
use crate::verify::known::Subject;
use crate::verify::policy::{Anchor, Pinned, Policy};
use crate::verify::rebuild::Again;
use crate::verify::report::Report;
use crate::verify::source::{Remote, SMALL, Source};
use crate::verify::vouched::Vouched;
use crate::verify::{Task, verify};

pub fn run(session: &Session<'_>, args: &VerifyArgs) -> Result<()> {
    let policy = policy(session, args)?;
    if let Some(file) = &args.vsa {
        check_place(&args.image, file)?;
    }
    let place = tempfile::Builder::new()
        .prefix("nodeimg-verify-")
        .tempdir_in(temporary::large())
        .context("creating a temporary folder")?;
    let fetched = match is_url(&args.image) {
        true => Some(Store::open(&place.path().join("store"))?),
        false => None,
    };
    let (subject, source) = match &fetched {
        Some(store) => remote(session, args, store, &place)?,
        None => local(&args.image, &policy)?,
    };
    let again = |again: &Again<'_>| rebuild(session, args, again);
    let task = Task {
        subject,
        policy,
        source,
        store: session.store_if_there()?,
        rebuild: if args.rebuild { Some(&again) } else { None },
    };
    let report = verify(task, session.progress);
    if let Some(file) = &args.vsa {
        atomic::rewrite_file(file, report.summary().as_bytes())?;
    }
    tell(session, &report)
}

fn tell(session: &Session<'_>, report: &Report) -> Result<()> {
    if session.global.json {
        session.progress.event(&report.json());
    } else if !session.global.quiet {
        match io::stdout().lock().write_all(report.text().as_bytes()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            result => result.context("writing to standard output")?,
        }
    }
    let faults: Vec<String> = report
        .faults()
        .map(|(step, fault)| {
            let place = fault
                .place
                .as_ref()
                .map(|place| format!("\n  where: {place}"));
            let help = fault.help.as_ref().map(|help| format!("\n  help: {help}"));
            format!(
                "step {} ({step}) failed: {}{}{}",
                step.number(),
                fault.what,
                place.unwrap_or_default(),
                help.unwrap_or_default()
            )
        })
        .collect();
    match faults.is_empty() {
        true => Ok(()),
        false => bail!("{} is not verified\n{}", report.shown, faults.join("\n")),
    }
}

/// A summary among the files of a build would be one that no sum is of.
fn check_place(image: &str, vsa: &Path) -> Result<()> {
    let folder = match vsa.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    if let (Ok(folder), Ok(image)) = (folder.canonicalize(), Path::new(image).canonicalize())
        && folder == image
    {
        bail!(
            "--vsa {}: a file more in the directory that is verified would be one that nobody \
             listed: write it elsewhere",
            vsa.display()
        );
    }
    Ok(())
}

/// A signature by one's own key has no time, so this is for the user to judge.
fn warn_of(session: &Session<'_>, certificate: &Certificate, path: &Path) {
    let said = Date::now().ok().and_then(|now| certificate.invalid_at(now));
    if let Some(said) = said {
        session.progress.warn(&format!(
            "the certificate {} ({}) {said}: find out whether its owner has replaced it, and why",
            path.display(),
            certificate.subject,
        ));
    }
}

fn policy(session: &Session<'_>, args: &VerifyArgs) -> Result<Policy> {
    let roots = roots::load(&TrustPart::default(), &args.trusted_roots)?;
    let mut anchors = Vec::new();
    for path in &args.keys {
        let key = PublicKey::from_file(path).context("--key")?;
        if let Ok(certificate) = Certificate::from_file(path) {
            warn_of(session, &certificate, path);
        }
        anchors.push(Anchor::Key(path.clone(), key));
    }
    if let (Some(identity), Some(issuer)) = (&args.identity, &args.issuer) {
        check_identity(identity, issuer)?;
        anchors.push(Anchor::Identity {
            identity: identity.clone(),
            issuer: issuer.clone(),
            instance: whose(args)?,
        });
    }
    let certificates = args.secure_boot.iter().map(|path| {
        let certificate = Certificate::from_file(path)?;
        warn_of(session, &certificate, path);
        Ok(certificate)
    });
    Ok(Policy {
        anchors,
        secure_boot: certificates
            .collect::<Result<_>>()
            .context("--secure-boot")?,
        root_hash: args.root_hash.map(Vouched::given),
        pinned: pinned(args)?,
        roots,
        integrity_only: args.integrity_only,
    })
}

/// Identities are exact: what looks like a pattern would silently match nothing.
fn check_identity(identity: &str, issuer: &str) -> Result<()> {
    if identity.is_empty() || issuer.is_empty() {
        bail!("--identity and --issuer cannot be empty: give both as the certificate has them");
    }
    if identity.contains('*') {
        bail!(
            "--identity `{}` is a pattern: give the exact identity, with the branch or tag that \
             it was signed for (https://github.com/OWNER/NAME/.github/workflows/FILE.yml@refs/tags/TAG)",
            identity.escape_debug()
        );
    }
    if !issuer.starts_with("https://") && !issuer.starts_with("http://") {
        bail!(
            "--issuer `{}` is not a URL: GitHub's is https://token.actions.githubusercontent.com",
            issuer.escape_debug()
        );
    }
    Ok(())
}

/// The Sigstore that judges an identity: by default one's own, if its root was given.
fn whose(args: &VerifyArgs) -> Result<Instance> {
    let private = SigstoreInstance::Private;
    let has_own = args
        .trusted_roots
        .iter()
        .any(|given| given.instance == private);
    match args.sigstore {
        Some(named) if named == private && !has_own => {
            bail!("--sigstore private needs the trusted root of that Sigstore: --trusted-root FILE")
        }
        Some(named) => Ok(instance(named)),
        None if has_own => Ok(Instance::Private),
        None => Ok(Instance::PublicGood),
    }
}

/// The lock, and the recipe if it is known.
fn pinned(args: &VerifyArgs) -> Result<Option<Pinned>> {
    let beside = args.lock.as_ref().map(|lock| lock.with_extension("toml"));
    let beside = beside.filter(|path| path.is_file()).map(RecipeRef::File);
    let Some(recipe) = args.recipe.clone().or(beside) else {
        if args.rebuild {
            bail!("--rebuild needs the recipe: name it with --recipe NAME|FILE");
        }
        let Some(path) = &args.lock else {
            return Ok(None);
        };
        let label = path.display().to_string();
        let text =
            read_if_there(path)?.with_context(|| format!("the lock {label} is not there"))?;
        let lock = Lock::parse(&text, &label)?;
        return Ok(Some(Pinned {
            label,
            lock,
            chosen: None,
            roots: roots::load(&TrustPart::default(), &args.trusted_roots)?,
        }));
    };
    let chosen = Chosen::load(&recipe, args.lock.as_deref(), &KINDS, &[])?;
    let locked = chosen.locked(boot::check_needs)?;
    Ok(Some(Pinned {
        label: chosen.label.clone(),
        lock: locked.lock().clone(),
        roots: roots::load(&chosen.recipe.trust, &args.trusted_roots)?,
        chosen: Some(chosen),
    }))
}

fn is_url(image: &str) -> bool {
    let scheme = image.split_once("://").map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'+')
    })
}

fn remote<'a>(
    session: &'a Session<'_>,
    args: &VerifyArgs,
    store: &'a Store,
    place: &TempDir,
) -> Result<(Subject, Option<Source<'a>>)> {
    let given = &args.image;
    if !given.starts_with("https://") && !given.starts_with("http://") {
        bail!(
            "`{}`: only http:// and https:// are fetched; give a local directory by its path",
            shown(given)
        );
    }
    if given.contains(['?', '#']) {
        bail!(
            "`{}` has a `?` or `#` part, but the names of files are put behind it: give the URL \
             of the directory",
            shown(given)
        );
    }
    let host = given.split('/').nth(2).unwrap_or_default();
    if host.contains('@') {
        bail!(
            "`{}` holds a login: put it into ~/.netrc instead",
            shown(given)
        );
    }
    if host.is_empty() {
        bail!("`{}` names no host", shown(given));
    }
    if args.network.offline {
        bail!(
            "`{}` is not fetched with --offline: fetch it yourself and give its directory",
            shown(given)
        );
    }
    let base = given.strip_suffix(CHECKSUMS).unwrap_or(given);
    let url = format!("{}/", base.trim_end_matches('/'));
    let files = place.path().join("files");
    std::fs::create_dir(&files).with_context(|| format!("creating {}", files.display()))?;
    let subject = Subject::Outputs { shown: shown(&url) };
    let source = Source::Url(Box::new(Remote {
        fetcher: session.fetcher_of(store, &url, &args.network)?,
        url,
        place: files,
    }));
    Ok((subject, Some(source)))
}

fn local(given: &str, policy: &Policy) -> Result<(Subject, Option<Source<'static>>)> {
    let path = Path::new(given);
    let kind = std::fs::metadata(path)
        .with_context(|| format!("opening {given}"))?
        .file_type();
    if kind.is_dir() {
        return Ok(outputs(given, path.to_owned(), None));
    }
    if !kind.is_file() && !kind.is_block_device() {
        bail!(
            "{given} is neither a directory, a disk nor a block device: give an output directory \
             of `nodeimg build`, a disk, or a URL"
        );
    }
    // A disk beside its sums is one file of a build, if somebody vouches for those.
    let by_sums = !policy.anchors.is_empty() || policy.pinned.is_some() || policy.integrity_only;
    if let Some((directory, name)) = listed(path).filter(|_| by_sums && kind.is_file()) {
        return Ok(outputs(given, directory, Some(name)));
    }
    let file = File::open(path).with_context(|| format!("opening {given}"))?;
    let path = path.to_owned();
    Ok((Subject::Disk { path, file }, None))
}

fn outputs(given: &str, path: PathBuf, only: Option<String>) -> (Subject, Option<Source<'static>>) {
    let shown = given.to_owned();
    (
        Subject::Outputs { shown },
        Some(Source::Directory { path, only }),
    )
}

/// The directory and name of a file that lies beside sums with its name.
fn listed(path: &Path) -> Option<(PathBuf, String)> {
    let name = path.file_name()?.to_str()?.to_owned();
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let text = regular::read(&directory.join(CHECKSUMS), SMALL).ok()?;
    let sums = sign::sums(&String::from_utf8(text).ok()?).ok()?;
    sums.contains_key(&name).then_some((directory, name))
}

/// Builds it again beside nothing else, and compares all bytes with what is published.
fn rebuild(session: &Session<'_>, args: &VerifyArgs, again: &Again<'_>) -> Result<()> {
    let place = tempfile::Builder::new()
        .prefix("nodeimg-rebuild-")
        .tempdir_in(temporary::large())
        .context("creating a temporary folder")?;
    let beside = args.lock.as_ref().map(|lock| lock.with_extension("toml"));
    let recipe = args.recipe.clone().or(beside.map(RecipeRef::File));
    let outputs = again.outputs.iter().map(|name| named(name, &KINDS));
    let args = BuildArgs {
        arch: ArchArgs::of(again.arch),
        recipes: RecipesArgs::of(RecipeArgs {
            bare: None,
            recipe: recipe
                .context("--rebuild needs the recipe: name it with --recipe NAME|FILE")?,
            lock: args.lock.clone(),
            trusted_roots: args.trusted_roots.clone(),
        }),
        outputs: outputs.collect::<Result<_>>()?,
        out: place.path().join("out"),
        network: args.network.clone(),
        bundle: None,
        firstboot: args.firstboot.clone(),
        update: args.update.clone(),
        published: None,
        published_keys: Vec::new(),
        relock_base: false,
        signatures_from: Some(again.published.to_owned()),
        force: true,
        threads: None,
        trace: None,
    };
    build::run(session, &args)
}
