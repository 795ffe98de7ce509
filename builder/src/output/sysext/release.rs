//! `extension-release`: which base systems the extension goes with, as in
//! [os-release(5)](https://www.freedesktop.org/software/systemd/man/latest/os-release.html#/usr/lib/extension-release.d/extension-release.IMAGE).

use anyhow::{Result, bail};
use nodeimg_values::arch::Arch;

use crate::input::recipe::file::SysextPart;
use crate::output::Built;
use crate::tree::{Content, ImagePath, Node, Origin, Tree};

/// With "false" the extension may be renamed: systemd then takes the one
/// release file that is there, whatever its name.
const STRICT: &str = "user.extension-release.strict";

/// What makes an image a system and no extension; systemd refuses it too.
const OS_RELEASE: [&str; 2] = ["/usr/lib/os-release", "/usr/share/factory/etc/os-release"];

/// Adds the release file of the extension called `name`.
pub fn add(tree: &mut Tree, built: &Built<'_>, name: &str) -> Result<()> {
    for path in OS_RELEASE {
        if let Some(node) = tree.get(&path.parse()?) {
            bail!(
                "`{path}` (from {}) makes this a system of its own, which cannot extend another: \
                 remove it, or remove `sysext` from `outputs`",
                node.origin
            );
        }
    }
    let path: ImagePath =
        format!("/usr/lib/extension-release.d/extension-release.{name}").parse()?;
    let origin = Origin::Recipe("sysext".to_owned());
    let mut node = Node::file(Content::inline(text(built).into_bytes()), 0o644, origin);
    node.stat.xattrs.insert(STRICT.to_owned(), b"0".to_vec());
    tree.insert(path, node)
}

fn text(built: &Built<'_>) -> String {
    let recipe = built.recipe;
    let SysextPart { id, version_id } = &recipe.sysext;
    let arch = match built.arch {
        Arch::Amd64 => "x86-64",
        Arch::Arm64 => "arm64",
    };
    let id = id.as_ref().map_or("_any", |id| id.as_str());
    let version_id = version_id
        .as_ref()
        .map(|version| format!("VERSION_ID={}\n", version.as_str()))
        .unwrap_or_default();
    format!(
        "ID={id}\n{version_id}ARCHITECTURE={arch}\nIMAGE_ID={}\nIMAGE_VERSION={}\nEXTENSION_RELOAD_MANAGER=1\n",
        recipe.name, recipe.version
    )
}
