//! Two command lines for each verb, at the end of its `--help`.

use clap::Command;

/// Verbs and their examples.
const EXAMPLES: &[(&str, [&str; 2])] = &[
    (
        "build",
        [
            "nodeimg build hard-way --output disk",
            "nodeimg build ./my-node --arch arm64 --out images",
        ],
    ),
    (
        "sign",
        [
            "nodeimg sign out/my-node-1.0.0-amd64 --keys keys.toml",
            "nodeimg sign out/my-node-1.0.0-amd64 --keys keys.toml --requests to-sign",
        ],
    ),
    (
        "verify",
        [
            "nodeimg verify out/my-node-1.0.0-amd64 --key release.pub",
            "nodeimg verify disk.raw --integrity-only",
        ],
    ),
    (
        "publish",
        [
            "nodeimg publish out/my-node-1.0.0-amd64 oci://registry.example/nodes:1.0.0",
            "nodeimg publish out/my-node-1.0.0-amd64 oci://localhost:5000/nodes",
        ],
    ),
    (
        "pull",
        [
            "nodeimg pull oci://registry.example/nodes:1.0.0 my-node",
            "nodeimg pull oci://registry.example/nodes:1.0.0 my-node --disk disk.qcow2",
        ],
    ),
    (
        "job",
        [
            "nodeimg job oci://registry.example/nodes/{name} ./my-node --arch arm64",
            "nodeimg job oci://registry.example/nodes/{name} --list images.txt --line 0",
        ],
    ),
    (
        "container",
        [
            "nodeimg container nodeimg.tar",
            "nodeimg container oci://registry.example/nodeimg",
        ],
    ),
    (
        "flash",
        [
            "nodeimg flash --list",
            "nodeimg flash out/my-node-1.0.0-amd64 /dev/sdb --seed seeds/node-0",
        ],
    ),
    (
        "doctor",
        [
            "nodeimg doctor",
            "nodeimg doctor --mirror https://=http://mirror.example/",
        ],
    ),
    ("help", ["nodeimg help build", "nodeimg help topics"]),
    (
        "completions",
        [
            "nodeimg completions bash",
            "nodeimg completions fish > ~/.config/fish/completions/nodeimg.fish",
        ],
    ),
    (
        "fetch",
        [
            "nodeimg fetch hard-way --arch arm64",
            "nodeimg fetch ./my-node --bundle my-node.bundle",
        ],
    ),
    (
        "run",
        [
            "nodeimg run out/my-node-1.0.0-amd64 --seed seeds/node-0 --port 2222:22",
            "nodeimg run disk.raw --memory 4G --cpus 4",
        ],
    ),
    (
        "test",
        [
            "nodeimg test out/my-node-1.0.0-amd64",
            "nodeimg test out/my-node-1.0.0-amd64 --case boot --logs logs",
        ],
    ),
    (
        "inspect",
        [
            "nodeimg inspect out/my-node-1.0.0-amd64",
            "nodeimg inspect disk.raw /etc/os-release",
        ],
    ),
    (
        "diff",
        [
            "nodeimg diff out/my-node-1.0.0-amd64 out/my-node-1.1.0-amd64",
            "nodeimg diff old.raw new.raw --html changes.html",
        ],
    ),
    (
        "lock",
        [
            "nodeimg lock ./my-node",
            "nodeimg lock -r my-node.toml --update runc=1.4.3",
        ],
    ),
    (
        "recipe",
        ["nodeimg recipe list", "nodeimg recipe check ./my-node"],
    ),
    (
        "recipe list",
        ["nodeimg recipe list", "nodeimg recipe list --json"],
    ),
    (
        "recipe check",
        [
            "nodeimg recipe check ./my-node",
            "nodeimg recipe check -r my-node.toml --lock other.lock",
        ],
    ),
    (
        "recipe show",
        [
            "nodeimg recipe show hard-way",
            "nodeimg recipe show ./my-node --json",
        ],
    ),
    (
        "recipe schema",
        [
            "nodeimg recipe schema > recipe.schema.json",
            "nodeimg recipe schema",
        ],
    ),
    (
        "init",
        [
            "nodeimg init my-node",
            "nodeimg init my-node --profile kubeadm --kubernetes 1.36",
        ],
    ),
    (
        "seed",
        [
            "nodeimg seed new seeds/node-0 --host-name node-0",
            "nodeimg seed check seeds/node-0",
        ],
    ),
    (
        "seed new",
        [
            "nodeimg seed new seeds/node-0 --host-name node-0 --ca pki/ca.crt --ca-key pki/ca.key",
            "nodeimg seed new seeds --inventory nodes.csv --img",
        ],
    ),
    (
        "seed check",
        [
            "nodeimg seed check seeds/node-0",
            "nodeimg seed check seeds/node-0 -r ./my-node",
        ],
    ),
    (
        "seed ca",
        [
            "nodeimg seed ca pki",
            "nodeimg seed ca pki --name lab --days 365",
        ],
    ),
    (
        "seed token",
        [
            "nodeimg seed token join",
            "nodeimg seed token join --ttl 90m",
        ],
    ),
    (
        "store",
        ["nodeimg store path", "nodeimg store gc --dry-run"],
    ),
    (
        "store gc",
        [
            "nodeimg store gc --dry-run",
            "nodeimg store gc --unused-for 7",
        ],
    ),
    (
        "store verify",
        [
            "nodeimg store verify",
            "nodeimg store verify --store /srv/nodeimg",
        ],
    ),
    (
        "store path",
        ["nodeimg store path", "nodeimg store path --json"],
    ),
    (
        "trust",
        ["nodeimg trust show", "nodeimg trust update roots"],
    ),
    (
        "trust show",
        [
            "nodeimg trust show",
            "nodeimg trust show --trusted-root private=root.json",
        ],
    ),
    (
        "trust update",
        [
            "nodeimg trust update roots",
            "nodeimg trust update roots --repository https://tuf.example/ --tuf-root root.json",
        ],
    ),
];

