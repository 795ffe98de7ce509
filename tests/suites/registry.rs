//! A registry in the cluster's namespace with every image that pods of the suites
//! and workloads ask for, by upstream's names: the node has it as its mirror, as a user's
//! would have theirs.
//!
//! What upstream's image does that a spec looks at, the lab's does too: where
//! that is only to be there, or to serve a page, it is one of the lab's with
//! another command.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::{NamedTempFile, TempDir};

use super::lab;
use super::server::Server;
use crate::cluster::control::Cluster;
use crate::cluster::images::Variant;
use nodeimg_test_support::run::Ran;

/// Where it answers, in the namespace.
pub const ADDRESS: &str = "10.240.0.1:5000";

/// A name of upstream's, and the lab's image behind it.
struct Image {
    /// Without the registry's own name, which a mirror does not see.
    name: &'static str,
    layout: &'static str,
    /// What `crane mutate` changes of it.
    changes: &'static [&'static str],
    /// Files over it.
    files: &'static [(&'static str, &'static str)],
}

const fn image(name: &'static str, layout: &'static str) -> Image {
    changed(name, layout, &[])
}

const fn changed(
    name: &'static str,
    layout: &'static str,
    changes: &'static [&'static str],
) -> Image {
    Image {
        name,
        layout,
        changes,
        files: &[],
    }
}

/// A server of files: agnhost's image, and these.
const fn with(name: &'static str, files: &'static [(&'static str, &'static str)]) -> Image {
    Image {
        files,
        ..changed(name, "agnhost", FILES)
    }
}

/// A server of one page on port 80, where nginx's image has that page: a spec takes it away.
const WEB: &[&str] = &[
    "--entrypoint",
    "sh,-c,d=/usr/share/nginx/html; mkdir -p $d; echo page >$d/index.html; echo httpd; exec httpd -f -p 80 -h $d",
];
/// The same by a process that is called nginx, also by its words, and has its file of the
/// process number.
const NGINX: &[&str] = &[
    "--entrypoint",
    // Without a double quote, which crane's list of words would take for its own.
    r"sh,-c,d=/usr/share/nginx/html; mkdir -p $d /var/run; echo page >$d/index.html; printf '#!/bin/sh\nhttpd -f -p 80 -h '$d' &\ntrap kill\\ $!\\;exit TERM\necho $$ >/var/run/nginx.pid\nwait\n' >/tmp/nginx; chmod 755 /tmp/nginx; exec /tmp/nginx 'master process'",
];
const WEB_12003: &[&str] = &[
    "--entrypoint",
    "sh,-c,mkdir -p /tmp/www; echo page >/tmp/www/index.html; exec httpd -f -p 12003 -h /tmp/www",
];
/// A server of the files at the image's root.
const FILES: &[&str] = &["--entrypoint", "/agnhost,test-webserver", "--cmd", ""];

