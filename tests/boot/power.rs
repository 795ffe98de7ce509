//! The plug is pulled in a worker's first boot, at moments that nobody chose,
//! and the next boot makes the same node of it as if nothing had been. And
//! after all of that no secret of the seed lies anywhere but in its own file.
//!
//! `NODEIMG_TEST_POWER_CUTS` says how many (1), `NODEIMG_TEST_POWER_SEED` which
//! moments (those of a run are printed): a number as another run printed it.
//! What the guest has handed to QEMU survives: it is the death of a machine,
//! and not of the cache of its disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use super::secrets::{Secret, places};
use super::{directory, worker_image};
use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::guest::{Facts, Guest};
use nodeimg_test_support::media::{Form, Kind, Seed};
use nodeimg_test_support::worker::Worker;

/// What the console has in every boot, in this order, from the first program to the
/// kubelet, which waits for an API server that does not exist here: a cut comes up to
/// [`LATER`] milliseconds after one of them. By what a boot writes, since its seconds
/// are those of the machine under it.
const MARKERS: [&str; 8] = [
    "Run /init",
    "Welcome to ",
    "Reached target local-fs.target",
    "Starting nodeimg-firstboot-network",
    "Reached target sysinit.target",
    "Starting nodeimg-firstboot.service",
    "Finished nodeimg-firstboot.service",
    "Starting kubelet.service",
];
const LATER: u64 = 4_000;
/// In a file that the seed asks for.
const TOKEN: &str = "t0ken-of-the-test.9b2e77c1d0a4";

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn a_worker_survives_power_cuts_and_keeps_its_secrets() {
    let Some(image) = worker_image("amd64") else {
        return;
    };
    let directory = directory("power");
    let worker = Worker::new("node-0", &["10.0.2.15"]);
    let more = format!(
        "write_files:\n- path: /etc/nodeimg/of-the-seed\n  permissions: '0600'\n  content: {TOKEN}\n"
    );
    let seed = Seed::no_cloud("i-power", &worker.user_data("10.0.2.15", &more));
    let medium = Form::of(Kind::Vfat, "CIDATA").make(&seed, &directory.join("medium.img"));
    let Some(medium) = medium else { return };
    let boot = |name: &str| {
        Guest::new(name, &image)
            .keep(&directory.join("keep"))
            .disk(&medium, "seed", true)
    };
    for (number, moment) in moments().into_iter().enumerate() {
        let guest = boot(&format!("power-cut-{}", number + 1));
        if !guest.left(2).cut(moment.marker, moment.later) {
            return;
        }
    }
    let Some(facts) = boot("power-last").script(ABOUT_THE_END).facts() else {
        return;
    };
    expect_the_node(&facts, &worker);
    facts.expect_parts("first-boot", &[r#""scrub": "overwritten""#]);
    keeps_its_secrets(&facts, &worker, &directory);
    fs::remove_dir_all(directory).unwrap();
}

#[derive(Debug)]
struct Moment {
    marker: &'static str,
    later: Duration,
}

/// Chosen by nobody, and reproducible.
fn moments() -> Vec<Moment> {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(
            text.parse()
                .unwrap_or_else(|e| panic!("{name}={text}: {e}")),
        )
    };
    let cuts: u64 = number("NODEIMG_TEST_POWER_CUTS").unwrap_or(1);
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed: u64 = number("NODEIMG_TEST_POWER_SEED").unwrap_or_else(|| now().as_secs());
    let random = |cut: u64, what: &str, below: u64| {
        let digest = Sha256::digest(format!("{seed} {cut} {what}"));
        u64::from_le_bytes(digest[..8].try_into().unwrap()) % below
    };
    let moments: Vec<Moment> = (0..cuts)
        .map(|cut| Moment {
            marker: MARKERS[random(cut, "marker", MARKERS.len() as u64) as usize],
            later: Duration::from_millis(random(cut, "later", LATER)),
        })
        .collect();
    println!("NODEIMG_TEST_POWER_SEED={seed}: {moments:?}");
    moments
}

const ABOUT_THE_END: &str = "\
fact key-files sha256sum /var/lib/kubelet/ca.crt /var/lib/kubelet/kubelet.crt /var/lib/kubelet/kubelet.key
fact modes stat -c '%n %a %U:%G' /var/lib/kubelet/kubelet.key /var/lib/kubelet/kubeconfig /var/lib/kube-proxy/kubeconfig /etc/nodeimg/of-the-seed
fact cni cat /etc/cni/net.d/10-bridge.conflist
fact node-env cat /etc/nodeimg/node.env
fact of-the-seed cat /etc/nodeimg/of-the-seed
fact rests find /etc /var -xdev -name '*.nodeimg-tmp'
fact state-files ls /var/lib/nodeimg
";

fn expect_the_node(facts: &Facts, worker: &Worker) {
    facts.expect("failed", "");
    facts.expect("state", "running");
    facts.expect("host-name", "node-0");
    facts.expect_parts("first-boot", &[r#""instance_id": "i-power""#]);
    for unit in ["containerd", "kubelet", "kube-proxy"] {
        facts.expect(&format!("unit-{unit}"), "active");
    }
    let files = [
        ("ca.crt", &worker.ca),
        ("kubelet.crt", &worker.kubelet.cert),
        ("kubelet.key", &worker.kubelet.key),
    ];
    let expected = files.map(|(name, text)| {
        let text = format!("{}\n", text.trim_end());
        format!("{}  /var/lib/kubelet/{name}", sha256(text.as_bytes()))
    });
    facts.expect("key-files", &expected.join(" "));
    facts.expect(
        "modes",
        "/var/lib/kubelet/kubelet.key 600 root:root /var/lib/kubelet/kubeconfig 600 root:root \
         /var/lib/kube-proxy/kubeconfig 600 root:root /etc/nodeimg/of-the-seed 600 root:root",
    );
    facts.expect_parts("cni", &[r#""subnet":"10.200.3.0/24""#]);
    facts.expect_parts("node-env", &["--node-ip=10.0.2.15 "]);
    facts.expect("of-the-seed", TOKEN);
    facts.expect("rests", "");
    // No temporary file that a cut has left.
    facts.expect(
        "state-files",
        "image instance-copy.json instance.json overlay rendered.json update.json",
    );
}

fn keeps_its_secrets(facts: &Facts, worker: &Worker, directory: &Path) {
    let secrets = [
        Secret::key("kubelet.key", &worker.kubelet.key),
        Secret::key("kube-proxy.key", &worker.kube_proxy.key),
        Secret::text("token", TOKEN),
    ];
    for secret in &secrets {
        secret.expect_not_in("the console", facts.console.as_bytes());
    }
    let medium = fs::read(directory.join("medium.img")).unwrap();
    for secret in &secrets {
        secret.expect_not_in("the medium", &medium);
    }
    let Some(found) = places(&directory.join("keep/disk.qcow2"), &secrets) else {
        return;
    };
    let expected = [
        "kube-proxy.key /lib/kube-proxy/kubeconfig 0600",
        "kubelet.key /lib/kubelet/kubelet.key 0600",
        "token /lib/nodeimg/overlay/etc/upper/nodeimg/of-the-seed 0600",
    ];
    let expected: BTreeSet<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    assert_eq!(found, expected);
}
