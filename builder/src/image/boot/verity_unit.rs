//! Keeps systemd of the root from setting dm-verity up once more.
//!
//! systemd-veritysetup-generator(8) makes `systemd-veritysetup@root.service` of
//! the root hash on the command line, in the root as in the initrd. Where systemd
//! ran in the initrd too, that unit was started there and stays active.
//! After an initrd of nodeimg's own it would be started again: sysinit.target
//! would wait until udev has named both partitions, only for the service to find
//! that all is done.
//!
//! A unit in /etc is stronger than a generator's, so that one takes its place and
//! does nothing. `systemd.verity=no` would keep the generator from acting on a
//! node's /etc/veritytab as well.

use anyhow::Result;

use super::{initrd, origin};
use crate::input::recipe::Recipe;
use crate::input::recipe::file::InitrdKind;
use crate::tree::{Content, ImagePath, Node, Tree};

const GENERATOR: &str = "/usr/lib/systemd/system-generators/systemd-veritysetup-generator";
const UNIT: &str = "/etc/systemd/system/systemd-veritysetup@root.service";
const TEXT: &str = "\
# The initrd has set the root's verification up. What systemd-veritysetup-generator
# makes of the root hash on the command line would wait for its devices again.
[Unit]
Description=Verification of the root
DefaultDependencies=no
ConditionPathExists=/etc/initrd-release

[Service]
Type=oneshot
ExecStart=true
";

/// Adds the unit, if something would make the other one.
pub fn write(tree: &mut Tree, recipe: &Recipe) -> Result<()> {
    let unit: ImagePath = UNIT.parse()?;
    let has_generator = tree.get(&GENERATOR.parse()?).is_some();
    // One of the recipe's own stays as it is.
    if initrd::kind(recipe) == InitrdKind::Systemd || !has_generator || tree.get(&unit).is_some() {
        return Ok(());
    }
    let content = Content::inline(TEXT.as_bytes());
    let node = Node::file(content, 0o644, origin("making the root of a disk"));
    tree.insert(unit, node)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::image::units::text_at;
    use crate::input::recipe::tests::disk_recipe;

    fn told(recipe: &str, files: &[(&str, &str)]) -> Option<String> {
        let mut tree = Tree::default();
        for (path, text) in files {
            let node = Node::file(Content::inline(text.as_bytes()), 0o755, origin("test"));
            tree.insert(path.parse().unwrap(), node).unwrap();
        }
        write(&mut tree, &disk_recipe(recipe)).unwrap();
        text_at(&tree, &UNIT.parse().unwrap()).unwrap()
    }

    #[test]
    fn only_an_initrd_of_our_own_leaves_nothing_to_systemd() {
        let generator = (GENERATOR, "\x7fELF");
        assert_eq!(told("", &[generator]).as_deref(), Some(TEXT));
        assert_eq!(told("", &[]), None);
        assert_eq!(told("[disk]\ninitrd = \"systemd\"\n", &[generator]), None);
        let own = told("", &[generator, (UNIT, "[Unit]\n")]);
        assert_eq!(own.as_deref(), Some("[Unit]\n"));
    }
}
