//! Keys whose program the image lacks: told by name, and nothing if it is there.
use nodeimg_seed::contract::profile::container_host;
use nodeimg_seed::plan::{self, Before, Ground, Image};
use nodeimg_seed::read::network;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::secret::SecretBytes;
use nodeimg_test_support::seeds::META_DATA;

use super::{Case, GROUND};

const ALL: [&str; 6] = [
    "/usr/bin/sudo",
    "/usr/sbin/sshd",
    "/usr/bin/bash",
    "/usr/lib/systemd/systemd-networkd",
    "/usr/lib/systemd/systemd-resolved",
    "/usr/lib/systemd/systemd-timesyncd",
];
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHJwHL7j0bDvCFLPvTC9c1DCHw1JhmSHbcu1Ad1Pmr8E me";

/// Of these programs, and Debian's groups.
struct Machine(Vec<&'static str>);

impl Image for Machine {
    fn file(&self, path: &str) -> Result<Option<Before>, String> {
        Ok((path == "/etc/group").then(|| Before {
            bytes: SecretBytes::new(b"root:x:0:\nadm:x:4:\nsudo:x:27:\n".to_vec()),
            mode: 0o644,
            uid: 0,
            gid: 0,
        }))
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains(&path)
    }

    fn is_directory(&self, _path: &str) -> bool {
        false
    }
}

/// The warnings of a plan for an image that has all programs but one.
fn told(user_data: &str, network: &str, without: &str) -> Vec<String> {
    let image = Machine(ALL.into_iter().filter(|path| *path != without).collect());
    planned(user_data, network, &image).1
}

/// A plan's files and its warnings.
fn planned(user_data: &str, network: &str, image: &Machine) -> (plan::Plan, Vec<String>) {
    let mut case = Case::new(format!("#cloud-config\nhostname: n\n{user_data}"));
    case.settings.profile = &container_host::PROFILE;
    let node = case.good();
    let mut seed = Seed::new(
        Layout::NoCloud,
        SeedFile::new("meta-data", META_DATA.as_bytes()),
    );
    seed.network =
        (!network.is_empty()).then(|| SeedFile::new("network-config", network.as_bytes()));
    let mut problems = Problems::new();
    let network = network::read(&seed, &mut problems);
    let ground = Ground {
        image,
        network: network.as_ref(),
        writable: &["/var".to_owned()],
        ..GROUND
    };
    let plan = plan::plan(&node, &ground, &mut problems).unwrap();
    (plan, problems.iter().map(ToString::to_string).collect())
}

/// Whichever program keeps the time reads the seed's servers.
#[test]
fn time_servers_are_written_for_the_program_that_is_there() {
    let with = |programs: &[&'static str]| {
        let ntp = "ntp: {servers: [192.0.2.1], pools: [a.example]}\n";
        let image = Machine([programs, &["/usr/bin/bash"]].concat());
        let (plan, told) = planned(ntp, "", &image);
        let text = |path: &str| plan.text(path).map(|text| text.to_string());
        let chrony = text("/etc/chrony/sources.d/50-nodeimg.sources");
        let timesyncd = text("/etc/systemd/timesyncd.conf.d/50-nodeimg.conf");
        (chrony, timesyncd, told)
    };
    let (chrony, timesyncd, told) = with(&["/usr/sbin/chronyd"]);
    let sources = "server 192.0.2.1 iburst\npool a.example iburst\n";
    assert_eq!(chrony.as_deref(), Some(sources));
    assert_eq!(timesyncd, None);
    assert!(told.is_empty(), "{told:?}");
    let ours = Some("[Time]\nNTP=192.0.2.1 a.example\n");
    for programs in [
        &["/usr/lib/systemd/systemd-timesyncd", "/usr/sbin/chronyd"][..],
        &[],
    ] {
        let (chrony, timesyncd, told) = with(programs);
        assert_eq!((chrony, timesyncd.as_deref()), (None, ours));
        assert_eq!(told.is_empty(), !programs.is_empty(), "{told:?}");
    }
}

#[test]
fn a_key_without_its_program_is_told() {
    let network = "version: 2\nethernets:\n  e0:\n    addresses: [192.0.2.9/24]\n    nameservers: {addresses: [192.0.2.1]}\n";
    let keys = format!("ssh_authorized_keys: ['{KEY}']\n");
    let user = format!("users:\n- {{name: a, ssh_authorized_keys: ['{KEY}']}}\n");
    let sudo =
        "users:\n- {name: a, sudo: 'ALL=(ALL) NOPASSWD:ALL'}\n- {name: b, sudo: 'ALL=(ALL) ALL'}\n";
    for (user_data, network, without, place) in [
        (
            sudo,
            "",
            "/usr/bin/sudo",
            "user-data:4: users.sudo: has no effect",
        ),
        (
            &keys,
            "",
            "/usr/sbin/sshd",
            "user-data:3: ssh_authorized_keys: has no effect",
        ),
        (
            &user,
            "",
            "/usr/sbin/sshd",
            "user-data:4: users.ssh_authorized_keys: has no effect",
        ),
        (
            "ntp: {pools: [a.example]}\n",
            "",
            "/usr/lib/systemd/systemd-timesyncd",
            "user-data:3: ntp.pools: has no effect",
        ),
        (
            "",
            network,
            "/usr/lib/systemd/systemd-networkd",
            "network-config:3: ",
        ),
        (
            "",
            network,
            "/usr/lib/systemd/systemd-resolved",
            "name servers, which have no effect",
        ),
        (
            "users: [{name: a}]\n",
            "",
            "/usr/bin/bash",
            "user-data:3: users.name: `a` has the shell `/bin/bash`",
        ),
        (
            "users: [{name: a, shell: /bin/zsh}]\n",
            "",
            "/bin/zsh",
            "users.shell: `a` has the shell `/bin/zsh`, which this image does not have",
        ),
        (
            "users: [{name: a, groups: [adm, docker]}]\n",
            "",
            "",
            "users.groups: this image has no group `docker`",
        ),
    ] {
        let said = told(user_data, network, without);
        let [warning] = said.as_slice() else {
            panic!("{without}: {said:#?}")
        };
        assert!(warning.contains(place), "{place}: {warning}");
        let named =
            !without.starts_with("/usr/") || without.contains("bash") || warning.contains(without);
        assert!(named, "{without}: {warning}");
    }
}

#[test]
fn what_the_image_has_is_not_told() {
    for user_data in [
        "users:\n- {name: a, sudo: 'ALL=(ALL) NOPASSWD:ALL', groups: [adm, sudo]}\n",
        "users:\n- {name: a, shell: /usr/sbin/nologin}\n- {name: b, shell: /bin/false}\n",
        "users:\n- {name: s, system: true}\n- {name: b, groups: [s, mine]}\ngroups: [mine]\n",
        "users:\n- {name: a, sudo: false}\nntp: {servers: [192.0.2.1]}\n",
        "",
    ] {
        assert!(
            told(user_data, "", "").is_empty(),
            "{:#?}",
            told(user_data, "", "")
        );
    }
    assert!(
        told("", "", "/usr/sbin/sshd").is_empty(),
        "no key asks for it"
    );
}
