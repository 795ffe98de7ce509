//! nodeimg: an immutable Kubernetes node image builder.
mod arch;
mod artifact;
mod digest;
mod fetch;
mod format;
mod output;
mod progress;
mod store;
mod tree;
fn main() {}
