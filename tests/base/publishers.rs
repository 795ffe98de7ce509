//! Packages of other publishers: their repositories, flat and pooled, and single ones at a
//! URL, locked beside Debian's own and built from an offline bundle alone.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use sequoia_openpgp::cert::{Cert, CertBuilder};
use sequoia_openpgp::policy::StandardPolicy;
use sequoia_openpgp::serialize::SerializeInto;
use sequoia_openpgp::serialize::stream::{Message, Signer};
use tempfile::TempDir;

use super::{HOST, fetched, recipe, store, with_network};
use nodeimg_test_support::ar;
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::real;
use nodeimg_test_support::run::{Ran, nodeimg};

const DATE: &str = "Tue, 14 Nov 2023 22:13:00 UTC";

fn key() -> Cert {
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let builder = CertBuilder::new().add_userid("test").add_signing_subkey();
    builder.set_creation_time(made).generate().unwrap().0
}

fn signed(key: &Cert, text: &str) -> Vec<u8> {
    let policy = StandardPolicy::new();
    let keys = key.keys().secret().with_policy(&policy, None);
    let pair = keys.for_signing().next().unwrap().key().clone();
    let mut bytes = Vec::new();
    let signer = Signer::new(Message::new(&mut bytes), pair.into_keypair().unwrap());
    let mut message = signer.unwrap().cleartext().build().unwrap();
    message.write_all(text.as_bytes()).unwrap();
    message.finalize().unwrap();
    bytes
}

fn tar_of(name: &str, text: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(text.len() as u64);
    let bytes = text.as_bytes();
    builder.append_data(&mut header, name, bytes).unwrap();
    builder.into_inner().unwrap()
}

/// A package with one program; its control file.
fn publish(at: &Path, name: &str, depends: &str) -> String {
    let control = format!(
        "Package: {name}\nVersion: 1.2-1\nArchitecture: all\nMaintainer: x <x@x.example>\n\
         Depends: {depends}\nDescription: x\n"
    );
    let deb = ar::archive(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &tar_of("./control", &control)),
        (
            "data.tar",
            &tar_of(&format!("./usr/bin/{name}"), "#!/bin/sh\n"),
        ),
    ]);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, &deb).unwrap();
    let (size, hash) = (deb.len(), sha256(&deb));
    format!("{control}Size: {size}\nSHA256: {hash}\n")
}

/// A repository's index of these files (name, text) in `directory`.
fn index(directory: &Path, key: &Cert, files: &[(String, String)]) {
    let mut release = format!("Date: {DATE}\nSHA256:\n");
    for (name, text) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        release += &format!(" {} {} {name}\n", sha256(text.as_bytes()), text.len());
    }
    fs::write(directory.join("InRelease"), signed(key, &release)).unwrap();
}

/// Two repositories and a single package, below `place`.
fn world(place: &Path) {
    let flat = place.join("served/flat.example/deb");
    let control = publish(&flat.join("all/flat-tool.deb"), "flat-tool", "libc6");
    let list = format!("{control}Filename: ./all/flat-tool.deb\n");
    let key_of_flat = key();
    index(&flat, &key_of_flat, &[("Packages".to_owned(), list)]);
    let pooled = place.join("served/pooled.example/debian");
    let control = publish(
        &pooled.join("pool/p/pooled-tool.deb"),
        "pooled-tool",
        "flat-tool",
    );
    let list = format!("{control}Filename: pool/p/pooled-tool.deb\n");
    let of = |arch: &str| (format!("stable/binary-{arch}/Packages"), list.clone());
    let key_of_pooled = key();
    let lists = [of("amd64"), of("arm64")];
    index(&pooled.join("dists/trixie"), &key_of_pooled, &lists);
    publish(
        &place.join("served/files.example/agent_1.2.deb"),
        "agent",
        "pooled-tool (>= 1)",
    );
    for (name, key) in [("flat", key_of_flat), ("pooled", key_of_pooled)] {
        fs::write(
            place.join(format!("{name}.asc")),
            key.armored().to_vec().unwrap(),
        )
        .unwrap();
    }
    let from = fs::canonicalize(recipe()).unwrap();
    let text = format!(
        "extends = \"{}\"\noutputs = [\"rootfs-tar\"]\n\
         [[base.repository]]\nname = \"flat\"\nurl = \"https://flat.example/deb\"\n\
         suite = \"/\"\nsigned_by = \"flat.asc\"\n\
         [[base.repository]]\nname = \"pooled\"\nurl = \"https://pooled.example/debian\"\n\
         suite = \"trixie\"\ncomponents = [\"stable\"]\nsigned_by = \"pooled.asc\"\n\
         [[base.deb]]\nname = \"agent\"\nversion = \"1.2\"\n\
         url = \"https://files.example/agent_{{version}}.deb\"\n",
        from.display()
    );
    fs::write(place.join("mine.toml"), text).unwrap();
}

