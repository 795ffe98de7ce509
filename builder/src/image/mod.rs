//! What an image is made into: from a recipe's inputs to a tree that is ready to be
//! written.
//!
//! ```text
//! rootfs      the one ordered list of steps, from the inputs to the tree
//! lint        what must hold of a finished tree
//! consistency what one part of the tree says of another: modules, programs, units, secrets
//! firstboot   the first-boot program, and what it is told
//! absent      what seeds may count on and the image lacks
//! brought     the recipe's own overlays and files, read once
//! told        what programs of the image would refuse of a seed
//! kubeadm     what kubeadm and what it sets up would refuse of a seed
//! layers      overlays: nodeimg's own and the recipe's, with first boot's templates
//! accepted    what scripts accepted by hand would make and the tree lacks
//! base        the base system: Debian's packages, set up without their scripts
//! boot        kernel, initrd, command line, mounts
//! config      files that are generated from the recipe
//! modules     the kernel's modules and their index
//! not_free    packages that may not be free to pass on
//! libraries   what programs ask their loader for
//! units       units of systemd, enabled and masked
//! ```

pub mod absent;
mod accepted;
pub mod base;
pub mod boot;
pub mod brought;
pub mod config;
pub mod consistency;
pub mod firstboot;
pub mod kubeadm;
pub mod layers;
pub mod libraries;
pub mod lint;
pub mod modules;
mod not_free;
pub mod rootfs;
pub mod told;
pub mod units;
