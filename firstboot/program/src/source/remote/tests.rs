#![allow(clippy::unwrap_used, clippy::expect_used)]
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use nodeimg_seed::contract::settings::MetadataService::{self, Ec2, Openstack};
use nodeimg_seed::read::meta_data;
use nodeimg_seed::text::problem::Problems;

use super::{link_local, no_cloud};
use crate::media::System;
use crate::root::Root;
use crate::source::http::Url;
use crate::source::{Found, Search};

/// Answers from a table until the test is over; a path that is not in it is 404.
fn serve(files: &[(&str, &str)]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let files: BTreeMap<String, String> = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()))
        .collect();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            let headers: Vec<String> = lines
                .map(|line| line.unwrap().to_ascii_lowercase())
                .take_while(|line| !line.is_empty())
                .collect();
            let mut words = request.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap());
            let session = path.starts_with("/latest/meta-data") || path == "/latest/user-data";
            let allowed = !session
                || headers
                    .iter()
                    .any(|h| h == "x-aws-ec2-metadata-token: t0ken");
            let body = files.get(&format!("{method} {path}"));
            let answer = match body {
                Some(_) if !allowed => "HTTP/1.1 401 Unauthorized\r\n\r\n".to_owned(),
                Some(body) => format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                ),
                None => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
            };
            let _gone = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/")
}

struct Outcome {
    text: String,
    seed: Option<nodeimg_seed::read::seed::Seed>,
}

fn outcome(found: Found) -> Outcome {
    match found {
        Found::Seed(sought) => Outcome {
            text: format!("seed {}", sought.place),
            seed: Some(sought.seed),
        },
        Found::Absent(seen) => Outcome {
            text: format!("absent {}", seen.join("; ")),
            seed: None,
        },
        Found::Pending { place, reason } => Outcome {
            text: format!("pending {place}: {reason}"),
            seed: None,
        },
        Found::Broken { problems, .. } => Outcome {
            text: problems.iter().map(ToString::to_string).collect(),
            seed: None,
        },
    }
}

fn search(base: &str, services: &[MetadataService], early: bool) -> Outcome {
    let root = tempfile::tempdir().unwrap();
    let system = System {
        metadata: base.to_owned(),
        ..System::default()
    };
    let search = Search {
        root: &Root::open(root.path()).unwrap(),
        seed: None,
        system: Some(&system),
        media: &[],
        metadata: services,
        early,
        guard: &crate::source::Guard::default(),
        deadline: Instant::now() + Duration::from_secs(60),
    };
    outcome(if services.is_empty() {
        no_cloud(&search, &Url::parse(base).unwrap())
    } else {
        link_local(&search)
    })
}

#[test]
fn no_cloud_on_a_server() {
    let base = serve(&[
        ("GET /meta-data", "instance-id: i-1"),
        ("GET /user-data", "#cloud-config\n"),
        ("GET /network-config", "version: 2"),
    ]);
    let found = search(&base, &[], false);
    assert_eq!(found.text, format!("seed {base}"));
    let seed = found.seed.unwrap();
    assert_eq!(seed.network.unwrap().name, format!("{base}network-config"));
    assert_eq!(&**seed.user_data.unwrap().bytes, b"#cloud-config\n");
    assert!(seed.vendor_data.is_none());
    assert!(
        search(&base, &[], true)
            .text
            .contains("the network is not up yet")
    );
    let found = search(&format!("{base}else/"), &[], false);
    assert!(found.text.contains("has no `meta-data`"), "{}", found.text);
    let half = serve(&[("GET /meta-data", "")]);
    assert!(
        search(&half, &[], false)
            .text
            .contains("has no `user-data`")
    );
}

#[test]
fn metadata_services() {
    let openstack = serve(&[
        (
            "GET /openstack/latest/meta_data.json",
            "{\"uuid\": \"u-1\"}",
        ),
        ("GET /openstack/latest/network_data.json", "{}"),
    ]);
    let found = search(&openstack, &[Ec2, Openstack], false);
    assert_eq!(found.text, format!("seed {openstack}"));
    let seed = found.seed.unwrap();
    assert!(seed.user_data.is_none() && seed.network.is_some());

    let ec2 = serve(&[
        ("PUT /latest/api/token", "t0ken"),
        ("GET /latest/meta-data/instance-id", "i-0abc"),
        (
            "GET /latest/meta-data/local-hostname",
            "ip-10-0-0-1.ec2.internal second.name\n",
        ),
        (
            "GET /latest/meta-data/public-keys/",
            "0=mine\n1=other\nx=../../secret",
        ),
        (
            "GET /latest/meta-data/public-keys/0/openssh-key",
            "ssh-ed25519 AAAA \"quoted\" me\n",
        ),
        ("GET /latest/user-data", "#cloud-config\n"),
    ]);
    let found = search(&ec2, &[Openstack, Ec2], false);
    assert_eq!(found.text, format!("seed {ec2}"));
    let mut problems = Problems::new();
    let meta = meta_data::read(&found.seed.unwrap(), &mut problems).unwrap();
    assert_eq!(meta.instance_id, "i-0abc");
    assert_eq!(meta.hostname.unwrap().value, "ip-10-0-0-1.ec2.internal");
    assert_eq!(meta.public_keys.len(), 1, "{:?}", problems.into_vec());

    let nothing = serve(&[]);
    let found = search(&nothing, &[Openstack, Ec2], false);
    assert!(
        found.text.starts_with("absent ") && found.text.contains("latest/api/token"),
        "{}",
        found.text
    );
    // Nobody listens there.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let found = search(&format!("http://{gone}/"), &[Openstack, Ec2], false);
    assert!(found.text.starts_with("pending "), "{}", found.text);
}
