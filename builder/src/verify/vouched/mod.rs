//! What somebody vouches for: only steps 2 and 3, which are in this room, and what the user
//! gave can make a [`Vouched`], so no step reads a value from what it verifies before that.
//!
//! ```text
//! signature  step 2: who signed the sums and the statement
//! tried      every signature that there may be, until one is good
//! files      step 3: each file, by the sums
//! ```

pub mod files;
pub mod signature;
mod tried;

use std::ops::Deref;

use anyhow::Result;
use nodeimg_signing::authenticode;
use nodeimg_signing::certificate::Certificate;

/// A value that an earlier step, or the user, vouches for.
///
/// With `--integrity-only` nobody does; then it is what the unsigned sums name, and
/// the verdict of step 2 says so.
#[derive(Clone, Debug)]
pub struct Vouched<T>(T);

impl<T> Vouched<T> {
    /// What the user gave on the command line.
    pub fn given(value: T) -> Vouched<T> {
        Vouched(value)
    }

    /// What is read from it is vouched for as it is.
    pub fn read<U>(&self, read: impl FnOnce(&T) -> Result<U>) -> Result<Vouched<U>> {
        read(&self.0).map(Vouched)
    }
}

impl Vouched<Vec<u8>> {
    /// An EFI program, by the first of these certificates that signed it, which is the second
    /// result.
    ///
    /// # Errors
    /// None of them did; what the last says of it.
    pub fn program(
        bytes: Vec<u8>,
        certificates: &[Certificate],
    ) -> Result<(Vouched<Vec<u8>>, &Certificate)> {
        let mut refused = anyhow::anyhow!("no certificate was given");
        for certificate in certificates {
            match authenticode::verify(&bytes, certificate) {
                Ok(()) => return Ok((Vouched(bytes), certificate)),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }
}

impl<T> Deref for Vouched<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
