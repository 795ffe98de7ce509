#![allow(clippy::unwrap_used)]
use std::process::Command;

use nodeimg_seed::text::x509::Issued;
use nodeimg_test_support::judge;

use super::*;

const NOW: u64 = 1_800_000_000;

fn read(pem_text: &str) -> Certificate {
    Certificate::read(&pem::certificates(pem_text)[0].1).unwrap()
}

#[test]
fn a_kubelet_is_who_kubernetes_wants() {
    let (ca, own) = Authority::generate("test-ca", Validity::days(NOW, 10)).unwrap();
    let again = Authority::read(("ca.crt", &own.cert), ("ca.key", &own.key)).unwrap();
    assert_eq!(ca.cert(), again.cert());
    let subject = Subject::kubelet(
        "node-0",
        vec!["node-0".to_owned()],
        vec!["10.0.0.7".parse().unwrap(), "fd00::7".parse().unwrap()],
    );
    let pair = again.issue(&subject, Validity::days(NOW, 365)).unwrap();
    let leaf = read(&pair.cert);
    assert_eq!(leaf.common_name, "system:node:node-0");
    assert_eq!(leaf.organisations, ["system:nodes"]);
    assert_eq!(leaf.dns_names, ["node-0"]);
    assert_eq!(leaf.addresses, subject.addresses);
    assert!(!leaf.is_ca);
    // No longer than the CA itself.
    assert_eq!(leaf.not_after, (NOW + 10 * DAY) as i64);
    assert_eq!(leaf.not_before, (NOW - SKEW) as i64);
    assert!(leaf.issued_by(&read(&own.cert)) == Issued::Yes);
    let key = pem::private_key(pair.key.expose()).unwrap();
    assert!(nodeimg_seed::text::x509::public_part(&key) == Some(leaf.key));
}

#[test]
fn of_a_request_key_and_name_count() {
    let (ca, own) = Authority::generate("test-ca", Validity::days(NOW, 10)).unwrap();
    let key = new_key().unwrap();
    let mut subject = Subject::kubelet("node-1", vec!["evil.example".to_owned()], Vec::new());
    subject.serves = true;
    let asked = leaf(&subject, Validity::days(NOW, 9000)).unwrap();
    let request = asked.serialize_request(&key).unwrap().pem().unwrap();
    let signed = read(&ca.sign_client(&request, Validity::days(NOW, 1)).unwrap());
    assert_eq!(signed.common_name, "system:node:node-1");
    assert_eq!(signed.organisations, ["system:nodes"]);
    assert!(signed.dns_names.is_empty());
    assert_eq!(signed.not_after, (NOW + DAY) as i64);
    assert!(signed.issued_by(&read(&own.cert)) == Issued::Yes);
    let cut = &request[..request.len() / 2];
    assert!(ca.sign_client(cut, Validity::days(NOW, 1)).is_err());
}

#[test]
fn a_ca_that_cannot_sign_is_refused() {
    let (ca, own) = Authority::generate("test-ca", Validity::days(NOW, 10)).unwrap();
    let (_, other) = Authority::generate("other", Validity::days(NOW, 10)).unwrap();
    let leaf = ca
        .issue(&Subject::kube_proxy(), Validity::days(NOW, 1))
        .unwrap();
    let refused = |cert: &str, key: &Secret| {
        let read = Authority::read(("ca.crt", cert), ("ca.key", key));
        format!("{:#}", read.err().unwrap())
    };
    assert!(refused(&own.cert, &other.key).contains("ca.key is not the key of ca.crt"));
    assert!(refused(&leaf.cert, &leaf.key).contains("ca.crt is not a CA"));
    assert!(refused("", &own.key).contains("ca.crt, line"));
    let cut = Secret::new(own.key.expose()[..80].to_owned());
    assert!(refused(&own.cert, &cut).contains("ca.key, line"));
}

