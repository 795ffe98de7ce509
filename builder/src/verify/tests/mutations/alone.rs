//! A disk without anything beside it; and what others say of a good image.

use nodeimg_formats::verity;

use super::*;

#[test]
fn a_disk_by_itself_is_verified_by_certificate_or_root_hash() {
    let Some(fixture) = fixture() else { return };
    let disk = fixture.place.path().join("alone.raw");
    fs::copy(fixture.image.join("disk.raw"), &disk).unwrap();
    let policy = |secure_boot: &[&str], root_hash: Option<&str>| Policy {
        anchors: Vec::new(),
        pinned: None,
        secure_boot: secure_boot
            .iter()
            .map(|name| fixture.certificate(name))
            .collect(),
        root_hash: root_hash
            .map(|hash| crate::verify::vouched::Vouched::given(hash.parse().unwrap())),
        ..fixture.policy()
    };
    let hash = fs::read_to_string(fixture.image.join("root.roothash")).unwrap();
    for policy in [
        policy(&["db"], None),
        policy(&["other", "db"], None),
        policy(&[], Some(hash.trim())),
    ] {
        let all = of_disk(disk.clone(), policy);
        assert_eq!(failed(&all), []);
        let passed = |step| {
            all.iter()
                .any(|(one, verdict)| *one == step && matches!(verdict, Verdict::Passed { .. }))
        };
        assert!(
            [Step::Disk, Step::Boot, Step::Verity, Step::Root]
                .into_iter()
                .all(passed),
            "{all:?}"
        );
    }
    let found = failed(&of_disk(disk.clone(), policy(&["other"], None)));
    assert_eq!(found[0].0, Step::Boot, "{found:?}");
    let found = failed(&of_disk(disk.clone(), policy(&[], Some(&"0".repeat(64)))));
    assert_eq!(found[0].0, Step::Boot, "{found:?}");
    let changed = Disk(File::options().read(true).write(true).open(&disk).unwrap());
    changed.flip(changed.place("root-a").start + 8192);
    let found = failed(&of_disk(disk, policy(&["db"], None)));
    assert_eq!((found.len(), found[0].0), (1, Step::Verity), "{found:?}");
}

#[test]
fn others_verify_what_is_verified() {
    use nodeimg_test_support::run::{host_program, tool};
    let Some(fixture) = fixture() else { return };
    let image = &fixture.image;
    let hash = fs::read_to_string(image.join("root.roothash")).unwrap();
    let mut veritysetup = host_program("veritysetup");
    veritysetup
        .arg("verify")
        .arg(image.join("root.squashfs"))
        .arg(image.join("root.verity"));
    if let Some(ran) = tool(veritysetup.arg(hash.trim())) {
        ran.good();
    }
    let mut sbverify = host_program("sbverify");
    sbverify
        .arg("--cert")
        .arg(fixture.keys.join("db.pem"))
        .arg(image.join("uki.efi"));
    if let Some(ran) = tool(&mut sbverify) {
        ran.good();
    }
    let mut unsquashfs = host_program("unsquashfs");
    unsquashfs
        .args(["-cat"])
        .arg(image.join("root.squashfs"))
        .arg("etc/motd");
    if let Some(ran) = tool(&mut unsquashfs) {
        assert_eq!(ran.good().out, "an image\n");
    }
    let size = fs::metadata(image.join("root.verity")).unwrap().len();
    assert_eq!(
        size,
        verity::size_for(fs::metadata(image.join("root.squashfs")).unwrap().len())
    );
}
