//! Handlers of the image: a label for those that the machine can run.
use nodeimg_seed::contract::settings::Handler;
use nodeimg_seed::plan::{self, Before, Ground, Image, TemplateFile};
use nodeimg_seed::text::problem::Problems;
use nodeimg_test_support::seeds::user_data;

use super::{Case, GROUND};

/// A machine with these files alone.
struct Machine(&'static [&'static str]);

impl Image for Machine {
    fn file(&self, _path: &str) -> Result<Option<Before>, String> {
        Ok(None)
    }

    fn exists(&self, path: &str) -> bool {
        self.0.contains(&path)
    }

    fn is_directory(&self, _path: &str) -> bool {
        false
    }
}

#[test]
fn a_machine_that_cannot_run_a_handler_does_not_say_that_it_can() {
    let handler = |name: &str, device: Option<&str>| Handler {
        name: name.to_owned(),
        device: device.map(str::to_owned),
    };
    let handlers = [handler("crun", None), handler("kata", Some("/dev/kvm"))];
    let templates = [TemplateFile {
        path: "/etc/labels".to_owned(),
        text: "{{ node_labels }}".to_owned(),
    }];
    let node = Case::new(user_data()).good();
    let own = node.labels.join(",");
    assert!(!own.is_empty());
    for (files, labels, warnings) in [
        (
            &["/dev/kvm"][..],
            "handlers.nodeimg/crun=true,handlers.nodeimg/kata=true",
            0,
        ),
        (&[], "handlers.nodeimg/crun=true", 1),
    ] {
        let ground = Ground {
            image: &Machine(files),
            handlers: &handlers,
            templates: &templates,
            ..GROUND
        };
        let mut problems = Problems::new();
        let plan = plan::plan(&node, &ground, &mut problems).unwrap();
        assert_eq!(
            plan.text("/etc/labels"),
            Some(format!("{own},{labels}").as_str())
        );
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), warnings, "{said:?}");
        assert!(
            said.iter().all(|line| line.contains(
                "/dev/kvm: does not exist: this machine cannot run pods of the runtime class `kata`"
            )),
            "{said:?}"
        );
    }
}
