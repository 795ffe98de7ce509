//! Archives
use super::Spec;
use crate::store::{Store, VerifiedBlob};
use crate::tree::{ImagePath, Node};
use anyhow::{Result, bail};
use std::sync::Arc;
pub fn unpack(
    _store: &Store,
    _blob: Arc<VerifiedBlob>,
    _spec: &Spec<'_>,
) -> Result<Vec<(ImagePath, Node)>> {
    bail!("interface only")
}
