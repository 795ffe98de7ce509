//! A worker that has no seed at first, and then every kind of seed volume: one boot
//! without any, volumes attached one after another while it is up, and the next boot
//! with the last of them, which has its own network.
//!
//! ```text
//!  library   read-only, media at multiples of their size, the first place empty:
//!            nothing that anything looks for
//!  slot      empty; media.sh copies one over
//!  second    an interface: 169.254.169.254 answers behind it; in the next boot nobody does
//! ```
//!
//! On arm64 only with `NODEIMG_TEST_FULL`.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{directory, late, refused, silent, worker_image};
use nodeimg_test_support::faulty_server::Server;
use nodeimg_test_support::guest::{Facts, Guest};
use nodeimg_test_support::judge;
use nodeimg_test_support::media::{Form, Kind, SIZE, Seed};
use nodeimg_test_support::worker::Worker;

const SCRIPT: &str = include_str!("media.sh");
const NODE_IP: &str = "10.0.2.0/24";

/// What becomes of a volume.
enum Verdict {
    /// Set up as this instance, from a source of this kind.
    Applied(&'static str),
    /// Not set up, with these words for it.
    Failed(&'static [&'static str]),
}

struct Case {
    name: &'static str,
    form: Form<'static>,
    drive: bool,
    /// Overwrites what is behind the first 4 KiB.
    spoilt: bool,
    verdict: Verdict,
}

impl Case {
    fn new(name: &'static str, kind: Kind, label: &'static str, verdict: Verdict) -> Case {
        Case {
            name,
            form: Form::of(kind, label),
            drive: false,
            spoilt: false,
            verdict,
        }
    }

    fn drive(mut self) -> Case {
        self.drive = true;
        self
    }
}

fn cases() -> Vec<Case> {
    use Verdict::{Applied, Failed};
    let no_cloud = "NoCloud in /dev/";
    let drive = "config drive in /dev/";
    let mut partition = Case::new("partition", Kind::Vfat, "CIDATA", Applied(no_cloud));
    partition.form.on_partition = true;
    let mut spoilt = Case::new(
        "spoilt",
        Kind::Ext4,
        "cidata",
        Failed(&["cannot be mounted as ext4", "recreate the volume"]),
    );
    spoilt.spoilt = true;
    vec![
        Case::new(
            "label",
            Kind::Iso9660,
            "Config-2",
            Failed(&["found `Config-2` (iso9660), expected `config-2`"]),
        )
        .drive(),
        Case::new(
            "other-label",
            Kind::Vfat,
            "NODE",
            Failed(&["holds `user-data` but has the label `NODE`, expected `cidata`"]),
        ),
        spoilt,
        Case::new("vfat", Kind::Vfat, "CIDATA", Applied(no_cloud)),
        Case::new("ext4", Kind::Ext4, "cidata", Applied(no_cloud)),
        Case::new("iso9660", Kind::Iso9660, "cidata", Applied(no_cloud)),
        partition,
        Case::new("drive-vfat", Kind::Vfat, "CONFIG-2", Applied(drive)).drive(),
        Case::new("drive-ext4", Kind::Ext4, "config-2", Applied(drive)).drive(),
        Case::new("drive-iso9660", Kind::Iso9660, "config-2", Applied(drive)).drive(),
    ]
}

