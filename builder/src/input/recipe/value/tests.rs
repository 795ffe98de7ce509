#![allow(clippy::unwrap_used)]
use super::super::network::Cidr;
use super::super::url::UrlTemplate;
use super::*;

fn good<T: FromStr<Err = anyhow::Error> + fmt::Display>(cases: &[(&str, &str)]) {
    for (text, want) in cases {
        assert_eq!(
            text.parse::<T>()
                .map_err(|e| e.to_string())
                .map(|v| v.to_string()),
            Ok((*want).to_owned())
        );
    }
}

fn bad<T: FromStr<Err = anyhow::Error> + fmt::Display>(cases: &[(&str, &str)]) {
    for (text, want) in cases {
        let message = text
            .parse::<T>()
            .map(|v| v.to_string())
            .unwrap_err()
            .to_string();
        assert!(message.contains(want), "{text:?}: {message}");
    }
}

#[test]
fn values_that_are_taken() {
    good::<Name>(&[("hard-way", "hard-way"), ("a.b_c", "a.b_c")]);
    good::<Version>(&[
        ("1.36.0", "1.36.0"),
        ("2.1.0-beta.0", "2.1.0-beta.0"),
        ("trixie", "trixie"),
    ]);
    good::<Cidr>(&[
        ("10.200.0.0/16", "10.200.0.0/16"),
        ("fd00::/48", "fd00::/48"),
    ]);
    good::<ByteSize>(&[
        ("512 MiB", "512 MiB"),
        ("1GiB", "1 GiB"),
        ("1536 KiB", "1536 KiB"),
        ("7 B", "7 B"),
        ("6G", "6 GiB"),
        ("2g", "2 GiB"),
        ("512m", "512 MiB"),
        ("1.5G", "1536 MiB"),
        ("0.5 gib", "512 MiB"),
        ("64K", "64 KiB"),
        ("1T", "1 TiB"),
        ("9b", "9 B"),
    ]);
    good::<Domain>(&[("cluster.local", "cluster.local")]);
    good::<Word>(&[
        ("getty@tty1.service", "getty@tty1.service"),
        ("br_netfilter", "br_netfilter"),
    ]);
    good::<UrlTemplate>(&[(
        "https://dl.k8s.io/v{version}/{arch}",
        "https://dl.k8s.io/v{version}/{arch}",
    )]);
}

#[test]
fn values_that_are_refused_with_the_reason() {
    bad::<Name>(&[
        ("", "not a valid name"),
        ("-x", "not a valid name"),
        ("a/b", "not a valid name"),
        ("Hard", "not a valid name"),
    ]);
    bad::<Version>(&[
        ("v1.2.3", "`1.2.3`"),
        ("", "not a valid version"),
        ("1/2", "not a valid version"),
    ]);
    bad::<Cidr>(&[
        ("10.200.0.1/16", "10.200.0.0/16"),
        ("10.200.0.0", "CIDR"),
        ("", "CIDR"),
    ]);
    bad::<ByteSize>(&[
        ("12", "12MiB or 12G"),
        ("6GB", "write 6GiB or 6G"),
        ("6gb", "power of 1000"),
        ("1.3 B", "whole bytes"),
        ("1..5G", "number is missing"),
        (".5G", "number is missing"),
        ("-1G", "not a size"),
        ("1e3M", "not a size"),
        ("6 elephants", "not a size"),
        ("17179869184G", "too large"),
        ("MiB", "missing"),
        ("99999999999999999999 GiB", "too large"),
    ]);
    bad::<Domain>(&[("", "DNS"), ("-a.b", "DNS"), ("Cluster", "DNS")]);
    bad::<UrlTemplate>(&[
        ("http://x/y", "mirror"),
        ("https:///y", "not an https URL"),
        ("https://u:p@h/y", "user name"),
        ("https://h/{os}", "placeholder"),
        ("ftp://h/", "not an https URL"),
    ]);
    bad::<Word>(&[("a b", "not a valid name"), ("../x", "not a valid name")]);
}

#[test]
fn versions_compare_by_their_numbers() {
    for (text, want) in [
        ("1.36.0", (1, 36)),
        ("2.1.0-beta.0", (2, 1)),
        ("1.7", (1, 7)),
        ("x", (0, 0)),
    ] {
        assert_eq!(text.parse::<Version>().unwrap().major_minor(), want);
    }
}
