//! What people type by habit.

use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::synthetic::{World, is_image};

/// `command` with `input` piped into it.
fn fed(command: &mut Command, input: &[u8]) -> Ran {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A program that refuses its command line may not read at all.
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::from(child.wait_with_output().unwrap(), format!("{command:?}"))
}

/// The names of kernels and containers, and a directory instead of the recipe in it.
#[test]
fn a_directory_is_built_for_an_architecture_by_any_of_its_names() {
    let world = World::warm();
    for (name, arch) in [
        ("x86_64", "amd64"),
        ("aarch64", "arm64"),
        ("linux/arm64", "arm64"),
    ] {
        let mut build = world.bare("build");
        Ran::of(build.args([".", "--arch", name])).good();
        assert!(is_image(&world.image(arch)), "{name}");
    }
    let mut check = world.bare("recipe");
    let folder = world.path("");
    let ran = Ran::of(check.args(["check"]).arg(&folder).current_dir("/")).good();
    assert!(ran.err.contains("recipe.toml: valid"), "{}", ran.err);
    let mut twice = world.bare("build");
    let ran = Ran::of(twice.args([".", "--recipe", "hard-way"]));
    ran.refused(2, &["[RECIPE]", "--recipe"]);
}

#[test]
fn a_directory_has_one_recipe() {
    let world = World::warm();
    fs::write(world.path("keys.toml"), "[boot]\nkey = \"a\"\n").unwrap();
    Ran::of(world.bare("build").args([".", "--arch", "amd64"])).good();
    fs::rename(world.path("recipe.toml"), world.path("a.toml")).unwrap();
    fs::write(world.path("b.toml"), "extends = \"a.toml\"\n").unwrap();
    Ran::of(world.bare("build").arg(".")).refused(2, &["several recipes", "./a.toml, ./b.toml"]);
    Ran::of(world.bare("build").arg("overlay")).refused(2, &["overlay has no recipe in it"]);
}

/// A recipe may use them too; what is written has the normal names.
#[test]
fn recipes_read_the_names_of_kernels() {
    let mut world = World::warm();
    let url = "https://up.test/runc/{version}/{arch}";
    world.edit(
        &format!("url = \"{url}\""),
        &format!("url = {{ x86_64 = \"{url}\", aarch64 = \"{url}\" }}"),
    );
    world.edit("max_unpacked = \"1 MiB\"", "max_unpacked = \"1m\"");
    let mut show = world.nodeimg("recipe");
    let out = Ran::of(show.args(["show", "-r", "./recipe.toml"]))
        .good()
        .out;
    assert!(out.contains("amd64 = ") && !out.contains("x86_64"), "{out}");
    assert!(out.contains("max_unpacked = \"1 MiB\""), "{out}");
    world.edit("x86_64 =", "amd64 = \"https://up.test/other\", x86_64 =");
    let mut show = world.nodeimg("recipe");
    Ran::of(show.args(["show", "-r", "./recipe.toml"]))
        .refused(1, &["recipe.toml:", "`amd64` is here twice"]);
}

