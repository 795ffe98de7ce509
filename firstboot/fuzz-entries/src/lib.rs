//! What takes bytes that someone else made, one function a reader: the fuzz
//! targets (`firstboot/fuzz`) and the bounded test `firstboot/seed/tests/fuzz.rs` call
//! the same. The program `show-readers` prints what some of them read.
//!
//! A function returns whatever the bytes are, and panics if a promise of the reader is
//! broken. Limits of time and memory are the caller's to watch.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::io;

use nodeimg_seed::contract::profile::{PROFILES, Profile, hard_way};
use nodeimg_seed::contract::report::Report;
use nodeimg_seed::contract::settings::ImageSettings;
use nodeimg_seed::contract::stamp::{Pending, Stamp};
use nodeimg_seed::examine::{Elsewhere, outlook};
use nodeimg_seed::plan::UnknownImage;
use nodeimg_seed::read::seed::{Layout, Seed, SeedFile};
use nodeimg_seed::read::{cloud_config, network, user_data};
use nodeimg_seed::text::jinja::{self, Value};
use nodeimg_seed::text::problem::Problems;
use nodeimg_seed::text::template::{Template, Values};
use nodeimg_seed::text::x509::{Certificate, public_part};
use nodeimg_seed::text::{kubeconfig, pem, yaml};
use nodeimg_seed::volume::{self, MAX_READ, ReadAt};

const ELSEWHERE: Elsewhere<'static> = Elsewhere {
    templates: &[],
    architecture: "x86_64",
    now: 0,
    image: &UnknownImage {
        known: Vec::new(),
        absent: Vec::new(),
    },
    judge: None,
};

