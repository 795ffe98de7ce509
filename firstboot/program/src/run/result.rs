//! What a run reads and what it leaves: the image's settings, and the report.
use nodeimg_seed::contract::report::{METRICS_PATH, RESULT_PATH, Report};
use nodeimg_seed::contract::settings::{ImageSettings, SETTINGS_PATH};
use nodeimg_seed::contract::stamp::MAX_STATE;
use nodeimg_seed::text::problem::{Place, Problems};
use serde::Serialize;

use crate::apply::remedy_for;
use crate::root::gate::Open;
use crate::root::{Access, Root};

const MAX_SETTINGS: usize = 1 << 20;

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
    let bytes = root.read(RESULT_PATH, MAX_STATE).ok().flatten()?;
    Report::read(&bytes)
}

/// A failure to write the report must not hide the report.
pub(crate) fn write(root: &Root, report: &Report) {
    let text = report.to_json().map_err(std::io::Error::other);
    let metrics = report.metrics();
    for (path, text) in [(RESULT_PATH, text), (METRICS_PATH, Ok(metrics))] {
        let put = |text: String| root.replace(path, text.as_bytes(), Access::PUBLIC, &mut Open);
        if let Err(error) = text.and_then(put) {
            eprintln!("nodeimg-firstboot: writing {}: {error}", root.shown(path));
        }
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
