//! Every shape, and what is none.
#![allow(clippy::unwrap_used)]
use super::lines::{SIGNATURE, SIGNED};
use super::*;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn signed(body: &str) -> String {
    format!(
        "{SIGNED}\nHash: SHA512\nHash: {B}\n\n{body}\n{SIGNATURE}\n\niQIz\n=abcd\n\
         -----END PGP SIGNATURE-----\n"
    )
}

/// As `gpg --print-md` writes digits.
fn in_groups(hex: &str) -> String {
    let groups = hex.as_bytes().chunks(8);
    let groups: Vec<&str> = groups
        .map(|group| std::str::from_utf8(group).unwrap())
        .collect();
    groups.join(" ").to_uppercase()
}

#[test]
fn every_shape() {
    let table = [
        (A.to_owned(), Some(A)),
        (format!("{A}\n"), Some(A)),
        (format!("{A}\r\n"), Some(A)),
        (A.to_uppercase(), Some(A)),
        (format!("{A}  runc.arm64\n"), Some(A)),
        (format!("{A} *runc.arm64"), Some(A)),
        (format!("{B}  runc.amd64\n{A}  runc.arm64\n"), Some(A)),
        (
            format!("{B}  x/runc.arm64.asc\n{A}  bin/linux/runc.arm64"),
            Some(A),
        ),
        (format!("{A}  ./runc.arm64\n{A}  runc.arm64"), Some(A)),
        (format!("{B}  runc.amd64\n"), None),
        (format!("{B}  xrunc.arm64\n"), None),
        (
            signed(&format!("{B}  runc.amd64\n{A}  runc.arm64")),
            Some(A),
        ),
        (signed(&format!("- {A}  runc.arm64")), Some(A)),
        (signed(&format!("{B}  runc.amd64")), None),
    ];
    for (text, wanted) in table {
        let found = find(&text, "runc.arm64").unwrap();
        assert_eq!(found.as_ref().map(Digest::hex), wanted, "{text}");
    }
    let long = "c".repeat(128);
    let found = find(&long, "any").unwrap().unwrap();
    assert_eq!(found.to_string(), format!("sha512:{long}"));
}

#[test]
fn every_other_shape() {
    let long = "c".repeat(128);
    let md5 = "d41d8cd98f00b204e9800998ecf8427e";
    let table = [
        (
            format!("SHA256 (runc.amd64) = {B}\nSHA256 (runc.arm64) = {A}\n"),
            A,
        ),
        (
            format!("# runc.arm64: 120 bytes\nSHA256 (runc.arm64) = {A}\n"),
            A,
        ),
        (
            signed(&format!(
                "# x\nSHA256 (runc.amd64) = {B}\nSHA256 (runc.arm64) = {A}"
            )),
            A,
        ),
        (format!("SHA2-256(runc.arm64)= {A}\n"), A),
        (format!("SHA256(./dist/runc.arm64)= {A}\n"), A),
        (
            format!("SHA512 (runc.arm64) = {long}\nSHA256 (runc.arm64) = {A}\n"),
            long.as_str(),
        ),
        (
            format!("MD5 (runc.arm64) = {md5}\nSHA256 (runc.arm64) = {A}\n"),
            A,
        ),
        (format!("# made by a job\n; x\n{A}  runc.arm64\n"), A),
        (
            format!("# MD5 HASH\n{md5}  runc.arm64\n# SHA512 HASH\n{long}  runc.arm64\n"),
            long.as_str(),
        ),
        (
            format!(
                "# SHA512 HASH\n{long}  runc.arm64\n# BLAKE2B HASH\n{}  runc.arm64\n",
                "d".repeat(128)
            ),
            long.as_str(),
        ),
        (
            format!("SHA512/256 (runc.arm64) = {B}\nSHA256 (runc.arm64) = {A}\n"),
            A,
        ),
        (format!("{A}  -\n"), A),
        (format!("{md5}\n{A}\n{long}\n"), long.as_str()),
        (format!("sha256:{A}\n"), A),
        (
            format!("sha256:{A}  runc.arm64\nsha256:{B}  runc.amd64\n"),
            A,
        ),
        (format!("\\{A}  runc.arm64\n{B}  x\n"), A),
        (format!("{A} *.\\dist\\runc.arm64\r\n{B} *x\r\n"), A),
        (format!("runc.arm64: {A}\nrunc.amd64: {B}\n"), A),
        (
            format!("| `runc.arm64` | `{A}` |\n| `runc.amd64` | `{B}` |\n"),
            A,
        ),
        (
            format!(
                "Algorithm Hash Path\n--- --- ---\nSHA256  {}  C:\\x\\runc.arm64\n",
                A.to_uppercase()
            ),
            A,
        ),
    ];
    found_in(&table);
}

