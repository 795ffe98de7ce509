//! What a seed says to programs of the image other than first boot, which passes it on unread:
//! they would say so on the node, when nobody looks any more.

use std::path::Path;

use nodeimg_formats::update::when;
use nodeimg_seed::check::Inputs;
use nodeimg_seed::examine;
use nodeimg_seed::plan::shape::Shape;
use nodeimg_seed::read::network::Network;
use nodeimg_seed::read::node_config::{Pair, UPDATE_KEY};
use nodeimg_seed::text::problem::Problems;
use nodeimg_signing::certificate::PublicKey;

use super::kubeadm;
use crate::input::recipe::Recipe;

/// Knows what programs of a recipe's images take.
pub struct Judge<'a> {
    recipe: &'a Recipe,
    kubeadm: Option<kubeadm::Judge<'a>>,
}

impl<'a> Judge<'a> {
    /// For images of this recipe, which have these paths.
    pub fn of(recipe: &'a Recipe, known: &'a [(String, Shape)]) -> Self {
        Self {
            recipe,
            kubeadm: kubeadm::Judge::of(recipe, known),
        }
    }
}

impl examine::Judge for Judge<'_> {
    fn judge(&self, inputs: &Inputs<'_>, network: Option<&Network>, problems: &mut Problems) {
        if let Some(kubeadm) = &self.kubeadm {
            kubeadm.judge(inputs, network, problems);
        }
        updater(&inputs.user.node.update, self.recipe, problems);
    }
}

/// What `nodeimg-update` is told.
fn updater(said: &[Pair], recipe: &Recipe, problems: &mut Problems) {
    if let Some(first) = said.first().filter(|_| !recipe.has_updater) {
        let reason = "is for an image that updates itself, and this one does not";
        let remedy = "remove `update`, or write `[update]` into the recipe of a disk";
        problems.error(&first.value.place, reason, remedy);
        return;
    }
    let value = |name: &str| said.iter().find(|pair| pair.name == name);
    let text = |name: &str| value(name).map(|pair| pair.value.value.as_str());
    let mut wrong = |name: &str, why: String| {
        if let Some(pair) = value(name) {
            problems.error(&pair.value.place, why, "correct the value");
        }
    };
    if let Some(Err(why)) = text("source").map(when::source) {
        wrong("source", why);
    }
    let schedule = text("schedule").filter(|schedule| *schedule != when::NEVER);
    if let Some(Err(why)) = schedule.map(when::calendar) {
        wrong("schedule", why);
    }
    let part = recipe.effective.update.as_ref();
    let of_recipe = part.and_then(|part| part.reboot.as_ref());
    let parts = ["window", "duration", "zone"].map(|key| text(&format!("reboot.{key}")));
    match (parts, of_recipe.and_then(|it| it.window.as_deref())) {
        ([None, None, None], _) => {}
        ([None, duration, zone], None) => {
            let name = match (duration, zone) {
                (Some(_), _) => "duration",
                _ => "zone",
            };
            wrong(
                &format!("reboot.{name}"),
                "needs a `window`, which neither the seed nor the recipe has".to_owned(),
            );
        }
        ([window, duration, zone], of_image) => {
            let window = window.or(of_image).unwrap_or(when::NEVER);
            // What is wrong of the recipe's own was told before.
            if let Err((key, why)) = when::window(window, duration, zone) {
                wrong(&format!("reboot.{key}"), why);
            }
        }
    }
    key(value(UPDATE_KEY), recipe, problems);
}

fn key(given: Option<&Pair>, recipe: &Recipe, problems: &mut Problems) {
    let part = recipe.effective.update.as_ref();
    let is_of_seed = part.is_some_and(|part| part.is_key_of_seed());
    match given {
        Some(key) if !is_of_seed => problems.error(
            &key.value.place,
            "is not a seed's to say on this image",
            "remove it, or write `key = \"seed\"` into the recipe's `[update]`",
        ),
        Some(key) => {
            if let Err(error) = PublicKey::from_pem(&key.value.value, Path::new("it")) {
                problems.error(
                    &key.value.place,
                    format!("is not a public key in PEM: {error:#}"),
                    "write the file that `openssl pkey -pubout` gives",
                );
            }
        }
        None => {}
    }
}

#[cfg(test)]
mod tests;