#[test]
fn mirrors_are_folders_too() {
    let world = World::locked();
    for (name, version) in nodeimg_test_support::synthetic::ARTIFACTS {
        let path = world.path(&format!("served/up.test/{name}/{version}/amd64"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, nodeimg_test_support::synthetic::body(name, "amd64")).unwrap();
    }
    for mirror in [
        "https://=./served",
        "https://=served/",
        "https://=file:./served",
    ] {
        let _ = fs::remove_dir_all(world.path("store"));
        let mut fetch = world.nodeimg("fetch");
        fetch.args(["--arch", "amd64", "--mirror", mirror]);
        Ran::of(&mut fetch).good();
        assert_eq!(world.blobs().len(), 5, "{mirror}");
    }
    assert!(world.server.seen().is_empty());
    let mut fetch = world.nodeimg("fetch");
    fetch.args(["--mirror", "https://=./no-such"]);
    Ran::of(&mut fetch).refused(1, &["--mirror", "./no-such", "No such file"]);
}

/// The recipe's own folders start at the recipe, wherever nodeimg runs.
#[test]
fn a_mirror_of_a_recipe_lies_beside_it() {
    let mut world = World::locked();
    world.edit(
        "[cluster]",
        "[mirrors]\n\"https://up.test/\" = \"./served\"\n\n[cluster]",
    );
    fs::create_dir(world.path("served")).unwrap();
    let mut show = world.bare("recipe");
    let recipe = world.path("recipe.toml");
    let ran = Ran::of(show.args(["show", "-r"]).arg(recipe).current_dir("/")).good();
    let folder = world.path("").join("./served");
    assert!(ran.out.contains(folder.to_str().unwrap()), "{}", ran.out);
}

#[test]
fn standard_input_stands_for_a_file() {
    let world = World::warm();
    let lock = fs::read(world.path("recipe.lock")).unwrap();
    fs::remove_file(world.path("recipe.lock")).unwrap();
    let mut build = world.build();
    fed(build.args(["--lock", "-"]), &lock).good();
    assert!(is_image(&world.image("amd64")));

    let recipe = world.recipe.clone();
    fs::write(world.path("my.lock"), &lock).unwrap();
    let check = |more: &[&str], input: &str| {
        let mut check = world.bare("recipe");
        fed(check.arg("check").args(more), input.as_bytes())
    };
    let ran = check(&["-", "--lock", "my.lock"], &recipe).good();
    assert!(ran.err.contains("standard input: valid"), "{}", ran.err);
    check(&["-r", "-"], &recipe).refused(1, &["standard input", "--lock FILE"]);
    check(&["-", "--lock", "-"], &recipe).refused(2, &["only once"]);
    check(&["-", "--lock", "my.lock"], "name = 1\n").refused(1, &["standard input:1:8"]);
    let mut build = world.build();
    fed(build.args(["--lock", "-"]), b"nonsense").refused(1, &["standard input"]);
}

#[test]
fn an_image_and_a_key_may_come_by_a_pipe() {
    let world = World::warm();
    let mut build = world.build();
    Ran::of(build.args(["--output", "sysext"])).good();
    let image = fs::read(world.image("amd64").join("tiny-1.0.0-amd64-sysext.raw")).unwrap();
    let ran = fed(world.bare("inspect").args(["-", "/usr/local/bin"]), &image).good();
    assert!(ran.out.contains("runc"), "{}", ran.out);
    let mut seed = nodeimg();
    seed.current_dir(world.path("")).args([
        "seed",
        "new",
        "s",
        "--host-name",
        "n",
        "--ssh-key",
        "-",
    ]);
    let key =
        b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDIhz2GK/XCUj4i6Q5yQJNL1MKMY0RxzPV2QrBqfHrDq me\n";
    let ran = fed(&mut seed, key);
    assert!(!ran.err.contains("/proc/"), "{}", ran.err);
}

#[test]
fn times_have_units() {
    for (words, code, says) in [
        (&["run", "x", "--timeout", "10m"][..], 1, "x"),
        (&["test", "x", "--timeout", "1h"], 1, "x"),
        (&["run", "x", "--timeout", "0"], 2, "10m or 1h"),
        (&["run", "x", "--memory", "6G"], 1, "x"),
        (&["run", "x", "--memory", "2g"], 1, "x"),
        (&["run", "x", "--memory", "6GB"], 2, "write 6GiB or 6G"),
        (&["run", "x", "--memory", "4096"], 2, "4096MiB or 4096G"),
        (&["run", "x", "--arch", "i386"], 2, "amd64, arm64"),
        (
            &["show"],
            2,
            "`nodeimg recipe show` or `nodeimg trust show`",
        ),
        (&["seed", "create"], 2, "`nodeimg seed new`"),
        (&["seed", "new", "s", "--inventory", "-"], 2, "name a file"),
    ] {
        Ran::of(nodeimg().current_dir("/").args(words)).refused(code, &[says]);
    }
}
