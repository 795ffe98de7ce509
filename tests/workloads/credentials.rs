//! A registry's login by a program that the kubelet asks, as clouds have it.

use crate::cluster::control::{Cluster, is_true, until};
use crate::cluster::node::{Node, SOON};

/// Of the node's recipe. The registry asks for no login, so what counts is that the program
/// was asked, for this image, and that its answer was taken.
pub const PROVIDER: &str = r#"
[[credential_provider]]
name = "test-credentials"
match_images = ["credentials.example.test"]

[[file]]
path = "/usr/libexec/kubernetes/credential-providers/test-credentials"
mode = "0755"
content = '''
#!/bin/sh
cat >/run/credentials-asked
echo '{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1", "cacheKeyType": "Registry", "cacheDuration": "1h", "auth": {"credentials.example.test": {"username": "node", "password": "secret"}}}'
'''
"#;
const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: by-login}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: credentials.example.test/library/busybox:latest
    command: [sleep, '100000']
";

pub fn begin(cluster: &Cluster) {
    cluster.apply(POD);
}

/// The pod runs, and the program was asked for its image.
#[track_caller]
pub fn were_asked_for(cluster: &Cluster, node: &Node) {
    until("pod by-login Ready", SOON, || {
        let pod = cluster.get(&["pod", "by-login"]).ok_or("it is not there")?;
        is_true(&pod, "Ready")
            .then_some(())
            .ok_or(pod["status"].to_string())
    });
    let asked = node.shell("cat /run/credentials-asked");
    // Without a tag: a login is for all of them.
    let image = r#""image":"credentials.example.test/library/busybox""#;
    assert!(asked.contains(image), "{asked}");
    let wrong = "journalctl -b -u kubelet --no-pager | grep -i 'credential provider plugin' || :";
    assert_eq!(node.shell(wrong), "");
    let words = ["delete", "pod", "by-login", "--now", "--wait=false"];
    cluster.kubectl(&words).good();
}
