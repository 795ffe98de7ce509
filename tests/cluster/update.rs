//! A worker that is updated while it serves, by a stream over ssh: its pods and what they
//! keep come back with it, its certificate and its Node stay. Then a version whose kubelet
//! ends at once: the worker is back on the one before, Ready, and does not take it again.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use super::Scene;
use super::control::{Cluster, is_true, until};
use super::images::{HARD_WAY, Variant, write};
use super::node::{Machine, Node, Place, SOON};
use super::seed::Seed;
use nodeimg_test_support::debian::store;
use nodeimg_test_support::publisher::{Publisher, Version, applied, tell};
use nodeimg_test_support::run::{Ran, nodeimg};
use nodeimg_test_support::{real, slots};

const PLACE: Place = Place {
    name: "updated-0",
    number: 78,
};
const SUBNET: &str = "10.200.78.0/24";
const IMAGE: Variant = Variant {
    name: "updated",
    ..HARD_WAY
};
const KUBELET_DIES: &str = "[[file]]\n\
    path = \"/etc/systemd/system/kubelet.service.d/99-dies.conf\"\n\
    content = \"[Service]\\nExecStart=\\nExecStart=sh -c 'echo of the test; exit 7'\\n\"\n";

/// The worker as `version`, with `more` in its recipe.
fn build(
    publisher: &Publisher,
    scene: &Scene,
    version: &str,
    outputs: &[&str],
    more: &str,
) -> Option<Version> {
    let (mirror, firstboot) = (real::mirror()?, real::firstboot("amd64")?);
    let place = scene.directory.join(version);
    fs::create_dir_all(&place).unwrap();
    let recipe = write(&IMAGE, &place);
    let text = fs::read_to_string(&recipe).unwrap();
    let named = format!("name = \"{}\"\n", IMAGE.name);
    assert!(text.contains(&named), "{text}");
    let text = text.replace(&named, &format!("{named}version = \"{version}\"\n"));
    fs::write(&recipe, text + &publisher.table() + more).unwrap();
    let verb = |verb: &str| {
        let mut command = nodeimg();
        command.args([verb, "--quiet", "--mirror", &mirror, "--recipe"]);
        command.arg(&recipe).arg("--store").arg(store());
        command
    };
    Ran::of(&mut verb("lock")).good();
    let mut build = verb("build");
    for output in outputs {
        build.args(["--output", output]);
    }
    build.args(["--arch", "amd64", "--out"]).arg(&place);
    build.arg("--firstboot");
    build.arg(format!("amd64={}", firstboot.display()));
    Ran::of(&mut build).good();
    Some(publisher.sign(&place, "amd64"))
}

/// A server that notes each of its starts in a folder of the node.
fn keeping() -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: keeping}}
spec:
  selector: {{matchLabels: {{app: keeping}}}}
  template:
    metadata: {{labels: {{app: keeping}}}}
    spec:
      nodeSelector: {{kubernetes.io/hostname: {}}}
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: docker.io/library/busybox:1.37
        imagePullPolicy: Never
        command: [sh, -c, \"echo start >>/kept/starts; trap exit TERM; sleep 100000 & wait\"]
        volumeMounts: [{{name: kept, mountPath: /kept}}]
      volumes: [{{name: kept, hostPath: {{path: /var/lib/kept, type: DirectoryOrCreate}}}}]
---
",
        PLACE.name
    )
}

/// A Ready pod of that on the node, which has been started so often.
#[track_caller]
fn keeps(cluster: &Cluster, node: &Node, starts: usize) {
    until("a pod of `keeping` Ready", SOON, || {
        let pods = cluster.get(&["pods", "--selector=app=keeping"]);
        let pods = pods.unwrap_or_default()["items"].clone();
        let all = pods.as_array().cloned().unwrap_or_default();
        let ready = all.iter().filter(|pod| is_true(pod, "Ready")).count();
        let noted = node.tries("wc -l </var/lib/kept/starts");
        match (ready, noted.out.trim().parse::<usize>()) {
            (1, Ok(noted)) if noted >= starts => Ok(()),
            told => Err(format!("{told:?} of {starts} starts: {pods}")),
        }
    });
}

