#![allow(clippy::unwrap_used)]
use tempfile::TempDir;

use super::*;

/// A machine's files in a directory of their own.
struct Machine(TempDir);

impl Machine {
    fn new() -> Machine {
        Machine(TempDir::new().unwrap())
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn file(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    /// A descriptor of two files of `name`, and the files.
    fn descriptor(&self, at: &str, name: &str, edit: impl FnOnce(String) -> String) {
        let (code, vars) = (format!("{name}.code"), format!("{name}.vars"));
        self.file(&code, "code");
        self.file(&vars, "vars");
        let text = format!(
            r#"{{"description": "x", "interface-types": ["uefi"],
                "mapping": {{"device": "flash",
                    "executable": {{"filename": {:?}, "format": "raw"}},
                    "nvram-template": {{"filename": {:?}, "format": "raw"}}}},
                "targets": [{{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}}],
                "features": ["acpi-s3"], "tags": []}}"#,
            self.path(&code),
            self.path(&vars)
        );
        self.file(at, &edit(text));
    }

    fn find(&self, arch: Arch) -> Result<Firmware> {
        let places = Places {
            descriptors: vec![self.path("usr/share/qemu/firmware"), self.path("etc")],
            root: self.path(""),
            data: vec![self.path("opt/share/qemu")],
        };
        find(arch, &places)
    }

    fn code(&self) -> String {
        let found = self.find(Arch::Amd64).unwrap();
        let below = found.code.path.strip_prefix(self.0.path()).unwrap();
        below.to_str().unwrap().to_owned()
    }
}

#[test]
fn the_first_descriptor_that_fits_is_taken() {
    let machine = Machine::new();
    let dir = "usr/share/qemu/firmware";
    let with_smm = |text: String| text.replace("acpi-s3", "requires-smm");
    machine.descriptor(&format!("{dir}/10-smm.json"), "smm", with_smm);
    let other = |text: String| text.replace("x86_64", "aarch64");
    machine.descriptor(&format!("{dir}/20-arm.json"), "arm", other);
    let stateless =
        |text: String| text.replace("\"flash\",", "\"flash\", \"mode\": \"stateless\",");
    machine.descriptor(&format!("{dir}/30-stateless.json"), "stateless", stateless);
    machine.file(&format!("{dir}/35-broken.json"), "{");
    let none = |text: String| text.replace("none.code", "gone.code");
    machine.descriptor(&format!("{dir}/40-gone.json"), "none", none);
    machine.descriptor(&format!("{dir}/60-b.json"), "b", |text| text);
    machine.descriptor(&format!("{dir}/70-c.json"), "c", |text| text);
    assert_eq!(machine.code(), "b.code");
}

#[test]
fn a_later_directory_stands_in_and_an_empty_file_hides() {
    let machine = Machine::new();
    machine.descriptor("usr/share/qemu/firmware/60-a.json", "a", |text| text);
    machine.descriptor("usr/share/qemu/firmware/70-b.json", "b", |text| text);
    machine.descriptor("etc/60-a.json", "mine", |text| text);
    assert_eq!(machine.code(), "mine.code");
    machine.file("etc/60-a.json", "");
    assert_eq!(machine.code(), "b.code");
}

#[test]
fn without_descriptors_the_places_of_distributions_are_tried() {
    let machine = Machine::new();
    let error = machine.find(Arch::Amd64).unwrap_err().to_string();
    for part in ["amd64", "ovmf", "edk2-ovmf", "brew", "--firmware"] {
        assert!(error.contains(part), "{error}");
    }
    machine.file("opt/share/qemu/edk2-x86_64-code.fd", "");
    assert!(
        machine.find(Arch::Amd64).is_err(),
        "half of it is not enough"
    );
    machine.file("opt/share/qemu/edk2-i386-vars.fd", "");
    assert_eq!(machine.code(), "opt/share/qemu/edk2-x86_64-code.fd");
    for file in ["OVMF_CODE.4m.fd", "OVMF_VARS.4m.fd"] {
        machine.file(&format!("usr/share/edk2/x64/{file}"), "");
    }
    assert_eq!(machine.code(), "usr/share/edk2/x64/OVMF_CODE.4m.fd");
    let error = machine.find(Arch::Arm64).unwrap_err().to_string();
    assert!(error.contains("qemu-efi-aarch64"), "{error}");
}

#[test]
fn the_users_own_is_two_paths() {
    let own: Firmware = "/a/code:/a/vars".parse().unwrap();
    assert_eq!(own.vars, Flash::raw("/a/vars".into()));
    assert!(own.check().unwrap_err().to_string().contains("/a/code"));
    for odd in ["", "/a", ":/a", "/a:"] {
        assert!(odd.parse::<Firmware>().is_err(), "{odd}");
    }
}
