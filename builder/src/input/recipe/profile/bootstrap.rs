//! `bootstrap`: the services of `hard-way`; the kubelet asks for its certificate with a
//! token of the seed.

use nodeimg_seed::contract::settings;

use super::{Spec, hard_way};

pub const SPEC: Spec = Spec {
    name: "bootstrap",
    contract: settings::Profile::Bootstrap,
    layers: &["common", "hard-way", "bootstrap"],
    kubelet_has_certificate: false,
    check: |file, problems| hard_way::check("bootstrap", file, problems),
    ..hard_way::SPEC
};
