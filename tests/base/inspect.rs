//! `nodeimg inspect` and `nodeimg diff`, beside what others read in the same image: sfdisk,
//! unsquashfs, GNU tar, dpkg, mtools, qemu-img.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

use serde_json::Value;

use super::disk::place;
use super::{HOST, images};
use nodeimg_test_support::image::listed_in;
use nodeimg_test_support::run::{Ran, host_program, nodeimg, tool};

fn inspect(image: &Path) -> Value {
    let ran = Ran::of(nodeimg().args(["--json", "inspect"]).arg(image)).good();
    serde_json::from_str(&ran.out).unwrap()
}

fn diff(before: &Path, after: &Path) -> Value {
    let ran = Ran::of(nodeimg().args(["--json", "diff"]).arg(before).arg(after)).good();
    serde_json::from_str(&ran.out).unwrap()
}

fn names<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let list = list.as_array().unwrap().iter();
    list.map(|entry| entry[key].as_str().unwrap()).collect()
}

#[test]
fn partitions_packages_and_users_are_what_others_read() {
    let Some(images) = images() else { return };
    let image = images.image(HOST);
    let report = inspect(&image);
    let disk = image.join("disk.raw");
    if let Some(told) = tool(host_program("sfdisk").arg("--json").arg(&disk)) {
        let table: Value = serde_json::from_str(&told.good().out).unwrap();
        let theirs = table["partitiontable"]["partitions"].as_array().unwrap();
        let ours = report["disk"]["partitions"].as_array().unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(theirs) {
            assert_eq!(ours["label"], theirs["name"]);
            let guid = theirs["uuid"].as_str().unwrap().to_lowercase();
            assert_eq!(ours["guid"], guid);
            assert_eq!(
                ours["size"].as_u64(),
                theirs["size"].as_u64().map(|size| size * 512)
            );
        }
    }
    let root = images.root(HOST);
    let mut query = host_program("dpkg-query");
    query.arg(format!(
        "--admindir={}",
        root.join("usr/lib/sysimage/dpkg").display()
    ));
    if let Some(told) = tool(query.args(["-W", "-f", "${Package} ${Version}\n"])) {
        let theirs: BTreeSet<String> = told.good().out.lines().map(str::to_owned).collect();
        let ours = report["packages"].as_array().unwrap().iter();
        let text = |package: &Value, key: &str| package[key].as_str().unwrap().to_owned();
        let ours: BTreeSet<String> = ours
            .map(|package| format!("{} {}", text(package, "name"), text(package, "version")))
            .collect();
        assert_eq!(ours, theirs);
    }
    let passwd = images.text(HOST, "/etc/passwd");
    let theirs = passwd.lines().map(|line| line.split(':').next().unwrap());
    assert_eq!(names(&report["users"], "name"), theirs.collect());
    for unit in [
        "containerd.service",
        "ssh.service",
        "nodeimg-firstboot.service",
    ] {
        assert_eq!(report["units"][unit][0], "multi-user.target", "{unit}");
    }
    let uki = &report["boot"]["uki"];
    let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
    assert_eq!(uki["root_hash"].as_str(), Some(hash.trim_end()));
}

#[test]
fn every_path_is_the_one_that_tar_lists() {
    let Some(images) = images() else { return };
    let theirs = listed_in(&images.archive(HOST));
    let image = images.image(HOST);
    let parent = |path: &str| match path.rsplit_once('/') {
        Some(("", name)) if !name.is_empty() => Some("/".to_owned()),
        Some((above, _)) if !above.is_empty() => Some(above.to_owned()),
        _ => None,
    };
    let shallow = |path: &str| path.matches('/').count() <= 2;
    let directories = theirs.iter().filter(|entry| entry.mode.starts_with('d'));
    let mut seen = 0;
    for directory in directories.filter(|entry| shallow(&entry.path)) {
        let mut list = nodeimg();
        list.args(["--json", "inspect"])
            .arg(image.join("root.squashfs"));
        let ran = Ran::of(list.arg(&directory.path)).good();
        let ours: BTreeSet<(String, String)> = ran
            .out
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| {
                let entry: Value = serde_json::from_str(line).unwrap();
                let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                (text("path"), text("target"))
            })
            .collect();
        let inside = theirs
            .iter()
            .filter(|entry| parent(&entry.path).as_ref() == Some(&directory.path));
        let expected: BTreeSet<(String, String)> = inside
            .map(|entry| (entry.path.clone(), entry.target.clone().unwrap_or_default()))
            .collect();
        assert_eq!(ours, expected, "{}", directory.path);
        seen += ours.len();
    }
    assert!(seen > 500, "{seen}");
}

