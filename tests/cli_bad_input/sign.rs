//! `nodeimg sign`: what is refused leaves the directory as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nodeimg_test_support::keys::Keys;
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::synthetic::World;

const SUMS: &str = "[checksums]\nkey = \"release.key\"\n";

fn sign(directory: &Path, keys: &Path) -> Ran {
    Ran::of(nodeimg().arg("sign").arg(directory).arg("--keys").arg(keys))
}

/// Names, sizes and inodes.
fn state(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(directory).unwrap();
    let mut all: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    all.sort();
    all
}

/// Texts of files of keys, and what is said of them.
fn bad_files() -> Vec<(String, &'static [&'static str])> {
    let boot = |key: &str, certificate: &str| {
        format!("[[secure_boot]]\nkey = \"{key}\"\ncertificate = \"{certificate}\"\n")
    };
    let enroll = |pk: &str, db: &str, dbx: &str| {
        format!(
            "{}[enroll]\npk = {{ key = \"{pk}.key\", certificate = \"{pk}.pem\" }}\nkek = {{ key = \
             \"pk.key\", certificate = \"pk.pem\" }}\ndb = [{db}]\ndbx = [{dbx}]\n",
            boot("db.key", "db.pem")
        )
    };
    let sum = "sha256:zz";
    vec![
        (String::new(), &["it has no key", "[checksums]"]),
        (
            "[checksums]\n".to_owned(),
            &["the key `checksums`", "neither `key` nor `sign_command`"],
        ),
        (
            "[checksum]\nkey = \"x\"\n".to_owned(),
            &["keys.toml:1", "unknown field `checksum`"],
        ),
        (
            "[checksums]\nkey = 7\n".to_owned(),
            &["keys.toml:2", "expected"],
        ),
        ("[checksums\n".to_owned(), &["keys.toml:1"]),
        (
            "[checksums]\nkey = \"none.key\"\n".to_owned(),
            &["none.key", "No such file"],
        ),
        (
            "[checksums]\nkey = \"locked.key\"\n".to_owned(),
            &["locked.key", "passphrase", "sign_command"],
        ),
        (
            "[checksums]\nkey = \"open.key\"\n".to_owned(),
            &["open.key", "other users", "chmod 0600"],
        ),
        (
            "[checksums]\nsign_command = \"true\"\n".to_owned(),
            &["nothing is known of it", "certificate"],
        ),
        (
            "[checksums]\nsign_command = \"echo pin-1234\"\ncertificate = \"release.pub\"\n"
                .to_owned(),
            &[
                "signing SHA256SUMS with the key `checksums`",
                "raw signature",
            ],
        ),
        (
            boot("p256.key", "p256.pem"),
            &["the key `secure_boot`", "firmware verifies RSA alone"],
        ),
        (
            boot("db.key", "other.pem"),
            &["db.key is not the private key of", "other.pem"],
        ),
        (
            boot("db.key", "db.key"),
            &["db.key", "must be a CERTIFICATE"],
        ),
        (
            boot("db.key", "db.pem"),
            &["has nothing that these keys sign", "`disk`"],
        ),
        (enroll("pk", "", ""), &["enroll.db names no certificate"]),
        (
            enroll("pk", "\"other.pem\"", ""),
            &["enroll.db lacks the certificate `CN=db`"],
        ),
        (
            enroll("pk", "\"db.pem\"", "\"db.pem\""),
            &["enroll.dbx revokes the certificate `CN=db`"],
        ),
        (
            enroll("pk", "\"db.pem\"", "").replace("[[secure_boot]]", "[root_hash]"),
            &["[enroll] is there, but no [[secure_boot]]"],
        ),
        (
            enroll("leaf", "\"db.pem\"", ""),
            &["enroll.pk", "issued by an authority"],
        ),
        (
            enroll("pk", "\"db.pem\"", &format!("\"{sum}\"")),
            &["enroll.dbx", "zz"],
        ),
        (
            enroll("pk", "\"db.pem\"", "") + "owner = \"me\"\n",
            &["enroll.owner", "is not a GUID"],
        ),
    ]
}

