//! The action's shell steps, in the environment that GitHub's runner gives them, with releases
//! from a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nodeimg_test_support::archive::sha256;
use nodeimg_test_support::judge;
use nodeimg_test_support::place::{nodeimg, top};
use nodeimg_test_support::run::Ran;
use nodeimg_test_support::synthetic::World;
use serde_json::Value;
use tempfile::TempDir;

/// `action.yml` as PyYAML reads it.
pub fn action() -> Option<Value> {
    let python = judge::python_with("yaml")?;
    let read = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
    let mut command = Command::new(python);
    command.args(["-c", read]).arg(top().join("action.yml"));
    Some(serde_json::from_str(&Ran::of(&mut command).good().out).unwrap())
}

/// A runner's files, and a release of the nodeimg under test.
struct Runner {
    action: Value,
    world: World,
    folder: TempDir,
}

impl Runner {
    fn new() -> Option<Runner> {
        let runner = Runner {
            action: action()?,
            world: World::warm(),
            folder: TempDir::new().unwrap(),
        };
        let release = runner.release();
        fs::create_dir_all(&release).unwrap();
        fs::copy(nodeimg(), release.join(Runner::program())).unwrap();
        let bytes = fs::read(nodeimg()).unwrap();
        let line = format!("{}  {}\n", sha256(&bytes), Runner::program());
        fs::write(
            release.join("SHA256SUMS"),
            format!("{}  another\n{line}", "0".repeat(64)),
        )
        .unwrap();
        Some(runner)
    }

    fn program() -> String {
        let arch = if cfg!(target_arch = "aarch64") {
            "arm64"
        } else {
            "amd64"
        };
        format!("nodeimg-{}-linux-{arch}", env!("CARGO_PKG_VERSION"))
    }

    fn release(&self) -> PathBuf {
        let version = format!("v{}", env!("CARGO_PKG_VERSION"));
        self.folder.path().join("releases").join(version)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// The step of this name, as the runner starts it: `bash -eo pipefail`.
    fn step(&self, name: &str, env: &[(&str, &str)]) -> Command {
        let steps = self.action["runs"]["steps"].as_array().unwrap();
        let step = steps
            .iter()
            .find(|step| step["name"] == name)
            .unwrap_or_else(|| panic!("action.yml has no step {name}"));
        assert_eq!(step["shell"], "bash");
        let script = self.file("step.sh");
        fs::write(&script, step["run"].as_str().unwrap()).unwrap();
        // The builds are the world's, by the program that the step before has put on the PATH.
        let mut command = self.world.nodeimg("build");
        let path = self.read("path");
        let mut bash = Command::new("bash");
        bash.env_clear().envs(
            command
                .get_envs()
                .filter_map(|(key, value)| Some((key, value?))),
        );
        bash.current_dir(
            command
                .current_dir(self.world.path(""))
                .get_current_dir()
                .unwrap(),
        );
        let before = std::env::var("PATH").unwrap();
        bash.env("PATH", format!("{}:{before}", path.trim()));
        bash.env("RUNNER_TEMP", self.folder.path());
        bash.env("GITHUB_PATH", self.file("path"));
        bash.env("GITHUB_OUTPUT", self.file("output"));
        bash.env("GITHUB_SERVER_URL", "https://github.test");
        // What the step takes from the inputs is given here.
        for (key, value) in step["env"].as_object().into_iter().flatten() {
            assert!(value.as_str().unwrap().contains("${{"), "{key}");
            bash.env(key, "");
        }
        bash.envs(env.iter().copied());
        bash.args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(script);
        bash
    }

    fn install(&self) -> Ran {
        let releases = format!("file://{}", self.folder.path().join("releases").display());
        Ran::of(&mut self.step(
            "install nodeimg",
            &[
                ("VERSION", env!("CARGO_PKG_VERSION")),
                ("RELEASES", &releases),
                ("REPOSITORY", "owner/nodeimg"),
                ("VERIFY", "false"),
            ],
        ))
    }
}

/// The value of an output that spans lines.
fn output<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let begin = format!("{name}<<END");
    text.lines()
        .skip_while(|line| *line != begin)
        .skip(1)
        .take_while(|line| *line != "END")
        .collect()
}

#[test]
fn it_installs_and_builds() {
    let Some(runner) = Runner::new() else { return };
    runner.install().good();
    let path = runner.read("path");
    assert!(Path::new(path.trim()).join("nodeimg").is_file(), "{path}");
    let mut build = runner.step(
        "build",
        &[
            ("RECIPE", "./recipe.toml"),
            ("ARCH", "amd64, arm64"),
            ("OUTPUTS", "overlay"),
            ("OUT", "images"),
        ],
    );
    Ran::of(&mut build).good();
    let said = runner.read("output");
    let directories = output(&said, "directories");
    assert_eq!(directories.len(), 2, "{said}");
    for directory in &directories {
        let directory = runner.world.path(directory);
        assert!(directory.join("SHA256SUMS").is_file(), "{said}");
    }
    assert!(said.contains(&format!("directory={}\n", directories[1])));
    Ran::of(&mut runner.step("keep the store small", &[])).good();
}

#[test]
fn a_program_that_its_sums_do_not_list_is_refused() {
    let Some(runner) = Runner::new() else { return };
    let program = runner.release().join(Runner::program());
    let mut bytes = fs::read(&program).unwrap();
    bytes[4096] ^= 1;
    fs::write(&program, bytes).unwrap();
    let ran = runner.install();
    assert_ne!(ran.code, Some(0));
    assert!(
        ran.out.contains("is not what its SHA256SUMS says"),
        "{} {}",
        ran.out,
        ran.err
    );
    fs::write(runner.release().join("SHA256SUMS"), "").unwrap();
    assert_ne!(runner.install().code, Some(0));
    fs::remove_file(program).unwrap();
    let ran = runner.install();
    assert_ne!(ran.code, Some(0));
    assert!(
        ran.out.contains("is it a released version") || ran.out.contains("cannot be downloaded")
    );
    assert_eq!(runner.read("path"), "");
}

/// A failed build fails the step.
#[test]
fn a_failed_build_is_a_failed_step() {
    let Some(runner) = Runner::new() else { return };
    runner.install().good();
    let mut build = runner.step(
        "build",
        &[
            ("RECIPE", "./none.toml"),
            ("ARCH", "amd64"),
            ("OUT", "images"),
        ],
    );
    assert_ne!(Ran::of(&mut build).code, Some(0));
}
