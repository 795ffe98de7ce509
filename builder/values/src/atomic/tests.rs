#![allow(clippy::unwrap_used)]
use super::exchange::exchange_by_steps;
use super::*;

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// What a build puts into its directory.
fn fill(out: &OutDir, text: &str) {
    write_file(&out.path().join("a"), text.as_bytes()).unwrap();
    write_file(&out.path().join("b"), text.as_bytes()).unwrap();
    let sums = "0  a\n0  b\n";
    write_file(&out.path().join(CHECKSUMS), sums.as_bytes()).unwrap();
}

fn content(directory: &Path) -> [String; 2] {
    ["a", "b"].map(|name| fs::read_to_string(directory.join(name)).unwrap())
}

#[test]
fn a_file_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("x");
    write_file(&to, b"old").unwrap();
    assert_eq!(mode(&to), 0o644);
    let mut half = AtomicFile::create(&to).unwrap();
    half.write_all(b"ne").unwrap();
    drop(half);
    assert_eq!(fs::read(&to).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["x"]);
    write_file(&to, b"new").unwrap();
    assert_eq!(fs::read(&to).unwrap(), b"new");
    assert_eq!(names(dir.path()), ["x"]);
}

#[test]
fn a_directory_is_there_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("out/image");
    let dropped = OutDir::stage(&to).unwrap();
    fill(&dropped, "dropped");
    drop(dropped);
    assert_eq!(names(&dir.path().join("out")), [""; 0]);
    for text in ["first", "second"] {
        let out = OutDir::stage(&to).unwrap();
        fill(&out, text);
        out.commit().unwrap();
        assert_eq!(content(&to), [text, text]);
        assert_eq!(mode(&to), 0o755);
        assert_eq!(names(&dir.path().join("out")), ["image"]);
    }
}

#[test]
fn an_exchange_by_steps_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (temp, to) = (dir.path().join("temp"), dir.path().join("to"));
    for (path, text) in [(&temp, "new"), (&to, "old")] {
        fs::create_dir(path).unwrap();
        fs::write(path.join("x"), text).unwrap();
    }
    exchange_by_steps(&temp, &to).unwrap();
    assert_eq!(fs::read(to.join("x")).unwrap(), b"new");
    assert_eq!(fs::read(temp.join("x")).unwrap(), b"old");
    assert_eq!(names(dir.path()), ["temp", "to"]);
}

/// Killed after the first and after the second of its renames.
#[test]
fn what_an_exchange_by_steps_left_is_put_back_or_removed() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("image");
    let old = dir.path().join(".image.dead00.aside/old");
    for is_there in [false, true] {
        fs::create_dir_all(&old).unwrap();
        fs::write(old.join("x"), "old").unwrap();
        if is_there {
            fs::write(to.join("x"), "new").unwrap();
        }
        tidy(&to);
        let want = if is_there { "new" } else { "old" };
        assert_eq!(fs::read_to_string(to.join("x")).unwrap(), want);
        assert_eq!(names(dir.path()), ["image"]);
    }
}

#[test]
fn what_is_private_is_so_from_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let (file, keys) = (dir.path().join("disk"), dir.path().join("keys"));
    for (name, is_dir) in [(".disk.dead00.tmp", false), (".keys.dead00.tmp", true)] {
        match is_dir {
            true => fs::create_dir(dir.path().join(name)).unwrap(),
            false => fs::write(dir.path().join(name), "key").unwrap(),
        }
    }
    let running = AtomicFile::private(&file).unwrap();
    AtomicFile::private(&file).unwrap().commit().unwrap();
    assert_eq!(mode(&file), 0o600);
    assert!(running.temp.path().exists(), "another process is at it");
    assert!(running.commit_new().is_err(), "the name is taken");
    for (replace, text) in [(false, "old"), (true, "new")] {
        let out = OutDir::private(&keys, replace).unwrap();
        assert_eq!(mode(out.path()), 0o700);
        fs::write(out.path().join("ca.key"), text).unwrap();
        out.commit().unwrap();
        assert_eq!(mode(&keys), 0o700);
        assert_eq!(fs::read_to_string(keys.join("ca.key")).unwrap(), text);
    }
    assert!(OutDir::private(&keys, false).is_err());
    assert_eq!(names(dir.path()), ["disk", "keys"]);
}

