//! What user-data asks for, on an image that has something there already.
#![allow(clippy::unwrap_used, clippy::expect_used)]
mod common;

use common::Image;
use nodeimg_test_support::seeds::{self, META_DATA};

const SSH_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFvrLlM4xIJ4HlqcoVZ4LRY8psjG9qODJgOiGKswIanV a@b";

fn image() -> Image {
    let image = Image::new();
    let settings = seeds::SETTINGS
        .replace("hard-way", "container-host")
        .replace("[\"/etc\"]", "[\"/etc\", \"/var\"]");
    image.write("usr/lib/nodeimg/firstboot.json", settings);
    std::fs::remove_dir_all(image.path().join("usr/lib/nodeimg/templates")).unwrap();
    image.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n");
    image.write("etc/group", "root:x:0:\nshadow:x:42:\n");
    image.write("etc/shadow", "root:*:1::::::\n");
    image.write("etc/motd", "hello\n");
    image.write("etc/ssl/certs/ca-certificates.crt", "OLD\n");
    image.write("usr/share/zoneinfo/Europe/Berlin", "TZif");
    image
}

fn user_data() -> String {
    format!(
        "#cloud-config\nhostname: n\nuser: {{name: me, sudo: 'ALL=(ALL) NOPASSWD:ALL'}}\nssh_authorized_keys: ['{SSH_KEY}']\nusers:\n- name: other\n  groups: adm\n  homedir: /usr/other\nca_certs:\n  trusted:\n  - {}ntp: {{servers: [192.0.2.1], pools: [pool.example]}}\ntimezone: Europe/Berlin\nwrite_files:\n- {{path: /etc/motd, content: \"more\\n\", append: true}}\n- {{path: /etc/motd, content: \"and more\\n\", append: true, permissions: '0600'}}\n- {{path: /etc/hosts, content: 'mine'}}\n- {{path: /var/lib/x/y, content: z, owner: 'me:shadow'}}\nbootcmd: [a]\nruncmd: [b]\n",
        seeds::block(2, &seeds::cert())
    )
}

#[test]
fn everything_is_written_and_given_back() {
    let image = image();
    image.seed(
        user_data(),
        &format!("{META_DATA}public-keys: {{a: ['{SSH_KEY}', '{SSH_KEY}2']}}\n"),
    );
    let ran = image.run(&[]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    expect_all_written(&image);
    assert!(
        ran.out
            .contains("`other` has a home directory in the sealed part"),
        "{}",
        ran.out
    );
    assert_eq!(image.result()["commands"], "pending");
    // The same again from the start: nothing is added twice.
    std::fs::remove_file(image.path().join("etc/hostname")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("etc/motd"), "hello\nmore\nand more\n");
    assert_eq!(image.text("etc/passwd").lines().count(), 3);
    // And with the state lost.
    std::fs::remove_file(image.path().join("var/lib/nodeimg/instance.json")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("etc/motd"), "hello\nmore\nand more\n");
    // A seed's file may be removed without the instance being set up again.
    std::fs::remove_file(image.path().join("var/lib/x/y")).unwrap();
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.result()["outcome"], "unchanged");
    expect_given_back(&image);
}

#[track_caller]
fn expect_all_written(image: &Image) {
    for (path, expected) in [
        (
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/bash\nme:x:1000:1000::/var/home/me:/bin/bash\nother:x:1001:1001::/usr/other:/bin/bash\n",
        ),
        (
            "etc/group",
            "root:x:0:\nshadow:x:42:\nme:x:1000:\nother:x:1001:\nadm:x:1002:other\n",
        ),
        (
            "etc/shadow",
            "root:*:1::::::\nme:*::0:99999:7:::\nother:*::0:99999:7:::\n",
        ),
        (
            "etc/sudoers.d/90-nodeimg-users",
            "me ALL=(ALL) NOPASSWD:ALL\n",
        ),
        (
            "etc/ssh/authorized_keys.d/me",
            &format!("{SSH_KEY}\n{SSH_KEY}2\n"),
        ),
        (
            "etc/ssh/sshd_config.d/50-nodeimg-keys.conf",
            "AuthorizedKeysFile .ssh/authorized_keys /etc/ssh/authorized_keys.d/%u\n",
        ),
        (
            "etc/ssl/certs/ca-certificates.crt",
            &format!("OLD\n{}", seeds::cert()),
        ),
        (
            "etc/systemd/timesyncd.conf.d/50-nodeimg.conf",
            "[Time]\nNTP=192.0.2.1 pool.example\n",
        ),
        ("etc/timezone", "Europe/Berlin\n"),
        ("etc/motd", "hello\nmore\nand more\n"),
        ("etc/hosts", "mine"),
        ("var/lib/x/y", "z"),
        ("var/lib/nodeimg/bootcmd", "#!/bin/sh\na\n"),
        ("var/lib/nodeimg/scripts/900-runcmd", "#!/bin/sh\nb\n"),
    ] {
        assert_eq!(image.text(path), expected, "{path}");
    }
    let link = std::fs::read_link(image.path().join("etc/localtime")).unwrap();
    assert_eq!(link.to_str(), Some("../usr/share/zoneinfo/Europe/Berlin"));
    assert_eq!(image.mode("etc/motd"), 0o600);
    assert_eq!(image.mode("var/home/me"), 0o700);
    if nix::unistd::Uid::effective().is_root() {
        use std::os::unix::fs::MetadataExt;
        let owner = |path: &str| {
            let stat = std::fs::metadata(image.path().join(path)).unwrap();
            (stat.uid(), stat.gid())
        };
        assert_eq!(owner("var/lib/x/y"), (1000, 42));
        assert_eq!(owner("var/home/me"), (1000, 1000));
    }
}

