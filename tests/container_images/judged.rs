//! Other people's registry and reader.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::publish::{Images, contents};
use super::{archive, pause, world};
use nodeimg_test_support::judge;
use nodeimg_test_support::layout::Blobs;
use nodeimg_test_support::run::{Ran, clean, tool};
use nodeimg_test_support::synthetic::World;

/// bcrypt of `secret`, which is all that docker-registry takes.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// Debian's docker-registry; it ends when dropped.
struct Judge {
    child: Child,
    host: String,
}

impl Drop for Judge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Judge {
    /// Serves `blobs` as the image `team/pause:1`; `None` where it is not installed.
    fn start(directory: &Path, blobs: &Blobs, top: &str, login: bool) -> Option<Judge> {
        storage(&directory.join("data/docker/registry/v2"), blobs, top);
        Judge::serve(directory, login)
    }

    /// Serves what lies below `directory`, which may be nothing yet.
    fn serve(directory: &Path, login: bool) -> Option<Judge> {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let host = free.local_addr().unwrap().to_string();
        drop(free);
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\nhttp: {{addr: \"{host}\"}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n",
            directory.join("data").display()
        );
        if login {
            fs::write(directory.join("htpasswd"), HTPASSWD).unwrap();
            let path = directory.join("htpasswd");
            config += &format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                path.display()
            );
        }
        let path = directory.join("config.yml");
        fs::write(&path, config).unwrap();
        let mut command = clean(Command::new("docker-registry"));
        command
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                judge::missing("the command `docker-registry`");
                return None;
            }
            Err(e) => panic!("docker-registry: {e}"),
        };
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert!(
                said.read_line(&mut line).unwrap() > 0,
                "docker-registry did not start"
            );
        }
        // It must not stop at a full pipe.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(Judge { child, host })
    }
}

/// What its filesystem driver keeps
/// (<https://distribution.github.io/distribution/about/architecture/>).
fn storage(root: &Path, blobs: &Blobs, top: &str) {
    let link = |at: &str, digest: &str| {
        let directory = root.join("repositories/team/pause").join(at);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("link"), digest).unwrap();
    };
    for (digest, bytes) in &blobs.0 {
        let hex = digest.strip_prefix("sha256:").unwrap();
        let directory = root.join("blobs/sha256").join(&hex[..2]).join(hex);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("data"), bytes).unwrap();
        link(&format!("_layers/sha256/{hex}"), digest);
        link(&format!("_manifests/revisions/sha256/{hex}"), digest);
    }
    let hex = top.strip_prefix("sha256:").unwrap();
    link("_manifests/tags/1/current", top);
    link(&format!("_manifests/tags/1/index/sha256/{hex}"), top);
}

fn logins(world: &World, host: &str, password: &str) {
    use base64::Engine;
    let auth = base64::engine::general_purpose::STANDARD.encode(format!("user:{password}"));
    let text = format!(r#"{{"auths":{{"{host}":{{"auth":"{auth}"}}}}}}"#);
    fs::create_dir_all(world.path("docker")).unwrap();
    fs::write(world.path("docker/config.json"), text).unwrap();
}

#[test]
fn debians_registry_gives_the_image_with_and_without_a_login() {
    for login in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let (blobs, top) = pause();
        let Some(judge) = Judge::start(directory.path(), &blobs, &top, login) else {
            return;
        };
        let world = world(&format!("{}/team/pause:1", judge.host), "");
        if login {
            let mut lock = world.nodeimg("lock");
            Ran::of(&mut lock).refused(1, &["requires a login", &judge.host]);
            logins(&world, &judge.host, "wrong");
            let mut lock = world.nodeimg("lock");
            lock.env("DOCKER_CONFIG", world.path("docker"));
            Ran::of(&mut lock).refused(1, &["log in again", "docker/config.json"]);
            logins(&world, &judge.host, "secret");
        }
        for verb in ["lock", "build"] {
            let mut command = world.nodeimg(verb);
            command.env("DOCKER_CONFIG", world.path("docker"));
            if verb == "build" {
                command.args(["--arch", "amd64", "--arch", "arm64"]);
            }
            Ran::of(&mut command).good();
        }
        drop(judge);
        expect_skopeo_reads(&world);
    }
}