const IMAGES: &[Image] = &[
    // Kubernetes' suite.
    image("e2e-test-images/agnhost:2.66.1", "agnhost"),
    image("e2e-test-images/agnhost:2.55", "agnhost"),
    image("e2e-test-images/glibc-dns-testing:2.1.1", "agnhost"),
    image("e2e-test-images/busybox:1.37.0-2", "e2e-busybox"),
    changed("e2e-test-images/nginx:1.27.0-2", "busybox", WEB),
    changed("e2e-test-images/nginx:1.28.0-2", "busybox", WEB),
    image("e2e-test-images/nonewprivs:1.4", "nonewprivs"),
    image(
        "e2e-test-images/sample-apiserver:1.29.2",
        "sample-apiserver",
    ),
    image("etcd:3.7.0-0", "etcd"),
    with(
        "e2e-test-images/nautilus:1.8",
        &[("data.json", r#"{"image": "nautilus.jpg"}"#)],
    ),
    with(
        "e2e-test-images/kitten:1.8",
        &[
            ("data.json", r#"{"image": "kitten.jpg"}"#),
            // A spec reads of which distribution upstream's is.
            ("etc/os-release", "NAME=\"Alpine Linux\"\n"),
        ],
    ),
    image("pause:3.10.2", "pause"),
    changed("pause:3.9", "pause", &["--label", "of=3.9"]),
    // critest's.
    image("e2e-test-images/nonewprivs:1.3", "nonewprivs"),
    image("e2e-test-images/busybox:1.29-2", "busybox"),
    changed("e2e-test-images/nginx:1.14-2", "busybox", NGINX),
    changed("e2e-test-images/httpd:2.4.39-4", "busybox", WEB),
    changed(
        "k8s-staging-cri-tools/hostnet-nginx-amd64:latest",
        "busybox",
        WEB_12003,
    ),
    changed(
        "k8s-staging-cri-tools/test-image-latest:latest",
        "busybox",
        &["--label", "of=latest"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-tag:test",
        "busybox",
        &["--label", "of=tag"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-tag:all",
        "busybox",
        &["--label", "of=all"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-1:latest",
        "busybox",
        &["--label", "of=1"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-2:latest",
        "busybox",
        &["--label", "of=2"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-3:latest",
        "busybox",
        &["--label", "of=3"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-tags:1",
        "busybox",
        &["--label", "of=tags"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-tags:2",
        "busybox",
        &["--label", "of=tags"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-tags:3",
        "busybox",
        &["--label", "of=tags"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-user-uid:latest",
        "busybox",
        &["--user", "1002"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-user-username:latest",
        "busybox",
        &["--user", "www-data"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-user-uid-group:latest",
        "busybox",
        &["--user", "1003:users"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-user-username-group:latest",
        "busybox",
        &["--user", "www-data:100"],
    ),
    changed(
        "k8s-staging-cri-tools/test-image-predefined-group:latest",
        "busybox",
        &["--user", "1000"],
    ),
    // The workloads'.
    image("library/busybox:latest", "busybox"),
    image("coredns/coredns:lab", "coredns"),
    image("metrics-server/metrics-server:lab", "metrics-server"),
    image("flannel-io/flannel:lab", "flannel"),
    image("cloudnativelabs/kube-router:lab", "kube-router"),
];

/// Registries whose images the suites and workloads ask for.
const REGISTRIES: [&str; 5] = [
    "docker.io",
    "gcr.io",
    "ghcr.io",
    "k8s.gcr.io",
    "registry.k8s.io",
];

/// `registries` of a seed, which makes it the mirror of every one: CRI-O has no word for that
/// but their names.
pub fn mirrors(variant: &Variant) -> String {
    let names: &[&str] = match variant.is_of_crio() {
        true => &REGISTRIES,
        false => &["_default"],
    };
    let entry =
        |name: &&str| format!("\"{name}\": {{mirrors: [\"http://{ADDRESS}\"], fallback: false}}");
    let entries: Vec<String> = names.iter().map(entry).collect();
    format!("{{{}}}", entries.join(", "))
}

/// Starts it with all images that the lab has made.
pub fn start(cluster: &Cluster, directory: &Path, log: &Path) -> Server {
    let blobs = directory.join("registry");
    fs::create_dir_all(&blobs).unwrap();
    let mut serve = cluster.inside(lab::program("crane"));
    serve.args(["registry", "serve", "--address", ADDRESS, "--disk"]);
    serve.arg(&blobs);
    let server = Server::start(serve, log);
    let layouts = lab::directory().unwrap().join("images");
    for image in IMAGES {
        let layout = layouts.join(image.layout);
        assert!(
            layout.join("index.json").exists(),
            "{}: the lab has no image {}",
            image.name,
            layout.display()
        );
        push(cluster, image, &layout);
    }
    server
}

fn push(cluster: &Cluster, image: &Image, layout: &Path) {
    let to = format!("{ADDRESS}/{}", image.name);
    let from = format!("{ADDRESS}/lab/{}", image.layout);
    let crane = |words: &[&str]| {
        let mut crane = cluster.inside(lab::program("crane"));
        crane.arg("--insecure").args(words);
        Ran::of(crane.stdin(Stdio::null()))
    };
    if image.changes.is_empty() {
        crane(&["push", layout.to_str().unwrap(), &to]).good();
        return;
    }
    crane(&["push", layout.to_str().unwrap(), &from]).good();
    let mut words = vec!["mutate", from.as_str(), "--tag", to.as_str()];
    words.extend(image.changes);
    let over = layer(image);
    if let Some(layer) = &over {
        words.extend(["--append", layer.path().to_str().unwrap()]);
    }
    crane(&words).good();
}

/// Its files as a tar.
fn layer(image: &Image) -> Option<NamedTempFile> {
    if image.files.is_empty() {
        return None;
    }
    let folder = TempDir::new().unwrap();
    for (path, text) in image.files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let layer = NamedTempFile::with_suffix(".tar").unwrap();
    let mut tar = Command::new("tar");
    tar.arg("--create").arg("--file").arg(layer.path());
    let names = image.files.iter().map(|(path, _)| path);
    tar.arg("--directory").arg(folder.path()).args(names);
    Ran::of(&mut tar).good();
    Some(layer)
}
