use super::{Case, Ran, try_all};
use nodeimg_test_support::run::nodeimg;
use nodeimg_test_support::synthetic::World;

fn edited(world: &mut World, from: &str, to: &str) -> std::process::Command {
    world.edit(from, to);
    world.build()
}

/// Every sort of mistake in a recipe.
const RECIPES: &[Case] = &[
    Case {
        name: "unknown key",
        given: |world| edited(world, "cluster_cidr =", "cluster_cdir ="),
        code: 1,
        says: &[
            "recipe.toml:10:1:",
            "unknown field `cluster_cdir`",
            "^^^^^^^^^^^^",
            "did you mean `cluster_cidr`?",
        ],
    },
    Case {
        name: "unknown table",
        given: |world| edited(world, "[kubelet]", "[kubelets]"),
        code: 1,
        says: &[
            "recipe.toml:15:2:",
            "unknown field `kubelets`",
            "did you mean `kubelet`?",
        ],
    },
    Case {
        name: "wrong type",
        given: |world| edited(world, "max_pods = 16", "max_pods = \"many\""),
        code: 1,
        says: &[
            "recipe.toml:16:12:",
            "max_pods = \"many\"",
            "invalid type: string \"many\", expected u32",
        ],
    },
    Case {
        name: "wrong type of a table",
        given: |world| edited(world, "[cluster]\n", "[[cluster]]\n"),
        code: 1,
        says: &["recipe.toml:9:", "cluster"],
    },
    Case {
        name: "no TOML",
        given: |world| edited(world, "[cluster]\n", "[cluster\n"),
        code: 1,
        says: &["recipe.toml:9:"],
    },
    Case {
        name: "unknown architecture of a URL",
        given: |world| {
            edited(
                world,
                "url = \"https://up.test/runc/{version}/{arch}\"",
                "url = { riscv64 = \"https://up.test/x\" }",
            )
        },
        code: 1,
        says: &["recipe.toml:", "riscv64", "`amd64`", "`arm64`"],
    },
    Case {
        name: "an architecture that the recipe has no URL for",
        given: |world| {
            world.edit(
                "url = \"https://up.test/runc/{version}/{arch}\"",
                "url = { arm64 = \"https://up.test/runc/{version}/{arch}\" }",
            );
            world.lock();
            world.build()
        },
        code: 1,
        says: &["artifact.runc.url", "no entry for amd64"],
    },
    Case {
        name: "a network that overlaps",
        given: |world| edited(world, "10.32.0.0/24", "10.200.7.0/24"),
        code: 1,
        says: &[
            "recipe.toml:11:",
            "cluster.service_cidr",
            "overlaps",
            "networks of their own",
        ],
    },
    Case {
        name: "an unknown placeholder",
        given: |world| edited(world, "runc/{version}", "runc/{versoin}"),
        code: 1,
        says: &["recipe.toml:", "{versoin}"],
    },
    Case {
        name: "plain http",
        given: |world| edited(world, "https://up.test/runc", "http://up.test/runc"),
        code: 1,
        says: &["recipe.toml:", "https"],
    },
    Case {
        name: "a path that climbs",
        given: |world| edited(world, "\"/usr/local/bin/runc\"", "\"/usr/../../etc/runc\""),
        code: 1,
        says: &["recipe.toml:", "/usr/../../etc/runc", "`..`"],
    },
    Case {
        name: "a program that the profile needs",
        given: |world| edited(world, "to = \"/bin/containerd\"", "to = \"/bin/moby\""),
        code: 1,
        says: &["recipe.toml:4:", "hard-way needs `/usr/bin/containerd`"],
    },
    Case {
        name: "a recipe in a circle",
        given: |world| {
            edited(
                world,
                "name = \"tiny\"",
                "name = \"tiny\"\nextends = \"recipe.toml\"",
            )
        },
        code: 1,
        says: &["recipe.toml:", "in a circle"],
    },
];

#[test]
fn recipes() {
    try_all(RECIPES);
}

#[test]
fn overlays() {
    fn overlay(world: &mut World, path: &str, text: &str) -> std::process::Command {
        let path = world.path("overlay").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        world.build()
    }
    try_all(&[
        Case {
            name: "a placeholder that nobody supplies",
            given: |world| {
                overlay(
                    world,
                    "templates/etc/nodeimg/x.conf",
                    "a\nb={{ node_pi }}\n",
                )
            },
            code: 1,
            says: &["templates/etc/nodeimg/x.conf", "node_pi", "node_ip"],
        },
        Case {
            name: "a placeholder in a file that is not rendered",
            given: |world| overlay(world, "root/etc/x.conf", "name={{ host_name }}\n"),
            code: 1,
            says: &["`/etc/x.conf`", "{{ host_name }}", "`templates/`"],
        },
        Case {
            name: "a variable that no one sets",
            given: |world| {
                overlay(
                    world,
                    "root/etc/systemd/system/x.service",
                    "[Service]\nExecStart=/bin/true $NO_SUCH\n",
                )
            },
            code: 1,
            says: &["/etc/systemd/system/x.service", "$NO_SUCH"],
        },
        Case {
            name: "an overlay that is not there",
            given: |world| {
                world.edit("overlay = [\"overlay\"]", "overlay = [\"no-such\"]");
                world.build()
            },
            code: 1,
            says: &["no-such", "No such file"],
        },
    ]);
}

