//! Where things are: the repository, the build directory, the program under test.
//!
//! Cargo tells an integration test at compile time (`CARGO_BIN_EXE_nodeimg`,
//! `CARGO_TARGET_TMPDIR`), but not the library that it uses. A test program is
//! `TARGET/PROFILE/deps/NAME-DIGEST`, from which the rest follows.

use std::path::{Path, PathBuf};

/// The top folder of the repository.
pub fn top() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap()
}

fn above_this_test(levels: usize) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().nth(levels);
    found
        .unwrap_or_else(|| panic!("{}", test.display()))
        .to_owned()
}

/// The `nodeimg` under test, which cargo builds for every integration test of its package.
pub fn nodeimg() -> PathBuf {
    above_this_test(2).join("nodeimg")
}

/// The build directory.
pub fn target() -> PathBuf {
    above_this_test(3)
}

/// Where tests leave logs and images: the build directory's `tmp`.
pub fn tmp() -> PathBuf {
    target().join("tmp")
}
