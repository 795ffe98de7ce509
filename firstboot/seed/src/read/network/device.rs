//! Bonds and bridges: their parameters in the words of netplan, of ifupdown
//! (which v1 has) and of networkd.
use std::net::IpAddr;

use super::link::{Kind, Setting};
use super::value::{addresses, boolean, filled, given, idle, number, one_of, unknown, yes_no};
use crate::text::field::{Field, Member};
use crate::text::problem::{Located, Problems};

/// How a value is read, and how it is written.
#[derive(Clone, Copy)]
enum Form {
    Milliseconds,
    Seconds,
    Number,
    Flag,
    Addresses,
    /// Words that can also be given by their position in the list: `bond-mode 4`.
    Word(&'static [&'static str]),
}

struct Parameter {
    /// netplan's name.
    name: &'static str,
    /// v1's name, with dashes, without `bond-` or `bridge-`.
    v1: &'static str,
    key: &'static str,
    form: Form,
}

const fn row(name: &'static str, v1: &'static str, key: &'static str, form: Form) -> Parameter {
    Parameter {
        name,
        v1,
        key,
        form,
    }
}

/// In the order of the kernel's numbers.
const MODES: &[&str] = &[
    "balance-rr",
    "active-backup",
    "balance-xor",
    "broadcast",
    "802.3ad",
    "balance-tlb",
    "balance-alb",
];

const HASHES: &[&str] = &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"];
const ARP_VALIDATE: &[&str] = &["none", "active", "backup", "all"];

use Form::{Addresses, Flag, Milliseconds, Number, Seconds, Word};

/// <https://www.freedesktop.org/software/systemd/man/latest/systemd.netdev.html#%5BBond%5D%20Section%20Options>
const BOND: &[Parameter] = &[
    row("mode", "mode", "Mode", Word(MODES)),
    row(
        "lacp-rate",
        "lacp-rate",
        "LACPTransmitRate",
        Word(&["slow", "fast"]),
    ),
    row(
        "mii-monitor-interval",
        "miimon",
        "MIIMonitorSec",
        Milliseconds,
    ),
    row("min-links", "min-links", "MinLinks", Number),
    row(
        "transmit-hash-policy",
        "xmit-hash-policy",
        "TransmitHashPolicy",
        Word(HASHES),
    ),
    row(
        "ad-select",
        "ad-select",
        "AdSelect",
        Word(&["stable", "bandwidth", "count"]),
    ),
    row(
        "all-slaves-active",
        "all-slaves-active",
        "AllSlavesActive",
        Flag,
    ),
    row(
        "all-members-active",
        "all-members-active",
        "AllSlavesActive",
        Flag,
    ),
    row(
        "arp-interval",
        "arp-interval",
        "ARPIntervalSec",
        Milliseconds,
    ),
    row("arp-ip-targets", "arp-ip-target", "ARPIPTargets", Addresses),
    row(
        "arp-validate",
        "arp-validate",
        "ARPValidate",
        Word(ARP_VALIDATE),
    ),
    row(
        "arp-all-targets",
        "arp-all-targets",
        "ARPAllTargets",
        Word(&["any", "all"]),
    ),
    row("up-delay", "updelay", "UpDelaySec", Milliseconds),
    row("down-delay", "downdelay", "DownDelaySec", Milliseconds),
    row(
        "fail-over-mac-policy",
        "fail-over-mac",
        "FailOverMACPolicy",
        Word(&["none", "active", "follow"]),
    ),
    row("gratuitous-arp", "num-grat-arp", "GratuitousARP", Number),
    row("gratuitious-arp", "num-unsol-na", "GratuitousARP", Number),
    row(
        "packets-per-slave",
        "packets-per-slave",
        "PacketsPerSlave",
        Number,
    ),
    row(
        "packets-per-member",
        "packets-per-member",
        "PacketsPerSlave",
        Number,
    ),
    row(
        "primary-reselect-policy",
        "primary-reselect",
        "PrimaryReselectPolicy",
        Word(&["always", "better", "failure"]),
    ),
    row("resend-igmp", "resend-igmp", "ResendIGMP", Number),
    row(
        "learn-packet-interval",
        "lp-interval",
        "LearnPacketIntervalSec",
        Seconds,
    ),
];

/// <https://www.freedesktop.org/software/systemd/man/latest/systemd.netdev.html#%5BBridge%5D%20Section%20Options>
const BRIDGE: &[Parameter] = &[
    row("ageing-time", "ageing", "AgeingTimeSec", Seconds),
    row("aging-time", "ageingtime", "AgeingTimeSec", Seconds),
    row("priority", "bridgeprio", "Priority", Number),
    row("forward-delay", "fd", "ForwardDelaySec", Seconds),
    row("hello-time", "hello", "HelloTimeSec", Seconds),
    row("max-age", "maxage", "MaxAgeSec", Seconds),
    row("stp", "stp", "STP", Flag),
];

/// Only known to ifupdown: how long it waits, which networkd does not.
const BRIDGE_WAITS: [&str; 3] = ["gcint", "maxwait", "waitport"];

