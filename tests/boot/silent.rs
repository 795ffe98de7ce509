//! A node that is set up, and whose metadata service does not answer any more: it takes
//! connections and says nothing, or its packets are lost. First boot does not wait longer than
//! it says, and the node stays what it is.

use nodeimg_test_support::guest::Facts;

/// What first boot may take longer than with a service that answers, in microseconds. An
/// emulated machine on a busy host is slow in either case.
const MOST: u64 = 10_000_000;
/// A service that is given up sooner was not asked.
const LEAST: u64 = 3_000_000;

/// After media.sh, on a node that a service has set up. A socket of systemd at the service's
/// address takes connections; what is behind it never speaks.
pub const SCRIPT: &str = r#"
service=169.254.169.254
# took NAME: how long first boot has run, by systemd's own times.
took() {
    for end in Start Exit; do
        fact "$1-$end" systemctl show -P "ExecMain${end}TimestampMonotonic" nodeimg-firstboot.service
    done
}
again answering
took answering
ip addr add $service/32 dev lo
systemd-run --quiet --unit=mute --socket-property=ListenStream=$service:80 sleep infinity
again mute
took mute
fact connections sh -c 'systemctl is-active mute.service'
systemctl stop mute.socket mute.service
ip addr del $service/32 dev lo
iptables -I INPUT -s $service -j DROP
again lost
took lost
iptables -D INPUT -s $service -j DROP
again once-more
took once-more
"#;

pub fn delays_it_little(facts: &Facts, instance: &str) {
    let took = |name: &str| {
        let [start, exit] = ["Start", "Exit"].map(|end| {
            let microseconds: u64 = facts[&format!("{name}-{end}")].parse().unwrap();
            microseconds
        });
        exit - start
    };
    let instance = format!(r#""instance_id": "{instance}""#);
    for name in ["answering", "mute", "lost", "once-more"] {
        facts.expect(&format!("restart-{name}"), "");
        let verdict = format!("verdict-{name}");
        facts.expect_parts(&verdict, &[r#""outcome": "unchanged""#, &instance]);
    }
    facts.expect("connections", "active");
    let usual = took("answering").max(took("once-more"));
    for name in ["mute", "lost"] {
        let delay = took(name).saturating_sub(usual);
        assert!(
            (LEAST..=MOST).contains(&delay),
            "{name}: {delay} µs more than {usual} µs"
        );
    }
}
