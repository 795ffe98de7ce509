//! A bill of materials, before it takes a form: parts, and how they belong together.

use std::collections::{BTreeMap, BTreeSet};

use nodeimg_values::date::Date;
use nodeimg_values::digest::Digest;
use nodeimg_values::epoch::Epoch;

/// What a part is called in a bill: its kind and 16 hex digits of what tells it from others.
/// Both forms accept its letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Id(String);

impl Id {
    /// `key` is what tells it from others of the kind.
    pub fn new(kind: Kind, key: &str) -> Id {
        let digest = Digest::sha256(key.as_bytes());
        Id(format!("{}-{}", kind.word(), &digest.hex()[..16]))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a part is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// All of it.
    Image,
    /// The distribution that the base system is of.
    System,
    /// A binary package of it.
    Package,
    /// A source package that a binary one has parts of.
    Source,
    /// What the recipe has from a publisher.
    Artifact,
    /// A program that Go has linked.
    Program,
    /// A module of Go.
    Module,
    /// A container image.
    Container,
    /// The first-boot binary.
    FirstBoot,
    /// A part of a disk: kernel, initrd, root.
    Boot,
    /// A file that the build wrote.
    Output,
}

impl Kind {
    /// trivy knows an operating system by the name of its identifier only.
    fn word(self) -> &'static str {
        match self {
            Kind::Image => "Image",
            Kind::System => "OperatingSystem",
            Kind::Package => "Package",
            Kind::Source => "Source",
            Kind::Artifact => "Artifact",
            Kind::Program => "Application",
            Kind::Module => "Module",
            Kind::Container => "Container",
            Kind::FirstBoot => "FirstBoot",
            Kind::Boot => "Boot",
            Kind::Output => "Output",
        }
    }
}

/// Who provides a part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Supplier {
    pub name: String,
    pub mail: Option<String>,
    pub is_person: bool,
}

impl Supplier {
    pub fn organization(name: &str) -> Supplier {
        Supplier {
            name: name.to_owned(),
            mail: None,
            is_person: false,
        }
    }
}

/// One part. What is empty is not known.
#[derive(Clone, Debug)]
pub struct Part {
    pub kind: Kind,
    pub name: String,
    pub version: String,
    pub supplier: Supplier,
    /// An SPDX expression, as its publisher declares it.
    pub licence: Option<String>,
    pub purl: Option<String>,
    /// Where its bytes were fetched from.
    pub url: Option<String>,
    pub digests: BTreeSet<Digest>,
    /// Its path in the image, or the file's name beside the bill.
    pub file: Option<String>,
    /// A sentence about it.
    pub note: Option<String>,
    /// By name, for the form that has a place for them.
    pub properties: BTreeMap<&'static str, String>,
}

impl Part {
    /// With all else empty.
    pub fn new(kind: Kind, name: &str, version: &str, supplier: Supplier) -> Part {
        Part {
            kind,
            name: name.to_owned(),
            version: version.to_owned(),
            supplier,
            licence: None,
            purl: None,
            url: None,
            digests: BTreeSet::new(),
            file: None,
            note: None,
            properties: BTreeMap::new(),
        }
    }
}

/// How one part belongs to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    Contains,
    DependsOn,
    /// Has it linked into itself.
    Links,
    /// Was made from it.
    GeneratedFrom,
}

/// What something is made of.
#[derive(Clone, Debug)]
pub struct Bill {
    /// Of the image, `NAME-VERSION-ARCH`.
    pub name: String,
    /// The time of the lock.
    epoch: Epoch,
    /// Tells this image's bills from those of others.
    pub lock: Digest,
    pub root: Id,
    pub parts: BTreeMap<Id, Part>,
    pub relations: BTreeSet<(Id, How, Id)>,
    /// Licences that SPDX has no name for: by the name here, what copyright files call it and
    /// whose do.
    pub others: BTreeMap<String, (String, BTreeSet<String>)>,
}

impl Bill {
    /// Of an image that has no parts yet.
    pub fn new(name: &str, image: Part, epoch: Epoch, lock: &Digest) -> Bill {
        let root = Id::new(Kind::Image, name);
        Bill {
            name: name.to_owned(),
            epoch,
            lock: lock.clone(),
            root: root.clone(),
            parts: BTreeMap::from([(root, image)]),
            relations: BTreeSet::new(),
            others: BTreeMap::new(),
        }
    }

    /// Adds a part of `whole`; `key` tells it from others of its kind. One that is there
    /// already stays as it is.
    pub fn add(&mut self, whole: &Id, how: How, key: &str, part: Part) -> Id {
        let id = Id::new(part.kind, key);
        self.parts.entry(id.clone()).or_insert(part);
        self.relate(whole, how, &id);
        id
    }

    pub fn relate(&mut self, from: &Id, how: How, to: &Id) {
        self.relations.insert((from.clone(), how, to.clone()));
    }

    /// Of a package of the base system, by name.
    pub fn purl_of_package(&self, name: &str) -> Option<String> {
        self.parts.get(&Id::new(Kind::Package, name))?.purl.clone()
    }

    /// `2026-11-30T13:55:41Z`.
    pub fn created(&self) -> String {
        Date(self.epoch.0).rfc3339()
    }
}