#[test]
fn files_of_keys_that_say_nothing_useful_are_refused() {
    let world = World::warm();
    let Some(keys) = Keys::make(&world.path("keys"), &["db", "other", "pk"]) else {
        return;
    };
    Ran::of(world.build().arg("--quiet")).good();
    let image = world.image("amd64");
    let before = state(&image);
    keys.openssl("pkcs8 -topk8 -in db.key -passout pass:secret -out locked.key")
        .unwrap();
    keys.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key")
        .unwrap();
    keys.openssl("req -new -x509 -key p256.key -subj /CN=p -out p256.pem")
        .unwrap();
    keys.openssl("req -new -key other.key -subj /CN=leaf -out leaf.csr")
        .unwrap();
    keys.openssl("x509 -req -in leaf.csr -CA db.pem -CAkey db.key -set_serial 7 -out leaf.pem")
        .unwrap();
    for name in ["locked.key", "p256.key"] {
        fs::set_permissions(keys.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::copy(keys.path("db.key"), keys.path("open.key")).unwrap();
    fs::set_permissions(keys.path("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    keys.openssl("pkey -in other.key -out leaf.key").unwrap();
    fs::set_permissions(keys.path("leaf.key"), fs::Permissions::from_mode(0o600)).unwrap();
    for (text, says) in bad_files() {
        let file = keys.file("keys.toml", &text);
        let ran = sign(&image, &file).refused(1, says);
        // Neither a key nor a command that may have a PIN in it.
        assert!(
            !ran.err.contains("pin-1234") && !ran.err.contains("MII"),
            "{}",
            ran.err
        );
        assert!(before == state(&image), "{text}");
    }
    sign(&image, &keys.path("missing.toml")).refused(1, &["missing.toml", "No such file"]);
    let hidden = fs::read_dir(world.path("out")).unwrap().count();
    assert_eq!(hidden, 1, "something is left beside the image");
}

#[test]
fn only_what_a_build_wrote_is_signed() {
    let world = World::warm();
    let Some(keys) = Keys::make(&world.path("keys"), &["db"]) else {
        return;
    };
    let file = keys.file("keys.toml", SUMS);
    Ran::of(world.build().arg("--quiet")).good();
    let image = world.image("amd64");
    let archive = fs::read_dir(&image)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let archive = archive
        .into_iter()
        .find(|path| path.to_str().unwrap().ends_with(".zst"))
        .unwrap();
    let good = fs::read(&archive).unwrap();
    let mut bad = good.clone();
    bad[100] ^= 1;
    fs::write(&archive, bad).unwrap();
    sign(&image, &file).refused(
        1,
        &[
            "is not the file that SHA256SUMS lists",
            "build the image again",
        ],
    );
    fs::remove_file(&archive).unwrap();
    sign(&image, &file).refused(1, &["No such file", ".zst"]);
    fs::write(&archive, &good).unwrap();
    fs::write(image.join("notes.txt"), "mine").unwrap();
    sign(&image, &file).refused(1, &["notes.txt", "would be replaced"]);
    fs::remove_file(image.join("notes.txt")).unwrap();
    let manifest = image.join("manifest.json");
    let text = fs::read(&manifest).unwrap();
    fs::write(&manifest, b"{}").unwrap();
    sign(&image, &file).refused(1, &["manifest.json is not the one that SHA256SUMS lists"]);
    fs::write(&manifest, text).unwrap();
    let sums = image.join("SHA256SUMS");
    let lines = fs::read_to_string(&sums).unwrap();
    for (line, says) in [
        ("nonsense\n", "is not `SHA-256  NAME`"),
        (
            &*format!("{}  ../../etc/passwd\n", "0".repeat(64)),
            "is not `SHA-256  NAME`",
        ),
        (&*format!("{}  \\a\\nb\n", "0".repeat(64)), "No such file"),
    ] {
        fs::write(&sums, format!("{lines}{line}")).unwrap();
        sign(&image, &file).refused(1, &[says]);
    }
    fs::write(&sums, &lines).unwrap();
    assert!(!image.join("SHA256SUMS.sig").exists());
    sign(&image, &file).good();
    // Directories of others.
    sign(&world.path("keys"), &file).refused(1, &["is not an output directory of `nodeimg build`"]);
    sign(&world.path("none"), &file).refused(1, &["No such file"]);
    sign(&manifest, &file).refused(1, &["is not an output directory"]);
}
