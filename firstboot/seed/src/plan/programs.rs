//! Programs of the image that keys of a seed have an effect by. One that the image lacks is
//! told, since the key does nothing then.
use super::Image;
use crate::check::Extras;
use crate::contract::paths::ZONES;
use crate::read::network::Network;
use crate::text::problem::{Place, Problems};

/// A program or another file that an image may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    pub path: &'static str,
    /// Debian's packages that have it; one is enough.
    pub packages: &'static [&'static str],
}

const SUDO: Program = program("/usr/bin/sudo", &["sudo", "sudo-ldap"]);
const SSHD: Program = program("/usr/sbin/sshd", &["openssh-server"]);
const TIMESYNCD: Program = program("/usr/lib/systemd/systemd-timesyncd", &["systemd-timesyncd"]);
/// In the place of systemd-timesyncd, if the image has that.
pub(super) const CHRONY: Program = program("/usr/sbin/chronyd", &["chrony"]);
const NETWORKD: Program = program("/usr/lib/systemd/systemd-networkd", &["systemd"]);
const RESOLVED: Program = program("/usr/lib/systemd/systemd-resolved", &["systemd-resolved"]);

/// All that is asked for by name: whoever judges a seed without the image says which of
/// them the image lacks.
pub const PROGRAMS: [Program; 14] = [
    SUDO,
    SSHD,
    TIMESYNCD,
    CHRONY,
    NETWORKD,
    RESOLVED,
    program(ZONES, &["tzdata"]),
    program("/usr/bin/bash", &["bash"]),
    program("/usr/bin/dash", &["dash"]),
    program("/usr/bin/fish", &["fish"]),
    program("/usr/bin/ksh", &["ksh93u+m", "mksh"]),
    program("/usr/bin/tcsh", &["tcsh"]),
    program("/usr/bin/csh", &["csh", "tcsh"]),
    program("/usr/bin/zsh", &["zsh"]),
];

/// Shells that let nobody in, whether they exist or not.
const NO_SHELLS: [&str; 2] = ["nologin", "false"];
/// What an account has that names none.
const SHELL: &str = "/bin/bash";

const fn program(path: &'static str, packages: &'static [&'static str]) -> Program {
    Program { path, packages }
}

/// By the name that it has since `/bin` and `/sbin` are links.
fn merged(path: &str) -> String {
    match path.starts_with("/bin/") || path.starts_with("/sbin/") {
        true => format!("/usr{path}"),
        false => path.to_owned(),
    }
}

struct Asked<'a> {
    image: &'a dyn Image,
    problems: &'a mut Problems,
}

/// Which program keeps the time.
pub(super) fn keeps_time(image: &dyn Image) -> Program {
    match !image.exists(TIMESYNCD.path) && image.exists(CHRONY.path) {
        true => CHRONY,
        false => TIMESYNCD,
    }
}

pub(super) fn check(
    extras: &Extras,
    network: Option<&Network>,
    image: &dyn Image,
    problems: &mut Problems,
) {
    let mut asked = Asked { image, problems };
    let keys = extras.users.iter().flat_map(|user| &user.ssh_keys);
    asked.needs(
        SSHD,
        extras
            .root_keys
            .iter()
            .chain(keys)
            .next()
            .map(|key| &key.place),
    );
    let rules = extras.users.iter().flat_map(|user| &user.sudo);
    asked.needs(SUDO, rules.map(|rule| &rule.place).next());
    let mut servers = extras.time_servers.iter().chain(&extras.time_pools);
    asked.needs(
        keeps_time(image),
        servers.next().map(|server| &server.place),
    );
    let links = network.map_or(&[][..], |network| &network.links);
    asked.needs(NETWORKD, links.first().map(|link| &link.place));
    let named = links.iter().find(|link| !link.dns.is_empty());
    asked.needs(RESOLVED, named.map(|link| &link.place));
    asked.shells(extras);
    asked.groups(extras);
}

impl Asked<'_> {
    /// `place` is where the seed asks for what the program does, if it does.
    fn needs(&mut self, program: Program, place: Option<&Place>) {
        let Some(place) = place else { return };
        if self.image.exists(program.path) {
            return;
        }
        let reason = match program {
            RESOLVED => format!(
                "gives name servers, which have no effect without `{}`",
                program.path
            ),
            _ => format!("has no effect: this image has no `{}`", program.path),
        };
        let package = program.packages.first().unwrap_or(&"it");
        let remedy = format!("add the package `{package}` to `base.packages` of the recipe");
        self.problems.warn(place, reason, remedy);
    }

    fn shells(&mut self, extras: &Extras) {
        for user in &extras.users {
            let given = user.shell.as_ref();
            let shell = given.map_or(SHELL, |shell| &shell.value);
            let name = shell.rsplit('/').next().unwrap_or_default();
            let is_there = |path: &str| self.image.exists(path) && !self.image.is_directory(path);
            if NO_SHELLS.contains(&name)
                || is_there(&merged(shell))
                || (given.is_none() && user.system)
            {
                continue;
            }
            let place = given.map_or(&user.name.place, |shell| &shell.place);
            let user = crate::text::field::shown(&user.name.value);
            let shell = crate::contract::paths::quoted(shell);
            let reason = format!(
                "`{user}` has the shell {shell}, which this image does not have: nobody can log in as that user"
            );
            let remedy = "name a shell of the image with `shell`, such as /bin/sh";
            self.problems.warn(place, reason, remedy);
        }
    }

    /// A group that is made here for its members alone gives them no rights.
    fn groups(&mut self, extras: &Extras) {
        let Ok(Some(before)) = self.image.file("/etc/group") else {
            return;
        };
        let text = String::from_utf8_lossy(before.bytes.expose());
        let of_image = |name: &str| {
            text.lines()
                .any(|line| line.split(':').next() == Some(name))
        };
        let of_seed = |name: &str| {
            let users = extras.users.iter().map(|user| &user.name.value);
            let groups = extras.groups.iter().map(|group| &group.name.value);
            users.chain(groups).any(|known| known == name)
        };
        for group in extras.users.iter().flat_map(|user| &user.groups) {
            let name = group.value.as_str();
            if !of_image(name) && !of_seed(name) {
                let shown = crate::text::field::shown(name);
                let reason = format!(
                    "this image has no group `{shown}`: it is created, and gives no rights"
                );
                let remedy = "correct its name, or list it in `groups` of the seed";
                self.problems.warn(&group.place, reason, remedy);
            }
        }
    }
}
