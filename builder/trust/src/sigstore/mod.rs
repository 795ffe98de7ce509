//! Sigstore's proofs.
