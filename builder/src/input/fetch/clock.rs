//! A wrong clock, which looks like a bad certificate.
//!
//! The server's own word for the time is not to be trusted, since its certificate is not;
//! it is for the message alone.

use std::time::Duration;

use nodeimg_values::date::Date;
use reqwest::{Url, header};
use rustls::{CertificateError, Error};

use super::failure::Failure;
use super::head::text;
use super::note::stamp;
use super::tls;

/// For the server's word.
const WAIT: Duration = Duration::from_secs(5);

/// Clocks that differ by less than a day are right enough.
const NEAR: u64 = 24 * 3600;

/// A certificate's validity, of which the time is outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outside {
    /// It begins then.
    Before(Option<Date>),
    /// It ended then.
    After(Option<Date>),
}

/// The failure of a request for `url` that got no answer.
pub(super) async fn of_send(error: reqwest::Error, url: &Url) -> Failure {
    let Some(outside) = tls::error(&error).and_then(outside) else {
        return Failure::of_send(error);
    };
    let (Ok(now), theirs) = (Date::now(), ask(url).await) else {
        return Failure::of_send(error);
    };
    Failure::Tls(told(outside, now, theirs))
}

fn outside(error: &Error) -> Option<Outside> {
    let date = |time: &rustls::pki_types::UnixTime| Some(Date(time.as_secs()));
    let Error::InvalidCertificate(why) = error else {
        return None;
    };
    Some(match why {
        CertificateError::NotValidYet => Outside::Before(None),
        CertificateError::NotValidYetContext { not_before, .. } => {
            Outside::Before(date(not_before))
        }
        CertificateError::Expired => Outside::After(None),
        CertificateError::ExpiredContext { not_after, .. } => Outside::After(date(not_after)),
        _ => return None,
    })
}

fn told(outside: Outside, now: Date, theirs: Option<Date>) -> String {
    let at = |date: Option<Date>| date.map_or_else(String::new, |date| format!(" {}", stamp(date)));
    let what = match outside {
        Outside::Before(from) => format!("is not valid before{}", at(from)),
        Outside::After(until) => format!("has expired{}", at(until)),
    };
    let word = theirs.map_or_else(String::new, |date| {
        format!(", and the server says that it is {}", stamp(date))
    });
    let is_near = theirs.map(|date| date.0.abs_diff(now.0) < NEAR);
    let remedy = match (is_near, outside) {
        (Some(true), _) => {
            "the clocks agree, so whoever runs the server has to renew its certificate: use \
             another mirror until then"
        }
        (Some(false), _) | (None, Outside::Before(_)) => {
            "this machine's clock is most likely wrong: set it"
        }
        (None, Outside::After(_)) => {
            "check this machine's clock; if it is right, whoever runs the server has to renew its \
             certificate"
        }
    };
    format!(
        "the server's certificate {what}; this machine's clock says {}{word} ({remedy})",
        stamp(now)
    )
}

/// The `Date` of the server of `url`, which is asked for nothing else and given nothing.
async fn ask(url: &Url) -> Option<Date> {
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(WAIT)
        .tls_danger_accept_invalid_certs(true)
        .build()
        .ok()?;
    let root = format!("{}/", url.origin().ascii_serialization());
    let response = http.head(root).send().await.ok()?;
    Date::from_release(text(response.headers(), &header::DATE)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_told_from_an_old_certificate() {
        let (y2020, y2026) = (Date(1_577_836_800), Date(1_790_000_000));
        for (outside, now, theirs, wanted) in [
            (
                Outside::Before(Some(y2026)),
                y2020,
                None,
                "not valid before 2026-09-21 14:13:20 UTC; this machine's clock says 2020-01-01 \
                 00:00:00 UTC (this machine's clock is most likely wrong",
            ),
            (
                Outside::After(Some(y2020)),
                y2026,
                Some(Date(y2020.0 + 9)),
                "says that it is 2020-01-01 00:00:09 UTC (this machine's clock is",
            ),
            (
                Outside::After(Some(y2020)),
                y2026,
                Some(y2026),
                "renew its certificate: use another",
            ),
            (
                Outside::After(None),
                y2026,
                None,
                "has expired; this machine's clock says",
            ),
        ] {
            let text = told(outside, now, theirs);
            assert!(text.contains(wanted), "{text}");
        }
    }
}
