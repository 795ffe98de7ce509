#![allow(clippy::unwrap_used)]
use super::*;
use crate::input::debian::catalog::Packages;
use crate::input::recipe::Component;

/// Packages as lines `name version; Field: value; ...`.
fn solved(packages: &[&str], recipe: &str) -> Result<(String, String)> {
    let text = packages.iter().map(|line| {
        let mut parts = line.split("; ");
        let (name, version) = parts.next().unwrap().split_once(' ').unwrap();
        let rest: String = parts.map(|field| format!("{field}\n")).collect();
        format!("Package: {name}\nVersion: {version}\n{rest}\n")
    });
    let indexes = [Packages {
        suite: "trixie".parse().unwrap(),
        component: Component::Main,
        whose: Whose::Base,
        text: text.collect(),
    }];
    let catalog = Catalog::new(&indexes, &BTreeMap::new())?;
    let table: toml::Table = recipe.parse().unwrap();
    let set = |key: &str| -> BTreeSet<PackageName> {
        let list = table.get(key).and_then(|v| v.as_array());
        let items = list.into_iter().flatten();
        items
            .map(|v| v.as_str().unwrap().parse().unwrap())
            .collect()
    };
    let choices = table.get("choices").and_then(|v| v.as_table());
    let choices = choices.into_iter().flatten();
    let choices = choices
        .map(|(k, v)| (k.parse().unwrap(), v.as_str().unwrap().parse().unwrap()))
        .collect();
    let solution = solve(
        &catalog,
        Wanted {
            roots: &set("packages"),
            provided: &set("provided"),
            exclude: &set("exclude"),
            choices: &choices,
            read: "main",
        },
    )?;
    let names: Vec<_> = solution.packages.iter().map(|p| p.name).collect();
    let dropped: Vec<_> = solution
        .dropped
        .iter()
        .map(|(name, by)| {
            format!(
                "{name}<{}",
                by.iter().copied().collect::<Vec<_>>().join("+")
            )
        })
        .collect();
    Ok((names.join(" "), dropped.join(" ")))
}

#[test]
#[allow(clippy::too_many_lines)] // One table.
fn closures() {
    let table: &[(&str, &[&str], &str, &str, &str)] = &[
        (
            "chains, and nothing recommended",
            &[
                "a 1; Depends: b; Recommends: z",
                "b 1; Pre-Depends: c (>= 1)",
                "c 1",
                "z 1",
            ],
            "packages = ['a']",
            "a b c",
            "",
        ),
        (
            "the first alternative that is available",
            &["a 1; Depends: x | b (>= 2) | c | d", "b 1", "c 1", "d 1"],
            "packages = ['a']",
            "a c",
            "",
        ),
        (
            "what is there already wins over the first",
            &["a 1; Depends: b | c", "b 1", "c 1"],
            "packages = ['a', 'c']",
            "a c",
            "",
        ),
        (
            "an older one that is there does not",
            &["a 1; Depends: b | c (>= 2)", "b 1", "c 1"],
            "packages = ['a', 'c']",
            "a b c",
            "",
        ),
        (
            "a virtual package's best provider, and the version that it provides",
            &[
                "a 1; Depends: v (>= 2)",
                "p 1; Provides: v; Priority: required",
                "q 1; Provides: v (= 2); Priority: optional",
                "r 1; Provides: v (= 3); Priority: important",
            ],
            "packages = ['a']",
            "a r",
            "",
        ),
        (
            "the recipe chooses",
            &[
                "a 1; Depends: dv | v",
                "p 1; Provides: dv, v",
                "q 1; Provides: v",
            ],
            "packages = ['a']\nchoices = { v = 'q' }",
            "a q",
            "",
        ),
        (
            "provided names content, excluded ones are dropped with their dependants named",
            &[
                "a 1; Depends: perl:any, m (>= 9), debconf (>= 0.5) | debconf-2.0, tool",
                "m 1",
                "perl 5",
                "debconf 1; Provides: debconf-2.0",
                "i 1; Provides: tool",
                "b 1; Depends: debconf-2.0",
            ],
            "packages = ['a', 'b']\nprovided = ['perl', 'm']\nexclude = ['debconf', 'i']",
            "a b",
            "debconf<a debconf-2.0<b tool<a",
        ),
        (
            "an alternative to an excluded one is taken where it comes first",
            &[
                "a 1; Depends: b | c",
                "d 1; Depends: c | e",
                "b 1",
                "c 1",
                "e 1",
            ],
            "packages = ['a', 'd']\nexclude = ['c']",
            "a b d",
            "c<d",
        ),
        (
            "circles end; a package may conflict with what it provides",
            &[
                "a 1; Depends: b; Provides: v; Conflicts: v",
                "b 1; Depends: a; Breaks: a (<< 1)",
            ],
            "packages = ['a']",
            "a b",
            "",
        ),
    ];
    for (what, packages, recipe, names, dropped) in table {
        let got = solved(packages, recipe).unwrap();
        assert_eq!(
            (got.0.as_str(), got.1.as_str()),
            (*names, *dropped),
            "{what}"
        );
    }
}

