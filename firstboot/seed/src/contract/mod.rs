//! Values that must mean the same to several programs.
//!
//! ```text
//!  builder and first boot      paths, profile, registries, runtime, settings,
//!                              initrd_plan, CONTRACT_MARKER
//!  one boot and the next       stamp, overwritten, update
//!  first boot and who asks it  report
//! ```

pub mod initrd_plan;
mod named;
pub mod overwritten;
pub mod paths;
pub mod profile;
pub mod registries;
pub mod report;
pub mod runtime;
pub mod settings;
pub mod stamp;
pub mod update;

/// Bytes in the binary by which the builder checks that the binary matches this
/// library. Raised with any change of the settings' format, of the template syntax or
/// of the list of placeholders.
pub const CONTRACT_MARKER: &str = "nodeimg-firstboot-contract=7";
