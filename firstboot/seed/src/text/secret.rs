//! Text and bytes that must not leak: private keys, kubeconfigs, seed files.
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

/// The same for data that need not be text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(Vec<u8>);

impl SecretBytes {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// These bytes and then others.
    #[must_use]
    pub fn followed_by(&self, more: &[u8]) -> Self {
        Self::joined([self.expose(), more].into_iter())
    }

    /// All of these, one after the other, in memory of the right size: growing in place could
    /// leave a copy behind.
    pub fn joined<'b>(pieces: impl Iterator<Item = &'b [u8]> + Clone) -> Self {
        let mut all = Vec::with_capacity(pieces.clone().map(<[u8]>::len).sum());
        pieces.for_each(|piece| all.extend_from_slice(piece));
        Self(all)
    }
}

impl From<Secret> for SecretBytes {
    fn from(text: Secret) -> Self {
        Self(text.0.as_bytes().to_vec())
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
