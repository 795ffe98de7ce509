//! Which kubelets a cluster takes: none that is newer than its API server.

use super::Scene;

#[test]
#[ignore = "wants a cluster; ci/test runs it"]
fn a_kubelet_newer_than_the_api_server_is_refused() {
    let Some(scene) = Scene::new("skew") else {
        return;
    };
    let cluster = &scene.cluster;
    for version in ["1.37.2", "v1.36.3", "1.34.4"] {
        cluster.admits(version).good();
    }
    let newer = [
        "kubelet 1.38.0 is newer than the API server 1.37",
        "1.37 or older",
    ];
    let older = ["kubelet 1.33.1 is more than three", "1.34 or newer"];
    for (version, why) in [("1.38.0", newer), ("1.33.1", older)] {
        let ran = cluster.admits(version);
        assert_eq!(ran.code, Some(1), "{}", ran.err);
        for part in why {
            assert!(ran.err.contains(part), "{version}: {}", ran.err);
        }
    }
}
