#![allow(clippy::unwrap_used)]
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{DevicePath, Fit, Target};

/// PciRoot(0x0), as OVMF has it.
const ROOT: &str = "02010c00d041030a00000000";
const END: &str = "7fff0400";
/// Pci(0x4,0x0), Pci(0x1F,0x2).
const PCI_4: &str = "010106000004";
const PCI_1F_2: &str = "01010600021f";

fn bytes(digits: &str) -> Vec<u8> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn path(nodes: &[&str]) -> Option<DevicePath> {
    DevicePath::parse(&bytes(&nodes.concat()))
}

#[test]
fn paths_of_firmware() {
    // HD(1,GPT,...): 42 bytes, and \EFI\BOOT as a file.
    let partition = format!("04012a00{}0202", "01000000".to_owned() + &"00".repeat(32));
    let file = "04040c005c00450046000000";
    for (nodes, target, pci) in [
        (vec![ROOT, PCI_4], Target::Controller, vec![(4, 0)]),
        (
            vec![
                ROOT,
                "010106000002",
                "010106000000",
                "03171000010000000000000000000000",
            ],
            Target::Nvme(1),
            vec![(2, 0), (0, 0)],
        ),
        (
            vec![ROOT, PCI_1F_2, "03120a000100ffff0000", &partition, file],
            Target::Sata(1),
            vec![(0x1f, 2)],
        ),
        (
            vec![ROOT, PCI_4, "030506000300", "030506000100"],
            Target::Usb(vec![3, 1]),
            vec![(4, 0)],
        ),
        (
            vec![ROOT, PCI_4, "0302080002000100"],
            Target::Scsi(2, 1),
            vec![(4, 0)],
        ),
        (
            vec![ROOT, PCI_1F_2, "0301080001000000"],
            Target::Ata(1, 0),
            vec![(0x1f, 2)],
        ),
        (vec![ROOT, PCI_4, "031a050000"], Target::Mmc, vec![(4, 0)]),
    ] {
        let nodes: Vec<&str> = nodes.into_iter().chain([END]).collect();
        let expected = DevicePath {
            root: 0,
            pci,
            target,
        };
        assert_eq!(path(&nodes), Some(expected), "{nodes:?}");
    }
    let virtio = path(&["02010c00d041080a02000000", PCI_4, END]).unwrap();
    assert_eq!(virtio.root, 2);
}

#[test]
fn paths_that_mean_no_disk_here() {
    let partition = format!("04012a00{}0202", "00".repeat(36));
    for nodes in [
        vec![],
        vec![END],
        // Begins at a partition.
        vec![&*partition, END],
        // A network, a maker's node, a multiplier's port.
        vec![
            ROOT,
            PCI_4,
            "030b2500525400123456000000000000000000000000000000000000000000000000000001",
            END,
        ],
        vec![ROOT, PCI_4, "01041400000102030405060708090a0b0c0d0e0f", END],
        vec![ROOT, PCI_1F_2, "03120a00010002000000", END],
        // Not a root of PCI buses; no device below it; cut off; lengths that cannot be.
        vec!["02010c00d041050a00000000", PCI_4, END],
        vec![ROOT, END],
        vec![ROOT, PCI_4],
        vec![ROOT, "01010000"],
        vec![ROOT, "0101ff00"],
        vec![ROOT, "0101050000", END],
    ] {
        assert_eq!(path(&nodes), None, "{nodes:?}");
    }
    assert_eq!(path(&[PCI_4; 80]), None);
}

