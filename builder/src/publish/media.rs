//! What kinds of manifests and files are called.

use nodeimg_formats::oci::artifact::Annotations;
use nodeimg_formats::update;

/// All files of an output directory.
pub const FILES: &str = "application/vnd.nodeimg.files.v1";
/// One disk.
pub const DISK: &str = "application/vnd.nodeimg.disk.v1";
/// The checksums with their signature.
pub const CHECKSUMS: &str = "application/vnd.nodeimg.checksums.v1";

/// What a lock pins, and one file of it.
pub const PINS: &str = "application/vnd.nodeimg.pins.v1";
pub const PINNED: &str = "application/octet-stream";

pub const SPDX: &str = "application/spdx+json";
pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
pub const ZSTD: &str = "application/zstd";
pub const QCOW2: &str = "application/x-qemu-disk";

/// By what Ironic and podman choose a disk of an index.
pub const DISK_TYPE: &str = "disktype";

/// The name of the file that this one unpacks to, and what that is.
pub const UNPACKS: &str = "invalid.nodeimg.unpacks";
pub const UNPACKED_DIGEST: &str = "invalid.nodeimg.unpacked.digest";
pub const UNPACKED_SIZE: &str = "invalid.nodeimg.unpacked.size";
/// The directory has the unpacked file alone.
pub const UNPACKED_ONLY: &str = "invalid.nodeimg.unpacked.only";

/// The artifact type once more: tools that know none of that in an index keep annotations.
pub const KIND: &str = "invalid.nodeimg.kind";

pub const CREATED: &str = "org.opencontainers.image.created";

/// What a file of an output directory is.
pub fn of(name: &str) -> &'static str {
    const ENDINGS: [(&str, &str); 14] = [
        (".spdx.json", SPDX),
        (".cdx.json", CYCLONEDX),
        ("provenance.json", IN_TOTO),
        (".intoto.jsonl", update::ENVELOPE_LAYER),
        (update::SIGNED_SUFFIX, update::ENVELOPE_LAYER),
        (update::SUFFIX, update::PAYLOAD_TYPE),
        (".root.raw", update::ROOT_LAYER),
        (".verity.raw", update::VERITY_LAYER),
        (".efi.zst", update::UKI_LAYER),
        (".json", "application/json"),
        (".zst", ZSTD),
        (".qcow2", QCOW2),
        (".yaml", "application/yaml"),
        ("SHA256SUMS", "text/plain"),
    ];
    let found = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
    found.map_or("application/octet-stream", |(_, kind)| kind)
}

/// What is said of every manifest.
pub fn annotations(title: &str, version: &str, created: &str) -> Annotations {
    use nodeimg_formats::oci::artifact::{TITLE, VERSION};
    let all = [(TITLE, title), (VERSION, version), (CREATED, created)];
    let all = all.into_iter().filter(|(_, value)| !value.is_empty());
    all.map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
