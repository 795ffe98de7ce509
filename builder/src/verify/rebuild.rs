//! Step 10: recipe and lock make the same bytes.

use std::path::Path;

use anyhow::Result;
use nodeimg_values::arch::Arch;

use super::known::Known;
use super::source::Source;
use super::step::{Fault, Judged, Step, Verdict};

/// What is to be built again, and compared with what is there.
pub struct Again<'a> {
    pub arch: Arch,
    /// Kinds of outputs, by name.
    pub outputs: Vec<&'a str>,
    /// Where its files and signatures are.
    pub published: &'a Path,
}

/// Builds and compares; an error says what differs.
pub type Rebuild<'a> = &'a dyn Fn(&Again<'_>) -> Result<()>;

pub fn check(known: &Known, source: Option<&Source<'_>>, rebuild: Option<Rebuild<'_>>) -> Judged {
    let Some(rebuild) = rebuild else {
        return Ok(Verdict::not_applicable("--rebuild was not asked for"));
    };
    let Some(source) = source.filter(|source| source.only().is_none()) else {
        let what = "--rebuild compares all files of a build, but only one was given";
        return Err(Fault::new(what).help("give the directory or the URL of the build"));
    };
    let (Some(manifest), Some(statement)) = (&known.manifest, &known.statement) else {
        return Ok(Verdict::not_reached(Step::Statement));
    };
    let again = Again {
        arch: manifest.image.arch,
        outputs: statement.outputs(),
        published: source.directory(),
    };
    rebuild(&again).map_err(|error| {
        Fault::new(format!("{error:#}")).at(known.shown()).help(
            "use the version of nodeimg and the commit of recipe and lock that the image was built \
             from; if bytes still differ, its builder did something else",
        )
    })?;
    Ok(Verdict::passed(format!(
        "recipe and lock make the same bytes of all {} files: nobody needs to trust their builder",
        known.files.len()
    )))
}
