//! Labels of the node: a kubelet that is told to give its node one of another's does not
//! start.

use nodeimg_seed::check::kubelet_may_set;

use crate::input::recipe::file::RecipeFile;
use crate::input::recipe::problems::Problems;
use crate::input::recipe::services::{is_label_key, is_label_value};
use crate::input::recipe::source::Step;

const NOT_ITS_OWN: &str = "is a label that a kubelet may not give its own node: it would not \
                           start. Set it from the control plane: `kubectl label node`";

/// The table `kubelet.labels`, whose syntax is judged elsewhere.
pub fn check(file: &RecipeFile, problems: &mut Problems<'_>) {
    for (key, value) in &file.kubelet.labels {
        if is_label_key(key) && is_label_value(value) && !kubelet_may_set(key) {
            let way = [Step::Key("kubelet"), Step::Key("labels"), Step::Key(key)];
            problems.add(&way, &format!("`{key}` {NOT_ITS_OWN}"));
        }
    }
}

/// The value of the kubelet's flag `--node-labels`.
pub fn of_flag(value: &str) -> Option<String> {
    let mut pairs = value.split(',').filter(|pair| !pair.is_empty());
    pairs.find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if !is_label_key(key) || !is_label_value(value) {
            return Some(format!(
                "the kubelet would not start: `{pair}` is not a label: `prefix/name=value`, the \
                 name and value at most 63 letters, digits, `-`, `_` and `.`"
            ));
        }
        (!kubelet_may_set(key)).then(|| format!("`{key}` {NOT_ITS_OWN}"))
    })
}
