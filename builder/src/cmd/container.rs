//! `nodeimg container`: the container image of nodeimg itself.

use std::path::Path;

use anyhow::{Result, bail};
use nodeimg_values::epoch::Epoch;
use serde_json::json;

use super::Session;
use crate::cli::ContainerArgs;
use crate::input::fetch::push::Repository;
use crate::publish::address::{Address, tag_of};
use crate::publish::own;

pub fn run(session: &Session<'_>, args: &ContainerArgs) -> Result<()> {
    let epoch = Epoch::given()?.map(|epoch| epoch.0);
    session.progress.step("making the image");
    let images = own::all(&args.programs, epoch)?;
    let archs: Vec<&str> = images.iter().map(|own| own.arch.name()).collect();
    let shown = archs.join(" and ");
    if !args.to.contains("://") {
        let digest = own::archive(&images, Path::new(&args.to))?;
        let text = format!("wrote {} for {shown}: {digest}", args.to);
        let event = json!({
            "event": "container", "file": args.to, "archs": archs, "digest": digest,
        });
        session.say(&event, &text);
        return Ok(());
    }
    let address: Address = args.to.parse()?;
    if address.reference.digest().is_some() {
        bail!(
            "{address} names a digest, but the registry computes digests: name a tag, or neither"
        );
    }
    let tag = address.tag.clone().unwrap_or_else(|| tag_of(own::VERSION));
    let options = session.plain_options(&args.transfer)?;
    let repository = Repository::open(&address.reference, &options, Vec::new(), session.progress)?;
    let told = own::publish(&repository, &images, &tag)?;
    let name = repository.name();
    let text = match told.unchanged {
        true => format!(
            "{name}:{tag} has nodeimg for {shown} already: {}",
            told.digest
        ),
        false => format!(
            "published nodeimg for {shown} as {name}:{tag}: {}",
            told.digest
        ),
    };
    let event = json!({
        "event": "container", "repository": name, "tag": tag, "archs": archs,
        "digest": told.digest, "unchanged": told.unchanged,
    });
    session.say(&event, &text);
    Ok(())
}
