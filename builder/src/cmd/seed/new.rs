//! `nodeimg seed new` and `nodeimg seed ca`: what a node is given, made here.

use std::fs;
use std::io::Read;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nodeimg_machine::pki::token::Token;
use nodeimg_machine::pki::{Authority, Subject, Validity};
use nodeimg_machine::seed;
use nodeimg_seed::contract::profile::{Join, Profile, Service};
use nodeimg_seed::text::pem;
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::secret::Secret;
use nodeimg_seed::text::yaml;
use nodeimg_seed::write::{Node, Pair, Update};
use nodeimg_values::date::Date;
use serde_json::json;

use super::check::judge;
use super::fleet;
use crate::cli::{
    NameValue, SeedCaArgs, SeedIdentityArgs, SeedNewArgs, SeedTokenArgs, SeedUpdateArgs,
};
use crate::cmd::Session;
use crate::input::chosen::Chosen;
use crate::input::recipe::Recipe;
use crate::output::KINDS;

/// Larger files are mistaken ones.
const MOST: u64 = 1 << 20;

pub fn authority(session: &Session<'_>, args: &SeedCaArgs) -> Result<()> {
    let directory = &args.directory;
    let shown = directory.display();
    if directory.symlink_metadata().is_ok() {
        bail!("{shown} already exists, and a CA is never replaced: name a new directory");
    }
    let (_, pair) = Authority::generate(&args.name, Validity::days(Date::now()?.0, args.days))?;
    let files = [
        ("ca.crt", pair.cert.as_str(), 0o644),
        ("ca.key", pair.key.expose(), 0o600),
    ];
    seed::write_directory(&files, directory, false).with_context(|| format!("writing {shown}"))?;
    let event = json!({ "event": "ca", "directory": directory, "name": args.name });
    let text = format!(
        "{shown}/ca.crt is the cluster's CA, {shown}/ca.key its private key: keep \
        it safe"
    );
    session.say(&event, &text);
    Ok(())
}

pub fn run(session: &Session<'_>, args: &SeedNewArgs) -> Result<()> {
    if let Some(inventory) = &args.fleet.inventory {
        return fleet::write(session, inventory, args);
    }
    let chosen = Chosen::load(&args.recipe, None, &KINDS, &[])?;
    seed::check_free(&args.out, args.force)?;
    let files = node(args, &chosen.recipe, Keys::New)?.files(args.instance_id.as_deref());
    if judge(session, &chosen, &files.seed(), Problems::new(), None)?.is_none() {
        bail!(
            "{}: nothing was written, because this seed does not work with an image of recipe {} \
             (name another recipe with --recipe)",
            args.out.display(),
            args.recipe
        );
    }
    seed::write(&files, &args.out, args.force)?;
    let event = json!({
        "event": "written",
        "seed": args.out,
        "instance_id": files.instance_id,
        "medium": seed::is_medium(&args.out),
    });
    let text = format!("wrote {} ({})", args.out.display(), files.instance_id);
    session.say(&event, &text);
    Ok(())
}

pub fn token(session: &Session<'_>, args: &SeedTokenArgs) -> Result<()> {
    let shown = args.directory.display();
    let until = Date(Date::now()?.0.saturating_add(args.ttl.0));
    let token = Token::generate()?;
    let secret = token.object(&until.rfc3339(), &args.group)?;
    let files = [
        ("token", token.text(), 0o600),
        ("secret.json", secret.expose(), 0o600),
    ];
    seed::write_directory(&files, &args.directory, false)
        .with_context(|| format!("writing {shown}"))?;
    let event = json!({
        "event": "token",
        "directory": args.directory,
        "id": token.id(),
        "expires": until.rfc3339(),
    });
    let text = format!(
        "{shown}/token is valid until {} once the cluster has it: `kubectl apply -f \
         {shown}/secret.json`",
        until.rfc3339()
    );
    session.say(&event, &text);
    Ok(())
}

/// Where the keys come from that nodeimg signs for.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    New,
    /// They and their certificates follow from the CA and this moment.
    Derived(Date),
}

impl Keys {
    fn pair(self, authority: &Authority, subject: &Subject, node: &str, days: u32) -> Result<Pair> {
        match self {
            Keys::New => authority.issue(subject, Validity::days(Date::now()?.0, days)),
            Keys::Derived(since) => authority.derive(subject, node, Validity::days(since.0, days)),
        }
    }
}

