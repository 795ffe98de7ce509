//! The control plane: `ci/cluster`, and what the API server says.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::node::SOON;
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::{judge, place};

/// The API server's address, which its certificate names too.
pub const API_SERVER: &str = "https://10.240.0.1:6443";
/// The same if the cluster has both families.
pub const API_SERVER6: &str = "https://[fd00:10:240::1]:6443";

/// The cluster that `NODEIMG_TEST_CLUSTER` names.
#[derive(Clone)]
pub struct Cluster {
    name: String,
}

impl Cluster {
    /// `None`, with a printed skip, if there is none.
    pub fn of_environment() -> Option<Cluster> {
        let Ok(name) = std::env::var("NODEIMG_TEST_CLUSTER") else {
            judge::missing("a cluster (ci/test starts one and sets NODEIMG_TEST_CLUSTER)");
            return None;
        };
        Some(Cluster { name })
    }

    /// A separate one for a test, until it is dropped: `settings` are those of
    /// `ci/cluster`.
    pub fn start(name: &str, settings: &[(&str, &str)]) -> Option<Own> {
        let beside = Cluster::of_environment()?;
        let cluster = Cluster {
            name: format!("{}-{name}", beside.name),
        };
        let mut up = cluster.script(&["up"]);
        up.envs(settings.iter().copied());
        let own = Own(cluster);
        Ran::of(&mut up).good();
        Some(own)
    }

    fn script(&self, words: &[&str]) -> Command {
        let script = place::top().join("ci/cluster");
        let mut command = Command::new(script);
        command.args(words).env("CLUSTER_NAME", &self.name);
        command
    }

    #[track_caller]
    fn says(&self, words: &[&str]) -> String {
        let ran = Ran::of(&mut self.script(words)).good();
        ran.out.trim().to_owned()
    }

    /// A program inside the namespace, which it becomes.
    pub fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name));
        command.arg("--").arg(program);
        command
    }

    pub fn ca(&self) -> String {
        self.says(&["ca"])
    }

    pub fn ca_hash(&self) -> String {
        self.says(&["ca-hash"])
    }

    pub fn token(&self) -> String {
        self.says(&["token"])
    }

    /// The folder of a node's certificates, made for it.
    pub fn certificates(&self, name: &str, addresses: &[String]) -> PathBuf {
        let mut words = vec!["node-certs", name];
        words.extend(addresses.iter().map(String::as_str));
        PathBuf::from(self.says(&words))
    }

    pub fn tap(&self, name: &str) {
        self.says(&["tap", name]);
    }

    /// The API server's way to the pods of a node.
    pub fn route(&self, subnet: &str, address: &str) {
        self.says(&["route", subnet, address]);
    }

    /// Whether a kubelet of `version` may join.
    pub fn admits(&self, version: &str) -> Ran {
        Ran::of(&mut self.script(&["admits", version]))
    }

    /// Approves the certificate that a node's kubelet wants to serve with, which is
    /// a person's task.
    #[track_caller]
    pub fn approve_serving(&self, node: &str) {
        let user = format!("system:node:{node}");
        until(&format!("a serving certificate of {node}"), SOON, || {
            let requests = self.get(&["csr"]).unwrap_or_default();
            let all = requests["items"].as_array().cloned().unwrap_or_default();
            let request = all.iter().find(|one| {
                let spec = &one["spec"];
                spec["username"] == *user && spec["signerName"] == "kubernetes.io/kubelet-serving"
            });
            let request = request.ok_or("no request")?;
            let name = request["metadata"]["name"].as_str().unwrap();
            self.kubectl(&["certificate", "approve", name]).good();
            Ok(())
        });
    }

    pub fn collect(&self, to: &Path) {
        let _ = self.script(&["collect"]).arg(to).status();
    }

    /// `kubectl` as the administrator.
    pub fn kubectl(&self, words: &[&str]) -> Ran {
        Ran::of(&mut self.kubectl_command(words))
    }

    /// The same, to be started.
    pub fn kubectl_command(&self, words: &[&str]) -> Command {
        let mut command = self.script(&["kubectl"]);
        command.args(words);
        command
    }

    /// `kubeadm` of the cluster's version, as the administrator.
    pub fn kubeadm(&self, words: &[&str]) -> Ran {
        Ran::of(self.script(&["kubeadm"]).args(words))
    }

    /// An object as JSON, if it exists.
    pub fn get(&self, words: &[&str]) -> Option<Value> {
        let mut all = vec!["get", "-o", "json"];
        all.extend(words);
        let ran = self.kubectl(&all);
        (ran.code == Some(0)).then(|| serde_json::from_str(&ran.out).unwrap())
    }

    pub fn node(&self, name: &str) -> Option<Value> {
        self.get(&["node", name])
    }

    #[track_caller]
    pub fn apply(&self, objects: &str) {
        let words = ["apply", "--validate=false", "-f", "-"];
        self.kubectl_reading(&words, objects).good();
    }

    /// `kubectl` with objects at its standard input.
    pub fn kubectl_reading(&self, words: &[&str], objects: &str) -> Ran {
        let mut command = self.kubectl_command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(objects.as_bytes()).unwrap();
        drop(input);
        Ran::from(child.wait_with_output().unwrap(), format!("{command:?}"))
    }
}

/// A cluster that ends with its test.
pub struct Own(pub Cluster);

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.0.script(&["down"]).status();
    }
}

/// Between two questions, each of which is a program's start here and, on a node,
/// one that is emulated.
const PAUSE: Duration = Duration::from_secs(3);

/// Asks again and again; panics with `what` when the time is over.
#[track_caller]
pub fn until<T>(what: &str, seconds: u64, mut ask: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let why = match ask() {
            Ok(found) => return found,
            Err(why) => why,
        };
        assert!(
            Instant::now() < end,
            "{what}: not in {seconds} s; at last: {why}"
        );
        thread::sleep(PAUSE);
    }
}

/// A condition of an object's status, such as a node's `Ready`.
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let all = object["status"]["conditions"].as_array()?;
    all.iter().find(|one| one["type"] == kind)
}

pub fn is_true(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|one| one["status"] == "True")
}

/// The text of a file that the cluster made.
pub fn text(directory: &Path, name: &str) -> String {
    fs::read_to_string(directory.join(name)).unwrap()
}
