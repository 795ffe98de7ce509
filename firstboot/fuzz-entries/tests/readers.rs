//! Readers of seeds beside the programs that cloud-init reads with: PyYAML, jinja2 and
//! Python's email package. Generated inputs mean the same to both, or one of the two
//! refuses them in a way that the comparison lists, each with a reason.
//!
//! `NODEIMG_READERS_INPUTS` asks for more inputs, `NODEIMG_READERS_SEED` for others. A
//! difference of a class that is not listed is then to be looked into: a reader that takes
//! an input for something else is wrong, one that refuses it needs a line in the list.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::process::Command;

use nodeimg_test_support::judge;

/// Of each comparison.
const INPUTS: &str = "2000";
const SEED: &str = "1";

fn compare(script: &str, module: &str) {
    let Some(python) = judge::python_with(module) else {
        return;
    };
    let set = |name: &str, usual: &str| std::env::var(name).unwrap_or_else(|_| usual.to_owned());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/judges");
    let told = Command::new(python)
        .args(["-B", &format!("{folder}/{script}")])
        .arg(env!("CARGO_BIN_EXE_show-readers"))
        .arg(set("NODEIMG_READERS_INPUTS", INPUTS))
        .arg(set("NODEIMG_READERS_SEED", SEED))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&told.stdout);
    let errors = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{said}{errors}");
    println!("{said}");
}

#[test]
fn yaml_is_what_pyyaml_reads() {
    compare("yaml_reader.py", "yaml");
}

#[test]
fn templates_are_what_jinja2_renders() {
    compare("jinja_reader.py", "jinja2");
}

#[test]
fn parts_are_what_cloud_init_finds() {
    compare("parts_reader.py", "cloudinit");
}
