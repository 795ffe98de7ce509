//! Whom TLS trusts on a system without CA certificates; why there is no connection, and what
//! the user can do.

use std::error::Error;
use std::io;

use reqwest::Certificate;

/// The variables that name CA certificates, as OpenSSL and rustls read them.
const NAMED: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Mozilla's, for a system that has none. Whoever names others has chosen: without any in
/// them plain mirrors still work, and https fails with a message that says what to install.
pub(super) fn own_roots() -> Vec<Certificate> {
    roots_unless(NAMED.iter().any(|name| std::env::var_os(name).is_some()))
}

fn roots_unless(named: bool) -> Vec<Certificate> {
    if named {
        return Vec::new();
    }
    let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    all.filter_map(|der| Certificate::from_der(der).ok())
        .collect()
}

pub(super) fn text(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            let file = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
            let unread = file.and_then(|file| Some((std::fs::metadata(&file).err()?, file)));
            let unread = unread.map_or_else(String::new, |(e, file)| {
                format!(
                    "; SSL_CERT_FILE names {}, which cannot be read: {e}",
                    file.display()
                )
            });
            format!(
                "the server's certificate is signed by a CA that this machine does not know \
                 (install ca-certificates, or name the CA's PEM file in SSL_CERT_FILE){unread}"
            )
        }
        Error::InvalidCertificate(why) => {
            format!(
                "the server's certificate is rejected: {why} (check the URL and this machine's \
                 clock)"
            )
        }
        Error::InvalidMessage(why) => {
            format!("the server does not speak TLS on this port ({why:?})")
        }
        other => format!("no TLS connection: {other}"),
    }
}

/// The TLS library's own error somewhere below `error`.
pub(super) fn error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // io::Error's source() is its payload's source: look at the payload too.
        let payload = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match payload {
            Some(payload) => Some(payload),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_roots_are_not_added_to_those_that_somebody_named() {
        assert!(roots_unless(true).is_empty());
        assert_eq!(
            roots_unless(false).len(),
            webpki_root_certs::TLS_SERVER_ROOT_CERTS.len()
        );
    }
}
