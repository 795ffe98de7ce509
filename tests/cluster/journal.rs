use super::logs;
use super::node::Node;
pub fn judge(node: &Node, boot: &str) {
    let out = node.shell("journalctl -b --no-pager -o short-monotonic");
    std::fs::write(logs().join(format!("{boot}.journal")), out).unwrap();
    let out = node.shell("journalctl -b --no-pager -o json -p warning");
    std::fs::write(logs().join(format!("{boot}.json")), out).unwrap();
    let out = node.shell("systemd-analyze critical-chain multi-user.target; systemctl --failed; systemctl is-system-running; df -h; free -m");
    std::fs::write(logs().join(format!("{boot}.state")), out).unwrap();
}
