//! Text that must not leak: private keys, kubeconfigs, seed files.
//!
//! # Invariants
//! - No `Debug`, no `Display`, no `Serialize`: the text is reachable only by
//!   [`Secret::expose`], which is easy to look for.
//! - The memory is cleared on drop.
//!
//! Not covered: copies that the YAML scanner makes of its current token.
use zeroize::Zeroize;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
