#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nodeimg_seed::read::network::{Network, read};
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::Problems;

use super::{all, listed, missing, set_name, stage};
use crate::root::Root;
use nodeimg_test_support::judge;

fn network(text: &str) -> Network {
    let mut seed = Seed::new(Layout::NoCloud, SeedFile::new("meta", ""));
    seed.network = Some(SeedFile::new("net", text));
    let mut problems = Problems::new();
    let network = read(&seed, &mut problems);
    network.unwrap_or_else(|| panic!("{:?}", problems.into_vec()))
}

fn add(sys: &Path, name: &str, index: u32, address: &str, driver: Option<&str>) {
    let place = sys.join("class/net").join(name);
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("ifindex"), format!("{index}\n")).unwrap();
    fs::write(place.join("address"), format!("{address}\n")).unwrap();
    if let Some(driver) = driver {
        fs::create_dir(place.join("device")).unwrap();
        symlink(format!("/drivers/{driver}"), place.join("device/driver")).unwrap();
    }
}

#[test]
fn interfaces_and_missing_ones() {
    let machine = tempfile::tempdir().unwrap();
    let sys = machine.path();
    add(sys, "ens4", 3, "52:54:00:00:00:ff", Some("virtio_net"));
    add(sys, "ens3", 2, "52:54:00:00:00:01", Some("e1000"));
    add(sys, "docker0", 9, "02:42:00:00:00:01", None);
    // A member of a bond shows the bond's address.
    let slave = sys.join("class/net/ens4/bonding_slave");
    fs::create_dir(&slave).unwrap();
    fs::write(slave.join("perm_hwaddr"), "52:54:00:00:00:02\n").unwrap();
    let interfaces = all(sys);
    assert_eq!(
        listed(&interfaces),
        "ens3 (52:54:00:00:00:01), ens4 (52:54:00:00:00:02)"
    );
    for (ethernets, expected) in [
        ("{a: {match: {macaddress: '52:54:00:00:00:02'}}}", None),
        (
            "{a: {match: {macaddress: '52:54:00:00:00:03'}}}",
            Some("the address 52:54:00:00:00:03"),
        ),
        (
            "{a: {optional: true, match: {macaddress: '52:54:00:00:00:03'}}}",
            None,
        ),
        ("{ens3: {dhcp4: true}}", None),
        ("{eth0: {dhcp4: true}}", Some("the name `eth0`")),
        ("{all: {match: {name: 'en*'}}}", None),
        ("{a: {match: {name: ens9}}}", Some("the name `ens9`")),
        ("{a: {match: {name: ens9}, set-name: ens3}}", None),
        ("{a: {match: {driver: e1000}}}", None),
        ("{a: {match: {driver: ixgbe}}}", Some("the driver `ixgbe`")),
    ] {
        let network = network(&format!("{{version: 2, ethernets: {ethernets}}}"));
        let found: Vec<String> = missing(&network, &interfaces)
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        let expected: Vec<String> = expected
            .map(|what| format!("no network interface of this machine has {what}"))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{ethernets}");
    }
}

#[test]
fn staged_files_are_those_of_the_seed() {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::open(directory.path()).unwrap();
    let stage_of = |text: &str| stage(&root, Some(&network(text))).unwrap();
    let one = "{version: 2, ethernets: {a: {dhcp4: true}}}";
    let other = "{version: 2, ethernets: {b: {dhcp4: true}}}";
    let names = || -> Vec<String> {
        let list = root.list("/run/systemd/network").unwrap();
        list.into_iter().map(|(name, _)| name).collect()
    };
    assert!(stage_of(one));
    assert!(!stage_of(one));
    fs::write(
        directory.path().join("run/systemd/network/foreign.network"),
        "",
    )
    .unwrap();
    assert!(stage_of(other));
    assert_eq!(
        names(),
        [
            "10-nodeimg-b.network",
            "80-nodeimg-dhcp.network",
            "foreign.network"
        ]
    );
    // What stands in /etc already need not be staged.
    assert!(stage(&root, None).unwrap());
    assert_eq!(names(), ["foreign.network"]);
    let etc = directory.path().join("etc/systemd/network");
    fs::create_dir_all(&etc).unwrap();
    for (name, text) in super::render(&network(one)) {
        fs::write(etc.join(name), text).unwrap();
    }
    assert!(!stage_of(one));
}

#[test]
fn the_kernel_takes_a_name() {
    if !judge::is_root() {
        return judge::missing("root, for a network of its own");
    }
    // Only this thread gets another network, in which there is `lo` alone.
    std::thread::spawn(|| {
        if nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).is_err() {
            return judge::missing("leave to make a network of its own");
        }
        let index = |name: &str| nix::net::if_::if_nametoindex(name);
        let lo = index("lo").unwrap();
        set_name(lo, "uplink0").unwrap();
        assert_eq!(index("uplink0"), Ok(lo));
        assert!(index("lo").is_err());
        let error = set_name(4711, "other").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENODEV));
        let error = set_name(lo, "much-too-long-a-name").unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
    })
    .join()
    .unwrap();
}