/// Every blob is looked at on its way to another archive.
fn expect_skopeo_reads(world: &World) {
    let path = world.path("pause.tar");
    fs::write(&path, archive(world)).unwrap();
    let table: toml::Table = world.lock_text().parse().unwrap();
    let name = table["image"][0]["image"].as_str().unwrap().to_owned();
    let to = world.path("copied.tar");
    let mut skopeo = clean(Command::new("skopeo"));
    skopeo.env("HOME", world.path("home"));
    skopeo.args(["--insecure-policy", "copy"]);
    skopeo.arg(format!("oci-archive:{}:{name}", path.display()));
    skopeo.arg(format!("docker-archive:{}:{name}", to.display()));
    if let Some(ran) = tool(&mut skopeo) {
        ran.good();
        // And what it writes is read here.
        let read = super::world(&name, "source = \"copied.tar\"");
        fs::copy(&to, read.path("copied.tar")).unwrap();
        read.lock();
        Ran::of(&mut read.build()).good();
    }
}

fn skopeo(words: &[&str]) -> Option<Ran> {
    let home = tempfile::tempdir().unwrap();
    let mut skopeo = clean(Command::new("skopeo"));
    skopeo.env("HOME", home.path());
    tool(skopeo.arg("--insecure-policy").args(words))
}

/// Digests of the manifests of an index, in its order.
fn digests(index: &str) -> Vec<String> {
    let index: serde_json::Value = serde_json::from_str(index).unwrap();
    let all = index["manifests"].as_array().unwrap().iter();
    all.map(|one| one["digest"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_published_image_survives_other_peoples_registry_and_copier() {
    for login in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let Some(judge) = Judge::serve(directory.path(), login) else {
            return;
        };
        let images = Images::new();
        let name = format!("{}/team/tiny", judge.host);
        let to = format!("oci://{name}:1");
        let config = images.path("docker");
        if login {
            images
                .publish("amd64", &to)
                .refused(1, &["requires a login", &judge.host]);
            fs::create_dir_all(&config).unwrap();
            let auth = "dXNlcjpzZWNyZXQ=";
            let text = format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, judge.host);
            fs::write(config.join("config.json"), text).unwrap();
        }
        let run = |words: &[&str]| {
            let mut command = images.nodeimg(words);
            Ran::of(command.env("DOCKER_CONFIG", &config)).good()
        };
        for arch in ["amd64", "arm64"] {
            run(&["publish", arch, &to]);
            run(&["publish", arch, &to]);
        }
        let pull = |from: &str, to: &str| {
            run(&["pull", from, to, "--arch", "arm64"]);
            assert_eq!(contents(&images.path(to)), contents(&images.path("arm64")));
        };
        pull(&to, "pulled");
        if login {
            continue;
        }
        let inspect = |name: &str| {
            let name = format!("docker://{name}");
            skopeo(&["inspect", "--raw", "--tls-verify=false", &name])
        };
        let Some(ran) = inspect(&format!("{name}:1")) else {
            return;
        };
        let before = ran.good().out;
        assert_eq!(digests(&before).len(), 6);
        // There, and back into the same registry under another name.
        let place = images.path("skopeo").display().to_string();
        let (from, copied) = (
            format!("docker://{name}:1"),
            format!("{}/copy/tiny:1", judge.host),
        );
        let directory = format!("dir:{place}");
        let back = format!("docker://{copied}");
        let words = ["copy", "--all", "--src-tls-verify=false", &from, &directory];
        skopeo(&words).unwrap().good();
        let words = [
            "copy",
            "--all",
            "--dest-tls-verify=false",
            &directory,
            &back,
        ];
        skopeo(&words).unwrap().good();
        let after = inspect(&copied).unwrap().good().out;
        assert_eq!(digests(&after), digests(&before));
        pull(&format!("oci://{copied}"), "copied");
        // A kubelet's side: one image for a platform, with a layer that unpacks.
        let disk = format!("docker://{name}:1-containerdisk");
        let archive = format!("docker-archive:{place}.tar:x:1");
        let words = [
            "--override-arch=arm64",
            "copy",
            "--src-tls-verify=false",
            &disk,
            &archive,
        ];
        skopeo(&words).unwrap().good();
    }
}
