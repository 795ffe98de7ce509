#![allow(clippy::unwrap_used)]
use super::*;

/// `user:password` for `url`, of a `~/.netrc` and apt's files by their names.
fn found(own: &str, apt: &[(&str, &str)], url: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("auth.conf.d")).unwrap();
    fs::write(dir.path().join("netrc"), own).unwrap();
    for (name, text) in apt {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let mut netrc = Netrc::default();
    netrc.read(&dir.path().join("netrc"), Kind::Own);
    netrc.read_apt(dir.path());
    let login = netrc.of(&Url::parse(url).unwrap())?;
    Some(login.pair().to_owned())
}

#[test]
fn netrc_is_read_as_curl_reads_it() {
    let own = "# machine a.b login not this\nmachine a.b login one password #1\n\
               machine A.B\n\tlogin two password 2\n\
               machine c.d password \"x \\\"y\" login 'z\n\
               macdef init\nmachine e.f login macro password 3\n\nmachine e.f account x login e password f # end\n\
               machine g.h:81 login port password 81\nmachine ::1 login v6 password 6\nmachine no.pw login user\n\
               machine nothing.example\ndefault login any password 0\n";
    for (url, wanted) in [
        ("https://a.b/x", Some("one:#1")),
        ("http://A.B:8080/x", Some("one:#1")),
        ("https://c.d/", Some("'z:x \"y")),
        ("https://e.f/", Some("e:f")),
        ("http://g.h:81/", Some("port:81")),
        ("http://g.h/", None),
        ("http://[::1]:5/", Some("v6:6")),
        ("https://no.pw/", Some("user:")),
        ("https://nothing.example/", None),
        ("https://a.b.evil.example/", None),
        ("https://evil.example/a.b", None),
    ] {
        assert_eq!(found(own, &[], url).as_deref(), wanted, "{url}");
    }
}

#[test]
fn apts_entries_are_for_https_and_below_their_path() {
    let apt = [
        ("auth.conf", "machine m.example/debian login a password 1"),
        (
            "auth.conf.d/20.conf",
            "machine m.example login late password 4",
        ),
        (
            "auth.conf.d/10.conf",
            "machine http://m.example:8080 login plain password 2\ndefault login d password 5",
        ),
        (
            "auth.conf.d/05.conf.dpkg-old",
            "machine m.example login old password 3",
        ),
    ];
    for (url, wanted) in [
        ("https://m.example/debian/dists", Some("a:1")),
        ("https://m.example/other", Some("late:4")),
        ("http://m.example/debian", None),
        ("http://m.example:8080/debian", Some("plain:2")),
        ("https://x.example/", None),
    ] {
        assert_eq!(found("", &apt, url).as_deref(), wanted, "{url}");
    }
    let own = "machine m.example login own password 9";
    assert_eq!(
        found(own, &apt, "https://m.example/debian").as_deref(),
        Some("own:9")
    );
}

#[test]
fn an_entry_that_is_kept_for_https_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let text = "machine m.example/debian login me password pw\n\
                machine http://n.example login me password pw\n";
    std::fs::write(dir.path().join("auth.conf"), text).unwrap();
    let mut netrc = Netrc::default();
    netrc.read_apt(dir.path());
    for (url, wanted) in [
        ("http://m.example/debian/x", true),
        ("https://m.example/debian/x", false),
        ("http://m.example/other", false),
        ("http://n.example/x", false),
    ] {
        let kept = netrc.kept_for_https(&Url::parse(url).unwrap());
        assert_eq!(
            kept.is_some_and(|file| file.ends_with("/auth.conf")),
            wanted,
            "{url}"
        );
    }
}

#[test]
fn a_file_that_is_named_has_to_exist() {
    let mut netrc = Netrc::default();
    netrc.read(Path::new("/nonexistent/own"), Kind::Own);
    netrc.read_apt(Path::new("/nonexistent"));
    assert!(netrc.unread().is_empty());
    netrc.read(Path::new("/nonexistent/named"), Kind::Named);
    assert!(netrc.unread()[0].starts_with("/nonexistent/named: "));
}

#[test]
fn a_url_gives_its_login_away() {
    for (url, wanted) in [
        ("https://me:p%40w@h/x", Some("me:p@w")),
        ("https://token@h/x", Some("token:")),
        ("https://:pw%zz@h/x", Some(":pw%zz")),
        ("https://h/x", None),
    ] {
        let mut url = Url::parse(url).unwrap();
        let login = Login::take(&mut url);
        assert_eq!(login.as_ref().map(Login::pair), wanted);
        assert_eq!(url.as_str(), "https://h/x");
        assert!(!format!("{login:?}").contains("pw"));
    }
}
