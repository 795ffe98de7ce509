//! Which servers are asked, and rules that are none.
#![allow(clippy::unwrap_used)]
use super::*;

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

const URL: &str = "https://dl.k8s.io/v1.36.0/kubelet";

fn urls(mirrors: &Mirrors, url: &str) -> Vec<String> {
    mirrors.candidates(url).into_iter().map(|c| c.url).collect()
}

#[test]
fn rules_rewrite_the_beginning() {
    let table: &[(&str, &str)] = &[
        (
            "https://=http://127.0.0.1:8080/",
            "http://127.0.0.1:8080/dl.k8s.io/v1.36.0/kubelet",
        ),
        (
            "https://=http://127.0.0.1:8080",
            "http://127.0.0.1:8080/dl.k8s.io/v1.36.0/kubelet",
        ),
        (
            "https://dl.k8s.io=https://m.example/k8s",
            "https://m.example/k8s/v1.36.0/kubelet",
        ),
        (
            "https://dl.k8s.io/=https://m.example/k8s",
            "https://m.example/k8s/v1.36.0/kubelet",
        ),
        (
            "https://dl.k8s.io=https://m.example/k8s/",
            "https://m.example/k8s/v1.36.0/kubelet",
        ),
        (
            "https://dl.k8s.io/v1.36.0/kubelet=file:///srv/kubelet",
            "file:///srv/kubelet",
        ),
        ("https://dl.k8s.io/v1=https://m.example/", URL),
        ("https://dl.k8s=https://m.example/", URL),
        ("https://example/=https://m.example/", URL),
    ];
    for (rule, wanted) in table {
        let mirrors = Mirrors::new(&strings(&[*rule]), None, &[]).unwrap();
        assert_eq!(urls(&mirrors, URL), [*wanted], "{rule}");
    }
}

#[test]
fn flag_before_environment_before_recipe_and_longest_wins() {
    let all =
        "https://=http://e/,https://dl.k8s.io/=http://long/\n https://dl.k8s.io/=http://second/";
    let recipe = strings(&["https://dl.k8s.io/=https://recipe/"]);
    let flag = ["https://dl.k8s.io/v1.36.0/=https://flag/"];
    let some = |flag: &[&str], env| Mirrors::new(&strings(flag), env, &recipe).unwrap();
    assert_eq!(urls(&some(&flag, Some(all)), URL), ["https://flag/kubelet"]);
    assert_eq!(
        urls(&some(&flag, Some(all)), "https://dl.k8s.io/other"),
        ["http://long/other", "http://second/other"]
    );
    assert_eq!(
        urls(&some(&[], None), "https://dl.k8s.io/x"),
        ["https://recipe/x", "https://dl.k8s.io/x"]
    );
    assert_eq!(
        urls(&some(&[], Some(" ,")), "https://github.com/x"),
        ["https://github.com/x"]
    );
}

#[test]
fn mirrors_of_debians_archives_come_before_every_rule_and_snapshots_last() {
    let archives = BTreeMap::from([(
        "debian".to_owned(),
        strings(&["http://one.example/debian/", "file:///srv/debian"]),
    )]);
    let plain = Mirrors::default().with_archives(archives.clone()).unwrap();
    let url = Mirrors::snapshot("debian", "20260912T075541Z", "pool/main/a/a.deb");
    let firsts = [
        "http://one.example/debian/pool/main/a/a.deb",
        "file:///srv/debian/pool/main/a/a.deb",
    ];
    assert_eq!(urls(&plain, &url), [firsts[0], firsts[1], url.as_str()]);
    let ruled = Mirrors::new(&strings(&["https://=http://all/"]), None, &[]).unwrap();
    let ruled = ruled.with_archives(archives).unwrap();
    let last = "http://all/snapshot.debian.org/archive/debian/20260912T075541Z/pool/main/a/a.deb";
    assert_eq!(urls(&ruled, &url), [firsts[0], firsts[1], last]);
    let other = Mirrors::snapshot("debian-security", "20260912T075541Z", "x");
    assert_eq!(urls(&plain, &other), [other.as_str()]);
    let redirect = Url::parse("http://one.example/elsewhere").unwrap();
    assert!(plain.allow(&redirect));
    assert!(Mirrors::check_archive("one.example/debian").is_err());
}

