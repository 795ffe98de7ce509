//! Every change of the disk passes a gate before it is made. A node lets all of them
//! pass; the tests stop a run at each (a power cut) or let it fail there (a full,
//! read-only or broken disk).
//!
//! # Invariants
//! - One call of [`Gate::pass`] comes before each system call that changes the content
//!   of a disk, or makes a change durable; none covers two.
use std::io;

/// The change that is about to be made to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    MakeDirectory,
    /// A file or a link under its temporary name.
    Create,
    /// A part of the content.
    Write,
    /// Mode and owner.
    Own,
    Sync,
    Rename,
    /// Zeros, or a mark, over the existing content.
    Overwrite,
    Remove,
    /// Leftovers of a failed change are removed.
    CleanUp,
    /// Renames and removals in the directory of the path become durable.
    SyncDirectory,
}

/// Asked before each change; an error stands for that of the system call.
pub(crate) trait Gate {
    fn pass(&mut self, change: Change, path: &str) -> io::Result<()>;
}

/// Lets everything pass.
pub(crate) struct Open;

impl Gate for Open {
    fn pass(&mut self, _change: Change, _path: &str) -> io::Result<()> {
        Ok(())
    }
}