fn verb(place: &Path, verb: &str, store: &Path) -> Command {
    let mut command = nodeimg();
    command
        .args([verb, "--recipe"])
        .arg(place.join("mine.toml"));
    command.arg("--store").arg(store).current_dir(place);
    command
}

#[test]
fn packages_of_other_publishers_are_built_from_a_bundle_alone() {
    let Some(binary) = real::firstboot(HOST) else {
        return;
    };
    if !fetched() {
        return;
    }
    let place = TempDir::new().unwrap();
    let place = place.path();
    world(place);
    let served = format!("https://=file://{}/", place.join("served").display());
    // What the shared store has is not fetched again.
    let mut lock = verb(place, "lock", &store());
    with_network(lock.args(["--mirror", &served]));
    Ran::of(&mut lock).good();
    let text = fs::read_to_string(place.join("mine.lock")).unwrap();
    for line in [
        "url = \"https://files.example/agent_1.2.deb\"",
        "url = \"https://flat.example/deb\"",
        "suite = \"pooled\"",
    ] {
        assert!(text.contains(line), "{line}");
    }
    let bundle = place.join("bundle.tar");
    let mut fetch = verb(place, "fetch", &store());
    with_network(
        fetch
            .args(["--mirror", &served, "--arch", HOST, "--bundle"])
            .arg(&bundle),
    );
    Ran::of(&mut fetch).good();
    fs::remove_dir_all(place.join("served")).unwrap();

    // A machine with nothing but the recipe and the bundle, where every mirror is dead.
    let elsewhere = place.join("elsewhere");
    let build = |more: &[&str]| {
        let mut build = verb(place, "build", &elsewhere);
        build.args([
            "--offline",
            "--arch",
            HOST,
            "--mirror",
            "https://=http://127.0.0.1:9/",
        ]);
        let binary = format!("{HOST}={}", binary.display());
        build.args(["--firstboot", &binary]);
        build.env("NODEIMG_DEBIAN_MIRROR", "http://127.0.0.1:9/debian");
        Ran::of(build.args(more).args(["--out", "out"]))
    };
    build(&[]).refused(
        1,
        &["agent 1.2-1", "--offline forbids fetching", "use a bundle"],
    );
    let ran = build(&["--bundle", bundle.to_str().unwrap()]).good();
    assert!(!ran.err.contains("127.0.0.1"), "{}", ran.err);
    let out = fs::read_dir(place.join("out"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let manifest = fs::read_to_string(out.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let packages = manifest["packages"].as_array().unwrap();
    let of = |name: &str| {
        packages
            .iter()
            .find(|package| package["name"] == name)
            .unwrap()
    };
    assert_eq!(of("agent")["url"], "https://files.example/agent_1.2.deb");
    assert_eq!(of("agent")["suite"], serde_json::Value::Null);
    assert_eq!(of("flat-tool")["suite"], "flat");
    assert_eq!(
        of("pooled-tool")["url"],
        "https://pooled.example/debian/pool/p/pooled-tool.deb"
    );
    let files = manifest["files"].as_array().unwrap();
    for path in ["/usr/bin/agent", "/usr/lib/sysimage/dpkg/info/agent.list"] {
        assert!(files.iter().any(|file| file["path"] == path), "{path}");
    }
}
