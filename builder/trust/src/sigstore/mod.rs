//! Sigstore's proofs: the one place that knows `sigstore-verify`.

mod build;
mod bundle;
pub(crate) mod crypto;
mod image;
mod parts;
mod release;
mod root;
mod statement;

pub(crate) use build::build;
pub(crate) use bundle::{Fault, Over, Signed, attestation, blob, payload};
pub(crate) use image::image;
pub(crate) use parts::{from_bundle, from_cosign_layer, from_rekor, rekor_query};
pub(crate) use release::release;
pub(crate) use root::Root;