/// `command` with the examples under the help of every verb.
pub fn with_all(command: Command) -> Command {
    below(command, "")
}

fn below(command: Command, above: &str) -> Command {
    command.mut_subcommands(|verb| {
        let path = format!("{above}{}", verb.get_name());
        let found = EXAMPLES.iter().find(|(name, _)| *name == path);
        let verb = match found {
            Some((_, lines)) => verb.after_help(format!("Examples:\n  {}", lines.join("\n  "))),
            None => verb,
        };
        below(verb, &format!("{path} "))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::cli::Cli;

    fn verbs(command: &Command, above: &str) -> Vec<String> {
        let shown = command.get_subcommands().filter(|verb| !verb.is_hide_set());
        shown
            .flat_map(|verb| {
                let path = format!("{above}{}", verb.get_name());
                let inside = verbs(verb, &format!("{path} "));
                [vec![path], inside].concat()
            })
            .collect()
    }

    #[test]
    fn the_short_help_of_every_verb_has_two_examples_that_are_accepted() {
        let command = with_all(Cli::command());
        let all = verbs(&command, "");
        assert!(all.len() > 20);
        for path in &all {
            let line = format!("nodeimg {path} -h");
            let parsed = command.clone().try_get_matches_from(line.split(' '));
            let help = parsed.unwrap_err().to_string();
            let (_, examples) = help.split_once("\nExamples:\n").unwrap_or_default();
            let lines: Vec<&str> = examples.lines().map(str::trim).collect();
            let own = format!("nodeimg {path}");
            let own: Vec<_> = lines.iter().filter(|line| line.starts_with(&own)).collect();
            assert_eq!(own.len(), 2, "{path}:\n{help}");
            for line in own {
                let words = line.split(" > ").next().unwrap().split(' ');
                let matches = command.clone().try_get_matches_from(words).unwrap();
                Cli::from_arg_matches(&matches).unwrap();
            }
        }
        for (path, _) in EXAMPLES {
            assert!(all.iter().any(|name| name == path), "no verb {path}");
        }
    }
}