fn machine() -> tempfile::TempDir {
    let machine = tempfile::tempdir().unwrap();
    let sys = machine.path();
    let root = sys.join("devices/pci0000:00");
    fs::create_dir_all(root.join("firmware_node")).unwrap();
    fs::write(root.join("firmware_node/uid"), "0\n").unwrap();
    fs::create_dir_all(sys.join("class/block")).unwrap();
    for place in [
        "pci0000:00/0000:00:04.0/virtio1/block/vda",
        "pci0000:00/0000:00:05.0/virtio2/block/vdb",
        "pci0000:00/0000:00:06.0/virtio3/host4/target4:0:2/4:0:2:1/block/sdv",
        "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
        "pci0000:00/0000:00:1f.2/ata2/host1/target1:0:0/1:0:0:0/block/sdb",
        "pci0000:00/0000:00:02.0/0000:01:00.0/nvme/nvme0/nvme0n1",
        "pci0000:00/0000:00:07.0/usb2/2-1/2-1.2/2-1.2:1.0/host5/target5:0:0/5:0:0:0/block/sdu",
        "pci0000:00/0000:00:08.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0",
        "pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0/nvme/nvme1/nvme1n1",
        "pci0001:00/0001:00:04.0/virtio9/block/vdz",
        "platform/x/block/xda",
        "virtual/nvme-subsystem/nvme-subsys2/nvme2n1",
    ] {
        let directory = sys.join("devices").join(place);
        fs::create_dir_all(&directory).unwrap();
        if place.contains("nvme") {
            fs::write(directory.join("nsid"), "1\n").unwrap();
        }
        let name = directory.file_name().unwrap();
        symlink(&directory, sys.join("class/block").join(name)).unwrap();
    }
    for (port, number) in [("ata1", "1\n"), ("ata2", "2\n")] {
        let file = root.join(format!("0000:00:1f.2/{port}/ata_port/{port}"));
        fs::create_dir_all(&file).unwrap();
        fs::write(file.join("port_no"), number).unwrap();
    }
    let controller = root.join("0000:00:09.0/nvme/nvme2");
    fs::create_dir_all(&controller).unwrap();
    fs::write(controller.join("address"), "0000:00:09.0\n").unwrap();
    let subsystem = sys.join("devices/virtual/nvme-subsystem/nvme-subsys2");
    symlink(&controller, subsystem.join("nvme2")).unwrap();
    machine
}

fn expect(sys: &Path, nodes: &[&str], expected: &[(&str, Fit)]) {
    let nodes: Vec<&str> = [ROOT].iter().chain(nodes).chain(&[END]).copied().collect();
    let path = path(&nodes).unwrap();
    for (disk, fit) in expected {
        assert_eq!(path.fit(sys, disk), *fit, "{disk} by {path:?}");
    }
}

#[test]
fn the_disk_that_a_path_means() {
    use Fit::{Near, Other, Same, Unknown};
    let machine = machine();
    let sys = machine.path();
    let others = [
        ("vdb", Other),
        ("xda", Unknown),
        ("nvme1n1", Unknown),
        ("gone", Unknown),
    ];
    expect(
        sys,
        &[PCI_4],
        &[("vda", Same), ("vdz", Near), ("sda", Other)],
    );
    expect(sys, &[PCI_4], &others);
    let sata = |port: &str| format!("03120a00{port}00ffff0000");
    expect(
        sys,
        &[PCI_1F_2, &sata("01")],
        &[("sdb", Same), ("sda", Other), ("vda", Other)],
    );
    expect(
        sys,
        &[PCI_1F_2, &sata("00")],
        &[("sda", Same), ("sdb", Other)],
    );
    expect(
        sys,
        &[PCI_1F_2, "0301080001000000"],
        &[("sdb", Same), ("sda", Other)],
    );
    expect(
        sys,
        &[PCI_1F_2],
        &[("sda", Near), ("sdb", Near), ("vda", Other)],
    );
    let nvme = |number: &str| format!("03171000{number}0000000000000000000000");
    let bridge = ["010106000002", "010106000000"];
    expect(
        sys,
        &[bridge[0], bridge[1], &nvme("01")],
        &[("nvme0n1", Same), ("vda", Other)],
    );
    expect(
        sys,
        &[bridge[0], bridge[1], &nvme("02")],
        &[("nvme0n1", Other)],
    );
    expect(
        sys,
        &["010106000009", &nvme("01")],
        &[("nvme2n1", Same), ("nvme0n1", Other)],
    );
    expect(
        sys,
        &["010106000006", "0302080002000100"],
        &[("sdv", Same), ("vda", Other)],
    );
    expect(
        sys,
        &["010106000006", "0302080001000100"],
        &[("sdv", Other)],
    );
    let usb = ["010106000007", "030506000400", "030506000100"];
    expect(sys, &usb, &[("sdu", Near), ("sda", Other)]);
    expect(sys, &[usb[0], usb[1]], &[("sdu", Other)]);
    expect(
        sys,
        &["010106000008", "031d050000"],
        &[("mmcblk0", Near), ("vda", Other)],
    );
}
