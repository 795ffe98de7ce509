#![allow(clippy::unwrap_used)]
use super::*;

const HEX: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parsed(text: &str) -> Reference {
    text.parse().unwrap()
}

#[test]
fn names_are_made_whole() {
    let pinned = format!("registry.k8s.io/pause:3.10@{HEX}");
    let digest_only = format!("quay.io/a/b__c@{HEX}");
    for (text, whole) in [
        (
            "registry.k8s.io/pause:3.10.2",
            "registry.k8s.io/pause:3.10.2",
        ),
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        (
            "index.docker.io/busybox",
            "docker.io/library/busybox:latest",
        ),
        (
            "flannel/flannel:v0.27.0",
            "docker.io/flannel/flannel:v0.27.0",
        ),
        ("localhost/x:a", "localhost/x:a"),
        ("localhost:5000/a/b-c.d:_x", "localhost:5000/a/b-c.d:_x"),
        ("[::1]:5000/a:b", "[::1]:5000/a:b"),
        (pinned.as_str(), pinned.as_str()),
        (digest_only.as_str(), digest_only.as_str()),
    ] {
        assert_eq!(parsed(text).to_string(), whole, "{text}");
        assert_eq!(parsed(whole), parsed(text), "{text}");
    }
}

#[test]
fn what_is_no_name_is_told_why() {
    for (text, wanted) in [
        ("", "not a valid image name"),
        ("https://registry.k8s.io/pause", "without it"),
        ("registry.k8s.io/Pause", "lowercase"),
        ("registry.k8s.io/a//b", "lowercase"),
        ("registry.k8s.io/a-", "lowercase"),
        ("registry.k8s.io/a___b", "lowercase"),
        ("registry.k8s.io/../x", "lowercase"),
        ("registry.k8s.io/pause:", "not a valid tag"),
        ("registry.k8s.io/pause:a b", "not a valid tag"),
        ("registry.k8s.io/pause@sha256:12", "sha256"),
        ("a_b.c/x", "not a valid host"),
        ("a.b:http/x", "not a valid host"),
    ] {
        let error = format!("{:#}", text.parse::<Reference>().unwrap_err());
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn urls_are_of_the_registrys_api() {
    let digest: Digest = HEX.parse().unwrap();
    let docker = parsed("busybox:1.36");
    assert_eq!(
        docker.manifest_url(),
        "https://registry-1.docker.io/v2/library/busybox/manifests/1.36"
    );
    let pinned = parsed(&format!("registry.k8s.io/pause:3.10@{HEX}"));
    let url = format!("https://registry.k8s.io/v2/pause/manifests/{HEX}");
    assert_eq!(pinned.manifest_url(), url);
    assert_eq!(pinned.document_url(&digest), url);
    for host in ["localhost", "127.0.0.1:5000", "[::1]:5000"] {
        let url = parsed(&format!("{host}/x:y")).blob_url(&digest);
        assert_eq!(url, format!("http://{host}/v2/x/blobs/{HEX}"));
    }
    let elsewhere = parsed("127.0.0.1.example.com/x:y");
    assert!(
        elsewhere
            .manifest_url()
            .starts_with("https://127.0.0.1.example.com/")
    );
}

#[test]
fn a_node_finds_it_by_tag_and_by_digest() {
    let other = Digest::sha256(b"index");
    let names = parsed("registry.k8s.io/pause:3.10").names(&other);
    let wanted = [
        "registry.k8s.io/pause:3.10".to_owned(),
        format!("registry.k8s.io/pause@{other}"),
    ];
    assert_eq!(names, wanted);
    let names = parsed(&format!("a.b/c@{HEX}")).names(&other);
    assert_eq!(names, [format!("a.b/c@{HEX}")]);
}