/// The values of one node.
pub fn node(args: &SeedNewArgs, recipe: &Recipe, keys: Keys) -> Result<Node> {
    let identity = &args.identity;
    let ca = args.ca.as_deref().map(text).transpose()?;
    let mut node = Node {
        host_name: args.host_name.clone().unwrap_or_default(),
        node_ip: args.node_ip.clone(),
        pod_subnet: args.pod_subnet.clone(),
        api_server: args.api_server.clone(),
        kubelet: pair(identity.cert.as_deref(), identity.key.as_deref())?,
        kube_proxy: pair(
            identity.kube_proxy_cert.as_deref(),
            identity.kube_proxy_key.as_deref(),
        )?,
        bootstrap_token: identity.bootstrap_token.clone().map(Secret::new),
        ca_cert_hashes: identity.ca_cert_hash.clone(),
        kubeadm_join: identity.kubeadm_join.as_deref().map(secret).transpose()?,
        kubeadm_init: identity.kubeadm_init.as_deref().map(secret).transpose()?,
        provider_id: args.provider_id.clone(),
        hosts: pairs(&args.hosts),
        labels: pairs(&args.labels),
        taints: args.taints.clone(),
        registries: args.registries.as_deref().map(mapping).transpose()?,
        update: update(&args.update)?,
        ssh_keys: ssh_keys(&args.ssh_key)?,
        network: args.network.as_deref().map(text).transpose()?,
        ca: None,
    };
    if let (Some(path), Some(ca), Some(key_path)) = (&args.ca, &ca, &identity.ca_key) {
        let names = (path.display().to_string(), key_path.display().to_string());
        let key = secret(key_path)?;
        let authority = Authority::read((&names.0, ca), (&names.1, &key))?;
        sign(&mut node, identity, recipe.profile, &authority, keys)?;
    }
    node.ca = ca.map(|ca| pem::normalised(&ca));
    Ok(node)
}

/// What the profile needs and the user has not given.
fn sign(
    node: &mut Node,
    identity: &SeedIdentityArgs,
    profile: &Profile,
    authority: &Authority,
    keys: Keys,
) -> Result<()> {
    let days = identity.days;
    if profile.joins == Join::Certificate && node.kubelet.is_none() {
        let mut names = vec![node.host_name.clone()];
        let mut addresses: Vec<IpAddr> = Vec::new();
        // A network among the addresses says nothing that could be signed.
        addresses.extend(
            node.node_ip
                .iter()
                .filter_map(|text| text.parse::<IpAddr>().ok()),
        );
        for san in &identity.san {
            match san.parse() {
                Ok(address) => addresses.push(address),
                Err(_) => names.push(san.clone()),
            }
        }
        let subject = Subject::kubelet(&node.host_name, names, addresses);
        node.kubelet = Some(keys.pair(authority, &subject, &node.host_name, days)?);
    }
    let has_kube_proxy = profile.has_service(Service::KubeProxy);
    if has_kube_proxy && node.kube_proxy.is_none() && !identity.no_kube_proxy {
        node.kube_proxy =
            Some(keys.pair(authority, &Subject::kube_proxy(), &node.host_name, days)?);
    }
    Ok(())
}

/// Their values are judged with the rest of the seed, as the node will.
fn update(args: &SeedUpdateArgs) -> Result<Update> {
    let key = args.update_key.as_deref().map(text).transpose()?;
    Ok(Update {
        source: args.update_source.clone(),
        schedule: args.update_schedule.clone(),
        key: key.map(|key| pem::normalised(&key)),
        window: args.update_window.clone(),
        duration: args.update_duration.clone(),
        zone: args.update_zone.clone(),
    })
}

fn pair(cert: Option<&Path>, key: Option<&Path>) -> Result<Option<Pair>> {
    let (Some(cert), Some(key)) = (cert, key) else {
        return Ok(None);
    };
    Ok(Some(Pair {
        cert: pem::normalised(&text(cert)?),
        key: Secret::new(pem::normalised(secret(key)?.expose())),
    }))
}

fn pairs(given: &[NameValue]) -> Vec<(String, String)> {
    let pair = |given: &NameValue| (given.name.clone(), given.value.clone());
    given.iter().map(pair).collect()
}

/// Every line but the empty ones and the comments.
fn ssh_keys(paths: &[impl AsRef<Path>]) -> Result<Vec<String>> {
    let mut keys = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let text = text(path)?;
        if text.contains("PRIVATE KEY") {
            bail!(
                "--ssh-key {}: this is a private key; the public one ends in `.pub`",
                path.display()
            );
        }
        let lines = text.lines().map(str::trim);
        let before = keys.len();
        keys.extend(
            lines
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
        if keys.len() == before {
            bail!("--ssh-key {}: the file holds no key", path.display());
        }
    }
    Ok(keys)
}

/// A mapping of YAML in one line.
fn mapping(path: &Path) -> Result<Secret> {
    let shown = path.display();
    match yaml::parse(secret(path)?.expose()) {
        Ok(Some(node)) if node.entries().is_some() => Ok(node.to_flow()),
        Ok(_) => bail!("{shown}: this is not a mapping; write `registry.example: {{...}}`"),
        Err(error) => bail!("{shown}:{}: {}", error.line, error.reason),
    }
}

fn secret(path: &Path) -> Result<Secret> {
    text(path).map(Secret::new)
}

fn text(path: &Path) -> Result<String> {
    let shown = path.display();
    let file = fs::File::open(path).with_context(|| format!("opening {shown}"))?;
    let mut text = String::new();
    let read = file.take(MOST + 1).read_to_string(&mut text);
    read.with_context(|| format!("reading {shown}"))?;
    if text.len() as u64 > MOST {
        bail!("{shown} has more than {MOST} bytes, the limit for a file of a seed");
    }
    Ok(text)
}