#[test]
fn a_files_content_is_the_one_that_unsquashfs_reads() {
    let Some(images) = images() else { return };
    let image = images.image(HOST);
    // `/bin` is a link.
    for path in [
        "/etc/passwd",
        "/bin/bash",
        "/etc/os-release",
        "/usr/bin/containerd",
    ] {
        let ours = nodeimg()
            .arg("inspect")
            .arg(image.join("disk.raw"))
            .arg(path)
            .output();
        let ours = ours.unwrap();
        assert!(
            ours.status.success(),
            "{path}: {}",
            String::from_utf8_lossy(&ours.stderr)
        );
        let theirs = fs::read(images.root(HOST).join(match path {
            "/etc/os-release" => "usr/lib/os-release",
            "/bin/bash" => "usr/bin/bash",
            other => other.trim_start_matches('/'),
        }));
        assert!(ours.stdout == theirs.unwrap(), "{path}");
    }
}

#[test]
fn a_compressed_disk_says_the_same() {
    let Some(images) = images() else { return };
    let raw = images.image(HOST).join("disk.raw");
    let here = place("inspect", HOST);
    let qcow2 = here.join("disk.qcow2");
    let zst = here.join("disk.raw.zst");
    let mut convert = host_program("qemu-img");
    convert
        .args(["convert", "-f", "raw", "-O", "qcow2"])
        .arg(&raw)
        .arg(&qcow2);
    let mut compress = host_program("zstd");
    compress.args(["-q", "-1", "-o"]).arg(&zst).arg(&raw);
    let copy = here.join("alone.raw");
    fs::copy(&raw, &copy).unwrap();
    let alone = inspect(&copy);
    for (mut make, made) in [(convert, qcow2), (compress, zst)] {
        if tool(&mut make).is_some() {
            assert!(inspect(&made) == alone, "{}", made.display());
        }
    }
    // Without a manifest, dpkg's lists say whose a file is.
    let largest = &alone["sizes"][0]["owner"];
    assert_eq!(
        (&largest["kind"], &largest["name"]),
        (&"package".into(), &"containerd".into())
    );
    fs::remove_dir_all(&here).unwrap();
}

#[test]
fn what_differs_is_named_and_nothing_else() {
    let Some(images) = images() else { return };
    let (one, other) = (images.image("amd64"), images.image("arm64"));
    let same = Ran::of(nodeimg().arg("diff").arg(&one).arg(one.join("disk.raw"))).good();
    assert_eq!(same.out, "the images are the same\n");
    let difference = diff(&one, &other);
    assert_eq!(
        difference["image"]["changed"]["architecture"],
        serde_json::json!(["amd64", "arm64"])
    );
    let package = "linux-image-cloud-arm64";
    assert!(
        difference["packages"]["added"][package].is_string(),
        "{}",
        difference["packages"]
    );
    assert!(difference["files"]["changed"]["/usr/bin/bash"].is_array());
    assert!(difference["files"]["changed"]["/etc/passwd"].is_null());
}

#[test]
fn the_page_needs_nothing_else() {
    let Some(images) = images() else { return };
    let page = place("page", HOST).join("page.html");
    Ran::of(
        nodeimg()
            .arg("inspect")
            .arg(images.image(HOST))
            .arg("--html")
            .arg(&page),
    )
    .good();
    let text = fs::read_to_string(&page).unwrap();
    for outside in ["http:", "https:", "//", "<script", "@import", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
    assert!(text.contains("containerd") && text.contains("aspect-ratio"));
}

#[test]
fn what_is_not_an_image_is_refused_by_name() {
    let Some(images) = images() else { return };
    let here = place("inspect-bad", HOST);
    let raw = images.image(HOST).join("disk.raw");
    let refused = |path: &Path, words: &[&str]| {
        Ran::of(nodeimg().arg("inspect").arg(path)).refused(1, words);
    };
    refused(&here, &["disk.raw", "no output that can be looked into"]);
    refused(&here.join("nope.raw"), &["nope.raw", "opening"]);
    let text = here.join("text.raw");
    fs::write(&text, "hello").unwrap();
    refused(&text, &["text.raw", "not an image that nodeimg reads"]);
    let cut = here.join("cut.raw");
    fs::copy(&raw, &cut).unwrap();
    fs::set_permissions(&cut, fs::Permissions::from_mode(0o600)).unwrap();
    let file = File::options().write(true).open(&cut).unwrap();
    let size = file.metadata().unwrap().len();
    file.set_len(size / 2).unwrap();
    refused(&cut, &["cut.raw", "second partition table"]);
    file.set_len(size).unwrap();
    fs::copy(&raw, &cut).unwrap();
    file.write_all_at(&[0xff; 64], 512 + 24).unwrap();
    refused(&cut, &["cut.raw", "sector 1", "damaged"]);
    let absent = ["`/etc/nope` is not in the image"];
    Ran::of(nodeimg().arg("inspect").arg(&raw).arg("/etc/nope")).refused(1, &absent);
    fs::remove_dir_all(&here).unwrap();
}
