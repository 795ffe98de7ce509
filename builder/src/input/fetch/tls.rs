//! Why there is no TLS connection, and what the user can do.

use std::error::Error;
use std::io;

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