/// Its number is its place in the library.
fn number_of(cases: &[Case], name: &str) -> usize {
    1 + cases.iter().position(|case| case.name == name).unwrap()
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn amd64_takes_the_seed_that_comes() {
    takes_the_seed_that_comes("amd64");
}

#[test]
#[ignore = "boots for minutes; ci/test runs it"]
fn arm64_takes_the_seed_that_comes() {
    if judge::is_full("media on arm64") {
        takes_the_seed_that_comes("arm64");
    }
}

fn takes_the_seed_that_comes(arch: &str) {
    let Some(image) = worker_image(arch) else {
        return;
    };
    let directory = directory(&format!("media-{arch}"));
    let worker = Worker::new("node-0", &["10.0.2.15", "192.168.77.10"]);
    let cases = cases();
    let Some(library) = library(&directory, &worker, &cases) else {
        return;
    };
    let slot = directory.join("slot.img");
    File::create(&slot).unwrap().set_len(SIZE).unwrap();
    let machine = |name: &str| {
        Guest::new(&format!("{arch}-{name}"), &image)
            .keep(&directory.join("keep"))
            .disk(&library, "library", false)
            .disk(&slot, "slot", true)
    };

    let services = services(&worker);
    let mut guest = machine("media-none").script(SCRIPT).script(&script(&cases));
    let interface = link_local(&services);
    guest = guest.qemu(&interface.iter().map(String::as_str).collect::<Vec<_>>());
    guest = guest.script(&script_of_the_others(&cases));
    let number = cases.len() + 3;
    let insert_the_last = format!("insert {number}\nnodeimg-firstboot reprovision --yes\n");
    let Some(facts) = guest.script(&insert_the_last).left(4).facts() else {
        return;
    };
    says_that_there_is_none(&facts);
    for case in &cases {
        expect_case(&facts, case);
    }
    keeps_the_kubelet(&facts);
    took_the_other_sources(&facts);
    silent::delays_it_little(&facts, "i-ec2");
    commands_have_failed(&facts);
    refused::starts_no_kubelet(&facts);

    let next = late::boot(machine("media-late")).left(2).facts().unwrap();
    late::expect_the_node_of_the_medium(&next);
    next.expect("machine-id", &facts["machine-id"]);
    fs::remove_dir_all(directory).unwrap();
}

const FAILING: &str = "runcmd:\n- echo before >>/run/of-commands\n- [sh, -c, exit 3]\n\
                       - [sh, -c, echo after >>/run/of-commands; exit 4]\n";

/// Every case, and at the end the media of failing commands, of a seed that is
/// refused, and of the next boot.
fn library(directory: &Path, worker: &Worker, cases: &[Case]) -> Option<PathBuf> {
    let path = directory.join("library.img");
    let file = File::create(&path).unwrap();
    let places = cases.len() as u64 + 4;
    file.set_len(places * SIZE).unwrap();
    let put = |place: usize, bytes: &[u8]| file.write_all_at(bytes, place as u64 * SIZE).unwrap();
    for (index, case) in cases.iter().enumerate() {
        let own = format!("write_files: [{{path: /etc/nodeimg/{}}}]\n", case.name);
        let user_data = worker.user_data(NODE_IP, &own);
        let instance = format!("i-{}", case.name);
        let seed = match case.drive {
            true => Seed::config_drive(&instance, "node-0", &user_data),
            false => Seed::no_cloud(&instance, &user_data),
        };
        let medium = case.form.make(&seed, &directory.join(case.name))?;
        let mut bytes = fs::read(medium).unwrap();
        if case.spoilt {
            bytes[4096..].fill(0xa5);
        }
        put(index + 1, &bytes);
    }
    let ends = [
        ("failing", worker.user_data(NODE_IP, FAILING), None),
        ("refused", refused::user_data(worker, NODE_IP), None),
        (
            "late",
            worker.user_data(late::NODE_IP, late::DROP_INS),
            Some(late::network()),
        ),
    ];
    for (index, (name, user_data, network)) in ends.into_iter().enumerate() {
        let mut seed = Seed::no_cloud(&format!("i-{name}"), &user_data);
        if let Some(network) = network {
            seed = seed.with("network-config", network);
        }
        let form = Form::of(Kind::Vfat, "CIDATA");
        let medium = form.make(&seed, &directory.join(name))?;
        put(cases.len() + 1 + index, &fs::read(medium).unwrap());
    }
    Some(path)
}

/// OpenStack's metadata service and EC2's, at one address.
fn services(worker: &Worker) -> Server {
    let server = Server::start();
    let user_data = worker.user_data(NODE_IP, "");
    let drive = Seed::config_drive("i-openstack", "node-0", &user_data);
    for (path, content) in drive.files() {
        server.serve(&format!("/{path}"), content);
    }
    server.serve("/latest/api/token", b"of-the-session");
    server.serve("/latest/meta-data/instance-id", b"i-ec2");
    server.serve("/latest/meta-data/local-hostname", b"node-0");
    server.serve("/latest/user-data", user_data.as_bytes());
    server
}

/// An interface on whose network the services are.
fn link_local(services: &Server) -> [String; 4] {
    let to = services.address();
    [
        "-netdev".to_owned(),
        format!(
            "user,id=meta,net=169.254.169.0/24,host=169.254.169.2,dhcpstart=169.254.169.15,\
             guestfwd=tcp:169.254.169.254:80-cmd:socat - TCP:{to}"
        ),
        "-device".to_owned(),
        "virtio-net-pci,netdev=meta,romfile=".to_owned(),
    ]
}

/// What the guest is to do: a seed that is refused, and every case.
fn script(cases: &[Case]) -> String {
    let each = |(index, case): (usize, &Case)| {
        let (number, name) = (index + 1, case.name);
        format!(
            "insert {number}\ntry {name}\n\
             fact files-{name} ls /etc/nodeimg\nfact keys-{name} keys_in $slot\n"
        )
    };
    // While no seed has set the node up: afterwards, it would stay what it is.
    let refused = refused::script(cases.len() + 2);
    refused + &cases.iter().enumerate().map(each).collect::<String>()
}

/// A kubelet that a volume does not stop, the sources that are not volumes, and commands
/// that fail.
fn script_of_the_others(cases: &[Case]) -> String {
    let (spoilt, ext4) = (number_of(cases, "spoilt"), number_of(cases, "ext4"));
    let failing = cases.len() + 1;
    format!(
        "systemctl start kubelet.service kube-proxy.service\n\
         fact kubelet-after systemctl is-active kubelet.service\n\
         insert {spoilt}\ntry worse\n\
         insert 0\nhold {ext4}\n\
         mount_esp\ncopy_seed $esp/cidata i-esp\numount $esp\ntry esp\n\
         fact keys-esp keys_in /dev/disk/by-partlabel/esp\n\
         mount_esp\nrm -r $esp/cidata\numount $esp\n\
         copy_seed /var/lib/nodeimg/seed i-state\ntry state\n\
         fact keys-state keys_in /var/lib/nodeimg/seed/user-data\nrm -r /var/lib/nodeimg/seed\n\
         ask openstack\ntry openstack\nask ec2\ntry ec2\n{}\
         insert {failing}\ntry failing\nwait_for_commands\n\
         fact commands-exit sh -c 'nodeimg-firstboot status >/dev/null; echo $?'\n\
         fact commands cat /run/nodeimg/result.json\n\
         fact commands-left cat /run/of-commands\n",
        silent::SCRIPT
    )
}

fn says_that_there_is_none(facts: &Facts) {
    // It is up, so that one can look at it.
    facts.expect("multi-user", "active");
    facts.expect("unit-containerd", "active");
    facts.expect("state", "degraded");
    facts.expect_parts("failed", &["nodeimg-firstboot.service"]);
    facts.expect("first-boot-unit", "failed");
    for unit in ["kubelet", "kube-proxy"] {
        facts.expect(&format!("unit-{unit}"), "inactive");
    }
    facts.expect_parts(
        "first-boot",
        &[
            r#""outcome": "failed""#,
            "label `cidata`",
            "waited 60 s",
            "unknown content",
        ],
    );
    facts.expect_console(&[
        "THIS NODE IS NOT SET UP",
        "looked at /dev/vda1: vfat, label `ESP`",
    ]);
}

fn expect_case(facts: &Facts, case: &Case) {
    let name = case.name;
    let verdict = format!("verdict-{name}");
    facts.expect(&format!("kubelet-{name}"), "inactive");
    match case.verdict {
        Verdict::Applied(source) => {
            facts.expect(&format!("restart-{name}"), "");
            facts.expect(&format!("exit-{name}"), "0");
            let instance = format!(r#""instance_id": "i-{name}""#);
            facts.expect_parts(&verdict, &[r#""outcome": "applied""#, &instance, source]);
            // Nothing is left of the instance before.
            let mut files = [name, "node.env"];
            files.sort_unstable();
            facts.expect(&format!("files-{name}"), &files.join(" "));
            // Nor of the keys, if they can be overwritten.
            let (scrub, keys) = match case.form.kind {
                Kind::Iso9660 => ("read-only", "4"),
                Kind::Vfat | Kind::Ext4 => ("overwritten", "0"),
            };
            facts.expect_parts(&verdict, &[&format!(r#""scrub": "{scrub}""#)]);
            facts.expect(&format!("keys-{name}"), keys);
        }
        Verdict::Failed(words) => {
            // By what it found, and not by systemd, which has its own reasons.
            facts.expect_parts(&format!("restart-{name}"), &["control process exited"]);
            facts.expect(&format!("exit-{name}"), "1");
            facts.expect_parts(&verdict, &[r#""outcome": "failed""#]);
            facts.expect_parts(&verdict, words);
        }
    }
}

fn keeps_the_kubelet(facts: &Facts) {
    facts.expect("kubelet-after", "active");
    facts.expect_parts(
        "verdict-worse",
        &[r#""outcome": "unchanged""#, r#""seed_refused": true"#],
    );
    // Without an API server, it is on its way for ever.
    let kubelet = &facts["kubelet-worse"];
    assert!(["active", "activating"].contains(&kubelet), "{kubelet}");
}

fn took_the_other_sources(facts: &Facts) {
    for (name, source) in [
        ("esp", "/cidata (boot partition)"),
        ("state", "/var/lib/nodeimg/seed (state directory)"),
        ("openstack", "config drive in http://169.254.169.254/"),
        ("ec2", "NoCloud in http://169.254.169.254/"),
    ] {
        let instance = format!(r#""instance_id": "i-{name}""#);
        let verdict = format!("verdict-{name}");
        facts.expect(&format!("restart-{name}"), "");
        facts.expect_parts(&verdict, &[r#""outcome": "applied""#, &instance, source]);
    }
    for name in ["esp", "state"] {
        let verdict = format!("verdict-{name}");
        facts.expect_parts(&verdict, &[r#""scrub": "overwritten""#]);
        facts.expect(&format!("keys-{name}"), "0");
    }
}

fn commands_have_failed(facts: &Facts) {
    facts.expect_parts("verdict-failing", &[r#""outcome": "applied""#]);
    // Each runs whatever became of the one before, as in cloud-init.
    facts.expect("commands-left", "before after");
    facts.expect("commands-exit", "1");
    facts.expect_parts(
        "commands",
        &[r#""commands": "failed""#, "ended with exit status 4"],
    );
}
