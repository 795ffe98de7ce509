//! `--seed PATH`: a directory that the caller names.
use super::{Found, Search, directory};
use crate::root::Root;

pub(super) fn find(search: &Search<'_>) -> Found {
    let Some(path) = search.seed else {
        return Found::Absent(Vec::new());
    };
    if path.is_file() {
        let line = format!(
            "{}: is a file; give the directory that holds meta-data and user-data",
            path.display()
        );
        return Found::Absent(vec![line]);
    }
    match Root::open(path) {
        Ok(root) => directory::read(&root, "/"),
        Err(error) => Found::Absent(vec![format!("{}: {error}", path.display())]),
    }
}
