#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use include_dir::{DirEntry, File};

use super::*;
use crate::tree::Kind;

/// A directory with these files; a name with a slash at the end is a directory.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match name.ends_with('/') {
            true => fs::create_dir_all(path).unwrap(),
            false => fs::write(path, text).unwrap(),
        }
    }
    dir
}

fn lines(overlay: &Overlay) -> Vec<String> {
    let root = overlay.root.iter().map(|(path, node)| {
        let what = match &node.kind {
            Kind::Directory => "dir".to_owned(),
            Kind::File(content) => format!("file {}", content.len()),
            Kind::Symlink(target) => format!("-> {target}"),
        };
        format!("{path} {:04o} {what} from {}", node.stat.mode, node.origin)
    });
    let templates = overlay
        .templates
        .iter()
        .map(|(path, text)| format!("{path} {text:?}"));
    root.chain(templates).collect()
}

fn refusal(source: Source<'_>) -> String {
    format!("{:#}", load(source, "mine").unwrap_err())
}

const FILES: [(&str, &str); 10] = [
    ("README.md", "for the reader"),
    ("root/bin/tool", "x"),
    ("root/etc/hosts", "127.0.0.1 localhost\n"),
    ("root/etc/ssh/ssh_host_ed25519_key", "secret"),
    ("root/etc/sudoers.d/ops", "x"),
    ("root/root/.ssh/authorized_keys", "x"),
    ("root/srv/run.py", "#!/usr/bin/python3\n"),
    ("root/var/lib/kubernetes/.keep", ""),
    ("templates/etc/cni/net.d/10-bridge.conf", "{{ x }}"),
    ("templates/empty/.keep", ""),
];

const WANT: [&str; 11] = [
    "/etc/hosts 0644 file 20 from overlay `mine`",
    "/etc/ssh/ssh_host_ed25519_key 0600 file 6 from overlay `mine`",
    "/etc/sudoers.d 0700 dir from overlay `mine`",
    "/etc/sudoers.d/ops 0440 file 1 from overlay `mine`",
    "/root 0700 dir from overlay `mine`",
    "/root/.ssh 0700 dir from overlay `mine`",
    "/root/.ssh/authorized_keys 0600 file 1 from overlay `mine`",
    "/srv/run.py 0755 file 19 from overlay `mine`",
    "/usr/bin/tool 0755 file 1 from overlay `mine`",
    "/var/lib/kubernetes 0755 dir from overlay `mine`",
    "/etc/cni/net.d/10-bridge.conf \"{{ x }}\"",
];

#[test]
fn modes_come_from_the_table_and_order_from_the_paths() {
    let dir = directory(&FILES);
    // What a careless checkout would do to the modes.
    for (name, _) in FILES {
        let mode = fs::Permissions::from_mode(0o777);
        fs::set_permissions(dir.path().join(name), mode).unwrap();
    }
    assert_eq!(
        lines(&load(Source::Disk(dir.path()), "mine").unwrap()),
        WANT
    );
}

/// The same tree as `include_dir!` makes it of `FILES`, but in an odd order.
fn embed(files: &[(&'static str, &'static str)], at: &str) -> Vec<DirEntry<'static>> {
    let leak = |text: String| &*Box::leak(text.into_boxed_str());
    let mut entries: Vec<DirEntry<'static>> = Vec::new();
    let mut seen: Vec<String> = Vec::new();
    for (name, text) in files.iter().rev() {
        let Some(rest) = name.strip_prefix(at) else {
            continue;
        };
        match rest.split_once('/') {
            None => entries.push(DirEntry::File(File::new(name, text.as_bytes()))),
            Some((first, _)) if !seen.iter().any(|s| s == first) => {
                seen.push(first.to_owned());
                let inside = embed(files, &format!("{at}{first}/"));
                let path = leak(format!("{at}{first}"));
                entries.push(DirEntry::Dir(Dir::new(
                    path,
                    Box::leak(inside.into_boxed_slice()),
                )));
            }
            Some(_) => {}
        }
    }
    entries
}

#[test]
fn an_embedded_overlay_reads_like_the_directory() {
    let embedded = Dir::new("", Box::leak(embed(&FILES, "").into_boxed_slice()));
    assert_eq!(
        lines(&load(Source::Embedded(&embedded), "mine").unwrap()),
        WANT
    );
    // A part of what is embedded: its paths begin further down.
    let below: Vec<(&'static str, &'static str)> = vec![("overlays/a/root/etc/x", "1")];
    let all = Dir::new("", Box::leak(embed(&below, "").into_boxed_slice()));
    let part = all.get_dir("overlays/a").unwrap();
    let overlay = load(Source::Embedded(part), "a").unwrap();
    assert_eq!(lines(&overlay), ["/etc/x 0644 file 1 from overlay `a`"]);
}

