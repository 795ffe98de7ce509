//! Files of the author's own that no node could use, or that all of them would share.

use std::fs;
use std::process::Command;

use super::{Case, try_all};
use nodeimg_test_support::archive::program;
use nodeimg_test_support::synthetic::World;

/// In the world's overlay, below its `root`.
fn laid_in(world: &World, path: &str, bytes: &[u8]) -> Command {
    let place = world.path("overlay/root").join(path);
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(place, bytes).unwrap();
    world.build()
}

/// As a `[[file]]`.
fn file(world: &mut World, path: &str, text: &str) -> Command {
    let text = toml::Value::String(text.to_owned());
    let part = format!("[[file]]\npath = \"{path}\"\ncontent = {text}\n[cluster]\n");
    world.edit("[cluster]\n", &part);
    world.build()
}

#[test]
fn what_a_node_would_find_out_is_told_before() {
    try_all(&[
        Case {
            name: "a script with Windows line ends",
            given: |w| laid_in(w, "usr/local/bin/prep", b"#!/bin/sh\r\necho\r\n"),
            code: 1,
            says: &[
                "`/usr/local/bin/prep:1`",
                "overlay `overlay`",
                "`/bin/sh\\r`",
                "line ends",
            ],
        },
        Case {
            name: "such a script in the recipe",
            given: |w| file(w, "/opt/prep", "#!/bin/sh\r\n"),
            code: 1,
            says: &["`/opt/prep:1`", "recipe key `file`", "line ends"],
        },
        Case {
            name: "a program of the other architecture",
            given: |w| laid_in(w, "usr/local/bin/tool", &program("arm64", "tool")),
            code: 1,
            says: &[
                "`/usr/local/bin/tool:1`",
                "ELF file for arm64",
                "image is for amd64",
            ],
        },
        Case {
            name: "a pointer of git-lfs",
            given: |w| {
                let text = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n";
                laid_in(w, "opt/data", text)
            },
            code: 1,
            says: &[
                "`/opt/data`",
                "overlay `overlay`",
                "git-lfs",
                "git lfs pull",
            ],
        },
        Case {
            name: "a key after a certificate",
            given: |w| {
                let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n\
                           -----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n";
                file(w, "/etc/tls.pem", pem)
            },
            code: 1,
            says: &["`/etc/tls.pem`", "private key at line 4", "seed"],
        },
        Case {
            name: "a kubeconfig",
            given: |w| {
                let text = "kind: Config\nusers:\n- name: a\n  user:\n    client-key-data: MHcC\n";
                laid_in(w, "etc/kubernetes/admin.conf", text.as_bytes())
            },
            code: 1,
            says: &["`/etc/kubernetes/admin.conf`", "line 5", "client-key-data"],
        },
    ]);
}
