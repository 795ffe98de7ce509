//! Kernel parameters that Kubernetes' programs set themselves, or want set.

use super::COMPONENTS;
use crate::input::recipe::Artifact;
use crate::input::recipe::file::{RecipeFile, SysctlValue};
use crate::input::recipe::problems::Problems;
use crate::input::recipe::source::Step;

/// What the kubelet wants, and Debian's kernel has without it:
/// <https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/component-helpers/node/util/sysctl/sysctl.go>
const OF_KUBELET: [(&str, i64, i64); 6] = [
    ("kernel.keys.root_maxbytes", 25_000_000, 25_000_000),
    ("kernel.keys.root_maxkeys", 1_000_000, 1_000_000),
    ("kernel.panic", 10, 0),
    ("kernel.panic_on_oops", 1, 0),
    ("vm.overcommit_memory", 1, 0),
    ("vm.panic_on_oom", 0, 0),
];
const CONNTRACK_MAX: &str = "net.netfilter.nf_conntrack_max";

pub fn check(file: &RecipeFile, artifacts: &[Artifact], problems: &mut Problems<'_>) {
    let [kubelet, proxy] = &COMPONENTS;
    if kubelet.version(artifacts).is_some() {
        of_kubelet(file, problems);
    }
    let is_set = |(key, _): &(&String, &SysctlValue)| is(key, CONNTRACK_MAX);
    if proxy.version(artifacts).is_some()
        && let Some((key, _)) = file.sysctl.iter().find(is_set)
    {
        let message = "kube-proxy sets this parameter at each start: set `conntrack` \
                       (`maxPerCore`, `min`) in `kube_proxy.config`";
        problems.warn(&[Step::Key("sysctl"), Step::Key(key)], message);
    }
}

fn of_kubelet(file: &RecipeFile, problems: &mut Problems<'_>) {
    let field = "protectKernelDefaults";
    let config = file
        .kubelet
        .config
        .get(field)
        .and_then(toml::Value::as_bool);
    let only_compares = config == Some(true);
    let mut missing = Vec::new();
    for (name, wanted, default) in OF_KUBELET {
        let given = file.sysctl.iter().find(|(key, _)| is(key, name));
        match given {
            Some((_, value)) if number(value) == Some(wanted) => {}
            None if wanted == default => {}
            None => missing.push(format!("`{name}` = {wanted}")),
            Some((key, _)) => {
                let way = [Step::Key("sysctl"), Step::Key(key)];
                match only_compares {
                    true => problems.add(
                        &way,
                        &format!("the kubelet would not start: `{field}` wants {wanted} here"),
                    ),
                    false => problems.warn(
                        &way,
                        &format!("the kubelet sets this parameter to {wanted} at each start"),
                    ),
                }
            }
        }
    }
    if only_compares && !missing.is_empty() {
        let message = format!(
            "the kubelet would not start: with this it wants kernel parameters set already; add \
             to `[sysctl]`: {}",
            missing.join(", ")
        );
        let way = [Step::Key("kubelet"), Step::Key("config"), Step::Key(field)];
        problems.add(&way, &message);
    }
}

/// sysctl.d(5): a name has dots or slashes between its parts.
fn is(key: &str, name: &str) -> bool {
    key.trim_start_matches('-').replace('/', ".") == name
}

fn number(value: &SysctlValue) -> Option<i64> {
    match value {
        SysctlValue::Number(number) => Some(*number),
        SysctlValue::Text(text) => text.trim().parse().ok(),
    }
}
