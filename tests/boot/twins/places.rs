//! Where two disks with the same image are in a machine.

use nodeimg_test_support::guest::Facts;

/// Where both disks are, and what the kernel calls them.
pub(super) struct Place {
    pub(super) name: &'static str,
    /// What the one that is not the machine's usual disk is attached with, but for the drive.
    device: &'static [&'static str],
    /// The node's is there, and the other one in the usual place.
    pub(super) is_swapped: bool,
    pub(super) nodes: &'static str,
    pub(super) others: &'static str,
    /// Whether only the kernel for metal has its driver.
    is_metal: bool,
}

const NVME: &[&str] = &["nvme,serial=twin"];
const VIRTIO: &[&str] = &["virtio-blk-pci"];
const SATA: &[&str] = &["ahci,id=ahci", "ide-hd,bus=ahci.0"];
const USB: &[&str] = &["qemu-xhci,id=usb", "usb-storage,bus=usb.0"];

/// The first without `NODEIMG_TEST_FULL`.
pub(super) const PLACES: [Place; 8] = [
    Place::behind("nvme", NVME, "nvme0n1"),
    Place::behind("virtio", VIRTIO, "vdc"),
    Place::behind("sata", SATA, "sda"),
    Place::before("nvme-swapped", NVME, "nvme0n1"),
    Place::before("virtio-swapped", VIRTIO, "vdc"),
    Place::before("sata-swapped", SATA, "sda"),
    Place::behind("usb", USB, "sda").of_metal(),
    Place::before("usb-swapped", USB, "sda").of_metal(),
];

impl Place {
    const fn behind(
        name: &'static str,
        device: &'static [&'static str],
        others: &'static str,
    ) -> Place {
        Place {
            name,
            device,
            is_swapped: false,
            nodes: "vda",
            others,
            is_metal: false,
        }
    }

    const fn before(
        name: &'static str,
        device: &'static [&'static str],
        nodes: &'static str,
    ) -> Place {
        Place {
            is_swapped: true,
            nodes,
            ..Place::behind(name, device, "vda")
        }
    }

    const fn of_metal(self) -> Place {
        Place {
            is_metal: true,
            ..self
        }
    }

    /// Arguments of QEMU that attach the drive `twin`. The usual disk is the device `disk`, and
    /// so is its drive.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut all = Vec::new();
        let (drive, controllers) = self.device.split_last().unwrap();
        for controller in controllers {
            all.extend(["-device".to_owned(), (*controller).to_owned()]);
        }
        let there = if self.is_swapped {
            for setting in ["drive=twin", "bootindex=-1"] {
                all.extend(["-set".to_owned(), format!("device.disk.{setting}")]);
            }
            "disk,bootindex=0"
        } else {
            "twin"
        };
        all.extend(["-device".to_owned(), format!("{drive},drive={there}")]);
        all
    }

    /// The kernel's name of a partition of the node's disk.
    pub(super) fn partition(&self, number: u32) -> String {
        let infix = if self.nodes.starts_with("nvme") {
            "p"
        } else {
            ""
        };
        format!("{}{infix}{number}", self.nodes)
    }

    /// For the guest's script.
    pub(super) fn variables(&self) -> String {
        format!("root={}; first={}\n", self.nodes, self.partition(1))
    }

    /// Root and state are the node's.
    pub(super) fn is_honest(&self, facts: &Facts) {
        let part = |number| self.partition(number);
        facts.expect("state-on", &format!("/dev/{}", part(6)));
        let [data, hashes] = [3, 2].map(|number| format!("({})", part(number)));
        facts.expect_parts("root-on", &[&data, &hashes]);
        facts.expect("other", "");
        facts.expect("host-name", "honest");
        facts.expect_parts("initrd", &[&format!("the root is /dev/{}", part(3))]);
    }
}

/// Those of this run, for an image of the kernel for metal or of the one for clouds.
pub(super) fn places(is_metal: bool, is_full: bool) -> Vec<&'static Place> {
    let most = if is_full { PLACES.len() } else { 1 };
    let places = PLACES[..most].iter();
    places.filter(|it| it.is_metal == is_metal).collect()
}