/// `tar ... | ssh NODE nodeimg-update apply -`, with the exit status.
#[track_caller]
fn stream(node: &Node, version: &Version) -> (Ran, f64) {
    let begun = Instant::now();
    let mut tar = version.stream().spawn().unwrap();
    let mut ssh = node.ssh();
    ssh.arg("nodeimg-update apply - --json");
    let ran = Ran::of(ssh.stdin(Stdio::from(tar.stdout.take().unwrap())));
    // The command holds the end that tar writes to: tar ends when nobody reads any more.
    drop(ssh);
    let _ = tar.wait();
    (ran, begun.elapsed().as_secs_f64())
}

#[track_caller]
fn updates(node: &mut Node, to: &Version) {
    let (ran, seconds) = stream(node, to);
    let ran = ran.good();
    let said = applied(&to.version, &ran.out, seconds);
    assert_eq!(said["signed"], true, "{said}");
    let begun = Instant::now();
    node.reboots();
    tell(&format!(
        "{}: Ready {:.0} s after its reboot",
        to.version,
        begun.elapsed().as_secs_f64()
    ));
}

/// What must be the same before and after.
fn identity(node: &Node, object: &Value) -> String {
    let files = "/etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub /var/lib/kubelet/kubelet.crt \
                 /var/lib/kubelet/kubeconfig";
    let uid = &object["metadata"]["uid"];
    format!("{uid} {}", node.shell(&format!("sha256sum {files}")))
}

#[track_caller]
fn runs(node: &mut Node, version: &Version) {
    let release = node.shell(". /etc/os-release && echo $IMAGE_VERSION");
    assert_eq!(release, version.version);
    // A kubelet is looked at for a minute.
    let entry = format!("test -e /run/esp/EFI/Linux/{}.efi", version.entry);
    let script = format!(
        "mkdir -p /run/esp; mount -o ro /dev/vda1 /run/esp; {entry}; good=$?; umount /run/esp; \
         nodeimg-firstboot status; exit $good"
    );
    node.comes_to(&format!("a healthy {}", version.version), &script);
}

#[test]
#[ignore = "boots for minutes; ci/test --shard update runs it"]
fn a_worker_is_updated_and_goes_back_with_its_pods() {
    let _skipped = worker();
}

fn worker() -> Option<()> {
    let scene = Scene::of_full(PLACE.name)?;
    let _slots = slots::take(1, 6);
    let publisher = Publisher::new(&scene.directory.join("keys"))?;
    let with_file = "[[file]]\npath = \"/usr/share/of-the-test\"\ncontent = \"of the test\\n\"\n";
    let first = build(&publisher, &scene, "99.0", &["disk", "update"], "")?;
    let second = build(&publisher, &scene, "99.1", &["update"], with_file)?;
    let dies = build(&publisher, &scene, "99.2", &["update"], KUBELET_DIES)?;
    let third = build(&publisher, &scene, "99.3", &["update"], "")?;
    let seed = Seed::hard_way(&scene, &PLACE, SUBNET).write(&scene, &PLACE);
    let image: &Path = &first.image;
    let mut node = Node::start(&scene, &Machine::worker(&PLACE, image, &seed));
    let object = node.ready();
    let before = identity(&node, &object);
    scene.cluster.apply(&keeping());
    keeps(&scene.cluster, &node, 1);

    updates(&mut node, &second);
    let object = node.ready();
    assert_eq!(identity(&node, &object), before);
    keeps(&scene.cluster, &node, 2);
    runs(&mut node, &second);

    // Its own reboot comes behind the one that was asked for.
    updates(&mut node, &dies);
    keeps(&scene.cluster, &node, 3);
    runs(&mut node, &second);
    let told = node.shell("nodeimg-firstboot status; cat /var/lib/nodeimg/update.json");
    for part in [
        &dies.version,
        "the kubelet has ended 5 times",
        "of the test",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let (again, _) = stream(&node, &dies);
    assert_eq!(again.code, Some(3), "{}{}", again.out, again.err);
    assert!(again.out.contains("failed"), "{}", again.out);

    updates(&mut node, &third);
    let object = node.ready();
    assert_eq!(identity(&node, &object), before);
    keeps(&scene.cluster, &node, 4);
    runs(&mut node, &third);
    Some(())
}
