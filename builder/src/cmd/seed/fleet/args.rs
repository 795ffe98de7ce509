//! The flags of one machine: those of the command line, and over them what its line says. A key
//! of an inventory is a flag, judged by the same parser.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::builder::Resettable;
use clap::{Arg, ArgAction, Args, Command, FromArgMatches};
use nodeimg_machine::inventory::read::Flag;
use nodeimg_machine::inventory::{Cell, OWN_KEYS, Row};

use crate::cli::{SeedFleetArgs, SeedIdentityArgs, SeedNewArgs, SeedUpdateArgs};
use crate::input::recipe::RecipeRef;

/// Flags of the command, not of a machine.
const NOT_OF_A_NODE: [&str; 5] = ["inventory", "img", "export", "renew", "force"];

/// What is beneath every machine where there is no command line.
pub fn bare(recipe: &RecipeRef) -> SeedNewArgs {
    SeedNewArgs {
        out: PathBuf::new(),
        fleet: SeedFleetArgs {
            inventory: None,
            img: false,
            export: Vec::new(),
            renew: false,
        },
        recipe: recipe.clone(),
        host_name: None,
        node_ip: Vec::new(),
        pod_subnet: Vec::new(),
        api_server: None,
        hosts: Vec::new(),
        ca: None,
        identity: SeedIdentityArgs {
            cert: None,
            key: None,
            ca_key: None,
            days: 365,
            san: Vec::new(),
            kube_proxy_cert: None,
            kube_proxy_key: None,
            no_kube_proxy: false,
            bootstrap_token: None,
            ca_cert_hash: Vec::new(),
            kubeadm_join: None,
            kubeadm_init: None,
        },
        ssh_key: Vec::new(),
        network: None,
        instance_id: None,
        labels: Vec::new(),
        taints: Vec::new(),
        provider_id: None,
        registries: None,
        update: SeedUpdateArgs::default(),
        force: false,
    }
}

/// The parser of what a line says.
pub struct Layers {
    command: Command,
}

impl Layers {
    pub fn new() -> Layers {
        let command = SeedNewArgs::augment_args_for_update(Command::new("node"))
            .no_binary_name(true)
            .disable_help_flag(true)
            // A default would take the place of what the command line says.
            .mut_args(|arg| arg.default_value(Resettable::Reset).env(Resettable::Reset));
        Layers { command }
    }

    fn of_a_node(&self) -> impl Iterator<Item = (&str, &Arg)> {
        let named = self.command.get_arguments();
        let named = named.filter_map(|arg| Some((arg.get_long()?, arg)));
        named.filter(|(name, _)| !NOT_OF_A_NODE.contains(name))
    }

    /// Every key of a machine that is a flag.
    pub fn flags(&self) -> Vec<Flag> {
        self.of_a_node()
            .map(|(name, arg)| Flag {
                name: name.to_owned(),
                many: matches!(arg.get_action(), ArgAction::Append),
            })
            .collect()
    }

    /// `base` with what the line says; relative paths of the line start in `folder`.
    pub fn over(&self, base: &SeedNewArgs, row: &Row, folder: &Path) -> Result<SeedNewArgs> {
        let mut words = beneath(base, row);
        let mut no_kube_proxy = base.identity.no_kube_proxy;
        for (name, arg) in self.of_a_node() {
            let Some(cell) = row.cells.get(name) else {
                continue;
            };
            if matches!(arg.get_action(), ArgAction::SetTrue) {
                no_kube_proxy = yes(cell)?;
                continue;
            }
            let path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            for value in &cell.values {
                let file = path || (name == "recipe" && value.contains(['/', '.']));
                let value = match file {
                    true => folder.join(value).display().to_string(),
                    false => value.clone(),
                };
                words.push(format!("--{name}={value}"));
            }
        }
        debug_assert!(row.cells.keys().all(|key| self.knows(key)));
        let matches = self.command.clone().try_get_matches_from(words);
        let mut matches = matches.map_err(|error| refused(row, &error))?;
        let mut args = base.clone();
        args.update_from_arg_matches_mut(&mut matches)
            .map_err(|error| refused(row, &error))?;
        // A switch that is absent counts as off to the parser.
        args.identity.no_kube_proxy = no_kube_proxy;
        args.force = base.force;
        args.fleet = base.fleet.clone();
        Ok(args)
    }

    fn knows(&self, key: &str) -> bool {
        OWN_KEYS.contains(&key) || self.of_a_node().any(|(name, _)| name == key)
    }
}

/// Gives machines the addresses and networks of the command line, which may be pools too.
pub fn counted_for_all(base: &SeedNewArgs, rows: &mut [Row]) {
    for (key, values) in [("pod-subnet", &base.pod_subnet), ("node-ip", &base.node_ip)] {
        let lacking = rows
            .iter_mut()
            .filter(|row| !values.is_empty() && !row.cells.contains_key(key));
        for row in lacking {
            let cell = Cell {
                place: format!("--{key}"),
                values: values.clone(),
            };
            row.cells.insert(key.to_owned(), cell);
        }
    }
}

/// Flags of the command line that one of the line may need beside it.
fn beneath(base: &SeedNewArgs, row: &Row) -> Vec<String> {
    let identity = &base.identity;
    let all = [
        ("ca", &base.ca),
        ("ca-key", &identity.ca_key),
        ("cert", &identity.cert),
        ("key", &identity.key),
        ("kube-proxy-cert", &identity.kube_proxy_cert),
        ("kube-proxy-key", &identity.kube_proxy_key),
    ];
    let absent = all
        .iter()
        .filter(|(name, _)| !row.cells.contains_key(*name));
    absent
        .filter_map(|(name, path)| Some(format!("--{name}={}", path.as_ref()?.display())))
        .collect()
}

fn yes(cell: &Cell) -> Result<bool> {
    match cell.values.first().map(String::as_str) {
        Some("true" | "yes") => Ok(true),
        Some("false" | "no") => Ok(false),
        _ => bail!("{}: write true or false", cell.place),
    }
}

/// The parser's first paragraph, which has no advice about a command line.
fn refused(row: &Row, error: &clap::Error) -> anyhow::Error {
    let text = error.render().to_string();
    let text = text.split("\n\n").next().unwrap_or_default();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let text: Vec<_> = text.split_whitespace().collect();
    anyhow!("{} ({}): {}", row.place, row.host_name(), text.join(" "))
}
