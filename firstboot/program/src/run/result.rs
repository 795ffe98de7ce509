//! What a run reads and what it leaves: the image's settings, and the report.
use nodeimg_seed::contract::report::{RESULT_PATH, Report};
use nodeimg_seed::contract::settings::{ImageSettings, SETTINGS_PATH};
use nodeimg_seed::text::problem::{Place, Problems};
use serde::Serialize;

use crate::apply::remedy_for;
use crate::root::gate::Open;
use crate::root::{Access, Root};

const MAX_SETTINGS: usize = 1 << 20;
const MAX_REPORT: usize = 16 << 20;

pub(crate) fn read_settings(root: &Root, problems: &mut Problems) -> Option<ImageSettings> {
    let place = Place::file(root.shown(SETTINGS_PATH));
    let remedy = "boot an image made by nodeimg, or name its root with --root";
    match root.read(SETTINGS_PATH, MAX_SETTINGS) {
        Ok(Some(bytes)) => ImageSettings::from_json(&bytes)
            .map_err(|error| problems.error(&place, error.to_string(), ""))
            .ok(),
        Ok(None) => {
            problems.error(
                &place,
                "does not exist: this image has no first boot",
                remedy,
            );
            None
        }
        Err(error) => {
            problems.error(&place, format!("cannot be read: {error}"), remedy);
            None
        }
    }
}

/// The report of this boot; `None` if there is none yet.
pub(crate) fn read(root: &Root) -> Option<Report> {
    let bytes = root.read(RESULT_PATH, MAX_REPORT).ok().flatten()?;
    Report::read(&bytes)
}

/// A failure to write the report must not hide the report.
pub(crate) fn write(root: &Root, report: &Report) {
    let written = report
        .to_json()
        .map_err(std::io::Error::other)
        .and_then(|text| root.replace(RESULT_PATH, text.as_bytes(), Access::PUBLIC, &mut Open));
    if let Err(error) = written {
        eprintln!(
            "nodeimg-firstboot: writing {}: {error}",
            root.shown(RESULT_PATH)
        );
    }
}

/// The report with what commands have added to it.
pub(crate) fn write_again(root: &Root, report: &Report) {
    let mut problems = Problems::new();
    keep(root, RESULT_PATH, report, &mut problems);
    for problem in problems.iter() {
        eprintln!("nodeimg-firstboot: {problem}");
    }
}

/// Writes a value as JSON.
pub(crate) fn keep(root: &Root, path: &str, value: &impl Serialize, problems: &mut Problems) {
    let written = serde_json::to_vec_pretty(value)
        .map_err(std::io::Error::other)
        .and_then(|bytes| root.replace(path, &bytes, Access::PUBLIC, &mut Open));
    if let Err(error) = written {
        problems.error(
            &Place::file(path),
            format!("cannot be written: {error}"),
            remedy_for(&error),
        );
    }
}
