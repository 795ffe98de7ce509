#![allow(clippy::unwrap_used)]
use crate::image::config::runtime_classes;
use crate::image::firstboot::settings::settings_of;
use crate::input::recipe::handler::tests::all;
use crate::input::recipe::tests::recipe;
use nodeimg_values::epoch::Epoch;

const KATA: &str = "\
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata:
  name: kata
handler: kata
overhead:
  podFixed:
    cpu: 250m
    memory: 160Mi
scheduling:
  nodeSelector:
    handlers.nodeimg/kata: \"true\"
";

#[test]
fn each_handler_has_an_object_to_apply() {
    assert_eq!(runtime_classes::text(&recipe("")).unwrap(), None);
    let text = runtime_classes::text(&recipe(&all())).unwrap().unwrap();
    assert!(text.contains(KATA), "{text}");
    let classes: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("handler: "))
        .collect();
    assert_eq!(classes, ["crun", "youki", "runsc", "kata", "wasmtime"]);
    // The label that the object selects is first boot's.
    let told = settings_of(&recipe(&all()), Epoch(0)).handlers;
    let kata = told.iter().find(|handler| handler.name == "kata").unwrap();
    assert_eq!(kata.device.as_deref(), Some("/dev/kvm"));
    assert!(
        told.iter()
            .filter(|handler| handler.device.is_some())
            .count()
            == 1
    );
}