#[test]
fn directories_take_their_places_together() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let staged = |names: &[&str], text: &str, replace: bool| -> Vec<OutDir> {
        let stage = |name: &&str| {
            let out = OutDir::private(&at(name), replace).unwrap();
            fs::write(out.path().join("user-data"), text).unwrap();
            together::flush(&out).unwrap();
            out
        };
        names.iter().map(stage).collect()
    };
    let text = |name: &str| fs::read_to_string(at(name).join("user-data")).unwrap();
    OutDir::commit_together(Vec::new(), dir.path()).unwrap();
    OutDir::commit_together(staged(&["a", "b"], "old", true), dir.path()).unwrap();
    OutDir::commit_together(staged(&["b", "c"], "new", true), dir.path()).unwrap();
    assert_eq!([text("a"), text("b"), text("c")], ["old", "new", "new"]);
    assert_eq!(mode(&at("b")), 0o700);

    // Somebody else has taken one name meanwhile.
    let both = staged(&["d", "e"], "new", false);
    fs::create_dir(at("d")).unwrap();
    let refused = OutDir::commit_together(both, dir.path()).unwrap_err();
    assert!(refused.to_string().contains("already exists"), "{refused}");
    assert_eq!(text("e"), "new");
    assert_eq!(names(dir.path()), ["a", "b", "c", "d", "e"]);
}

#[test]
fn a_file_that_is_rewritten_keeps_its_permissions() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("x.toml");
    rewrite_file(&to, b"old").unwrap();
    assert_eq!(mode(&to), 0o644);
    fs::set_permissions(&to, Permissions::from_mode(0o640)).unwrap();
    rewrite_file(&to, b"new").unwrap();
    assert_eq!(
        (mode(&to), fs::read(&to).unwrap()),
        (0o640, b"new".to_vec())
    );
}

#[test]
fn a_directory_is_no_output_whatever_is_listed() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("image");
    fs::create_dir_all(to.join("sub")).unwrap();
    fs::write(to.join("sub/thesis"), "mine").unwrap();
    fs::write(to.join(CHECKSUMS), "0  sub\n").unwrap();
    let text = format!("{:#}", OutDir::stage(&to).unwrap_err());
    assert!(text.contains("`sub`"), "{text}");
    assert!(to.join("sub/thesis").exists());
}

#[test]
fn of_builds_at_once_one_wins_and_none_mixes() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("image");
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let to = &to;
            scope.spawn(move || {
                for round in 0..8 {
                    let out = OutDir::stage(to).unwrap();
                    fill(&out, &format!("{worker}.{round}"));
                    out.commit().unwrap();
                }
            });
        }
    });
    let [a, b] = content(&to);
    assert_eq!(a, b);
    assert_eq!(names(dir.path()), ["image"]);
}

#[test]
fn what_a_killed_build_left_is_removed_and_a_running_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("image");
    fs::create_dir(dir.path().join(".image.dead00.tmp")).unwrap();
    fs::create_dir(dir.path().join(".other.dead00.tmp")).unwrap();
    let running = OutDir::stage(&to).unwrap();
    fill(&running, "running");
    let second = OutDir::stage(&to).unwrap();
    assert!(running.path().join("a").exists());
    fill(&second, "second");
    second.commit().unwrap();
    running.commit().unwrap();
    assert_eq!(content(&to), ["running", "running"]);
    assert_eq!(names(dir.path()), [".other.dead00.tmp", "image"]);
}

#[test]
fn only_an_output_of_ours_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("image");
    fs::create_dir(&to).unwrap();
    // An empty one is nobody's loss.
    let out = OutDir::stage(&to).unwrap();
    fill(&out, "x");
    out.commit().unwrap();
    let late = OutDir::stage(&to).unwrap();
    fs::write(to.join("notes.txt"), "mine").unwrap();
    for error in [OutDir::stage(&to).unwrap_err(), late.commit().unwrap_err()] {
        let text = format!("{error:#}");
        assert!(
            text.contains("`notes.txt`") && text.contains("image"),
            "{text}"
        );
    }
    assert_eq!(fs::read(to.join("notes.txt")).unwrap(), b"mine");
    assert_eq!(content(&to), ["x", "x"]);
    fs::remove_dir_all(&to).unwrap();
    fs::write(&to, "a file").unwrap();
    let text = format!("{:#}", OutDir::stage(&to).unwrap_err());
    assert!(text.contains("not a directory"), "{text}");
}

#[test]
fn a_place_that_cannot_be_written_is_told() {
    // Not even root makes files in /proc.
    for text in [
        format!(
            "{:#}",
            OutDir::stage(Path::new("/proc/out/image")).unwrap_err()
        ),
        format!("{:#}", write_file(Path::new("/proc/x"), b"").unwrap_err()),
    ] {
        assert!(text.contains("/proc"), "{text}");
    }
}

#[test]
fn names_without_a_directory_lie_in_the_current_one() {
    assert_eq!(parent(Path::new("out")), Path::new("."));
    assert!(hidden(Path::new("/")).is_err());
    assert!(hidden(Path::new("..")).is_err());
}

/// What a build remembers of its output after the commit must be of its output.
#[test]
fn nothing_is_put_beside_it_while_a_build_has_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let out = OutDir::stage(&dir.path().join("out")).unwrap();
    let turn = out.commit().unwrap();
    let other = || lock(dir.path(), FlockArg::LockExclusiveNonblock);
    assert!(other().is_none());
    drop(turn);
    assert!(other().is_some());
}
