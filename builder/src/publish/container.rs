//! Container images of what was built: the disk, for KubeVirt and CDI, and the update, for Jobs
//! on nodes.
//!
//! Each has one layer, a tar that is made as it is sent, and its own tag, because a kubelet takes
//! the first manifest of its platform from an index.

use anyhow::{Context, Result};
use nodeimg_formats::oci::artifact::Artifact;
use nodeimg_formats::oci::{CONFIG, Descriptor, PACKED_LAYER};
use nodeimg_formats::update;
use nodeimg_values::arch::Arch;
use serde_json::{Value, json};

use super::directory::Directory;
use super::layer::{Layer, stored};
use super::layout::{self, Entry};
use crate::input::fetch::push::{Blob, Source};
use crate::output::disk_files;

/// What QEMU runs as in KubeVirt's containers
/// ([docs](https://kubevirt.io/user-guide/storage/disks_and_volumes/#containerdisk)).
const QEMU: u32 = 107;
/// Where files of an update are in its image, and the program that takes them.
const UPDATE: &str = "update";
const PROGRAM: &str = "usr/bin/nodeimg-update";
/// Where system-upgrade-controller has the node's file system
/// (`HostPathVolume` of rancher/system-upgrade-controller, `pkg/upgrade/job/job.go`).
const HOST: &str = "/host";

/// A container image: what is to be sent, and its manifest.
#[derive(Debug)]
pub struct Image {
    /// Ends its tags.
    pub suffix: &'static str,
    pub blobs: Vec<Blob>,
    pub entry: Entry,
    pub index: Entry,
}

/// The disk, if there is a qcow2 of it: QEMU reads that in place.
pub fn of_disk(directory: &Directory) -> Result<Option<Image>> {
    let Some(disk) = directory.item(disk_files::QCOW2) else {
        return Ok(None);
    };
    let mut layer = Layer::new(directory.epoch, QEMU);
    layer.directory("disk", 0o555)?;
    let name = format!("disk/{}", disk.name);
    layer.file(&name, 0o440, disk.blob.source.clone())?;
    image(directory, "-containerdisk", layer, json!({})).map(Some)
}

/// The update with `program`, a static nodeimg-update for the same architecture.
pub fn of_update(directory: &Directory, program: Option<&Source>) -> Result<Option<Image>> {
    let (Some(update), Some(program)) = (&directory.update, program) else {
        return Ok(None);
    };
    let mut layer = Layer::new(directory.epoch, 0);
    layer.directory(UPDATE, 0o755)?;
    let stem = update.stem();
    for item in &directory.items {
        let plain = update.uki.compressed.is_some() && item.name == update.uki.content.file;
        if item.name.starts_with(&stem) && !plain {
            let name = format!("{UPDATE}/{}", item.name);
            layer.file(&name, 0o444, item.blob.source.clone())?;
        }
    }
    layer.directory("usr", 0o755)?;
    layer.directory("usr/bin", 0o755)?;
    layer.file(PROGRAM, 0o755, program.clone())?;
    let run = json!({
        "Entrypoint": [format!("/{PROGRAM}")],
        "Cmd": ["apply", format!("/{UPDATE}"), "--root", HOST, "--reboot"],
        "Env": ["PATH=/usr/bin"],
    });
    let has = |name: &String| directory.item(name).is_some();
    if !has(&update.root.content.file) {
        return Err(anyhow::anyhow!(
            "the update has no root: build the image again"
        ));
    }
    image(directory, "-update", layer, run)
        .map(Some)
        .with_context(|| {
            format!(
                "the container image of {}",
                update::stem(&update.id, &update.version, &update.architecture)
            )
        })
}

fn image(directory: &Directory, suffix: &'static str, layer: Layer, run: Value) -> Result<Image> {
    let tar = layer.end();
    let what = What {
        name: suffix.trim_start_matches('-'),
        arch: directory.arch,
        created: Some(&directory.created),
        run,
    };
    let packed = stored(&tar)?;
    let (blobs, artifact) = what.of(&tar, packed)?;
    let title = format!("{}{suffix}", directory.name);
    let entry = layout::entry(directory, artifact, &title, &[])?;
    let index = layout::index(directory, std::slice::from_ref(&entry))?;
    Ok(Image {
        suffix,
        blobs,
        entry,
        index,
    })
}

/// What is said of a container image beside its one layer.
pub struct What<'a> {
    /// For messages.
    pub name: &'a str,
    pub arch: Arch,
    /// In RFC 3339.
    pub created: Option<&'a str>,
    /// `config` of the configuration
    /// ([properties](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties)).
    pub run: Value,
}

impl What<'_> {
    /// Configuration and layer, and a manifest of both, which has no annotations yet.
    pub fn of(self, tar: &Source, packed: Source) -> Result<(Vec<Blob>, Artifact)> {
        let unpacked = tar.measure()?.sha256;
        let layer = Blob::of(&format!("the layer of {}", self.name), packed)?;
        let mut history = json!({ "created_by": "nodeimg" });
        let mut config = json!({
            "architecture": self.arch.name(),
            "os": "linux",
            "config": self.run,
            "rootfs": { "type": "layers", "diff_ids": [unpacked.to_string()] },
        });
        if let Some(created) = self.created {
            history["created"] = json!(created);
            config["created"] = json!(created);
        }
        config["history"] = json!([history]);
        let config = serde_json::to_vec(&config).context("writing a configuration")?;
        let name = format!("the configuration of {}", self.name);
        let config = Blob::of(&name, Source::bytes(config))?;
        let described =
            |kind: &str, blob: &Blob| Descriptor::new(kind, blob.digest.clone(), blob.size());
        let artifact = Artifact::new(
            None,
            described(CONFIG, &config),
            vec![described(PACKED_LAYER, &layer)],
        );
        Ok((vec![config, layer], artifact))
    }
}
