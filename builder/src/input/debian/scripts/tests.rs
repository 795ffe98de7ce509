#![allow(clippy::unwrap_used)]
use super::*;

/// debhelper's part of a service's postinst, as in Debian's packages.
const SERVICE: &str = "#!/bin/sh\nset -e\n# Automatically added by dh_installsystemd/13.24.2\n\
    if [ \"$1\" = \"configure\" ]; then\n\tdeb-systemd-helper enable 'x.service'\nfi\n\
    # End automatically added section\nexit 0\n";

fn control(script: &str, text: &str) -> Control {
    Control::from([(script.to_owned(), text.as_bytes().to_vec())])
}

fn refusal(package: &str, script: &str, text: &str, accepted: &[&str]) -> Option<String> {
    let accepted = accepted.iter().map(|text| text.parse().unwrap()).collect();
    let control = control(script, text);
    let error = check([(package, &control)].into_iter(), &accepted).err()?;
    Some(format!("{error:#}"))
}

#[test]
fn an_unknown_script_fails_by_name_until_it_is_accepted() {
    let text = format!("{SERVICE}\nadduser --system \\\n\tsomeone # why\n");
    let error = refusal("tool", "postinst", &text, &[]).unwrap();
    for want in [
        "tool/postinst sha256:",
        "| adduser --system \\",
        "| someone",
        "accept_scripts = [",
    ] {
        assert!(error.contains(want), "{want}: {error}");
    }
    assert!(!error.contains("deb-systemd-helper"), "{error}");
    let key = error
        .lines()
        .find_map(|line| line.trim().strip_prefix('"')?.strip_suffix("\","));
    let key = key.unwrap();
    assert_eq!(refusal("tool", "postinst", &text, &[key]), None);
    // Neither another script, nor another package, nor another text.
    assert!(refusal("tool", "preinst", &text, &[key]).is_some());
    assert!(refusal("tools", "postinst", &text, &[key]).is_some());
    assert!(refusal("tool", "postinst", &(text + "reboot\n"), &[key]).is_some());
}

#[test]
fn debhelpers_own_parts_and_idle_lines_need_no_reading() {
    for (script, text) in [
        ("postinst", SERVICE),
        ("preinst", "#!/bin/sh\n# a comment\nset -e\n\nexit 0\n"),
        (
            "preinst",
            "#!/bin/sh\ndpkg-maintscript-helper rm_conffile /etc/x 1.2~ \\\n\ttool -- \"$@\"\n",
        ),
        (
            "triggers",
            "# Triggers added by dh_makeshlibs/13\nactivate-noawait ldconfig\n",
        ),
        ("triggers", "interest-noawait /usr/share/x\n"),
        // These say nothing about a system that is new.
        ("postrm", "rm -rf /\n"),
        ("prerm", "rm -rf /\n"),
        ("config", "db_input high tool/x\n"),
    ] {
        assert_eq!(refusal("tool", script, text, &[]), None, "{script}: {text}");
    }
}

#[test]
fn what_only_looks_like_debhelpers_is_read() {
    for text in [
        // A tool whose outcome depends on the package.
        SERVICE.replace("dh_installsystemd", "dh_installalternatives"),
        // Nothing ends it.
        SERVICE.replace("# End automatically added section", ""),
        "dpkg-maintscript-helper rm_conffile /etc/x 1 -- \"$@\"; reboot\n".into(),
        "dpkg-maintscript-helper x $(reboot)\n".into(),
        "dpkg-maintscript-helper rm_conffile \\\n/etc/x && reboot\n".into(),
        "\u{7f}ELF".into(),
    ] {
        assert!(refusal("tool", "postinst", &text, &[]).is_some(), "{text}");
    }
    let error = refusal(
        "tool",
        "triggers",
        "activate-noawait update-ca-certificates\n",
        &[],
    );
    assert!(error.unwrap().contains("tool/triggers"));
}

#[test]
fn a_kernels_release_is_not_what_makes_its_script_new() {
    let digest = |release: &str| {
        let text = format!("version={release}\ndepmod $version\n");
        let package = format!("linux-image-{release}");
        let error = refusal(&package, "postinst", &text, &[]).unwrap();
        let at = error.find("linux-image/postinst sha256:").unwrap();
        error[at..at + 92].to_owned()
    };
    assert_eq!(digest("6.12.1-amd64"), digest("6.12.107+deb13-cloud-arm64"));
    let text = "version=7.3.4+deb13-amd64\ndepmod \"$version\"\n";
    let error = refusal("linux-modules-7.3.4+deb13-amd64", "preinst", text, &[]).unwrap();
    assert!(error.contains("linux-modules/preinst"), "{error}");
    // The package that depends on the kernel has none.
    let error = refusal("linux-image-amd64", "postinst", "depmod\n", &[]).unwrap();
    assert!(error.contains("linux-image-amd64/postinst"), "{error}");
}

#[test]
fn only_lines_that_are_new_are_shown_where_the_old_ones_are_at_hand() {
    let none = BTreeSet::new();
    let mut unread = Unread::new(&none).unwrap();
    let older = || Some(control("postinst", "one\ntwo\n"));
    unread.look_at("a", &control("postinst", "one\nthree\n"), older);
    unread.look_at("b", &control("postinst", "two\none\n"), older);
    let long: String = (0..60).map(|i| format!("line {i}\n")).collect();
    unread.look_at("c", &control("postinst", &long), || None);
    let error = unread.refuse().unwrap_err().to_string();
    assert!(
        error.contains("| three") && !error.contains("| one"),
        "{error}"
    );
    assert!(error.contains("in another order"), "{error}");
    assert!(
        error.contains("| line 39\n    ... and 20 more: `dpkg-deb -I FILE.deb postinst`"),
        "{error}"
    );
}

#[test]
fn the_table_is_whole_and_in_order() {
    let lines: Vec<&str> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert!(lines.len() > 50);
    assert!(lines.is_sorted(), "sort the lines of the table");
    for key in known().unwrap() {
        let parsed: AcceptedScript = key.parse().unwrap();
        assert_eq!(parsed.to_string(), key);
    }
}
