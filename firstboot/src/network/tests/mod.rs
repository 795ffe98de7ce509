#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::{read, render};
use crate::problem::Problems;
use crate::seed::{Layout, Seed, SeedFile};

/// The files for a network configuration as one text, or its problems.
fn rendered(layout: Layout, text: &str) -> (String, Vec<String>) {
    let seed = Seed {
        layout,
        meta_data: SeedFile::new("meta", ""),
        user_data: None,
        vendor_data: None,
        network: Some(SeedFile::new("net", text)),
    };
    let mut problems = Problems::new();
    let network = read(&seed, &mut problems);
    let files = network.map(|network| render(&network)).unwrap_or_default();
    let shown = files
        .iter()
        .map(|(name, text)| format!("== {name}\n{text}"))
        .collect();
    (shown, problems.iter().map(ToString::to_string).collect())
}

#[test]
fn dump() {
    for dir in std::fs::read_dir("/work/shared/fixtures/first-boot").unwrap() {
        let dir = dir.unwrap().path();
        for (layout, file) in [
            (Layout::NoCloud, "cidata/network-config"),
            (
                Layout::ConfigDrive,
                "config-2/openstack/latest/network_data.json",
            ),
        ] {
            if let Ok(text) = std::fs::read_to_string(dir.join(file)) {
                let (files, problems) = rendered(layout, &text);
                println!("######## {}\n{files}\n{problems:#?}", dir.display());
            }
        }
    }
}
