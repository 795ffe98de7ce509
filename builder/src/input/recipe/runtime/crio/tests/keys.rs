//! The list of CRI-O's keys.
#![allow(clippy::unwrap_used)]
use super::super::check::KEYS;
use crate::input::recipe::runtime::keys::tests::every_line_is_a_key;

#[test]
fn every_line_of_the_list_is_a_key() {
    every_line_is_a_key(KEYS);
}

#[test]
fn what_crio_would_ignore_or_stop_at_is_found() {
    for (text, minor, way, want) in [
        ("log_dirr = 'a'", 36, "log_dirr", "did you mean `log_dir`?"),
        (
            "runtime.pids_limit = '5'",
            36,
            "runtime.pids_limit",
            "is a whole number",
        ),
        (
            "runtime.hooks_dir = [1]",
            36,
            "runtime.hooks_dir",
            "is a list of strings",
        ),
        ("runtime.runtimes = 1", 36, "runtime.runtimes", "is a table"),
        (
            "runtimes.crun.runtime_path = 'a'",
            36,
            "runtimes",
            "no such key",
        ),
        (
            "runtime.runtimes.mine.runtime_pat = 'a'",
            36,
            "runtime.runtimes.mine.runtime_pat",
            "did you mean `runtime_path`?",
        ),
        (
            "api.tls_min_version = 'a'",
            34,
            "api.tls_min_version",
            "CRI-O 1.35 to 1.37",
        ),
        (
            "nri.enable_nri = 1",
            37,
            "nri.enable_nri",
            "`true` or `false`",
        ),
    ] {
        let found = KEYS.bad_of(&text.parse().unwrap(), minor);
        let [bad] = &found[..] else {
            panic!("{text}: {found:?}");
        };
        assert_eq!(bad.way.join("."), way);
        assert!(bad.message.contains(want), "{bad:?} should say {want:?}");
    }
}

#[test]
fn what_crio_takes_is_good() {
    let text = "log_dir = 'a'\n[api]\ntls_min_version = 'a'\n[network]\ncni_status_grace_period = '10s'\n\
                [runtime]\npids_limit = -1\ndefault_sysctls = ['a=b']\n[runtime.runtimes.mine]\n\
                runtime_path = '/a'\ndefault_annotations = { a = 'b' }\n\
                [runtime.workloads.w]\nactivation_annotation = 'a'\n\
                [runtime.workloads.w.resources]\ncpushares = 5\n\
                [nri.default_validator]\nnri_enable_default_validator = true\n";
    assert_eq!(KEYS.bad_of(&text.parse().unwrap(), 36), []);
}
