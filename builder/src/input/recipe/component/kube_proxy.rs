//! What kube-proxy's own validation refuses.
//!
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/proxy/apis/config/validation/validation.go>

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde_json::Value;

use super::rules::{Range, Rules, Words, not_one_of};
use crate::input::published::{Part, Wrong};

const ANY: i64 = i64::MAX;

const RANGES: &[Range] = &[
    (&["conntrack", "maxPerCore"], 0, ANY),
    (&["conntrack", "min"], 0, ANY),
    (&["iptables", "masqueradeBit"], 0, 31),
    (&["nftables", "masqueradeBit"], 0, 31),
    (&["oomScoreAdj"], -1000, 1000),
];

const WORDS: &[Words] = &[
    (
        &["detectLocalMode"],
        &[
            "BridgeInterface",
            "ClusterCIDR",
            "InterfaceNamePrefix",
            "NodeCIDR",
        ],
    ),
    (&["logging", "format"], &["json", "text"]),
];

/// Durations that may not be negative.
const DURATIONS: &[&[&str]] = &[
    &["configSyncPeriod"],
    &["conntrack", "tcpCloseWaitTimeout"],
    &["conntrack", "tcpEstablishedTimeout"],
    &["conntrack", "udpStreamTimeout"],
    &["conntrack", "udpTimeout"],
    &["iptables", "minSyncPeriod"],
    &["iptables", "syncPeriod"],
    &["ipvs", "minSyncPeriod"],
    &["ipvs", "syncPeriod"],
    &["ipvs", "tcpFinTimeout"],
    &["ipvs", "tcpTimeout"],
    &["ipvs", "udpTimeout"],
    &["nftables", "minSyncPeriod"],
    &["nftables", "syncPeriod"],
];

pub fn rules(rules: &mut Rules<'_>) {
    rules.ranges(RANGES);
    rules.words(WORDS);
    rules.at_least(DURATIONS, 0.0);
    for mode in ["iptables", "ipvs", "nftables"] {
        // kube-proxy's default.
        let period = rules.seconds(&[mode, "syncPeriod"]).unwrap_or(30.0);
        let least = rules.seconds(&[mode, "minSyncPeriod"]).unwrap_or_default();
        if period > 0.0 && least > period {
            rules.wrong(
                &[mode, "minSyncPeriod"],
                format!("must not be longer than syncPeriod ({period}s)"),
            );
        }
    }
    addresses(rules);
    local(rules);
    if let Some(version) = rules.text(&["showHiddenMetricsForVersion"]) {
        super::rules::hidden_metrics(rules, version);
    }
}

fn addresses(rules: &mut Rules<'_>) {
    if let Some(text) = rules.text(&["bindAddress"])
        && text.parse::<IpAddr>().is_err()
    {
        rules.wrong(&["bindAddress"], "must be an IP address");
    }
    for field in ["healthzBindAddress", "metricsBindAddress"] {
        let Some(text) = rules.text(&[field]) else {
            continue;
        };
        // An address without a port has the default one.
        let port = text.parse::<SocketAddr>().map(|address| address.port());
        let is_good = text.parse::<IpAddr>().is_ok() || port.is_ok_and(|port| port > 0);
        if !is_good {
            rules.wrong(
                &[field],
                "must be an IP address with a port, `0.0.0.0:10256`",
            );
        }
    }
    let keywords = ["all", "localhost", "primary"];
    let nodes = rules.list("nodePortAddresses");
    for (index, text) in &nodes {
        let is_keyword = keywords.contains(text);
        if !is_keyword && text.parse::<IpNet>().is_err() {
            let message = format!("must be a network, or {}", not_one_of(text, &keywords));
            rules.wrong_item("nodePortAddresses", *index, message);
        } else if is_keyword
            && nodes
                .iter()
                .any(|(other, item)| other < index && item == text)
        {
            rules.wrong_item(
                "nodePortAddresses",
                *index,
                format!("`{text}` is there twice"),
            );
        }
    }
    let excluded = rules
        .value(&["ipvs", "excludeCIDRs"])
        .and_then(Value::as_array);
    for (index, item) in excluded.into_iter().flatten().enumerate() {
        if item
            .as_str()
            .is_some_and(|text| text.parse::<IpNet>().is_err())
        {
            let key = |key: &str| Part::Key(key.to_owned());
            rules.found.push(Wrong {
                way: vec![key("ipvs"), key("excludeCIDRs"), Part::Index(index)],
                message: "must be a network, `10.0.0.0/8`".to_owned(),
            });
        }
    }
}

/// What a way to know local pods by needs besides.
fn local(rules: &mut Rules<'_>) {
    let needed = match rules.text(&["detectLocalMode"]) {
        Some("BridgeInterface") => "bridgeInterface",
        Some("InterfaceNamePrefix") => "interfaceNamePrefix",
        _ => return,
    };
    if rules.text(&["detectLocal", needed]).is_none() {
        rules.wrong(
            &["detectLocalMode"],
            format!("needs `{needed}` in `detectLocal`"),
        );
    }
}
