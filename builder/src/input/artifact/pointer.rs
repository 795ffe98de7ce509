//! What version control keeps in the place of a large file.

/// What to do about one.
pub const REMEDY: &str =
    "fetch the files themselves before the build, as with `git lfs pull` or `git annex get`";

/// The kind of a pointer, by a file's first bytes: of
/// [git-lfs](https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md) or
/// [git-annex](https://git-annex.branchable.com/internals/pointer_file/).
pub fn of(head: &[u8]) -> Option<&'static str> {
    let lfs = [
        &b"version https://git-lfs.github.com/spec/"[..],
        b"version https://hawser.github.com/spec/",
    ];
    if lfs.iter().any(|start| head.starts_with(start)) {
        return Some("a pointer of git-lfs");
    }
    head.starts_with(b"/annex/objects/")
        .then_some("a pointer of git-annex")
}