pub(super) fn bond_v2(members: &[Member<'_>], problems: &mut Problems) -> Option<Kind> {
    let mut settings = Vec::new();
    let mut primary = None;
    for part in parameters(members, problems) {
        if part.name == "primary" {
            primary = part.field.text(problems);
            continue;
        }
        let found = BOND.iter().find(|row| row.name == part.name);
        setting(
            &part.field,
            part.name,
            ("Bond", BOND, found),
            &mut settings,
            problems,
        );
    }
    Some(Kind::Bond {
        members: member_names(members, problems),
        settings,
        primary,
    })
}

pub(super) fn bridge_v2(members: &[Member<'_>], problems: &mut Problems) -> Option<Kind> {
    let mut settings = Vec::new();
    let mut ports = Vec::new();
    for part in parameters(members, problems) {
        let key = match part.name {
            "path-cost" => "Cost",
            "port-priority" => "Priority",
            name => {
                let found = BRIDGE.iter().find(|row| row.name == name);
                setting(
                    &part.field,
                    name,
                    ("Bridge", BRIDGE, found),
                    &mut settings,
                    problems,
                );
                continue;
            }
        };
        for port in part.field.members(problems).unwrap_or_default() {
            if let Some(value) = number(&port.field, 0..=65535, problems) {
                ports.push(of_port(&port.field, port.name, key, value));
            }
        }
    }
    Some(Kind::Bridge {
        members: member_names(members, problems),
        settings,
        ports,
    })
}

fn of_port(
    field: &Field<'_>,
    name: &str,
    key: &'static str,
    value: u32,
) -> (Located<String>, Setting) {
    let name = Located {
        value: name.to_owned(),
        place: field.place.clone(),
    };
    let setting = Setting {
        section: "Bridge",
        key,
        value: value.to_string(),
    };
    (name, setting)
}

fn parameters<'a>(members: &[Member<'a>], problems: &mut Problems) -> Vec<Member<'a>> {
    let found = members.iter().find(|member| member.name == "parameters");
    found
        .filter(|found| given(&found.field))
        .and_then(|found| found.field.members(problems))
        .unwrap_or_default()
}

/// Reads a parameter of a bond of v1; `name` has dashes and no `bond-`.
pub(super) fn bond_v1(
    field: &Field<'_>,
    name: &str,
    into: &mut Vec<Setting>,
    problems: &mut Problems,
) {
    let found = BOND.iter().find(|row| row.v1 == name || row.name == name);
    setting(field, name, ("Bond", BOND, found), into, problems);
}

/// The meaning of a bridge parameter of v1; `name` has dashes and no `bridge-`.
pub(super) fn bridge_v1(
    field: &Field<'_>,
    name: &str,
    into: &mut Vec<Setting>,
    ports: &mut Vec<(Located<String>, Setting)>,
    problems: &mut Problems,
) {
    let key = match name {
        "pathcost" => "Cost",
        "portprio" => "Priority",
        name if BRIDGE_WAITS.contains(&name) => {
            let none = field
                .node
                .scalar()
                .is_some_and(|scalar| scalar.text() == "0");
            if !none {
                idle(
                    field,
                    "systemd-networkd does not wait for a bridge",
                    problems,
                );
            }
            return;
        }
        name => {
            let found = BRIDGE.iter().find(|row| row.v1 == name || row.name == name);
            return setting(field, name, ("Bridge", BRIDGE, found), into, problems);
        }
    };
    // Either `- eth0 75` or the whole in one text.
    for text in field.texts(problems) {
        let words: Vec<&str> = text.value.split_whitespace().collect();
        match words.as_slice() {
            [port, value] if value.parse::<u32>().is_ok_and(|value| value <= 65535) => {
                let value = value.parse().unwrap_or_default();
                let mut located = of_port(field, port, key, value);
                located.0.place = text.place.clone();
                ports.push(located);
            }
            _ => {
                let reason = format!("`{}` is not an interface and a number", text.value);
                problems.error(&text.place, reason, "write it as `eth0 75`");
            }
        }
    }
}

type Table<'a> = (&'static str, &'a [Parameter], Option<&'a Parameter>);

fn setting(
    field: &Field<'_>,
    name: &str,
    (section, table, found): Table<'_>,
    into: &mut Vec<Setting>,
    problems: &mut Problems,
) {
    let Some(row) = found else {
        let known: Vec<&str> = table.iter().map(|row| row.name).collect();
        return unknown(field, name, &known, problems);
    };
    if !given(field) {
        return;
    }
    if let Some(value) = written(field, row.form, problems) {
        let other = into.iter().find(|setting| setting.key == row.key);
        if other.is_some_and(|other| other.value != value) {
            let reason = "is given twice, under another name as well";
            problems.error(&field.place, reason, "keep one of them");
        }
        into.retain(|setting| setting.key != row.key);
        into.push(Setting {
            section,
            key: row.key,
            value,
        });
    }
}

fn written(field: &Field<'_>, form: Form, problems: &mut Problems) -> Option<String> {
    match form {
        Milliseconds => Some(format!("{}ms", number(field, 0..=86_400_000, problems)?)),
        Seconds => Some(format!("{}s", number(field, 0..=86_400, problems)?)),
        Number => Some(number(field, 0..=65535, problems)?.to_string()),
        Flag => Some(yes_no(boolean(field, problems)?).to_owned()),
        Addresses => {
            let list: Vec<IpAddr> = addresses(field, problems);
            let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        Word(words) => {
            let index = field
                .node
                .scalar()
                .and_then(|scalar| scalar.text.expose().trim().parse::<usize>().ok());
            match index.and_then(|index| words.get(index)) {
                Some(word) => Some((*word).to_owned()),
                None => one_of(field, words, problems).map(str::to_owned),
            }
        }
    }
}

/// netplan's name of a bond's parameter, by networkd's.
pub(super) fn name_of(key: &str) -> &'static str {
    let row = BOND.iter().find(|row| row.key == key);
    row.map_or("", |row| row.name)
}

/// `interfaces: [...]`, by their ids.
pub(super) fn member_names(
    members: &[Member<'_>],
    problems: &mut Problems,
) -> Vec<Located<String>> {
    let list = members.iter().find(|member| member.name == "interfaces");
    let Some(list) = list.filter(|list| given(&list.field)) else {
        return Vec::new();
    };
    super::value::list(&list.field, problems);
    filled(&list.field, problems)
}
