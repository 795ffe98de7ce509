//! Names by which other machines know one node: of its iSCSI initiator, of its NVMe host.
//!
//! Debian's scripts make them when the package is installed. In an image, every node would
//! have the same, and two initiators of one name write over each other's volumes. So each
//! node makes its own at the boot that lacks one, before anything reads it; `/etc` is an
//! overlay on the state, which keeps it. A name is renamed into place when complete: a power
//! cut leaves none or all of it.

/// Files whose content no two nodes may share.
pub const IDENTITIES: [&str; 3] = [
    "/etc/iscsi/initiatorname.iscsi",
    "/etc/nvme/hostid",
    "/etc/nvme/hostnqn",
];

/// Whether `text`, the content of one of [`IDENTITIES`], names a node.
pub fn is_identity(text: &str) -> bool {
    let says = |line: &str| {
        let line = line.trim();
        // What iscsid replaces by a name of its own.
        !line.is_empty() && !line.starts_with('#') && line != "GenerateName=yes"
    };
    text.lines().any(says)
}

pub const ISCSI: (&str, &str) = (
    "nodeimg-iscsi-name.service",
    "[Unit]
Description=Name of this node's iSCSI initiator
Documentation=man:iscsi-iname(8)
DefaultDependencies=no
After=systemd-random-seed.service
Before=iscsid.socket iscsid.service open-iscsi.service sysinit.target shutdown.target
Conflicts=shutdown.target
ConditionPathIsReadWrite=/etc/iscsi
ConditionFileNotEmpty=!/etc/iscsi/initiatorname.iscsi

[Service]
Type=oneshot
RemainAfterExit=yes
UMask=0077
ExecStart=/bin/sh -ec 'file=/etc/iscsi/initiatorname.iscsi; name=$$(iscsi-iname -p iqn.1993-08.org.debian:01); test -n \"$$name\"; echo \"InitiatorName=$$name\" >$$file.new; sync $$file.new; mv $$file.new $$file; sync /etc/iscsi'

[Install]
WantedBy=sysinit.target
",
);

/// The host's id is that of its name, as libnvme wants it.
pub const NVME: (&str, &str) = (
    "nodeimg-nvme-host.service",
    "[Unit]
Description=Name of this node as an NVMe host
Documentation=man:nvme-gen-hostnqn(1)
DefaultDependencies=no
After=systemd-random-seed.service
Before=nvmf-autoconnect.service nvmefc-boot-connections.service sysinit.target shutdown.target
Conflicts=shutdown.target
ConditionPathIsReadWrite=/etc/nvme
ConditionFileNotEmpty=|!/etc/nvme/hostnqn
ConditionFileNotEmpty=|!/etc/nvme/hostid

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -ec 'cd /etc/nvme; put() { echo \"$$2\" >$$1.new; sync $$1.new; mv $$1.new $$1; }; test -s hostnqn || put hostnqn \"$$(nvme gen-hostnqn)\"; read -r name <hostnqn; case $$name in *:uuid:*) id=$${name##*:uuid:};; *) id=$$(uuidgen);; esac; test -s hostid || put hostid \"$$id\"; sync .'

[Install]
WantedBy=sysinit.target
",
);

#[cfg(test)]
mod tests {
    use super::is_identity;

    #[test]
    fn what_names_one_node() {
        assert!(is_identity("## x\nInitiatorName=iqn.2026-01.example:a\n"));
        assert!(!is_identity("# x\n\nGenerateName=yes\n"));
        assert!(is_identity("b5f3b2e0-0000\n"));
        assert!(!is_identity("\n"));
    }
}
