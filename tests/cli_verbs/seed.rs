//! `nodeimg seed check`, `new` and `ca`.
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::events;
use nodeimg_test_support::run::{Ran, nodeimg, tool};

fn seed(directory: &Path, user_data: &str) {
    fs::write(
        directory.join("meta-data"),
        "instance-id: i-1\nlocal-hostname: node-0\n",
    )
    .unwrap();
    fs::write(directory.join("user-data"), user_data).unwrap();
}

fn check(directory: &Path, words: &[&str]) -> Ran {
    let mut command = nodeimg();
    command.args(["seed", "check", "--recipe", "container-host"]);
    Ran::of(command.arg(directory).args(words))
}

#[test]
fn a_good_seed_says_what_would_be_written() {
    let directory = tempfile::tempdir().unwrap();
    seed(
        directory.path(),
        "#cloud-config\nwrite_files: [{path: /etc/motd, content: hi}]\npackages: [x]\n",
    );
    let ran = check(directory.path(), &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert_eq!(ran.out, "node-0: a valid seed, 3 files\n");
    assert!(
        ran.err.contains("warning: ") && ran.err.contains("user-data:3: packages: has no effect"),
        "{}",
        ran.err
    );
    let ran = check(directory.path(), &["--json"]);
    let [event] = &events(&ran.out)[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(event["good"], true);
    assert_eq!(
        event["files"],
        serde_json::json!(["/etc/hostname", "/etc/hosts", "/etc/motd"])
    );
}

/// By the recipe's lock: what no package brings is not there.
#[test]
fn keys_that_the_image_has_no_program_for_are_told() {
    let directory = tempfile::tempdir().unwrap();
    seed(
        directory.path(),
        "#cloud-config\nusers:\n- {name: a, sudo: 'ALL=(ALL) NOPASSWD:ALL', shell: /bin/zsh}\n\
         - {name: b, shell: /bin/bash}\nntp: {servers: [192.0.2.1]}\ntimezone: Europe/Berlin\n",
    );
    let ran = check(directory.path(), &[]).good();
    for told in [
        "user-data:3: users.sudo: has no effect: this image has no `/usr/bin/sudo`",
        "user-data:3: users.shell: `a` has the shell `/bin/zsh`",
    ] {
        assert!(ran.err.contains(told), "{told}: {}", ran.err);
    }
    assert_eq!(ran.err.matches("warning: ").count(), 2, "{}", ran.err);
}

/// The templates of the recipe are rendered as well.
#[test]
fn a_seed_meets_the_recipes_templates() {
    let directory = tempfile::tempdir().unwrap();
    let recipe = directory.path().join("k.toml");
    fs::write(
        &recipe,
        "extends = \"container-host\"\nname = \"k\"\noverlay = [\"mine\"]\n",
    )
    .unwrap();
    let templates = directory.path().join("mine/templates/etc");
    fs::create_dir_all(&templates).unwrap();
    fs::write(templates.join("who"), "{{ host_name }}\n").unwrap();
    let words = ["--json", "--recipe", recipe.to_str().unwrap()];
    let run = |user_data: &str| {
        seed(directory.path(), user_data);
        let mut command = nodeimg();
        command.args(["seed", "check"]).args(words);
        Ran::of(command.arg(directory.path()))
    };
    let ran = run("#cloud-config\n");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let events = events(&ran.out);
    let files = events[0]["files"].as_array().unwrap();
    assert!(files.contains(&"/etc/who".into()), "{files:?}");
    let ran = run("#cloud-config\nwrite_files: [{path: /etc/who, content: x}]\n");
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.out.contains("is a file that first boot itself writes"),
        "{}",
        ran.out
    );
}

#[test]
fn every_problem_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    seed(
        directory.path(),
        "#cloud-config\nhostname: Node_0\nwrite_files: [{path: /usr/x}]\nswap: {size: 1}\n",
    );
    let ran = check(directory.path(), &[]);
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    for part in [
        "user-data:2: hostname: ",
        "user-data:3: write_files.path: ",
        "user-data:4: swap: ",
        "this seed does not work",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    let ran = check(directory.path(), &["--json"]);
    let [event] = &events(&ran.out)[..] else {
        panic!("{}", ran.out)
    };
    assert_eq!(
        (&event["good"], event["problems"].as_array().unwrap().len()),
        (&serde_json::json!(false), 3)
    );
    fs::remove_file(directory.path().join("user-data")).unwrap();
    let ran = check(directory.path(), &[]);
    assert!(
        ran.err.contains("no `user-data`, and NoCloud needs both"),
        "{}",
        ran.err
    );
    fs::write(directory.path().join("user_data"), "").unwrap();
    let ran = check(directory.path(), &[]);
    assert!(
        ran.err.contains("user_data`, expected `user-data`"),
        "{}",
        ran.err
    );
    let ran = check(Path::new("/nonexistent"), &[]);
    assert!(
        ran.err.contains("holds neither `meta-data` nor"),
        "{}",
        ran.err
    );
}

/// As first boot names them: in a directory below, and cut by a disc without long names.
#[test]
fn seed_check_names_what_is_nearly_a_seed() {
    for (files, expected) in [
        (
            &["cidata/user-data", "cidata/meta-data"][..],
            "found a seed one level down in `cidata/` (`cidata/meta-data`)",
        ),
        (
            &["user_dat", "meta_dat"],
            "found `meta_dat`, expected `meta-data`",
        ),
        (
            &["USER_DAT.;1", "META_DAT.;1"],
            "found `META_DAT.;1`, expected `meta-data`",
        ),
        (
            &["openstack/latest/metadata.json"],
            "found `openstack/latest/metadata.json`, expected `openstack/latest/meta_data.json`",
        ),
        (
            &["OpenStack/latest/meta_data.json"],
            "found `OpenStack/`, expected `openstack/`",
        ),
        (
            &["user-data", "metadata"],
            "found `metadata`, expected `meta-data`",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let ran = check(directory.path(), &[]);
        assert_eq!(ran.code, Some(1), "{files:?}");
        assert!(ran.err.contains(expected), "{files:?}: {}", ran.err);
    }
}

/// `nodeimg seed ...` in a directory.
fn in_directory(directory: &Path, words: &[&str]) -> Ran {
    let mut command = nodeimg();
    command.arg("seed").args(words).current_dir(directory);
    Ran::of(&mut command)
}

/// What a node of the hard way needs, but for its identity.
const NODE: [&str; 12] = [
    "--host-name",
    "node-0",
    "--node-ip",
    "192.168.10.101",
    "--pod-subnet",
    "10.200.0.0/24",
    "--api-server",
    "https://server.kubernetes.local:6443",
    "--hosts",
    "server.kubernetes.local=192.168.10.100",
    "--ca",
    "ca/ca.crt",
];

#[test]
fn a_seed_is_made_with_a_ca() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    in_directory(here, &["ca", "ca", "--days", "30"]).good();
    in_directory(here, &["ca", "ca"]).refused(1, &["ca already exists"]);
    let key = fs::metadata(here.join("ca/ca.key")).unwrap().permissions();
    assert_eq!(key.mode() & 0o777, 0o600);
    let signed = [&["new", "seed", "--ca-key", "ca/ca.key"], &NODE[..]].concat();
    let ran = in_directory(here, &signed).good();
    assert!(ran.out.contains("node-0: a valid seed"), "{}", ran.out);
    assert!(!ran.err.contains("warning"), "{}", ran.err);
    let text = fs::read_to_string(here.join("seed/user-data")).unwrap();
    for secret in text.lines().filter(|line| line.len() > 60) {
        assert!(!ran.out.contains(secret) && !ran.err.contains(secret));
    }
    in_directory(here, &["check", "seed"]).good();
    in_directory(here, &signed).refused(1, &["--force"]);
    let forced = [&signed[..], &["--force"]].concat();
    let again = in_directory(here, &forced).good();
    assert_ne!(again.err, ran.err, "another content is another instance");
    // Its content is for its node alone.
    let other = [&["new", "other", "--force"], &NODE[..]].concat();
    let ran = in_directory(here, &other);
    not_written(&ran, "nodeimg.kubelet");
    assert!(!here.join("other").exists());
    kubelets_certificate_is_good(here, &text);
}

#[track_caller]
fn not_written(ran: &Ran, key: &str) {
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    for part in ["nothing was written", key] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
}

fn kubelets_certificate_is_good(here: &Path, user_data: &str) {
    let begin = user_data.find("-----BEGIN CERTIFICATE").unwrap();
    let second = user_data[begin + 1..]
        .find("-----BEGIN CERTIFICATE")
        .unwrap()
        + begin
        + 1;
    let end = second + user_data[second..].find("-----END").unwrap();
    let lines = user_data[second..end].lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty());
    let text = lines.collect::<Vec<_>>().join("\n") + "\n-----END CERTIFICATE-----\n";
    fs::write(here.join("kubelet.crt"), text).unwrap();
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-purpose", "sslserver", "-CAfile", "ca/ca.crt"]);
    verify.args(["-verify_ip", "192.168.10.101", "kubelet.crt"]);
    let Some(ran) = tool(verify.current_dir(here)) else {
        return;
    };
    ran.good();
    let mut show = Command::new("openssl");
    show.args([
        "x509",
        "-noout",
        "-subject",
        // By default, versions of openssl write it differently.
        "-nameopt",
        "RFC2253",
        "-ext",
        "subjectAltName",
        "-in",
    ]);
    let ran = tool(show.arg("kubelet.crt").current_dir(here)).unwrap();
    let said = ran.good().out;
    assert!(
        said.contains("CN=system:node:node-0,O=system:nodes"),
        "{said}"
    );
    assert!(
        said.contains("DNS:node-0, IP Address:192.168.10.101"),
        "{said}"
    );
}

