//! Packages that Debian has for another architecture only.
use super::*;

/// By the word of the other architecture's index.
#[test]
fn what_debian_has_for_another_architecture_only_is_told() {
    let mirror = Mirror::new();
    mirror.of_arch(
        "debian",
        "trixie",
        Arch::Amd64,
        &format!(
            "{PACKAGES}\nPackage: microcode\nVersion: 1\nArchitecture: amd64\n\
             Filename: pool/main/m/microcode.deb\nSize: 1\nSHA256: HASH\n"
        ),
    );
    let asked = |more: &str| {
        let text = format!("[base]\nsuite = \"trixie\"\nprovided = [\"perl\"]\n{more}");
        let base = recipe(&text).base.unwrap();
        resolve_base(&mirror, base, mirror.key.keyring(), &[])
    };
    let error = asked("packages = [\"tool\", \"microcode\"]\n").unwrap_err();
    let error = format!("{error:#}");
    for part in [
        "resolving the base system for arm64",
        "the suite trixie has `microcode` for amd64 only",
        "`Architecture` there: amd64",
        "`amd64 = [\"microcode\"]`",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let arch = "packages = [\"tool\"]\n[base.arch_packages]\namd64 = [\"microcode\"]\n";
    let packages = asked(arch).unwrap().packages.packages;
    let of: Vec<_> = packages
        .iter()
        .filter(|p| p.name.as_str() == "microcode")
        .collect();
    assert_eq!((of.len(), of[0].arch), (1, Arch::Amd64));
    // What no architecture has is still a name that Debian does not know.
    let error = asked("packages = [\"microcod\"]\n").unwrap_err();
    assert!(
        format!("{error:#}").contains("did you mean `microcode`"),
        "{error:#}"
    );
}
