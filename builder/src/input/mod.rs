//! What goes into an image: what is asked for, which bytes that is, and the bytes.
//!
//! ```text
//! recipe     what the author asks for
//! lock       which bytes that is
//! debian     from package names to packages, by Debian's signed indexes
//! artifact   what of an archive, a package or a container image goes where
//! fetch      from a URL and a digest to a verified blob in the store
//! ```

pub mod artifact;
pub mod debian;
pub mod fetch;
pub mod lock;
pub mod recipe;
