//! What the tests of several packages share. Nothing that is shipped uses it.
//!
//! | for | modules |
//! |---|---|
//! | programs | `run` starts them, `place` says where they are, `judge` is for other people's that have the last word |
//! | input made in code | `archive`, `ar`, `layout` (container images), `mutate`, `seeds`, `worker`, `media` |
//! | servers | `faulty_server` has every fault, `registry_server` serves container images, `push_registry` takes them, with every fault, `tls_server` is not trusted unless a client is told to, and speaks for others; `http_server` is below the first two |
//! | signatures | `sigstore` is a whole one of the tests' own |
//! | devices | `loop_device`, for what needs a whole block device |
//! | images | `synthetic` is a whole node of tiny programs, `real` one of real programs, `debian` the base system from a real mirror |
//! | what was built | `image`, `disk`; `published` is a small one, signed, to be verified; `publisher` signs versions for nodes that update themselves; `golden` has pinned digests, `elsewhere` is another user, umask and processor |
//! | a boot | `guest` boots what was built, `facts` is what it says of itself, `slots` how many run at once |
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod ar;
pub mod archive;
pub mod debian;
pub mod disk;
pub mod elsewhere;
pub mod facts;
pub mod faulty_server;
pub mod golden;
pub mod guest;
pub mod http_server;
pub mod image;
pub mod judge;
pub mod keys;
pub mod layout;
pub mod loop_device;
pub mod media;
pub mod mutate;
pub mod place;
pub mod published;
pub mod publisher;
pub mod push_registry;
pub mod real;
pub mod registry_server;
pub mod run;
pub mod seeds;
pub mod sigstore;
pub mod slots;
pub mod synthetic;
pub mod tls_server;
pub mod tuf;
pub mod worker;