#[test]
fn a_medium_is_made_for_a_token() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    in_directory(here, &["ca", "ca"]).good();
    fs::write(
        here.join("recipe.toml"),
        "extends = \"hard-way\"\nname = \"b\"\nprofile = \"bootstrap\"\n",
    )
    .unwrap();
    fs::write(here.join("key.pub"), "# mine\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5u1Z7h5uWAGLEbZ8TyjXQzE5wYjYuwhbWzuxZPNuE7 me\n").unwrap();
    let words = [
        "new seed.img -r ./recipe.toml --no-kube-proxy --instance-id i-7",
        "--label zone=a --taint k=v:NoSchedule --ssh-key key.pub",
    ];
    let words = words.iter().flat_map(|line| line.split(' '));
    let words: Vec<&str> = words.chain(NODE).collect();
    let ran = in_directory(here, &words);
    not_written(&ran, "nodeimg.bootstrap_token");
    assert!(!here.join("seed.img").exists());
    let mut command = nodeimg();
    command.arg("seed").args(&words).current_dir(here);
    let token = "abcdef.0123456789abcdef";
    let ran = Ran::of(command.env("NODEIMG_BOOTSTRAP_TOKEN", token)).good();
    assert!(ran.err.contains("wrote seed.img (i-7)"), "{}", ran.err);
    let mut read = Command::new("mtype");
    read.args(["-i", "seed.img", "::user-data"])
        .current_dir(here);
    let Some(ran) = tool(&mut read) else {
        return;
    };
    let text = ran.good().out;
    for part in [token, "zone\": \"a", "k=v:NoSchedule", "ssh-ed25519 AAAA"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

/// Registries come from a file, and first boot reads them as they were.
#[test]
fn a_new_seed_has_the_registries_of_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let new = |words: &[&str]| {
        let all = [
            &["new", "seed", "--host-name", "a", "-r", "container-host"],
            words,
        ]
        .concat();
        in_directory(here, &[&all[..], &["--registries", "r.yaml"]].concat())
    };
    for (text, says) in [
        ("- a.example\n", "r.yaml: this is not a mapping"),
        ("a: [\n", "r.yaml:"),
        (
            "a.example: {password: SECRET}\n",
            "nodeimg.registries.a.example.password: has no `username` beside it",
        ),
    ] {
        fs::write(here.join("r.yaml"), text).unwrap();
        let ran = new(&[]);
        assert_eq!(ran.code, Some(1), "{text}: {}", ran.err);
        let said = format!("{}{}", ran.out, ran.err);
        assert!(
            said.contains(says) && !said.contains("SECRET"),
            "{text}: {said}"
        );
        assert!(!here.join("seed").exists());
    }
    let good = "a.example:\n  mirrors: [https://m.example/a]\n  token: SECRET\n";
    fs::write(here.join("r.yaml"), good).unwrap();
    let ran = new(&[]).good();
    assert!(!format!("{}{}", ran.out, ran.err).contains("SECRET"));
    let text = fs::read_to_string(here.join("seed/user-data")).unwrap();
    assert!(
        text.contains("https://m.example/a") && text.contains("SECRET"),
        "{text}"
    );
    let checked = in_directory(here, &["check", "seed", "-r", "container-host", "--json"]).good();
    let files = events(&checked.out)[0]["files"].to_string();
    for file in [
        "/etc/containerd/certs.d/a.example/hosts.toml",
        "/etc/containerd/conf.d/50-nodeimg-registries.toml",
    ] {
        assert!(files.contains(file), "{files}");
    }
}

#[test]
fn what_cannot_be_a_seed_is_refused_by_its_flag() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let new = |words: &[&str]| {
        let all = [
            &["new", "seed", "--host-name", "a", "-r", "container-host"],
            words,
        ]
        .concat();
        in_directory(here, &all)
    };
    for (words, says) in [
        (&["--hosts", "a"][..], "NAME=VALUE"),
        (&["--cert", "x"], "--key"),
        (&["--ca-key", "x"], "--ca"),
        (&["--days", "0"], "--days"),
    ] {
        new(words).refused(2, &[says]);
    }
    fs::write(here.join("id"), "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
    new(&["--ssh-key", "id"]).refused(1, &["--ssh-key id", "private key"]);
    new(&["--network", "none"]).refused(1, &["opening none"]);
    assert!(!here.join("seed").exists());
    new(&[]).good();
}