#[test]
fn command_lines() {
    try_all(&[
        Case {
            name: "unknown architecture",
            given: |world| {
                let mut command = world.nodeimg("build");
                command.args(["--arch", "riscv64"]);
                command
            },
            code: 2,
            says: &["riscv64", "--arch", "amd64, arm64"],
        },
        Case {
            name: "unknown verb",
            given: |world| world.nodeimg("biuld"),
            code: 2,
            says: &["biuld", "build"],
        },
    ]);
}

#[test]
fn options_of_a_build() {
    try_all(&[
        Case {
            name: "no jobs",
            given: |world| {
                let mut command = world.build();
                command.args(["--jobs", "0"]);
                command
            },
            code: 2,
            says: &["--jobs", "1..=64"],
        },
        Case {
            name: "quiet events",
            given: |world| {
                let mut command = world.build();
                command.args(["--quiet", "--json"]);
                command
            },
            code: 2,
            says: &["--quiet", "--json"],
        },
        Case {
            name: "a first-boot binary without its architecture",
            given: |world| {
                let mut command = world.build();
                command.args(["--firstboot", "./x"]);
                command
            },
            code: 2,
            says: &["--firstboot", "ARCH=FILE"],
        },
        Case {
            name: "no such recipe file",
            given: |world| {
                let mut command = world.nodeimg("recipe");
                command.args(["show", "--recipe", "./no-such.toml"]);
                command
            },
            code: 1,
            says: &["reading the recipe ./no-such.toml", "No such file"],
        },
        Case {
            name: "no such built-in recipe",
            given: |world| {
                let mut command = world.nodeimg("recipe");
                command.args(["show", "--recipe", "hard-wya"]);
                command
            },
            code: 1,
            says: &["`hard-wya`", "did you mean `hard-way`?", "./hard-wya.toml"],
        },
        Case {
            name: "a bad mirror",
            given: |world| {
                let mut command = world.build();
                command.args(["--mirror", "https://up.test/"]);
                command
            },
            code: 1,
            says: &["--mirror", "`https://up.test/`", "FROM=TO"],
        },
    ]);
}

#[test]
fn first_boot_binaries() {
    fn with(world: &World, bytes: &[u8]) -> std::process::Command {
        std::fs::write(world.path("given"), bytes).unwrap();
        let mut command = world.build();
        command.args(["--firstboot", "amd64=given"]);
        command
    }
    try_all(&[
        Case {
            name: "missing",
            given: |world| {
                let mut command = world.build();
                command.args(["--firstboot", "amd64=no-such"]);
                command
            },
            code: 1,
            says: &["first-boot binary for amd64", "no-such"],
        },
        Case {
            name: "of the other architecture",
            given: |world| with(world, &nodeimg_test_support::archive::firstboot("arm64")),
            code: 1,
            says: &["given", "ELF file for arm64", "image is for amd64"],
        },
        Case {
            name: "belongs to another nodeimg",
            given: |world| {
                let mut bytes = nodeimg_test_support::archive::firstboot("amd64");
                bytes.pop();
                with(world, &bytes)
            },
            code: 1,
            says: &["given", "another nodeimg", "ci/firstboot amd64"],
        },
        Case {
            name: "a script",
            given: |world| with(world, b"#!/bin/sh\n"),
            code: 1,
            says: &["given", "not an ELF program"],
        },
    ]);
}

/// Where nodeimg looks by itself there is none: it says where, and the command
/// that makes one.
#[test]
fn a_first_boot_binary_that_is_nowhere() {
    let world = World::locked();
    let binary = world.path("bin/nodeimg");
    std::fs::create_dir_all(world.path("bin")).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_nodeimg"), &binary).unwrap();
    let mut command = world.prepared(nodeimg_test_support::run::nodeimg_at(&binary), "build");
    command
        .args(["--arch", "arm64"])
        .env_remove("NODEIMG_FIRSTBOOT_ARM64");
    Ran::of(&mut command).refused(
        1,
        &[
            "no first-boot binary for arm64",
            "ci/firstboot arm64",
            "cargo install",
            "Looked for:",
        ],
    );
    world.is_clean().unwrap();
}

#[test]
fn help_and_version_are_no_errors() {
    for words in [
        &["--help"][..],
        &["--version"],
        &["build", "--help"],
        &["lock", "-h"],
    ] {
        let ran = Ran::of(nodeimg().args(words)).good();
        assert!(!ran.out.is_empty() && ran.err.is_empty(), "{words:?}");
    }
    assert!(
        Ran::of(nodeimg().args(["build", "--help"]))
            .good()
            .out
            .contains("--retries <N>")
    );
}

#[test]
fn outputs() {
    try_all(&[
        Case {
            name: "an output that the recipe cannot have",
            given: |world| {
                let mut command = world.build();
                command.args(["--output", "overlay", "--output", "rootfs-tar"]);
                command
            },
            code: 1,
            says: &[
                "error: --output: `rootfs-tar` needs a base system",
                "`[base]`",
            ],
        },
        Case {
            name: "no such output",
            given: |world| {
                let mut command = world.build();
                command.args(["--output", "rootfstar"]);
                command
            },
            code: 2,
            says: &["--output", "a similar value exists: 'rootfs-tar'"],
        },
    ]);
}
