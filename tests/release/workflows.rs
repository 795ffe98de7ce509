//! The workflows of this repository, the example that users copy, and the action's own steps, as
//! actionlint judges them; it has shellcheck look at their scripts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::judge;
use nodeimg_test_support::place::top;
use nodeimg_test_support::run::{Ran, clean};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::action::action;

/// A copy of what actionlint reads: it looks for local actions from the folder of `.git`.
struct Repository {
    folder: TempDir,
    program: PathBuf,
}

impl Repository {
    fn new() -> Option<Repository> {
        let (_, found) = judge::of_lab("actionlint").pop()?;
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join(".git")).unwrap();
        fs::create_dir_all(folder.path().join(".github/workflows")).unwrap();
        fs::copy(top().join("action.yml"), folder.path().join("action.yml")).unwrap();
        Some(Repository {
            folder,
            program: found.join("actionlint"),
        })
    }

    /// What actionlint says of one workflow.
    fn judges(&self, name: &str, text: &str) -> Ran {
        let path = Path::new(".github/workflows").join(name);
        fs::write(self.folder.path().join(&path), text).unwrap();
        let mut command = clean(Command::new(&self.program));
        command.current_dir(self.folder.path());
        Ran::of(command.arg("-no-color").arg(path))
    }

    /// The judge is awake: this is what it finds in a workflow that is wrong.
    #[track_caller]
    fn finds(&self, name: &str, text: &str, what: &str) {
        let ran = self.judges(name, text);
        assert_eq!(ran.code, Some(1), "{}{}", ran.out, ran.err);
        assert!(ran.out.contains(what), "{}", ran.out);
    }
}

/// The files whose steps run on GitHub.
fn workflows() -> Vec<PathBuf> {
    let folder = fs::read_dir(top().join(".github/workflows")).unwrap();
    let mut all: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    all.push(top().join("docs/examples/github.yml"));
    all.sort();
    all
}

#[test]
fn actionlint_finds_nothing_in_the_workflows() {
    let Some(repository) = Repository::new() else {
        return;
    };
    for path in workflows() {
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        repository.judges(name, &text).good();
        let wrong = text.replacen("runs-on: ", "runs-on: ${{ nowhere.x }}-", 1);
        assert_ne!(wrong, text, "{name} runs nowhere");
        repository.finds(name, &wrong, "undefined variable \"nowhere\"");
    }
}

/// A workflow with the action's own steps, which have its inputs.
fn with_steps_of(action: &Value) -> String {
    let mut inputs = action["inputs"].clone();
    for input in inputs.as_object_mut().unwrap().values_mut() {
        input["type"] = json!("string");
    }
    let workflow = json!({
        "on": {"workflow_call": {"inputs": inputs}},
        "jobs": {"steps": {"runs-on": "ubuntu-latest", "steps": action["runs"]["steps"]}},
    });
    // JSON is YAML.
    workflow.to_string()
}

#[test]
fn actionlint_finds_nothing_in_the_action() {
    let (Some(repository), Some(mut action)) = (Repository::new(), action()) else {
        return;
    };
    let uses = |key: &str| {
        let step = json!({"id": "it", "uses": "./", "with": {key: "web"}});
        let reads = json!({"run": "echo ${{ steps.it.outputs.directory }}"});
        let job = json!({"runs-on": "ubuntu-latest", "steps": [step, reads]});
        json!({"on": "push", "jobs": {"it": job}}).to_string()
    };
    repository.judges("uses.yml", &uses("recipe")).good();
    let said = "input \"recipes\" is not defined in action \"nodeimg\"";
    repository.finds("uses.yml", &uses("recipes"), said);
    repository
        .judges("steps.yml", &with_steps_of(&action))
        .good();
    action["inputs"].as_object_mut().unwrap().remove("releases");
    let said = "property \"releases\" is not defined";
    repository.finds("steps.yml", &with_steps_of(&action), said);
}