pub type Entry = (&'static str, fn(&[u8]));

pub const ENTRIES: [Entry; 9] = [
    ("jinja", jinja),
    ("network", network),
    ("pem", pem),
    ("seed", seed),
    ("state", state),
    ("user_data", user_data),
    ("volume", volume),
    ("x509", x509),
    ("yaml", yaml),
];

/// What the readers look for: inputs made of these get further than the first line.
pub const WORDS: [&str; 71] = [
    "#cloud-config\n",
    "## template: jinja\n",
    "#cloud-config-archive\n",
    "#!/bin/sh\n",
    "MIME-Version: 1.0\n",
    "Content-Type: multipart/mixed; boundary=B\n",
    "Content-Transfer-Encoding: base64\n",
    "Content-Transfer-Encoding: quoted-printable\n",
    "\n--B\n",
    "\n--B--\n",
    "=3D=\n",
    "\n",
    "\r\n",
    "\t",
    "  ",
    "- ",
    ": ",
    "{",
    "}",
    "[",
    "]",
    "'",
    "\"",
    "|\n",
    "&a ",
    "*a",
    "<<: ",
    "!!binary ",
    "aGk=",
    "\u{feff}",
    "é",
    "\0",
    "{{ ",
    " }}",
    "{% if ",
    "{% for x in ",
    "{% endif %}",
    "{% set x = ",
    " %}",
    "{% raw %}",
    "v1.local_hostname",
    "|default(1)",
    "|replace('a', 'b')",
    ".split('.')[0]",
    "hostname: n",
    "write_files:\n",
    "path: /etc/x",
    "content: ",
    "permissions: '0644'",
    "encoding: gz+b64",
    "users:\n",
    "runcmd:\n",
    "merge_how: 'list(append)'",
    "nodeimg:\n",
    "  pod_subnet: 10.0.0.0/24",
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "instance-id: i",
    "version: 2\nethernets:\n",
    "#include\n",
    "\u{202e}",
    "\u{1b}[2J",
    "{% endfor %}",
    "null",
    "1e999",
    "-1",
    "0x10",
    "10.0.0.0/8",
    "fe80::1",
    "99999999999999999999",
];

/// Between the files of a seed in one input.
pub const NEXT_FILE: &str = "\n\0next file\0\n";

fn settings(profile: &Profile) -> ImageSettings {
    let text = format!(
        "{{\"version\": 1, \"profile\": \"{profile}\", \"writable\": [\"/etc\"], \"seed_wait\": 60, \"epoch\": 0}}"
    );
    ImageSettings::from_json(text.as_bytes()).unwrap()
}

/// Messages go to a console: one line each, without control characters.
fn assert_fit_to_print(problems: &Problems) {
    for problem in problems.iter() {
        let line = problem.to_string();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

fn instance_data() -> Value {
    let data = "v1: {local_hostname: n, instance_id: i}\nds: {meta_data: {local-hostname: n, list: [a, b]}}\n";
    Value::of_yaml(&yaml::parse(data).unwrap().unwrap())
}

/// A whole seed: user-data, meta-data and network-config, in every profile.
pub fn seed(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut files = text.split(NEXT_FILE);
    let mut next = || files.next().unwrap_or_default().to_owned();
    let (user, meta, network) = (next(), next(), next());
    for layout in [Layout::NoCloud, Layout::ConfigDrive] {
        let names = layout.names();
        for profile in PROFILES {
            let mut seed = Seed::new(layout, SeedFile::new(names.meta_data, meta.clone()));
            seed.user_data = Some(SeedFile::new(names.user_data, user.clone()));
            seed.network = Some(SeedFile::new(names.network, network.clone()));
            let mut problems = Problems::new();
            let outlook = outlook(&seed, &settings(profile), &ELSEWHERE, &mut problems);
            assert_eq!(outlook.is_none(), problems.has_errors());
            for path in outlook.iter().flat_map(|outlook| &outlook.files) {
                assert!(
                    path.starts_with('/') && !path.split('/').any(|part| part == ".."),
                    "{path}"
                );
            }
            assert_fit_to_print(&problems);
        }
    }
}

/// User-data in all its forms, and then what its parts say.
pub fn user_data(data: &[u8]) {
    let mut problems = Problems::new();
    if let Some(parts) = user_data::parts("user-data", data, &instance_data(), &mut problems) {
        let _ = cloud_config::read(parts, &hard_way::PROFILE, &mut problems);
    }
    assert_fit_to_print(&problems);
}

pub fn yaml(data: &[u8]) {
    let _ = yaml::parse(&String::from_utf8_lossy(data));
}

pub fn jinja(data: &[u8]) {
    let _ = jinja::render(&String::from_utf8_lossy(data), &instance_data());
}

/// NoCloud's versions 1 and 2, and OpenStack's; accepted input is rendered.
pub fn network(data: &[u8]) {
    for layout in [Layout::NoCloud, Layout::ConfigDrive] {
        let mut seed = Seed::new(layout, SeedFile::new("meta-data", ""));
        seed.network = Some(SeedFile::new("network", data));
        let mut problems = Problems::new();
        if let Some(network) = network::read(&seed, &mut problems) {
            for (name, text) in network::render(&network) {
                assert!(!name.contains(['/', '\0']) && name.len() < 256, "{name:?}");
                // A value with a line break in it would be a setting of its own.
                for line in text
                    .lines()
                    .filter(|line| !line.is_empty() && !line.starts_with('#'))
                {
                    let section = line.starts_with('[') && line.ends_with(']');
                    let setting = line.split_once('=').is_some_and(|(key, _)| {
                        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric())
                    });
                    assert!(section || setting, "{name}: {line:?}");
                    assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
                }
            }
        }
        assert_fit_to_print(&problems);
    }
}

pub fn pem(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let certificates = pem::certificates(&text);
    if pem::check_certificates(&text).is_ok() {
        assert!(!certificates.is_empty());
    }
    if pem::check_private_key(&text).is_ok() {
        assert!(pem::private_key(&text).is_some());
    }
    for (_, der) in certificates {
        x509(&der);
    }
    let normal = pem::normalised(&text);
    assert_eq!(pem::normalised(&normal), normal);
    let _ = kubeconfig::read(&text);
}

pub fn x509(data: &[u8]) {
    let _ = public_part(data);
    if let Some(certificate) = Certificate::read(data) {
        let _ = certificate.issued_by(&certificate);
    }
}

/// What first boot wrote itself and reads again, and an image's own files.
pub fn state(data: &[u8]) {
    let _ = (Stamp::read(data), Pending::read(data));
    let _ = ImageSettings::from_json(data);
    if let Some(report) = Report::read(data) {
        let _ = (report.summary(), report.failure_box());
    }
    if let Ok(template) = Template::parse(&String::from_utf8_lossy(data)) {
        let _ = template.check_supplied();
        let _ = template.render(&Values::examples());
    }
}

/// A disk of 64 MiB made of pieces, zero elsewhere. A piece in the input is its
/// place in bytes (4 bytes, little-endian), its length (2 bytes), and itself.
pub fn volume(data: &[u8]) {
    let mut disk = Disk::of(data);
    let _ = volume::identify(&mut disk);
    for sector in [512, 4096] {
        let _ = volume::gpt::entry(&mut disk, sector, 1);
    }
    assert!(
        disk.read <= MAX_READ + (1 << 20),
        "{} bytes were read",
        disk.read
    );
}

/// A piece of an input of [`volume()`].
pub fn piece(offset: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&offset.to_le_bytes()[..], &length.to_le_bytes(), bytes].concat()
}

struct Disk<'a> {
    pieces: Vec<(u64, &'a [u8])>,
    read: u64,
}

impl<'a> Disk<'a> {
    fn of(mut data: &'a [u8]) -> Self {
        let mut pieces = Vec::new();
        while let Some((head, rest)) = data.split_at_checked(6) {
            let offset = u32::from_le_bytes(head[..4].try_into().unwrap());
            let length = u16::from_le_bytes(head[4..].try_into().unwrap());
            let (bytes, rest) = rest.split_at(usize::from(length).min(rest.len()));
            pieces.push((u64::from(offset), bytes));
            data = rest;
        }
        Self { pieces, read: 0 }
    }
}

impl ReadAt for Disk<'_> {
    fn read_at(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read += out.len() as u64;
        let end = offset.checked_add(out.len() as u64);
        if end.is_none_or(|end| end > 64 << 20) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.fill(0);
        for (start, bytes) in &self.pieces {
            for (at, byte) in bytes.iter().enumerate() {
                let place = (start + at as u64).checked_sub(offset);
                let here = place.and_then(|place| out.get_mut(usize::try_from(place).ok()?));
                if let Some(slot) = here {
                    *slot = *byte;
                }
            }
        }
        Ok(())
    }
}
