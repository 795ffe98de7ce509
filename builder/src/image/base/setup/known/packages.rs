//! The packages, by name.

use super::names::{ISCSI, NVME};
use super::{File, From, Known, NOTHING};

pub const PACKAGES: [Known; 21] = [
    Known {
        package: "auditd",
        enabled: &["audit-rules.service", "auditd.service"],
        ..NOTHING
    },
    Known {
        package: "chrony",
        accounts: &["u _chrony - \"Chrony daemon\" /var/lib/chrony"],
        files: &[
            copied("/usr/share/chrony/chrony.conf", "/etc/chrony/chrony.conf"),
            File {
                mode: 0o640,
                group: "_chrony",
                ..copied("/usr/share/chrony/chrony.keys", "/etc/chrony/chrony.keys")
            },
        ],
        state: &[
            "d /var/lib/chrony 0750 _chrony _chrony -",
            "d /var/log/chrony 0750 _chrony _chrony -",
        ],
        enabled: &["chrony.service"],
        ..NOTHING
    },
    Known {
        package: "cifs-utils",
        links: &[
            (
                "/etc/alternatives/idmap-plugin",
                "/usr/lib/{triplet}/cifs-utils/idmapwb.so",
            ),
            (
                "/etc/cifs-utils/idmap-plugin",
                "/etc/alternatives/idmap-plugin",
            ),
        ],
        ..NOTHING
    },
    Known {
        package: "cryptsetup",
        files: &[written(
            "/etc/crypttab",
            "# <target name>\t<source device>\t\t<key file>\t<options>\n",
        )],
        ..NOTHING
    },
    Known {
        package: "dmeventd",
        enabled: &["dm-event.socket"],
        ..NOTHING
    },
    Known {
        package: "lvm2",
        enabled: &[
            "blk-availability.service",
            "lvm2-lvmpolld.socket",
            "lvm2-monitor.service",
        ],
        ..NOTHING
    },
    Known {
        package: "mawk",
        links: &[
            ("/etc/alternatives/awk", "/usr/bin/mawk"),
            ("/etc/alternatives/nawk", "/usr/bin/mawk"),
            ("/usr/bin/awk", "/etc/alternatives/awk"),
            ("/usr/bin/nawk", "/etc/alternatives/nawk"),
        ],
        ..NOTHING
    },
    Known {
        package: "mdadm",
        files: &[
            written("/etc/default/mdadm", MDADM_DEFAULTS),
            written("/etc/mdadm/mdadm.conf", MDADM),
        ],
        enabled: &[
            "mdcheck_continue.timer",
            "mdcheck_start.timer",
            "mdmonitor-oneshot.timer",
        ],
        ..NOTHING
    },
    Known {
        package: "multipath-tools",
        enabled: &["multipathd.service"],
        ..NOTHING
    },
    Known {
        package: "nfs-common",
        accounts: &["u statd -:nogroup - /var/lib/nfs"],
        files: &[
            copied(
                "/usr/share/nfs-common/conffiles/idmapd.conf",
                "/etc/idmapd.conf",
            ),
            copied("/usr/share/nfs-common/conffiles/nfs.conf", "/etc/nfs.conf"),
        ],
        state: &[
            "d /var/lib/nfs/sm 0755 statd nogroup -",
            "d /var/lib/nfs/sm.bak 0755 statd nogroup -",
            "f /var/lib/nfs/state 0644 statd root -",
        ],
        enabled: &["nfs-blkmap.service", "nfs-client.target"],
        ..NOTHING
    },
    Known {
        package: "nvme-cli",
        enabled: &[
            "nvmefc-boot-connections.service",
            "nvmf-autoconnect.service",
        ],
        units: &[NVME],
        ..NOTHING
    },
    Known {
        package: "open-iscsi",
        enabled: &["iscsid.socket", "open-iscsi.service"],
        units: &[ISCSI],
        ..NOTHING
    },
    Known {
        package: "open-vm-tools",
        enabled: &["open-vm-tools.service", "vgauth.service"],
        ..NOTHING
    },
    Known {
        package: "python3",
        files: &[written(
            "/etc/python3/debian_config",
            "[DEFAULT]\n# how to byte-compile (comma separated: standard, optimize)\n\
             byte-compile = standard\n",
        )],
        ..NOTHING
    },
    Known {
        package: "python3.13-minimal",
        directories: &[
            "/usr/local/lib/python3.13",
            "/usr/local/lib/python3.13/dist-packages",
        ],
        ..NOTHING
    },
    Known {
        package: "readline-common",
        files: &[copied("/usr/share/readline/inputrc", "/etc/inputrc")],
        ..NOTHING
    },
    Known {
        package: "rpcbind",
        accounts: &["u _rpc -:nogroup - /run/rpcbind"],
        enabled: &["rpcbind.service", "rpcbind.socket"],
        ..NOTHING
    },
    Known {
        package: "tcpdump",
        accounts: &["u tcpdump - - /nonexistent"],
        ..NOTHING
    },
    Known {
        package: "tpm-udev",
        accounts: &["u tss - \"TPM software stack\" /var/lib/tpm /bin/false"],
        state: &["d /var/lib/tpm 0755 tss tss -"],
        ..NOTHING
    },
    Known {
        package: "uuid-runtime",
        enabled: &["uuidd.socket"],
        ..NOTHING
    },
    Known {
        package: "xfsprogs",
        enabled: &["system-xfs_scrub.slice", "xfs_scrub_all.timer"],
        ..NOTHING
    },
];

const fn copied(from: &'static str, path: &'static str) -> File {
    File {
        path,
        content: From::Copy(from),
        mode: 0o644,
        group: "root",
    }
}

const fn written(path: &'static str, text: &'static str) -> File {
    File {
        path,
        content: From::Text(text),
        mode: 0o644,
        group: "root",
    }
}

/// The answers to the questions that mdadm does not ask in an image.
const MDADM_DEFAULTS: &str = "AUTOCHECK=true\nAUTOSCAN=true\nSTART_DAEMON=true\n\
    DAEMON_OPTIONS=\"--syslog\"\nVERBOSE=false\n";

/// As mkconf(8) writes it when there are no arrays. Without an address, mdmonitor.service
/// does not start; that nothing here delivers mail only leaves a line in the log.
const MDADM: &str = "HOMEHOST <system>\nMAILADDR root\n";
