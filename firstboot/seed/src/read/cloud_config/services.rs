//! `ca_certs` and `ntp`.
use super::not_read;
use crate::text::field::Field;
use crate::text::problem::{Located, Problems};
use crate::text::yaml::{Kind, Scalar};

#[derive(Default)]
pub struct CaCerts {
    /// Trust only those given.
    pub remove_defaults: bool,
    /// PEM texts.
    pub trusted: Vec<Located<String>>,
}

#[derive(Default)]
pub struct Ntp {
    pub servers: Vec<Located<String>>,
    pub pools: Vec<Located<String>>,
}

const CA_KEYS: [&str; 2] = ["remove_defaults", "trusted"];

pub(super) fn ca_certs(field: &Field<'_>, problems: &mut Problems) -> Option<CaCerts> {
    let mut found = CaCerts::default();
    for member in field.members(problems)? {
        match member.name {
            "remove_defaults" | "remove-defaults" => {
                found.remove_defaults = member.field.boolean(problems).unwrap_or(false);
            }
            "trusted" => {
                let list = matches!(member.field.node.kind, Kind::Sequence(_));
                let items = if list {
                    member.field.items()
                } else {
                    vec![member.field.clone()]
                };
                found.trusted = items
                    .iter()
                    .filter_map(|item| pem(item, problems))
                    .collect();
            }
            name => not_read(&member.field, name, &CA_KEYS, problems),
        }
    }
    Some(found)
}

fn pem(item: &Field<'_>, problems: &mut Problems) -> Option<Located<String>> {
    let found = item.secret(problems)?;
    Some(Located {
        value: found.value.expose().to_owned(),
        place: found.place,
    })
}

const NTP_KEYS: [&str; 6] = [
    "enabled",
    "ntp_client",
    "pools",
    "servers",
    "allow",
    "peers",
];

/// `None` when it is switched off.
pub(super) fn ntp(field: &Field<'_>, problems: &mut Problems) -> Option<Ntp> {
    let mut found = Ntp::default();
    let mut enabled = true;
    for member in field.members(problems)? {
        let field = &member.field;
        let nothing = match &field.node.kind {
            Kind::Sequence(items) => items.is_empty(),
            Kind::Scalar(scalar) => scalar.is_null(),
            Kind::Mapping(_) => false,
        };
        match member.name {
            "servers" | "pools" if nothing => {}
            "servers" => found.servers = field.said_list(problems),
            "pools" => found.pools = field.said_list(problems),
            "enabled" => enabled = field.boolean(problems).unwrap_or(true),
            "ntp_client" => {
                let text = field.node.scalar().map(Scalar::text);
                if !matches!(text, Some("auto" | "systemd-timesyncd" | "chrony")) {
                    let reason =
                        "has no effect: a node keeps time with systemd-timesyncd or chrony";
                    problems.warn(&field.place, reason, "");
                }
            }
            name => not_read(field, name, &NTP_KEYS, problems),
        }
    }
    for server in found
        .servers
        .iter()
        .chain(&found.pools)
        .filter(|_| !enabled)
    {
        let reason = "has no effect, since `ntp.enabled` is false";
        problems.warn(&server.place, reason, "");
    }
    enabled.then_some(found)
}
