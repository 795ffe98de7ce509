//! RuntimeClass objects of the recipe's handlers, as a file beside the image: for its
//! cluster, not for its nodes.
//!
//! <https://kubernetes.io/docs/reference/kubernetes-api/node/runtime-class-v1/>

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use nodeimg_seed::contract::settings::handler_label;
use serde::Serialize;

use crate::input::recipe::Recipe;
use crate::input::recipe::handler::Handler;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuntimeClass {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    handler: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    overhead: Option<Overhead>,
    scheduling: Scheduling,
}

#[derive(Serialize)]
struct Metadata {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Overhead {
    pod_fixed: PodFixed,
}

#[derive(Serialize)]
struct PodFixed {
    cpu: &'static str,
    memory: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Scheduling {
    node_selector: BTreeMap<String, &'static str>,
}

/// A document for each handler; `None` if there is none.
pub fn text(recipe: &Recipe) -> Result<Option<String>> {
    if recipe.handlers.is_empty() {
        return Ok(None);
    }
    let mut text = "# For the cluster: kubectl apply -f runtime-classes.yaml\n".to_owned();
    for handler in &recipe.handlers {
        let class = serde_saphyr::to_string(&class(handler));
        text.push_str("---\n");
        text.push_str(&class.with_context(|| format!("writing the class {}", handler.name))?);
    }
    Ok(Some(text))
}

fn class(handler: &Handler) -> RuntimeClass {
    let overhead = handler.overhead.map(|(cpu, memory)| Overhead {
        pod_fixed: PodFixed { cpu, memory },
    });
    RuntimeClass {
        api_version: "node.k8s.io/v1",
        kind: "RuntimeClass",
        metadata: Metadata { name: handler.name },
        handler: handler.name,
        overhead,
        // First boot gives the label to nodes that can run it.
        scheduling: Scheduling {
            node_selector: BTreeMap::from([(handler_label(handler.name), "true")]),
        },
    }
}
