//! First boot of a nodeimg image: what differs per node, read from a seed,
//! checked, and turned into a list of files.
//!
//! This library is pure: bytes in, values out, no file or network is touched.
//! The builder uses it to check templates and to bake [`settings::ImageSettings`];
//! the binary `nodeimg-firstboot` adds the data sources and the writing.

pub mod check;
pub mod cloud_config;
pub mod containerd;
pub mod examine;
pub mod field;
pub mod initrd_plan;
pub mod jinja;
pub mod kubeconfig;
pub mod meta_data;
pub mod network;
pub mod node_config;
pub mod overwritten;
pub mod pattern;
pub mod pem;
pub mod plan;
pub mod problem;
pub mod report;
pub mod secret;
pub mod seed;
pub mod settings;
pub mod stamp;
pub mod suggest;
pub mod template;
pub mod user_data;
pub mod volume;
pub mod x509;
pub mod yaml;

/// Where the builder puts the binary in the image.
pub const BINARY_PATH: &str = "/usr/bin/nodeimg-firstboot";

/// Templates lie below this directory under the path that they render to.
pub const TEMPLATE_DIR: &str = "/usr/lib/nodeimg/templates";

/// Bytes that the binary carries, so that the builder can tell that a binary
/// it found fits this library. Raised with any change of the settings' format,
/// of the template syntax or of the list of placeholders.
pub const CONTRACT_MARKER: &str = "nodeimg-firstboot-contract=5";
