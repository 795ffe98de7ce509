//! Packages of Debian's other components than `main`, in an image.

use std::collections::BTreeMap;

use crate::input::bring::Fetched;
use crate::input::recipe::Component;

/// Warnings of packages that may not be free to pass on.
pub fn packages(fetched: &Fetched<'_>) -> Vec<String> {
    let mut by_component: BTreeMap<Component, Vec<&str>> = BTreeMap::new();
    for (pin, _) in &fetched.packages {
        if !pin.component().is_main() {
            let names = by_component.entry(pin.component()).or_default();
            names.push(pin.name.as_str());
        }
    }
    let text = |(component, names): (Component, Vec<&str>)| {
        format!(
            "the image holds packages of Debian's component {component}: {}. Their licences, in \
             /usr/share/doc/PACKAGE/copyright, say who may pass them on",
            names.join(", ")
        )
    };
    by_component.into_iter().map(text).collect()
}
