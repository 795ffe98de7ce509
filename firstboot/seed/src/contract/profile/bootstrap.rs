//! `bootstrap`: the services of `hard-way`; the kubelet requests its certificate with a
//! token of the seed.

use super::{Join, Profile, hard_way};

pub const PROFILE: Profile = Profile {
    name: "bootstrap",
    summary: "The same services; instead of a certificate, the seed has a bootstrap token,\n\
              with which the kubelet requests its own.",
    joins: Join::Token,
    layers: &["common", "hard-way", "bootstrap"],
    ..hard_way::PROFILE
};
