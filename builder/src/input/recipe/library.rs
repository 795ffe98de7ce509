//! The recipes and the overlay that are inside the binary, so that an
//! installed nodeimg works without a checkout.

use include_dir::{Dir, include_dir};

static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../recipes");

/// `overlay/` of the repository: one folder per layer.
pub static BUILT_IN_OVERLAY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../overlay");

/// A built-in recipe's text, its lock's and its proofs'.
pub struct BuiltIn {
    pub recipe: &'static str,
    pub lock: Option<&'static str>,
    /// Of what that lock pins.
    pub proofs: Option<&'static str>,
}

/// Folder of those that others extend and nobody builds.
const PARTS: &str = "parts";

/// The built-in recipe of this name, or the part of recipes.
pub fn built_in(name: &str) -> Option<BuiltIn> {
    let text = |suffix: &str| {
        let file = format!("{name}.{suffix}");
        let part = || RECIPES.get_file(format!("{PARTS}/{file}"));
        RECIPES.get_file(&file).or_else(part)?.contents_utf8()
    };
    Some(BuiltIn {
        recipe: text("toml")?,
        lock: text("lock"),
        proofs: text("proofs"),
    })
}

/// Whether the built-in file of this name is only a part for recipes.
pub fn is_part(name: &str) -> bool {
    RECIPES.get_file(format!("{PARTS}/{name}.toml")).is_some()
}

/// The names of those to be built, sorted.
pub fn built_in_names() -> Vec<&'static str> {
    let mut names: Vec<_> = RECIPES
        .files()
        .filter(|file| file.path().extension().is_some_and(|e| e == "toml"))
        .filter_map(|file| file.path().file_stem()?.to_str())
        .collect();
    names.sort_unstable();
    names
}