/// What openssl writes, in each of its forms, signs; and openssl says so too.
#[test]
fn keys_of_openssl_sign() {
    let directory = tempfile::TempDir::new().unwrap();
    let openssl = |line: &str| {
        let mut command = Command::new("openssl");
        command.args(line.split(' ')).current_dir(&directory);
        let told = judge::run(&mut command)?;
        let error = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(told.status.success(), "{line}: {error}");
        Some(String::from_utf8(told.stdout).unwrap())
    };
    for (number, make) in [
        "ecparam -name prime256v1 -genkey -out KEY",
        "ecparam -name secp384r1 -genkey -noout -out KEY",
        "genrsa -traditional -out KEY 2048",
        "genpkey -algorithm RSA -out KEY",
        "genpkey -algorithm ed25519 -out KEY",
    ]
    .into_iter()
    .enumerate()
    {
        let (key, cert) = (format!("{number}.key"), format!("{number}.crt"));
        if openssl(&make.replace("KEY", &key)).is_none() {
            return;
        }
        let request = format!("req -x509 -new -key {key} -subj /O=a/CN=ca -days 30 -out {cert}");
        openssl(&request).unwrap();
        let file = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        let authority =
            Authority::read((&cert, &file(&cert)), (&key, &Secret::new(file(&key)))).unwrap();
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let pair = authority
            .issue(&Subject::kube_proxy(), Validity::days(now, 3))
            .unwrap();
        std::fs::write(directory.path().join("leaf.crt"), pair.cert).unwrap();
        let said = openssl(&format!("verify -CAfile {cert} leaf.crt")).unwrap();
        assert!(said.contains("leaf.crt: OK"), "{make}: {said}");
    }
}

/// Of a CA of every curve: openssl judges the signatures.
#[test]
fn derived_pairs_are_the_same_every_time() {
    for curve in ["prime256v1", "secp384r1"] {
        let folder = tempfile::TempDir::new().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut openssl = Command::new("openssl");
        openssl.args([
            "req", "-x509", "-nodes", "-days", "3650", "-subj", "/CN=ca", "-newkey", "ec",
        ]);
        openssl.args(["-pkeyopt", &format!("ec_paramgen_curve:{curve}")]);
        openssl
            .arg("-keyout")
            .arg(at("ca.key"))
            .arg("-out")
            .arg(at("ca.crt"));
        let Some(made) = judge::run(&mut openssl) else {
            return;
        };
        assert!(made.status.success(), "{made:?}");
        let ca = std::fs::read_to_string(at("ca.crt")).unwrap();
        let key = Secret::new(std::fs::read_to_string(at("ca.key")).unwrap());
        let authority = || Authority::read(("ca.crt", &ca), ("ca.key", &key)).unwrap();
        let validity = Validity::days(read(&ca).not_before as u64 + SKEW, 30);
        let subject = Subject::kubelet("a", vec!["a".to_owned()], Vec::new());
        let pair = authority().derive(&subject, "a", validity).unwrap();
        let again = authority().derive(&subject, "a", validity).unwrap();
        assert_eq!(pair.cert, again.cert);
        assert!(pair.key == again.key);
        let leaf = read(&pair.cert);
        let own = pem::private_key(pair.key.expose()).unwrap();
        assert!(nodeimg_seed::text::x509::public_part(&own) == Some(leaf.key));
        std::fs::write(at("a.crt"), &pair.cert).unwrap();
        let mut verify = Command::new("openssl");
        verify
            .arg("verify")
            .arg("-CAfile")
            .arg(at("ca.crt"))
            .arg(at("a.crt"));
        let verified = judge::run(&mut verify).unwrap();
        assert!(verified.status.success(), "{verified:?}");
        // Another node and another moment have other keys.
        let of = |node: &str, from: u64| {
            let validity = Validity { from, ..validity };
            authority().derive(&subject, node, validity).unwrap().key
        };
        assert!(of("b", validity.from) != pair.key);
        assert!(of("a", validity.from + 1) != pair.key);
    }
}

#[test]
fn a_token_is_as_the_api_server_wants_it() {
    let token = token::Token::generate().unwrap();
    let (id, secret) = token.text().split_once('.').unwrap();
    let fair = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    assert!(id.len() == 6 && secret.len() == 16 && fair(id) && fair(secret));
    let groups = ["system:bootstrappers:rack-7".to_owned()];
    let object = token.object("2026-12-01T00:00:00Z", &groups).unwrap();
    let object: serde_json::Value = serde_json::from_str(object.expose()).unwrap();
    assert_eq!(object["metadata"]["name"], format!("bootstrap-token-{id}"));
    assert_eq!(object["stringData"]["token-secret"], secret);
    assert!(token.object("", &["system:masters".to_owned()]).is_err());
}
