//! Where temporary files lie.

use std::env;
use std::path::{Path, PathBuf};

/// Where large ones may lie: `/tmp` is in memory on many systems.
pub fn large() -> PathBuf {
    let large = Path::new("/var/tmp");
    if env::var_os("TMPDIR").is_none() && large.is_dir() {
        large.to_owned()
    } else {
        env::temp_dir()
    }
}