#[test]
fn every_unwanted_thing_is_named_with_its_overlay() {
    for (name, text, want) in [
        ("root/etc/x~", "", "left there"),
        ("root/etc/.x.swp", "", "left there"),
        ("root/etc/#x#", "", "left there"),
        ("root/.DS_Store", "", "left there"),
        ("root/.gitignore", "", "left there"),
        ("templates/.git/config", "", "left there"),
        ("root/var/.gitkeep", "", "call it `.keep`"),
        ("root/var/.keep", "text", "is not empty"),
        ("etc/hosts", "", "move it into one of them"),
        ("root", "", "move it into one of them"),
        ("templates", "", "move it into one of them"),
        ("root/etc/a\nb", "", "control character"),
    ] {
        let dir = directory(&[(name, text)]);
        let error = refusal(Source::Disk(dir.path()));
        let first = name
            .split('\n')
            .next()
            .unwrap()
            .split("/config")
            .next()
            .unwrap();
        assert!(error.contains("overlay `mine`"), "{error}");
        assert!(error.contains(want), "{name}: {error}");
        let top = name.split('/').next().unwrap();
        assert!(
            error.contains(first) || error.contains(&format!("{top}:")),
            "{error}"
        );
    }
}

#[test]
fn a_template_is_text_and_no_link() {
    let dir = directory(&[("templates/etc/x", "")]);
    fs::write(dir.path().join("templates/etc/x"), b"\xff").unwrap();
    let error = refusal(Source::Disk(dir.path()));
    assert!(error.contains("templates/etc/x: is not UTF-8"), "{error}");
    fs::remove_file(dir.path().join("templates/etc/x")).unwrap();
    symlink("y", dir.path().join("templates/etc/x")).unwrap();
    let error = refusal(Source::Disk(dir.path()));
    assert!(
        error.contains("templates/etc/x: is a symbolic link"),
        "{error}"
    );
}

#[test]
fn links_stay_inside() {
    for (target, inside) in [
        ("../../usr/lib/x", true),
        ("/usr/lib/x", true),
        ("../../../x", false),
        ("/../x", false),
    ] {
        let dir = directory(&[("root/etc/systemd/", "")]);
        symlink(target, dir.path().join("root/etc/systemd/x")).unwrap();
        match load(Source::Disk(dir.path()), "mine") {
            Ok(overlay) => {
                assert!(inside, "{target}");
                let want = format!("/etc/systemd/x 0777 -> {target} from overlay `mine`");
                assert_eq!(lines(&overlay), [want]);
            }
            Err(error) => {
                assert!(!inside, "{error:#}");
                assert!(
                    format!("{error:#}").contains("root/etc/systemd/x"),
                    "{error:#}"
                );
            }
        }
    }
}

#[test]
fn a_pipe_and_a_name_that_is_not_utf8_are_refused() {
    use std::os::unix::ffi::OsStringExt;
    let dir = directory(&[("root/run/", "")]);
    let pipe = dir.path().join("root/run/pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = refusal(Source::Disk(dir.path()));
    assert!(
        error.contains("root/run/pipe") && error.contains("a pipe"),
        "{error}"
    );
    fs::remove_file(&pipe).unwrap();
    let odd = std::ffi::OsString::from_vec(b"root/run/\xff".to_vec());
    fs::write(dir.path().join(odd), "").unwrap();
    let error = refusal(Source::Disk(dir.path()));
    assert!(error.contains("not UTF-8"), "{error}");
}

#[test]
fn two_names_of_one_place_are_refused() {
    let dir = directory(&[("root/bin/x", ""), ("root/usr/bin/x", "")]);
    let error = refusal(Source::Disk(dir.path()));
    assert!(
        error.contains("root/usr/bin/x") && error.contains("`/usr/bin/x`"),
        "{error}"
    );
}

#[test]
fn an_empty_directory_and_a_missing_overlay() {
    let dir = directory(&[("root/srv/empty/", "")]);
    let overlay = load(Source::Disk(dir.path()), "mine").unwrap();
    assert_eq!(lines(&overlay), ["/srv/empty 0755 dir from overlay `mine`"]);
    let missing = PathBuf::from("/nonexistent/overlay");
    let error = refusal(Source::Disk(&missing));
    assert!(error.contains("/nonexistent/overlay"), "{error}");
}

#[test]
fn templates_lie_below_the_first_boot_directory() {
    let path: ImagePath = "/etc/cni/net.d/x".parse().unwrap();
    assert_eq!(
        template_path(&path).unwrap().as_str(),
        "/usr/lib/nodeimg/templates/etc/cni/net.d/x"
    );
}

/// A link to `/`, say: what never ends must not be walked before that is told.
#[test]
fn the_top_is_looked_at_before_anything_is_read() {
    let dir = directory(&[("root/etc/x", "x"), ("proc/deep/x", "x")]);
    nix::unistd::mkfifo(&dir.path().join("proc/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = format!("{:#}", load(Source::Disk(dir.path()), "mine").unwrap_err());
    assert_eq!(
        error,
        "overlay `mine`: proc: an overlay holds `root/` and `templates/`: move it into one of them"
    );
}
