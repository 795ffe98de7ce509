//! kubectl's ways into a pod: exec, logs, cp, port-forward; and the node's, a hostPort.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use tempfile::TempDir;

use crate::cluster::control::{Cluster, is_true, until};
use crate::cluster::node::{Node, SOON};
use nodeimg_test_support::run::Ran;

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: page}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    command: [sh, -c, 'mkdir /www; echo a page >/www/index.html; echo it serves; exec httpd -f -p 8080 -h /www']
    ports: [{containerPort: 8080, hostPort: 8089}]
    readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}
";

pub fn works(cluster: &Cluster, node: &Node) {
    cluster.apply(POD);
    until("pod page Ready", SOON, || {
        let pod = cluster.get(&["pod", "page"]).ok_or("it is not there")?;
        is_true(&pod, "Ready")
            .then_some(())
            .ok_or(pod["status"].to_string())
    });
    let said = cluster.kubectl(&["logs", "page"]).good().out;
    assert_eq!(said, "it serves\n");
    let said = cluster.kubectl(&["exec", "page", "--", "cat", "/proc/1/comm"]);
    assert_eq!(said.good().out, "httpd\n");
    // As containers are that are not privileged and ask for nothing else.
    let said = cluster.kubectl(&["exec", "page", "--", "cat", "/proc/1/attr/current"]);
    assert_eq!(said.good().out, "cri-containerd.apparmor.d (enforce)\n");
    let ended = cluster.kubectl(&["exec", "page", "--", "sh", "-c", "exit 7"]);
    assert_eq!(ended.code, Some(7), "{}", ended.err);
    copies(cluster);
    forwards(cluster);
    let said = asks(cluster, &node.address, "8089");
    assert!(said.ends_with("a page\n"), "by the node's port: {said}");
}

/// There and back again.
fn copies(cluster: &Cluster) {
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    let content: Vec<u8> = (0..200_000u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(path("there"), &content).unwrap();
    cluster
        .kubectl(&["cp", &path("there"), "page:/tmp-file"])
        .good();
    cluster
        .kubectl(&["cp", "page:/tmp-file", &path("back")])
        .good();
    assert!(
        fs::read(path("back")).unwrap() == content,
        "not what was sent"
    );
}

/// By a port that kubectl opens.
fn forwards(cluster: &Cluster) {
    let mut forward = cluster.kubectl_command(&["port-forward", "pod/page", ":8080"]);
    forward.stdin(Stdio::null()).stderr(Stdio::piped());
    let mut child = forward.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut says = BufReader::new(child.stdout.take().unwrap());
    says.read_line(&mut line).unwrap();
    let port = line
        .split("127.0.0.1:")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let port = port.unwrap_or_else(|| panic!("port-forward says {line:?}"));
    let said = asks(cluster, "127.0.0.1", port);
    let _ = child.kill();
    let _ = child.wait();
    assert!(said.ends_with("a page\n"), "{said}");
}

/// What a port answers in the cluster's namespace.
pub fn asks(cluster: &Cluster, host: &str, port: &str) -> String {
    let ask = format!(
        "exec 3<>/dev/tcp/{host}/{port} && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    );
    let page = Ran::of(cluster.inside("timeout").args(["60", "bash", "-c", &ask]));
    page.err + &page.out
}
