//! The examples of `docs/examples` as the API server judges them: server-side dry runs, of
//! custom resources by the definitions that their projects publish (`published/about.md`).
//! A field that there is not is refused.

use std::fs;

use serde_json::{Value, json};

use super::Scene;
use super::control::{Cluster, is_true, until};
use super::node::SOON;
use nodeimg_test_support::place;
use nodeimg_test_support::run::Ran;

/// The definitions, each with its name.
const DEFINITIONS: [(&str, &str); 3] = [
    (
        "workflowtemplates.argoproj.io",
        include_str!("published/argo-workflowtemplate.json"),
    ),
    (
        "tasks.tekton.dev",
        include_str!("published/tekton-task.json"),
    ),
    (
        "plans.upgrade.cattle.io",
        include_str!("published/system-upgrade-plan.json"),
    ),
];
const KURED: &str = include_str!("published/kured.json");
/// Where the plans are.
const NAMESPACE: &str = "system-upgrade";

/// The cluster with the definitions, until this is dropped.
struct Judge<'a>(&'a Cluster);

impl Judge<'_> {
    fn new(cluster: &Cluster) -> Judge<'_> {
        let judge = Judge(cluster);
        for (name, definition) in DEFINITIONS {
            // Too large for the annotation of `kubectl apply`.
            let words = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
            cluster.kubectl_reading(&words, definition).good();
            until(&format!("{name} established"), SOON, || {
                let found = cluster.get(&["crd", name]).unwrap_or_default();
                let yes = is_true(&found, "Established");
                // Clients hear of a new kind a little later.
                let known = cluster.kubectl(&["get", name]);
                let good = yes && known.code == Some(0);
                let why = || format!("{}{}", found["status"], known.err);
                good.then_some(()).ok_or_else(why)
            });
        }
        cluster.apply(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
                .to_string(),
        );
        judge
    }

    /// A dry run on the server, which says so of each of its objects.
    fn tries(&self, documents: &[Value]) -> Ran {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": documents});
        let words = ["create", "--dry-run=server", "--validate=strict", "-f", "-"];
        self.0.kubectl_reading(&words, &list.to_string())
    }

    #[track_caller]
    fn takes(&self, documents: &[Value]) {
        let said = self.tries(documents).good().out;
        let dry = said
            .lines()
            .filter(|line| line.ends_with("created (server dry run)"));
        assert_eq!(dry.count(), documents.len(), "{said}");
    }

    /// The judge is awake: it refuses the document with a field that there is not.
    #[track_caller]
    fn refuses(&self, document: &Value, place: &str) {
        let mut wrong = document.clone();
        wrong.pointer_mut(place).unwrap()["notAField"] = json!("x");
        let ran = self.tries(&[wrong]);
        assert_ne!(ran.code, Some(0), "{}", ran.out);
        assert!(ran.err.contains("unknown field"), "{}", ran.err);
        assert!(ran.err.contains("notAField"), "{}", ran.err);
    }
}

impl Drop for Judge<'_> {
    fn drop(&mut self) {
        for (name, _) in DEFINITIONS {
            let _ = self.0.kubectl(&["delete", "--wait=false", "crd", name]);
        }
        let words = ["delete", "--wait=false", "namespace", NAMESPACE];
        let _ = self.0.kubectl(&words);
    }
}

/// The documents of an example.
fn example(name: &str) -> Vec<Value> {
    let path = place::top().join("docs/examples").join(name);
    let text = fs::read_to_string(path).unwrap();
    let parts = text.split("\n---\n");
    parts
        .map(|part| serde_saphyr::from_str(part).unwrap())
        .collect()
}

/// kured's manifests with the flags that the chart makes of the example's values.
fn kured() -> Vec<Value> {
    let published: Value = serde_json::from_str(KURED).unwrap();
    let [values] = example("kured.yaml").try_into().unwrap();
    let known = published["values"].as_array().unwrap();
    let mut words = vec![json!("/usr/bin/kured")];
    for (key, value) in values["configuration"].as_object().unwrap() {
        assert!(known.contains(&json!(key)), "the chart has no {key}");
        let flag: String = key
            .chars()
            .flat_map(|c| {
                c.is_uppercase()
                    .then_some('-')
                    .into_iter()
                    .chain(c.to_lowercase())
            })
            .collect();
        let kind = published["flags"][&flag].as_str();
        let kind = kind.unwrap_or_else(|| panic!("kured has no --{flag}"));
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            let text = value.as_str().map_or(value.to_string(), str::to_owned);
            fits(kind, &flag, &text);
            words.push(json!(format!("--{flag}={text}")));
        }
    }
    let mut documents = published["manifests"].as_array().unwrap().clone();
    let daemon = documents.iter_mut().find(|one| one["kind"] == "DaemonSet");
    daemon.unwrap()["spec"]["template"]["spec"]["containers"][0]["command"] = json!(words);
    documents
}

/// A value that kured reads for a flag of this kind.
#[track_caller]
fn fits(kind: &str, flag: &str, text: &str) {
    let good = match kind {
        "int" => text.parse::<i64>().is_ok(),
        "bool" => text.parse::<bool>().is_ok(),
        "duration" => {
            let number = text.strip_suffix(['h', 'm', 's']);
            number.is_some_and(|number| number.parse::<u32>().is_ok())
        }
        _ if flag == "reboot-days" => ["su", "mo", "tu", "we", "th", "fr", "sa"].contains(&text),
        _ if flag.ends_with("-time") => {
            let parts: Vec<Option<u8>> = text.split(':').map(|part| part.parse().ok()).collect();
            matches!(parts.as_slice(), [Some(0..24), Some(0..60)])
        }
        _ => !text.is_empty(),
    };
    assert!(good, "kured does not read {text:?} for --{flag}, a {kind}");
}

#[test]
#[ignore = "starts a control plane"]
fn an_api_server_takes_the_examples() {
    let Some(scene) = Scene::new("examples") else {
        return;
    };
    let judge = Judge::new(&scene.cluster);
    for (name, place) in [
        ("kubernetes-job.yaml", "/spec/template/spec/containers/0"),
        ("argo.yaml", "/spec/templates/1/container"),
        ("tekton.yaml", "/spec/steps/0"),
        ("upgrade-plans.yaml", "/spec/upgrade"),
    ] {
        let documents = example(name);
        judge.takes(&documents);
        for document in &documents {
            judge.refuses(document, place);
        }
    }
    let kured = kured();
    judge.takes(&kured);
    judge.refuses(&kured[0], "/rules/0");
}
