//! OpenPGP signatures of upstreams.
