//! One mutation for each step.

use super::*;

/// Changes the JSON file `name`.
pub fn edit(image: &Path, name: &str, change: impl FnOnce(&mut serde_json::Value)) {
    let path = image.join(name);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(path, format!("{value:#}\n")).unwrap();
}

#[test]
fn a_signed_image_passes_every_step() {
    let Some(fixture) = fixture() else { return };
    let all = verdicts(&fixture.image, fixture.policy());
    assert_eq!(failed(&all), []);
    for step in [
        Step::Policy,
        Step::Signature,
        Step::Files,
        Step::Statement,
        Step::Disk,
        Step::Boot,
        Step::Verity,
        Step::Root,
    ] {
        let (_, verdict) = all.iter().find(|(one, _)| *one == step).unwrap();
        assert!(
            matches!(verdict, Verdict::Passed { .. }),
            "{step}: {verdict:?}"
        );
    }
}

/// A mutated image fails this step and no other.
fn fails(name: &str, step: Step, words: &str, change: impl FnOnce(&Fixture, &Path)) {
    let Some(fixture) = fixture() else { return };
    let image = fixture.copy(&format!("step-{name}"));
    change(fixture, &image);
    let all = verdicts(&image, fixture.policy());
    let found = failed(&all);
    assert_eq!(found.len(), 1, "{name}: {found:#?}");
    assert_eq!(found[0].0, step, "{name}: {found:#?}");
    assert!(found[0].1.contains(words), "{name}: {found:#?}");
    fs::remove_dir_all(image).unwrap();
}

#[test]
fn without_an_anchor_step_1_fails() {
    let Some(fixture) = fixture() else { return };
    let policy = Policy {
        anchors: Vec::new(),
        pinned: None,
        ..fixture.policy()
    };
    let found = failed(&verdicts(&fixture.image, policy));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Step::Policy);
}

#[test]
fn another_signature_fails_step_2() {
    fails("2", Step::Signature, "SHA256SUMS.sig", |_, image| {
        for name in [sign::SIGNATURE, sign::SIGNED] {
            let mut bytes = fs::read(image.join(name)).unwrap();
            let at = bytes.len() / 2;
            bytes[at] ^= 1;
            fs::write(image.join(name), bytes).unwrap();
        }
    });
}

/// The statement's signature is enough; the other one is told as well.
#[test]
fn a_damaged_signature_beside_a_good_one_is_told() {
    let Some(fixture) = fixture() else { return };
    let image = fixture.copy("beside");
    fs::write(image.join(sign::SIGNATURE), "another").unwrap();
    let all = verdicts(&image, fixture.policy());
    assert_eq!(failed(&all), []);
    let (_, verdict) = &all[Step::Signature as usize];
    let Verdict::Passed { notes, .. } = verdict else {
        panic!("{verdict:?}");
    };
    let told = notes.iter().any(|note| note.contains(sign::SIGNATURE));
    assert!(told, "{notes:?}");
    fs::remove_dir_all(image).unwrap();
}

#[test]
fn another_file_fails_step_3() {
    fails("3", Step::Files, "db.der", |_, image| {
        fs::write(image.join("db.der"), "another").unwrap();
    });
}

#[test]
fn an_unknown_parameter_fails_step_4() {
    fails("4", Step::Statement, "debug", |fixture, image| {
        edit(image, "provenance.json", |value| {
            value["predicate"]["buildDefinition"]["externalParameters"]["debug"] = true.into();
        });
        fixture.tell(image, &[]);
    });
}

#[test]
fn a_byte_in_free_space_fails_step_5() {
    fails("5", Step::Disk, "a free cluster", |fixture, image| {
        let disk = Disk::open(image);
        let place = disk.place("esp");
        disk.flip(place.end() - 100_000);
        disk.as_qcow2(image);
        fixture.tell(image, &[]);
    });
}

#[test]
fn an_unsigned_kernel_fails_step_6() {
    fails("6", Step::Boot, "it is not signed", |fixture, image| {
        // As it was before it was signed, to the last digest that anybody tells.
        let mut files = Disk::open(image).esp();
        let bytes = files.get_mut(fixture::UKI).unwrap();
        let plain = nodeimg_signing::authenticode::without(bytes).unwrap();
        let pair = (hex(bytes), hex(&plain));
        bytes.clone_from(&plain);
        let disk = Disk::open(image);
        disk.write_esp(&files);
        disk.as_qcow2(image);
        fs::write(image.join("uki.efi"), plain).unwrap();
        fixture.tell(image, &[pair]);
    });
}

#[test]
fn a_damaged_hash_tree_fails_step_7() {
    fails(
        "7",
        Step::Verity,
        "level 0 of the hash tree",
        |fixture, image| {
            let disk = Disk::open(image);
            disk.flip(disk.place("hashes-a").start + 2 * 4096 + 5);
            disk.as_qcow2(image);
            fixture.tell(image, &[]);
        },
    );
}

#[test]
fn a_manifest_of_other_files_fails_step_8() {
    fails("8", Step::Root, "/etc/motd", |fixture, image| {
        edit(image, "manifest.json", |value| {
            let files = value["files"].as_array_mut().unwrap();
            let motd = files
                .iter_mut()
                .find(|file| file["path"] == "/etc/motd")
                .unwrap();
            motd["sha256"] = Digest::sha256(b"other").to_string().into();
        });
        fixture.tell(image, &[]);
    });
}

#[test]
fn another_build_fails_step_10() {
    let (Some(fixture), Some(other)) = (fixture(), Fixture::new("another image\n")) else {
        return;
    };
    // Signed by the right keys, but not what recipe and lock make.
    let image = fixture.copy("step-10");
    let rebuild = |again: &Again<'_>| {
        let read = |place: &Path| fs::read(place.join("disk.raw"));
        anyhow::ensure!(read(again.published)? == read(&image)?, "disk.raw differs");
        Ok(())
    };
    let good = verdicts_with(&image, fixture.policy(), Some(&rebuild));
    assert_eq!(failed(&good), []);
    let policy = Policy {
        secure_boot: vec![other.certificate("db")],
        ..other.policy()
    };
    let found = failed(&verdicts_with(&other.image, policy, Some(&rebuild)));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, Step::Rebuild);
}

#[test]
fn other_words_of_who_signed_upstream_fail_step_9() {
    fails("9", Step::Upstream, "tool 1 (amd64)", |fixture, image| {
        edit(image, "manifest.json", |value| {
            value["artifacts"][0]["signer"] = "somebody@example.org".into();
        });
        fixture.tell(image, &[]);
    });
}
