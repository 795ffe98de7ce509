//! `nodeimg sign`: signs an output directory.

use std::time::Instant;

use anyhow::{Result, bail};
use nodeimg_signing::signer::Exchange;
use nodeimg_values::date::Date;
use serde_json::json;

use super::Session;
use crate::cli::SignArgs;
use crate::output::sign::{self, Keys, Outcome};

pub fn run(session: &Session<'_>, args: &SignArgs) -> Result<()> {
    let started = Instant::now();
    let folder = args.requests.as_ref().or(args.attach.as_ref());
    let exchange = folder.map(|folder| Exchange::open(folder)).transpose()?;
    let keys = Keys::open(&args.keys, exchange.as_ref())?;
    warn_of_times(session, &keys);
    let directory = args.directory.display().to_string();
    session.progress.step(&format!("signing {directory}"));
    let outcome = sign::sign(&args.directory, &keys, exchange.as_ref())?;
    let (files, text) = match outcome {
        Outcome::Unchanged => (Vec::new(), format!("{directory} is signed already")),
        Outcome::Signed(files) => {
            let seconds = started.elapsed().as_secs_f64();
            (files, format!("signed {directory} in {seconds:.1} s"))
        }
        Outcome::Wanted(wanted) => return tell_wanted(session, args, &wanted),
    };
    let event = json!({
        "event": "signed", "directory": directory, "unchanged": files.is_empty(), "files": files,
    });
    session.say(&event, &text);
    Ok(())
}

/// Not refused: firmware asks no clock, and whoever pins a certificate need not either.
fn warn_of_times(session: &Session<'_>, keys: &Keys<'_>) {
    let Ok(now) = Date::now() else { return };
    for certificate in keys.certificates() {
        if let Some(said) = certificate.invalid_at(now) {
            session.progress.warn(&format!(
                "the certificate `{}` {said}: firmware takes its signatures all the same, other \
                 verifiers may not; renew it for the same key, or sign with another",
                certificate.subject
            ));
        }
    }
}

fn tell_wanted(session: &Session<'_>, args: &SignArgs, wanted: &[String]) -> Result<()> {
    let folder = args.requests.as_ref().or(args.attach.as_ref());
    let folder = folder
        .map(|folder| folder.display().to_string())
        .unwrap_or_default();
    let text = format!(
        "to be signed, each into a file of the same name with .sig in the place of .message, in \
         {folder}:\n  {}",
        wanted.join("\n  ")
    );
    if args.attach.is_some() {
        bail!("nothing was signed: not all signatures are there yet; {text}");
    }
    let event = json!({ "event": "requests", "directory": folder, "messages": wanted });
    session.say(&event, &text);
    Ok(())
}
