//! PEM text: blocks, labels, base64, and whether the outermost DER element
//! fills its block. Spec: <https://www.rfc-editor.org/rfc/rfc7468>.
//!
//! This finds what goes wrong on the way into a seed: a cut, an indented or a
//! wrong file. What the certificate says is not looked at here.
//!
//! # Invariants
//! Errors tell the line, never the content: it may be a private key.
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// What is wrong, and in which line of the text, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PemError {
    pub line: usize,
    pub reason: String,
}

struct Block {
    label: String,
    line: usize,
    der: Zeroizing<Vec<u8>>,
}

/// Checks that the text is one or more certificates and nothing else.
pub fn check_certificates(text: &str) -> Result<(), PemError> {
    for block in blocks(text)? {
        if block.label != "CERTIFICATE" {
            let reason = format!("is a {}, but must be a CERTIFICATE", block.label);
            return Err(PemError {
                line: block.line,
                reason,
            });
        }
        check_der(&block)?;
    }
    Ok(())
}

/// Checks that the text holds exactly one private key that needs no password.
pub fn check_private_key(text: &str) -> Result<(), PemError> {
    let mut keys = 0;
    for block in blocks(text)? {
        match block.label.as_str() {
            "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => keys += 1,
            // openssl ecparam writes the curve in a block of its own before the key.
            "EC PARAMETERS" => continue,
            "ENCRYPTED PRIVATE KEY" => {
                let reason = "is a private key with a password".to_owned();
                return Err(PemError {
                    line: block.line,
                    reason,
                });
            }
            label => {
                let reason = format!("is a {label}, but must be a PRIVATE KEY");
                return Err(PemError {
                    line: block.line,
                    reason,
                });
            }
        }
        check_der(&block)?;
    }
    match keys {
        1 => Ok(()),
        0 => Err(PemError {
            line: 1,
            reason: "holds no PRIVATE KEY".to_owned(),
        }),
        _ => Err(PemError {
            line: 1,
            reason: "holds more than one PRIVATE KEY".to_owned(),
        }),
    }
}

/// The content of every certificate, with the line that it begins in. Damage is for
/// [`check_certificates`] to report.
pub fn certificates(text: &str) -> Vec<(usize, Zeroizing<Vec<u8>>)> {
    let blocks = blocks(text).unwrap_or_default().into_iter();
    let certificates = blocks.filter(|block| block.label == "CERTIFICATE");
    certificates.map(|block| (block.line, block.der)).collect()
}

/// The content of the private key.
pub fn private_key(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut blocks = blocks(text).ok()?.into_iter();
    blocks
        .find(|block| block.label.ends_with("PRIVATE KEY"))
        .map(|block| block.der)
}

#[cfg(test)]
pub(crate) fn first_block(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut blocks = blocks(text).ok()?.into_iter();
    blocks
        .find(|block| block.label != "EC PARAMETERS")
        .map(|block| block.der)
}

/// The text as it is written to a file: line feeds only, one at the end of each
/// line and nothing before it, since other readers of PEM take boundaries to the letter.
pub fn normalised(text: &str) -> String {
    // Of its whole length at once: it may be a private key, and leaves no copies.
    let mut lines = String::with_capacity(text.len() + 1);
    for line in text.trim().lines() {
        lines.push_str(line.trim_end());
        lines.push('\n');
    }
    lines
}

fn blocks(text: &str) -> Result<Vec<Block>, PemError> {
    let fail = |line: usize, reason: &str| {
        Err(PemError {
            line,
            reason: reason.to_owned(),
        })
    };
    let mut blocks = Vec::new();
    let mut open: Option<(&str, usize, Zeroizing<String>)> = None;
    for (index, raw) in text.lines().enumerate() {
        let number = index + 1;
        let line = raw.trim_end();
        if line.starts_with([' ', '\t']) && (open.is_some() || line.contains("-----")) {
            return fail(number, "is indented; PEM lines must not be");
        }
        match (
            label(line, "-----BEGIN "),
            label(line, "-----END "),
            open.as_mut(),
        ) {
            (Some(name), _, None) => open = Some((name, number, Zeroizing::new(String::new()))),
            (Some(_), _, Some(_)) => return fail(number, "starts a block inside another one"),
            (_, Some(name), Some((begun, line, body))) => {
                if name != *begun {
                    return fail(
                        number,
                        "ends a different block than the one that was started",
                    );
                }
                let Ok(der) = STANDARD.decode(body.as_bytes()) else {
                    return fail(*line, "starts a block that is not valid base64");
                };
                blocks.push(Block {
                    label: name.to_owned(),
                    line: *line,
                    der: Zeroizing::new(der),
                });
                open = None;
            }
            (_, Some(_), None) => return fail(number, "ends a block that was not started"),
            (None, None, Some(_)) if line.contains(':') => {
                return fail(
                    number,
                    "is a header, as keys with a password have; use a key without a password",
                );
            }
            (None, None, Some((_, _, body))) => body.push_str(line),
            (None, None, None) => {}
        }
    }
    match open {
        Some((_, line, _)) => fail(line, "starts a block that does not end"),
        None if blocks.is_empty() && text.contains("\\n") => {
            fail(1, "has `\\n` written out instead of line breaks")
        }
        None if blocks.is_empty() => fail(1, "is not PEM (`-----BEGIN ...-----`)"),
        None => Ok(blocks),
    }
}