#[test]
fn what_cannot_be_is_told_with_its_chain() {
    let table: &[(&[&str], &str, &[&str])] = &[
        (
            &["socat 1"],
            "packages = ['socta']",
            &["`socta`", "did you mean `socat`?"],
        ),
        (
            &["p 1; Provides: v"],
            "packages = ['v']",
            &["virtual package", "one of p"],
        ),
        (
            &["a 1; Depends: b", "b 1; Depends: c (>= 2) | d", "c 1"],
            "packages = ['a']",
            &["a > b needs c (>= 2) | d", "has c 1", "no d"],
        ),
        (
            &["a 1; Depends: v", "p 1; Provides: v", "q 1; Provides: v"],
            "packages = ['a']",
            &["a needs `v`", "(p, q)", "base.choices"],
        ),
        (
            &["a 1; Depends: b", "b 1; Conflicts: c (<< 2)", "c 1"],
            "packages = ['a', 'c']",
            &["a > b conflicts with c (<< 2): c"],
        ),
        (
            &["a 1; Breaks: v", "p 1; Provides: v"],
            "packages = ['a', 'p']",
            &["a breaks v: p"],
        ),
        (
            &["a 1; Depends: v", "p 1; Provides: v", "q 1"],
            "packages = ['a']\nchoices = { v = 'q' }",
            &["base.choices: `q` is neither `v`"],
        ),
        (
            &["a 1; Depends: b ("],
            "packages = ['a']",
            &["`Depends` of a 1"],
        ),
    ];
    for (packages, recipe, wants) in table {
        let error = format!("{:#}", solved(packages, recipe).unwrap_err());
        for want in *wants {
            assert!(
                error.contains(want),
                "{recipe} should say {want:?}: {error}"
            );
        }
    }
}

/// Of a base suite and one beside it, of which only `kernel` is wanted.
fn pinned(base: &str, beside: &str, more: &str) -> Result<String> {
    let index = |suite: &str, whose: Whose, text: &str| Packages {
        suite: suite.parse().unwrap(),
        component: Component::Main,
        whose,
        text: text.replace("; ", "\n").replace(" | ", "\n\n"),
    };
    let indexes = [
        index("trixie", Whose::Base, base),
        index("trixie-backports", Whose::Beside, beside),
    ];
    let pins = BTreeMap::from([(
        "kernel".parse().unwrap(),
        "trixie-backports".parse().unwrap(),
    )]);
    let catalog = Catalog::new(&indexes, &pins)?;
    let roots = std::iter::once("kernel").chain(more.split_whitespace());
    let solution = solve(
        &catalog,
        Wanted {
            roots: &roots.map(|name| name.parse().unwrap()).collect(),
            provided: &BTreeSet::new(),
            exclude: &BTreeSet::new(),
            choices: &BTreeMap::new(),
            read: "main",
        },
    )?;
    let names = solution.packages.iter();
    let names: Vec<_> = names.map(|p| format!("{} {}", p.name, p.version)).collect();
    Ok(names.join(", "))
}

#[test]
fn a_pinned_package_brings_what_only_its_suite_has() {
    let base = "Package: kernel; Version: 6 | Package: libc; Version: 2 | Package: tools; Version: 6 | Package: old; Version: 1; Depends: tools (= 6)";
    let beside = "Package: kernel; Version: 7; Depends: modules (= 7), tools (>= 7), libc | \
        Package: modules; Version: 7; Depends: only-here | Package: only-here; Version: 7 | \
        Package: libc; Version: 3 | Package: tools; Version: 7";
    assert_eq!(
        pinned(base, beside, "").unwrap(),
        "kernel 7, libc 2, modules 7, only-here 7, tools 7"
    );
    // What nothing pinned needs does not come from there.
    let error = pinned(base, beside, "only-here").unwrap_err().to_string();
    assert!(error.contains("no package `only-here`"), "{error}");
    // Whatever is there already may have to make way, and then everyone has to agree.
    assert!(pinned(base, beside, "tools").unwrap().contains("tools 7"));
    let error = pinned(base, beside, "old").unwrap_err().to_string();
    assert!(error.contains("old needs tools (= 6)"), "{error}");
}
