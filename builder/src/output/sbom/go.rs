//! Programs that Go has linked, with the modules in them.

use anyhow::{Context, Result};
use nodeimg_formats::go_buildinfo::{self, Build, BuildInfo, Module};

use super::bill::{Bill, How, Id, Kind, Part, Supplier};
use super::purl;
use crate::tree::{Content, ImagePath, Kind as NodeKind, Node, Origin, Tree};

/// Adds every program of `tree` that is Go's.
pub fn add(bill: &mut Bill, tree: &Tree) -> Result<()> {
    for (path, node) in tree.iter() {
        let NodeKind::File(content) = &node.kind else {
            continue;
        };
        if node.stat.mode & 0o111 == 0 {
            continue;
        }
        let found = go_buildinfo::read(content);
        if let Some(info) =
            found.with_context(|| format!("reading {path} (from {})", node.origin))?
        {
            program(bill, path, (node, content), info);
        }
    }
    Ok(())
}

fn program(bill: &mut Bill, path: &ImagePath, file: (&Node, &Content), info: BuildInfo) {
    let (node, _) = file;
    let (whole, supplier, version) = owner(bill, &node.origin);
    let mut part = Part::new(Kind::Program, path.name(), &version, supplier);
    part.file = Some(path.to_string());
    let modules = match info {
        BuildInfo::Unreadable(why) => {
            part.note = Some(format!("linked by Go, modules unknown: {why}"));
            Vec::new()
        }
        BuildInfo::Readable(build) => {
            describe(&mut part, &build);
            with_standard(build)
        }
    };
    let id = bill.add(&whole, How::Contains, path.as_str(), part);
    for found in modules {
        let key = format!("{} {}", found.name, found.version);
        bill.add(&id, How::DependsOn, &key, module(found));
    }
}

/// What brings the program, who supplies that, and its version.
fn owner(bill: &Bill, origin: &Origin) -> (Id, Supplier, String) {
    let id = match origin {
        // A runtime that reads a store has the files of its container images in the tree.
        Origin::Artifact(name) => {
            let artifact = Id::new(Kind::Artifact, name);
            match bill.parts.contains_key(&artifact) {
                true => artifact,
                false => Id::new(Kind::Container, name),
            }
        }
        Origin::Package(name) => Id::new(Kind::Package, name),
        _ => bill.root.clone(),
    };
    let id = if bill.parts.contains_key(&id) {
        id
    } else {
        bill.root.clone()
    };
    let Some(part) = bill.parts.get(&id) else {
        return (id, Supplier::organization("nodeimg"), String::new());
    };
    (id, part.supplier.clone(), part.version.clone())
}

fn describe(part: &mut Part, build: &Build) {
    let go = build.go.split_whitespace().next().unwrap_or_default();
    part.properties.insert("nodeimg:go", go.to_owned());
    if let Some(main) = &build.main {
        part.properties.insert(
            "nodeimg:go:module",
            format!("{} {}", main.name, main.version),
        );
    }
    let revision = build.settings.iter().find(|(key, _)| key == "vcs.revision");
    part.note = Some(match revision {
        Some((_, revision)) => format!("linked by {go} from revision {revision}"),
        None => format!("linked by {go}"),
    });
}

/// Its modules with its own, and Go's library, whose version is the compiler's.
pub fn with_standard(build: Build) -> Vec<Module> {
    let mut all = build.modules;
    if let Some(main) = build.main.filter(|main| !main.name.is_empty()) {
        all.push(main);
    }
    let go = build.go.split_whitespace().next().unwrap_or_default();
    if let Some(version) = go.strip_prefix("go") {
        all.push(Module {
            name: "stdlib".to_owned(),
            version: version.to_owned(),
            sum: String::new(),
        });
    }
    all
}

fn module(found: Module) -> Part {
    let supplier = match found.name.as_str() {
        "stdlib" => "The Go Authors".to_owned(),
        name => publisher(name),
    };
    let supplier = Supplier::organization(&supplier);
    let mut part = Part::new(Kind::Module, &found.name, &found.version, supplier);
    part.purl = Some(purl::golang(&found.name, &found.version));
    if !found.sum.is_empty() {
        part.note = Some(format!("go.sum: {}", found.sum));
        part.properties.insert("nodeimg:go:sum", found.sum);
    }
    part
}

/// Whose a module is: at a host for everyone's, the owner, else the host.
fn publisher(module: &str) -> String {
    let mut parts = module.split('/');
    let host = parts.next().unwrap_or_default();
    match (host, parts.next()) {
        ("github.com" | "gitlab.com" | "bitbucket.org" | "codeberg.org", Some(owner)) => {
            format!("{host}/{owner}")
        }
        _ => host.to_owned(),
    }
}