/// The label of a boundary line. Unknown labels could be anything, so only
/// capitals, digits and blanks pass.
fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    let name = line.strip_prefix(start)?.strip_suffix("-----")?;
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    (name.len() <= 40 && name.chars().all(plain)).then_some(name)
}

/// One SEQUENCE that spans the block: a cut file fails here.
fn check_der(block: &Block) -> Result<(), PemError> {
    let fits = match block.der.as_slice() {
        [0x30, short @ 0..=0x7f, rest @ ..] => usize::from(*short) == rest.len(),
        [0x30, 0x81, long, rest @ ..] => usize::from(*long) == rest.len(),
        [0x30, 0x82, high, low, rest @ ..] => {
            usize::from(*high) << 8 | usize::from(*low) == rest.len()
        }
        [0x30, 0x83, high, middle, low, rest @ ..] => {
            usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low) == rest.len()
        }
        _ => false,
    };
    if fits {
        return Ok(());
    }
    let reason = format!("starts a {} that is truncated or damaged", block.label);
    Err(PemError {
        line: block.line,
        reason,
    })
}

#[cfg(test)]
pub(crate) mod samples {
    //! Well-formed to this module, and nothing else: no key is in here.
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    pub(crate) fn block(label: &str, payload: &[u8]) -> String {
        let mut der = vec![0x30, 0x82];
        der.extend(u16::try_from(payload.len()).unwrap_or(0).to_be_bytes());
        der.extend(payload);
        let body = STANDARD.encode(der);
        let lines: Vec<String> = body
            .as_bytes()
            .chunks(64)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect();
        format!(
            "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
            lines.join("\n")
        )
    }

    pub(crate) fn cert() -> String {
        block("CERTIFICATE", &[7; 300])
    }

    pub(crate) fn key() -> String {
        block("PRIVATE KEY", &[9; 200])
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::samples::{block, cert, key};
    use super::{check_certificates, check_private_key, normalised};

    #[test]
    fn accepts() {
        check_certificates(&cert()).unwrap();
        check_certificates(&format!("subject=CN\n{}\n\n{}", cert(), cert())).unwrap();
        check_certificates(&cert().replace('\n', "\r\n")).unwrap();
        check_private_key(&key()).unwrap();
        let curve =
            "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        check_private_key(&format!("{curve}{}", block("EC PRIVATE KEY", &[1; 100]))).unwrap();
        assert_eq!(normalised("\na\r\nb\n\n"), "a\nb\n");
        // What passes the check is written so that every reader of PEM takes it.
        let doubled = cert().replace('\n', "\r\r\n");
        check_certificates(&doubled).unwrap();
        assert_eq!(normalised(&doubled), cert());
        let blanks = cert().replace("-----\n", "-----\u{a0} \n");
        check_certificates(&blanks).unwrap();
        assert_eq!(normalised(&blanks), cert());
    }

    #[test]
    fn refuses() {
        let indented = cert().replace("-----\n", "-----\n  ");
        let body_cut = cert().replacen("BwcH", "", 1);
        let missing_end = cert().replace("-----END CERTIFICATE-----", "");
        for (text, line, expected) in [
            (String::new(), 1, "is not PEM"),
            ("/etc/ssl/ca.pem".to_owned(), 1, "is not PEM"),
            (cert().replace('\n', "\\n"), 1, "`\\n` written out"),
            (key(), 1, "is a PRIVATE KEY, but must be a CERTIFICATE"),
            (indented, 2, "is indented"),
            (body_cut, 1, "is truncated or damaged"),
            (missing_end, 1, "does not end"),
            (cert().replacen("BwcH", "B!cH", 1), 1, "not valid base64"),
            (
                cert().replace("END CERTIFICATE", "END CERT"),
                9,
                "ends a different block",
            ),
            (
                format!(
                    "{}{}",
                    cert(),
                    "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
                ),
                10,
                "damaged",
            ),
        ] {
            let error = check_certificates(&text).unwrap_err();
            assert!(error.reason.contains(expected), "{expected}: {error:?}");
            assert_eq!(error.line, line, "{expected}: {error:?}");
        }
        let encrypted = key().replace(
            "-----BEGIN PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n",
        );
        for (text, expected) in [
            (cert(), "is a CERTIFICATE, but must be a PRIVATE KEY"),
            (block("ENCRYPTED PRIVATE KEY", &[1]), "with a password"),
            (encrypted, "with a password"),
            (format!("{}{}", key(), key()), "more than one"),
            (
                "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----"
                    .to_owned(),
                "holds no PRIVATE KEY",
            ),
        ] {
            let error = check_private_key(&text).unwrap_err();
            assert!(error.reason.contains(expected), "{expected}: {error:?}");
        }
    }
}
