//! The content of a seed, value by value, each with its line.
//!
//! ```text
//!  budget        what all of it may come to, decoded
//!  seed          the files, as a data source found them
//!  near          what is nearly a seed, or nearly a part of one
//!  meta_data     who this instance is
//!  user_data     the parts of user-data: MIME, archives, templates
//!  cloud_config  the keys of `#cloud-config`
//!  node_config   the keys of its `nodeimg:` block
//!  network       network-config, version 1 and 2, and OpenStack's
//! ```

pub mod budget;
pub mod cloud_config;
pub mod meta_data;
pub mod near;
pub mod network;
pub mod node_config;
pub mod seed;
pub mod user_data;
