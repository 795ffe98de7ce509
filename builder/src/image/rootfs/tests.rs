//! What a base system that was locked unattended may do that another may not.
#![allow(clippy::unwrap_used)]
use super::*;
use crate::input::debian::samples::package;
use crate::input::recipe::tests::recipe;

const BASE: &str = "[base]\nsuite = \"trixie\"\npackages = [\"tool\"]\n";

#[test]
fn an_unread_script_stops_a_build_and_only_warns_where_nobody_was_there_to_read() {
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    let (pinned, blob) = package(&store, "1", "#!/bin/sh\nset -e\nsetcap x /usr/bin/tool\n");
    let recipe = recipe(BASE);
    let mut inputs = BuildInputs {
        recipe: &recipe,
        brought: &Brought::default(),
        arch: Arch::Amd64,
        epoch: Epoch(0),
        store: &store,
        fetched: Fetched {
            artifacts: Vec::new(),
            images: Vec::new(),
            packages: vec![(&pinned, blob)],
        },
        unattended: false,
        firstboot: Content::inline(Vec::new()),
    };
    let refused = format!("{:#}", base_system(&inputs).err().unwrap());
    assert!(refused.contains("tool/postinst sha256:"), "{refused}");
    assert!(refused.contains("| setcap x /usr/bin/tool"), "{refused}");

    inputs.unattended = true;
    let (tree, base) = base_system(&inputs).unwrap();
    assert_eq!(base.unread, [refused]);
    assert!(tree.get(&"/usr/bin/tool".parse().unwrap()).is_some());
    assert_eq!(base.packages.len(), 1);
}