/// Beside what others write around them.
#[test]
fn every_shape_with_words_around_it() {
    let table = [
        (format!("{A}  runc.arm64\n\nsome words of a person\n"), A),
        (
            format!("{A}  runc.arm64\n-----BEGIN PGP SIGNATURE-----\n\n{B}\n"),
            A,
        ),
        (format!("{A}  runc.arm64\n{B}\n"), A),
        (
            format!("Checksums-Sha256:\n {A} 17 runc.arm64\n {B} 4 y\n"),
            A,
        ),
        (format!("runc.amd64,{B}\n\"runc.arm64\",\"{A}\"\n"), A),
        (format!("runc.arm64={A}\ny={B}\n"), A),
        (format!("0x{A}  runc.arm64\n"), A),
        (format!("{A}  \"runc.arm64\"\n{B}  y\n"), A),
        (format!("SHA256 (\"runc.arm64\") = {A}\n"), A),
        (format!("{A}  runc.arm64 # for servers\n{B}  y # z\n"), A),
        (format!("{A} *stdin\n"), A),
        (format!("sha256 = \"{A}\"\n"), A),
        (
            format!("|[runc.arm64](https://a/runc.arm64)|{A}|\n|[y](https://a/y)|{B}|\n"),
            A,
        ),
        (
            format!("Algorithm : SHA256\nHash      : {A}\nPath      : C:\\x\\runc.arm64\n"),
            A,
        ),
        (
            format!(
                "runc.arm64: {}\n            {}\n",
                in_groups(&A[..32]),
                in_groups(&A[32..])
            ),
            A,
        ),
        (
            format!("dist/y: {}\nrunc.arm64:\n{}\n", in_groups(B), in_groups(A)),
            A,
        ),
        (in_groups(A), A),
    ];
    found_in(&table);
}

fn found_in(table: &[(String, &str)]) {
    for (text, wanted) in table {
        let found = find(text, "runc.arm64").unwrap();
        assert_eq!(found.as_ref().map(Digest::hex), Some(*wanted), "{text}");
    }
}

#[test]
fn of_one_name_in_several_folders_the_urls_own_counts() {
    let text = format!("{B}  bin/linux/amd64/kubectl\n{A}  bin/linux/arm64/kubectl\n");
    let of = |url: &str| find(&text, url).map(|digest| digest.unwrap().hex().to_owned());
    assert_eq!(
        of("https://x.example/v1/bin/linux/arm64/kubectl").unwrap(),
        A
    );
    assert_eq!(
        of("https://x.example/v1/bin/linux/amd64/kubectl?a=/b").unwrap(),
        B
    );
    assert!(of("kubectl").is_err());
    let text = format!("{A}  tool-1+k3s\n{B}  other\n");
    assert!(
        find(&text, "https://x.example/tool-1%2Bk3s")
            .unwrap()
            .is_some()
    );
}

#[test]
fn what_is_no_checksum_file() {
    let table = [
        (String::new(), "empty"),
        (" \n".to_owned(), "empty"),
        ("<!DOCTYPE html><html>".to_owned(), "web page"),
        ("Not Found".to_owned(), "is not a line"),
        (
            "d41d8cd98f00b204e9800998ecf8427e  x".to_owned(),
            "by MD5 alone",
        ),
        (format!("SHA3-256 (x) = {A}"), "by SHA3-256 alone"),
        (format!("# BLAKE2s HASH\n{A}  x"), "by BLAKE2s alone"),
        (format!("{}g", &A[1..]), "is not a line"),
        (format!("{A}  x\n{B}  x\n"), "two digests for x"),
        (format!("{A}  a/x\n{B}  b/x\n"), "two digests for x"),
        (format!("{A}\n{B}\n"), "without a file name"),
        (
            format!("x:\n  sha256: {A}\ny:\n  sha256: {B}\n"),
            "whose is it",
        ),
        ("x: AAAAAAAA BBBBBBBB".to_owned(), "is not a line"),
        (format!("{A}  y\n{B}\n"), "without a file name"),
        (format!("{SIGNED}\nHash: SHA512\n\n{A}  x\n"), "cut short"),
        (signed(""), "states no digest"),
    ];
    for (text, wanted) in table {
        let error = find(&text, "x").unwrap_err().to_string();
        assert!(error.contains(wanted), "{text:?}: {error}");
    }
}
