//! `nodeimg job`: one image from its recipe to its repository, or nothing if it is there.
//!
//! An engine may run it twice, at once or one after the other: who finds the build key in the
//! repository is done, and two that build the same write the same.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use nodeimg_values::arch::Arch;
use nodeimg_values::regular;
use serde_json::json;

use super::publish::{Push, push};
use super::{Session, build};
use crate::cli::{ArchArgs, BuildArgs, JobArgs, RecipeArgs, RecipesArgs};
use crate::image::boot;
use crate::input::fetch::push::Repository;
use crate::input::recipe::RecipeRef;
use crate::output::build::Build;
use crate::output::sign::{self, Keys};
use crate::programs::FIRSTBOOT;
use crate::publish::{by_key, cosign};
use crate::tree::Content;

pub fn run(session: &Session<'_>, args: &JobArgs) -> Result<()> {
    let started = Instant::now();
    if args.network.offline {
        bail!("--offline forbids asking the repository: run `nodeimg build` instead");
    }
    let (recipe, arch) = wanted(args)?;
    let keys = args.keys.as_deref().map(|path| Keys::open(path, None));
    let keys = keys.transpose()?;
    let chosen = recipe.choose(&[])?;
    let address = args.place.of(&chosen.recipe.name.to_string())?;
    let locked = chosen.locked(boot::check_needs)?;
    let brought = build::with_programs(&chosen.recipe, &[arch], &[])?;
    let binary = Content::inline(FIRSTBOOT.find(arch, &[])?);
    let build = Build::new(
        &chosen.recipe,
        &brought[0],
        &locked,
        arch,
        binary,
        &args.out,
    )?;
    let key = by_key::tag(build.shared_key());
    let transfer = &args.network.transfer;
    let options = session.plain_options(transfer)?;
    let repository = Repository::open(&address.reference, &options, Vec::new(), session.progress)?;
    let there = repository.digest_of(&key)?;
    let signer = keys.as_ref().and_then(|keys| keys.checksums.as_ref());
    let is_signed = match (&there, signer) {
        (Some(digest), Some(signer)) => cosign::has(&repository, signer, digest)?,
        _ => true,
    };
    if let Some(digest) = there.filter(|_| is_signed) {
        let seconds = started.elapsed().as_secs_f64();
        let name = repository.name();
        let text = format!("{name}:{key} is there already ({seconds:.1} s): {digest}");
        let event = json!({
            "event": "published", "repository": name, "tags": [key], "unchanged": true,
            "digest": digest.to_string(), "seconds": seconds,
        });
        session.say(&event, &text);
        return Ok(());
    }
    let directory = build.directory.clone();
    build::run(session, &as_build(args, recipe.clone(), arch))?;
    if let Some(keys) = &keys {
        session
            .progress
            .step(&format!("signing {}", directory.display()));
        sign::sign(&directory, keys, None)?;
    }
    let what = Push {
        directory: &directory,
        address: &address,
        mounts: Vec::new(),
        updater: None,
        signer,
        transfer,
        key: Some(key),
    };
    push(session, &what)
}

/// The recipe and the architecture that were asked for.
fn wanted(args: &JobArgs) -> Result<(RecipeArgs, Arch)> {
    if let (Some(list), Some(line)) = (&args.list, args.line) {
        let text =
            regular::read_text(list).with_context(|| format!("reading {}", list.display()))?;
        let beside = list.parent().unwrap_or(Path::new(""));
        let found = line_of(&text, line, beside);
        let (recipe, arch) = found.with_context(|| list.display().to_string())?;
        let own = args.recipe.clone();
        return Ok((RecipeArgs { recipe, ..own }, arch));
    }
    match args.arch.archs()?.as_slice() {
        [arch] => Ok((args.recipe.clone(), *arch)),
        _ => bail!("a job makes one image: name one --arch, and run another job for the other"),
    }
}

/// A line `RECIPE ARCH` of a list; files are relative to `beside`.
fn line_of(text: &str, line: usize, beside: &Path) -> Result<(RecipeRef, Arch)> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or(""));
    let lines: Vec<&str> = lines.filter(|line| !line.trim().is_empty()).collect();
    let Some(found) = lines.get(line) else {
        bail!(
            "there is no line {line}: it has {} (counted from 0, so the last is {})",
            lines.len(),
            lines.len().saturating_sub(1)
        );
    };
    let words: Vec<&str> = found.split_whitespace().collect();
    let [recipe, arch] = words.as_slice() else {
        bail!(
            "line {line} is `{}`: write a recipe and an architecture (`./web.toml amd64`)",
            found.trim().escape_debug()
        );
    };
    let arch = Arch::from_str(arch, false);
    let arch = arch.map_err(|_| {
        anyhow::anyhow!(
            "line {line}: `{}` is neither amd64 nor arm64",
            words[1].escape_debug()
        )
    })?;
    Ok((RecipeRef::beside(beside, recipe)?, arch))
}

/// As `nodeimg build` would be asked for the same.
fn as_build(args: &JobArgs, recipe: RecipeArgs, arch: Arch) -> BuildArgs {
    BuildArgs {
        arch: ArchArgs::of(arch),
        recipes: RecipesArgs::of(recipe),
        outputs: Vec::new(),
        out: args.out.clone(),
        network: args.network.clone(),
        bundle: None,
        firstboot: Vec::new(),
        update: Vec::new(),
        relock_base: false,
        signatures_from: None,
        published: None,
        published_keys: Vec::new(),
        force: false,
        threads: None,
        trace: None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_is_an_image() {
        let text =
            "# all of them\n\n./web.toml amd64\n  /abs/db.toml\tarm64 # large\nhard-way arm64\n";
        let of = |line| line_of(text, line, Path::new("/lists")).map(|(r, a)| (r.to_string(), a));
        assert_eq!(
            of(0).unwrap(),
            ("/lists/./web.toml".to_owned(), Arch::Amd64)
        );
        assert_eq!(of(1).unwrap(), ("/abs/db.toml".to_owned(), Arch::Arm64));
        assert_eq!(of(2).unwrap(), ("hard-way".to_owned(), Arch::Arm64));
        let error = of(3).unwrap_err().to_string();
        assert!(error.contains("no line 3: it has 3"), "{error}");
        for (bad, wanted) in [
            ("web.toml", "write a recipe and an architecture"),
            ("web.toml amd64 arm64", "write a recipe and an architecture"),
            ("web.toml riscv64", "neither amd64 nor arm64"),
            ("", "there is no line 0"),
        ] {
            let error = line_of(bad, 0, Path::new("")).unwrap_err().to_string();
            assert!(error.contains(wanted), "{bad}: {error}");
        }
    }
}
