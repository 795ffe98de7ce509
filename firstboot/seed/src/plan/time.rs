//! Time servers, as the program of the image that keeps the time reads them.
use super::programs::{self, CHRONY};
use super::{Image, PlannedFile};
use crate::check::Extras;
use crate::contract::paths::{CHRONY_SOURCES, TIME_SERVERS};
use crate::text::problem::Located;

/// `None` if the seed names no server.
pub(super) fn file(extras: &Extras, image: &dyn Image) -> Option<PlannedFile> {
    let all = extras.time_servers.iter().chain(&extras.time_pools);
    let all: Vec<&str> = all.map(|server| server.value.as_str()).collect();
    if all.is_empty() {
        return None;
    }
    let file = match programs::keeps_time(image) {
        CHRONY => {
            let mut text = sources("server", &extras.time_servers);
            text.push_str(&sources("pool", &extras.time_pools));
            PlannedFile::public(CHRONY_SOURCES, &text)
        }
        _ => PlannedFile::public(TIME_SERVERS, &format!("[Time]\nNTP={}\n", all.join(" "))),
    };
    Some(file)
}

/// Lines of [chrony.conf(5)](https://manpages.debian.org/chrony.conf).
fn sources(kind: &str, servers: &[Located<String>]) -> String {
    let mut text = String::new();
    for server in servers {
        for word in [kind, " ", &server.value, " iburst\n"] {
            text.push_str(word);
        }
    }
    text
}
