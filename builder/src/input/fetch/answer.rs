//! Whether a server's answer is what a download asked for.

use nodeimg_values::full::Writing;
use reqwest::StatusCode;

use super::failure::Failure;
use super::head::{ContentRange, Head};
use super::transfer::Transfer;
use crate::store::Partial;

/// A page in the place of what a registry has.
pub(super) fn page() -> Failure {
    Failure::Refused(
        "a web page (HTML) came in the place of the image: something between this machine and \
         the registry answers for it, or the mirror requires a login"
            .to_owned(),
    )
}

impl Transfer<'_> {
    /// Looks at an answer's head, and makes `partial`, which holds `had` bytes,
    /// ready for its body. Gives the size of the whole file, if the server
    /// tells.
    pub(super) fn accept(
        &self,
        head: &Head,
        partial: &mut Partial<'_>,
        had: u64,
    ) -> Result<Option<u64>, Failure> {
        if head.code.is_success() {
            self.check_body(head)?;
        }
        match head.code {
            StatusCode::OK => {
                if had > 0 {
                    self.restart(partial)?;
                }
                partial
                    .set_validator(head.validator.as_deref())
                    .while_writing("writing to the store")
                    .map_err(Failure::Local)?;
                self.check_total(head.length, 0)
            }
            StatusCode::PARTIAL_CONTENT if had > 0 => {
                if !head
                    .range
                    .is_some_and(|range| fits(range, had, head.length))
                {
                    return Err(Failure::BadResume(format!(
                        "the server sends other bytes than those requested, from {had} on"
                    )));
                }
                self.check_total(head.range.and_then(|range| range.total), had)
            }
            StatusCode::RANGE_NOT_SATISFIABLE if had > 0 => {
                // All of it may be there already: then the file ends here.
                match head.range.and_then(|range| range.total) {
                    Some(total) if total == had => self.check_total(Some(total), had),
                    _ => Err(Failure::BadResume(format!(
                        "the server has no bytes from {had} on"
                    ))),
                }
            }
            StatusCode::PARTIAL_CONTENT => Err(Failure::Refused(
                "the server sends a part of the file that was not requested".to_owned(),
            )),
            code if code.is_success() => Err(Failure::Refused(format!(
                "the server answers {code}, not with a file"
            ))),
            code => Err(Failure::Status {
                code,
                retry_after: head.retry_after,
                note: head.note.clone(),
            }),
        }
    }

    /// That the body can be what was asked for. With a digest the bytes themselves will
    /// tell; without one nothing else does.
    fn check_body(&self, head: &Head) -> Result<(), Failure> {
        // A page to sign in, or of a proxy: no registry has anything of that kind.
        if self.request.accept.is_some() && head.is_page {
            return Err(page());
        }
        if self.request.has_digest() {
            return Ok(());
        }
        let mut packed = [".gz", ".tgz", ".zst", ".xz", ".br"].iter();
        // Some servers state the file's own packing there.
        if !packed.any(|end| self.request.url.ends_with(end)) {
            head.check_packing()?;
        }
        if !head.is_framed {
            return Err(Failure::Refused(
                "the server does not say where the file ends, so that a cut one could not be told: \
                 set the artifact's `checksum`, or use another mirror"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Compares the announced size with the known one and the limit.
    pub(super) fn check_total(&self, total: Option<u64>, had: u64) -> Result<Option<u64>, Failure> {
        let Some(total) = total else {
            return Ok(None);
        };
        if let Some(size) = self.request.want.size.filter(|&size| size != total) {
            let pinned = self.options.pinned;
            let text = format!("the server's file has {total} bytes, but {pinned} says {size}");
            // The partial may belong to another file, whose size was right.
            return Err(if had > 0 {
                Failure::BadResume(text)
            } else {
                Failure::Refused(text)
            });
        }
        if total > self.limit() {
            return Err(self.too_long());
        }
        self.download.size(total);
        Ok(Some(total))
    }

    pub(super) fn limit(&self) -> u64 {
        let size = self.request.want.size.unwrap_or(u64::MAX);
        size.min(self.request.max_size)
    }

    pub(super) fn too_long(&self) -> Failure {
        Failure::Refused(match self.request.want.size {
            Some(size) if size <= self.request.max_size => {
                let pinned = self.options.pinned;
                format!("the server sends more than the {size} bytes in {pinned}")
            }
            _ => format!(
                "the file is longer than {} bytes, the limit for it",
                self.request.max_size
            ),
        })
    }
}

/// Whether this is the part from `had` on, or the beginning of it, as the body's
/// `length` says too.
fn fits(range: ContentRange, had: u64, length: Option<u64>) -> bool {
    let Some((first, last)) = range.part else {
        return false;
    };
    let part = last.checked_sub(first).and_then(|n| n.checked_add(1));
    first == had
        && part.is_some_and(|part| length.is_none_or(|length| length == part))
        && range.total.is_none_or(|total| last < total)
}