#[test]
fn bad_rules_are_told() {
    for (rule, wanted) in [
        ("https://dl.k8s.io/", "FROM=TO"),
        ("dl.k8s.io=https://m/", "FROM must begin"),
        ("https://dl.k8s.io/=m.example", "TO: is not a URL"),
        (
            "https://me:s3cret@x/=https://m/",
            "`https://***@x/=...`: FROM holds a login",
        ),
        (
            "https://dl.k8s.io/=ftp://m.example/",
            "https://, http:// or file:///",
        ),
        ("https://dl.k8s.io/=https://m/?x=", "`?`"),
        ("dl.k8s.io=https://me:s3cret@m/", "`dl.k8s.io=...`"),
        ("https://x/=https://s3cret@m/?s3cret", "`?`"),
        (
            "https://x/=ftp://me:s3cret@m/",
            "https://, http:// or file:///",
        ),
        ("https://x/=https://me:s3/cret@m/", "is not a URL"),
        ("https://x/=https://me:s3cret", "is not a URL"),
        ("https://me:s3cret@m/", "FROM=TO"),
    ] {
        let error = Mirrors::new(&strings(&[rule]), None, &[]).unwrap_err();
        assert!(format!("{error:#}").contains(wanted), "{error:#}");
        assert!(format!("{error:#}").starts_with("reading --mirror: "));
        let error = Mirrors::new(&[], Some(rule), &[]).unwrap_err();
        assert!(format!("{error:#}").starts_with("reading NODEIMG_MIRROR: "));
        let archive = Mirrors::check_archive(rule.rsplit('=').next().unwrap_or_default());
        let archive = archive.err().map_or_else(String::new, |e| format!("{e:#}"));
        assert!(
            !format!("{error:#}{archive}").contains("cret"),
            "{error:#} {archive}"
        );
    }
}

#[test]
fn a_redirect_may_go_to_a_plain_mirror_only() {
    let mirrors = Mirrors::new(&strings(&["https://=http://m.example:81/k/"]), None, &[]).unwrap();
    for (url, wanted) in [
        ("http://m.example:81/elsewhere", true),
        ("http://m.example/k/", false),
        ("http://other.example:81/k/", false),
        ("file:///etc/passwd", false),
    ] {
        assert_eq!(mirrors.allow(&Url::parse(url).unwrap()), wanted, "{url}");
    }
}

#[test]
fn an_option_has_one_rule() {
    let rules = strings(&["https://a/=https://m/,https://b/=https://s3cret@n/"]);
    let error = format!("{:#}", Mirrors::new(&rules, None, &[]).unwrap_err());
    assert!(error.contains("several rules"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    // The variable is a list.
    let list = "https://a/=https://m/,https://b/=https://n/";
    assert_eq!(
        Mirrors::new(&[], Some(list), &[])
            .unwrap()
            .environment
            .len(),
        2
    );
}

#[test]
fn folders_are_named_as_in_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = folder.path().join("a b");
    std::fs::create_dir(&mirror).unwrap();
    let whole = folder.path().canonicalize().unwrap();
    let url = format!("file://{}/a%20b/v1.36.0/kubelet", whole.display());
    let path = mirror.display().to_string();
    for to in [
        path.clone(),
        format!("{path}/"),
        format!("{path}/../a b"),
        Mirrors::beside("./a b", folder.path()),
        Mirrors::beside("file:./a b", folder.path()),
        Mirrors::beside("file://./a b", folder.path()),
        Mirrors::beside(&path, Path::new("/elsewhere")),
        format!("file://{}/a%20b", whole.display()),
    ] {
        let rule = format!("https://dl.k8s.io/={to}");
        let mirrors = Mirrors::new(&[rule], None, &[]).unwrap();
        assert_eq!(urls(&mirrors, URL), std::slice::from_ref(&url), "{to}");
        assert!(mirrors.candidates(URL)[0].path().is_some(), "{to}");
        Mirrors::check_archive(&to).unwrap();
    }
    // From where the tests run.
    assert!(Mirrors::place("src").unwrap().ends_with("/builder/src"));
    assert!(Mirrors::place("..").unwrap().starts_with("file:///"));
    assert_eq!(Mirrors::beside("https://x/", folder.path()), "https://x/");
    for (to, why) in [
        ("./no-such", "is the path ./no-such"),
        ("file://no-such", "is the path no-such"),
        ("/no-such", "No such file"),
        ("mirror.example/k8s", "or with ./ if it is a folder"),
        ("ftp://x/", "https://, http:// or file:///"),
    ] {
        let rule = format!("https://dl.k8s.io/={to}");
        let error = format!("{:#}", Mirrors::new(&[rule], None, &[]).unwrap_err());
        assert!(error.contains(why), "{to}: {error}");
    }
}
