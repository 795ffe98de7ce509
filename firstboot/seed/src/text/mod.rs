//! What seeds, templates and messages are written in. Nothing here knows what a
//! node is.

pub mod field;
pub mod jinja;
pub mod kubeconfig;
pub mod merge;
pub mod pattern;
pub mod pem;
pub mod problem;
pub mod secret;
pub mod ssh;
pub mod sudo;
pub mod suggest;
pub mod template;
pub mod x509;
pub mod yaml;
