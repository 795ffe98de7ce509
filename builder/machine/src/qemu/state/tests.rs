#![allow(clippy::unwrap_used)]
use std::os::unix::fs::MetadataExt;

use nodeimg_values::arch::Arch;

use super::*;
use crate::qemu::Format;

const MIB: u64 = 1 << 20;

fn image(identity: &str) -> Image {
    Image {
        path: "/somewhere/disk.raw".into(),
        format: Format::Raw,
        arch: Arch::Amd64,
        size: 300 * MIB,
        machine_size: None,
        identity: identity.to_owned(),
        recipe: None,
    }
}

fn size_of(overlay: &Path) -> u64 {
    let bytes = fs::read(overlay).unwrap();
    u64::from_be_bytes(bytes[24..32].try_into().unwrap())
}

#[test]
fn nothing_stays_of_a_run_that_is_not_kept() {
    let state = State::open(None).unwrap();
    let disk = state.disk(&image("a"), None).unwrap();
    assert_eq!(size_of(&disk), DEFAULT_DISK);
    let mode = fs::metadata(disk.parent().unwrap()).unwrap().permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    drop(state);
    assert!(!disk.exists());
}

#[test]
fn the_recipe_says_how_large_the_machines_disk_is() {
    let of = |machine_size| {
        let state = State::open(None).unwrap();
        let image = Image {
            machine_size,
            ..image("a")
        };
        size_of(&state.disk(&image, None).unwrap())
    };
    assert_eq!(of(None), DEFAULT_DISK);
    assert_eq!(of(Some(4 << 40)), 4 << 40);
    assert_eq!(of(Some(2 << 30)), 2 << 30);
    // Never less than what is on it.
    assert_eq!(of(Some(MIB)), 300 * MIB);
}

#[test]
fn the_size_of_the_disk_can_be_chosen_once() {
    let directory = TempDir::new().unwrap();
    let keep = directory.path().join("keep");
    let state = State::open(Some(&keep)).unwrap();
    let mode = fs::metadata(&keep).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let small = state.disk(&image("a"), Some(299 * MIB)).unwrap_err();
    assert!(small.to_string().contains("314572800 bytes"), "{small}");
    let disk = state.disk(&image("a"), Some(500 * MIB + 1)).unwrap();
    assert_eq!(size_of(&disk), 501 * MIB);
    assert_eq!(state.disk(&image("a"), None).unwrap(), disk);
    let again = state.disk(&image("a"), Some(600 * MIB)).unwrap_err();
    assert!(
        again.to_string().contains("leave --disk-size out"),
        "{again}"
    );
}

/// A node's keys are in it, and the user's directory may be open to all.
#[test]
fn a_kept_disk_is_its_owners_alone() {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let state = State::open(Some(directory.path())).unwrap();
    let disk = state.disk(&image("a"), None).unwrap();
    let mode = || fs::metadata(&disk).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(), 0o600);
    // As an earlier nodeimg has left it.
    fs::set_permissions(&disk, Permissions::from_mode(0o644)).unwrap();
    state.disk(&image("a"), None).unwrap();
    assert_eq!(mode(), 0o600);
}

#[test]
fn state_of_another_disk_is_not_used() {
    let directory = TempDir::new().unwrap();
    let state = State::open(Some(directory.path())).unwrap();
    state.disk(&image("a"), None).unwrap();
    let rebuilt = state.disk(&image("b"), None).unwrap_err();
    assert!(rebuilt.to_string().contains("was rebuilt"), "{rebuilt}");
    let mut other = image("a");
    other.path = "/elsewhere/disk.raw".into();
    let other = state.disk(&other, None).unwrap_err();
    assert!(other.to_string().contains("/somewhere/disk.raw"), "{other}");
}

#[test]
fn a_directory_has_one_run_and_nothing_else_in_it() {
    let directory = TempDir::new().unwrap();
    let first = State::open(Some(directory.path())).unwrap();
    let second = State::open(Some(directory.path())).unwrap_err();
    assert!(second.to_string().contains("another run"), "{second}");
    drop(first);
    fs::write(directory.path().join("thesis.tex"), "").unwrap();
    let error = State::open(Some(directory.path())).unwrap_err();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
}

#[test]
fn the_variables_are_a_copy_that_stays() {
    let directory = TempDir::new().unwrap();
    let template = Flash {
        path: directory.path().join("template.fd"),
        format: Format::Raw,
    };
    let mut bytes = vec![0; 64 * MIB as usize];
    bytes[5] = 7;
    fs::write(&template.path, &bytes).unwrap();
    let keep = directory.path().join("keep");
    let state = State::open(Some(&keep)).unwrap();
    let vars = state.vars(&template).unwrap();
    assert!(fs::read(&vars.path).unwrap() == bytes);
    assert!(fs::metadata(&vars.path).unwrap().blocks() * 512 < MIB);
    fs::write(&vars.path, "changed").unwrap();
    assert_eq!(
        fs::read(state.vars(&template).unwrap().path).unwrap(),
        b"changed"
    );
}

#[test]
fn a_seeds_medium_is_not_in_the_directory_that_is_kept() {
    let directory = TempDir::new().unwrap();
    let seed = directory.path().join("seed");
    fs::create_dir(&seed).unwrap();
    fs::write(seed.join("meta-data"), "instance-id: a\n").unwrap();
    fs::write(seed.join("user-data"), "#cloud-config\n").unwrap();
    let keep = directory.path().join("keep");
    let state = State::open(Some(&keep)).unwrap();
    let medium = state.medium(&seed).unwrap();
    assert!(medium.exists());
    assert!(!medium.starts_with(&keep));
    drop(state);
    assert!(!medium.exists());
}
