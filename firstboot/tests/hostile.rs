//! Whatever bytes a seed holds: no panic, no endless run, no control characters in what is said.
//!
//! The bytes are made of pieces that the readers look for, so that more than
//! the first line of each is reached.
#![allow(clippy::unwrap_used, clippy::expect_used)]
use nodeimg_firstboot::examine::examine;
use nodeimg_firstboot::jinja::{self, Value};
use nodeimg_firstboot::problem::Problems;
use nodeimg_firstboot::seed::{Layout, Seed, SeedFile};
use nodeimg_firstboot::settings::ImageSettings;
use nodeimg_firstboot::x509::{Certificate, public_part};
use nodeimg_firstboot::{kubeconfig, pem, yaml};
use proptest::prelude::*;

const PIECES: [&str; 60] = [
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
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        8 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => "[ -~]{0,12}",
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Bytes that look like DER further in than random ones do.
fn der() -> impl Strategy<Value = Vec<u8>> {
    let leaf = (
        prop::sample::select(vec![1u8, 2, 3, 4, 6, 12, 23, 24]),
        prop::collection::vec(any::<u8>(), 0..12),
    )
        .prop_map(|(tag, content)| wrapped(tag, &content));
    leaf.prop_recursive(6, 60, 8, |inner| {
        (
            prop::sample::select(vec![0x30u8, 0x31, 0xa0, 0xa3, 4]),
            prop::collection::vec(inner, 0..8),
        )
            .prop_map(|(tag, parts)| wrapped(tag, &parts.concat()))
    })
}

fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut der = vec![tag, 0x82];
    der.extend(
        u16::try_from(content.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    der.extend(content);
    der
}

fn settings(profile: &str) -> ImageSettings {
    let text = format!(
        "{{\"version\": 1, \"profile\": \"{profile}\", \"writable\": [\"/etc\"], \"seed_wait\": 60, \"epoch\": 0}}"
    );
    ImageSettings::from_json(text.as_bytes()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_seeds(user in text(), meta in text(), network in text(), profile in prop::sample::select(vec!["hard-way", "bootstrap", "kubeadm", "container-host"])) {
        let seed = Seed {
            layout: Layout::NoCloud,
            meta_data: SeedFile::new("meta-data", meta),
            user_data: Some(SeedFile::new("user-data", user)),
            vendor_data: None,
            vendor_data2: None,
            injected: Vec::new(),
            named: Default::default(),
            network: Some(SeedFile::new("network-config", network)),
        };
        let mut problems = Problems::new();
        let outlook = examine(&seed, &settings(profile), &[], 0, &mut problems);
        prop_assert_eq!(outlook.is_none(), problems.has_errors());
        for problem in problems.iter() {
            let line = problem.to_string();
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
    }

    #[test]
    fn single_readers(text in text()) {
        let _ = yaml::parse(&text);
        let data = Value::of_yaml(&yaml::parse("v1: {local_hostname: n}").unwrap().unwrap());
        let _ = jinja::render(&text, &data);
        let _ = pem::check_certificates(&text);
        let _ = pem::check_private_key(&text);
        let _ = kubeconfig::read(&text);
    }

    #[test]
    fn certificates(der in der()) {
        let _ = Certificate::read(&der);
        let _ = public_part(&der);
    }
}