/// A new instance that asks for nothing has the image as it was.
#[track_caller]
fn expect_given_back(image: &Image) {
    image.seed("#cloud-config\nhostname: m\n", "instance-id: iid-2\n");
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("etc/motd"), "hello\n");
    assert_eq!(
        image.text("etc/passwd"),
        "root:x:0:0:root:/root:/bin/bash\n"
    );
    assert_eq!(image.text("etc/ssl/certs/ca-certificates.crt"), "OLD\n");
    for path in [
        "etc/localtime",
        "etc/ssh/authorized_keys.d/me",
        "var/lib/nodeimg/scripts/900-runcmd",
    ] {
        assert!(!image.has(path), "{path}");
    }
    assert!(image.text("etc/hosts").contains("127.0.1.1 m\n"));
}

#[test]
fn what_does_not_fit_the_image_is_refused() {
    for (text, expected) in [
        (
            "write_files: [{path: /usr/x}]",
            "writes `/usr/x`, which is in the sealed part of the image\",\"remedy\":\"choose a \
             path below /etc, /var, /run and /tmp",
        ),
        ("write_files: [{path: etc/x}]", "is a relative path"),
        (
            "write_files: [{path: /etc/../usr/x}]",
            "is not the path of a file",
        ),
        (
            "write_files: [{path: /etc/hostname}]",
            "is a file that first boot itself writes",
        ),
        (
            "write_files: [{path: /var/lib/nodeimg/instance.json}]",
            "writes to first boot's own state",
        ),
        (
            "write_files: [{path: /etc/x, owner: nobody}]",
            "names a user or group that this node does not have",
        ),
        (
            "write_files: [{path: /etc/passwd, content: x}]\nusers: [a]",
            "is a file that first boot itself writes",
        ),
        ("timezone: Mars/Olympus", "is not a time zone of this image"),
        (
            "timezone: ../../etc/shadow",
            "is not the name of a time zone",
        ),
        ("users: [{name: 'a:b'}]", "is not a valid account name"),
        (
            "users: [{name: a, gecos: 'x:0:0'}]",
            "contains a colon or a line break",
        ),
        ("users: [{name: a, uid: 0}]", "is not a user id"),
        ("users: [{name: a, shell: sh}]", "is not an absolute path"),
        (
            "ssh_authorized_keys: [SECRETKEY]",
            "is not a public SSH key",
        ),
        (
            "ca_certs: {trusted: [x]}",
            "\"key\":\"ca_certs.trusted\",\"line\":3,\"reason\":\"is not PEM",
        ),
        (
            "ca_certs: {remove_defaults: true}",
            "with no certificate authority",
        ),
        (
            "ntp: {servers: ['a b']}",
            "is not the name or address of a time server",
        ),
    ] {
        let image = image();
        image.seed(format!("#cloud-config\nhostname: n\n{text}\n"), META_DATA);
        let before = image.written();
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1, "{text}: {}", ran.out);
        let said = image.result()["problems"].to_string();
        assert!(said.contains(expected), "{text}: {said}");
        assert!(!said.contains("SECRETKEY"), "{said}");
        let after: Vec<String> = image
            .written()
            .into_iter()
            .filter(|line| !line.starts_with("run/nodeimg/"))
            .collect();
        assert_eq!(after, before, "{text}");
    }
}

#[test]
fn an_image_may_refuse_commands() {
    for text in [
        "#cloud-config\nhostname: n\nruncmd: [a]\n",
        "#cloud-config\nhostname: n\nbootcmd: [a]\n",
        "#!/bin/sh\ntrue\n",
    ] {
        let image = image();
        let settings = image.text("usr/lib/nodeimg/firstboot.json");
        let settings = settings.replace("\"epoch\"", "\"forbid_commands\": true, \"epoch\"");
        image.write("usr/lib/nodeimg/firstboot.json", settings);
        image.seed(text, META_DATA);
        let ran = image.run(&[]);
        assert_eq!(ran.code, 1);
        assert!(
            ran.reason()
                .contains("this image does not run commands from a seed"),
            "{}",
            ran.err
        );
    }
}

/// Power cuts are in the unit tests of `apply`; here a run that was cut with
/// everything half done, as seen from the outside.
#[test]
fn a_cut_run_does_not_add_twice() {
    let image = image();
    image.seed(user_data(), META_DATA);
    assert_eq!(image.run(&[]).code, 0);
    let stamp: serde_json::Value =
        serde_json::from_str(&image.text("var/lib/nodeimg/instance.json")).unwrap();
    let all: Vec<serde_json::Value> = ["files", "extra_files"]
        .iter()
        .flat_map(|key| stamp[key].as_array().unwrap().clone())
        .collect();
    let note = serde_json::json!({"version": 1, "files": all});
    std::fs::remove_file(image.path().join("var/lib/nodeimg/instance.json")).unwrap();
    image.write("var/lib/nodeimg/pending.json", note.to_string());
    assert_eq!(image.run(&[]).code, 0);
    assert_eq!(image.text("etc/motd"), "hello\nmore\nand more\n");
    assert_eq!(image.text("etc/passwd").lines().count(), 3);
    assert!(!image.has("var/lib/nodeimg/pending.json"));
}
