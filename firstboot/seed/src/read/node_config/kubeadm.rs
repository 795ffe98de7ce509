//! `kubeadm`: the configuration of `kubeadm join` or `kubeadm init`.
use crate::text::field::Field;
use crate::text::problem::{Place, Problems};
use crate::text::secret::Secret;
use crate::text::yaml::{self, Document, Kind, Node};

/// Configurations for kubeadm.
#[derive(Default)]
pub struct KubeadmConfig {
    pub join: Option<Configuration>,
    pub init: Option<Configuration>,
}

/// What kubeadm reads with `--config`.
pub struct Configuration {
    /// The whole file.
    pub text: Secret,
    pub place: Place,
    /// What is in it, with the lines of the seed; one that is not YAML has been reported.
    pub documents: Option<Vec<Document>>,
}

pub(super) fn read(field: &Field<'_>, problems: &mut Problems) -> KubeadmConfig {
    let mut found = KubeadmConfig::default();
    for member in field.members(problems).unwrap_or_default() {
        let field = &member.field;
        match member.name {
            "join" => found.join = configuration(field, problems),
            "init" => found.init = configuration(field, problems),
            name => super::unknown(field, name, ["init", "join"].into_iter(), problems),
        }
    }
    found
}

/// Text as it is; a mapping, or a list of them, written out again.
fn configuration(field: &Field<'_>, problems: &mut Problems) -> Option<Configuration> {
    let nodes: Vec<&Node> = match &field.node.kind {
        Kind::Scalar(_) => return of_text(field, problems),
        Kind::Mapping(_) => vec![field.node],
        Kind::Sequence(items) => items.iter().collect(),
    };
    let texts: Vec<Secret> = nodes.iter().map(|node| node.to_flow()).collect();
    let texts: Vec<&str> = texts.iter().map(Secret::expose).collect();
    let document = |node: &&Node| Document {
        line: node.line,
        root: Some(node.as_in_flow()),
    };
    Some(Configuration {
        text: Secret::new(format!("{}\n", texts.join("\n---\n"))),
        place: field.place.clone(),
        documents: Some(nodes.iter().map(document).collect()),
    })
}

fn of_text(field: &Field<'_>, problems: &mut Problems) -> Option<Configuration> {
    let found = super::at_value(field, problems)?;
    let first = found.place.line.unwrap_or(1);
    let documents = match yaml::documents(found.value.expose(), first) {
        Ok(documents) => Some(documents),
        Err(error) => {
            let place = found.place.clone().line(error.line);
            let reason = format!("is not valid YAML: {}", error.reason);
            problems.error(&place, reason, "correct the YAML");
            None
        }
    };
    Some(Configuration {
        text: found.value,
        place: found.place,
        documents,
    })
}
