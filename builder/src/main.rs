//! nodeimg: an immutable Kubernetes node image builder.
//!
//! Rooms, from the top; each uses those below it only (`tests/floors.rs` holds that).
//!
//! ```text
//! cmd      one verb a file
//! cli      what the command line may say
//! verify   whether an image is what somebody vouches for
//! publish  images in a registry
//! output   what a build writes: disks, archives, extensions, the manifest
//! image    from the inputs to the tree of an image
//! input    recipe, lock and the bytes that they name
//! tree     the files of an image, in memory
//! store    verified bytes on disk, by digest
//! programs what goes into images and is kept inside nodeimg
//! ```
//!
//! Packages of their own lie below: `machine` (QEMU, tests of images, seeds), `flash`
//! (devices), `formats` (byte formats) and `values`.

#[cfg(test)]
mod bench_tests;
mod cli;
mod cmd;
mod image;
mod input;
mod output;
mod programs;
mod publish;
mod store;
mod tree;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use nodeimg_seed::text::problem::printable;
use nodeimg_values::stdin;
use nodeimg_values::terminal::{Colour, painted};

/// musl's own has one lock for all threads.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    choose_temporary_folder();
    cli::answer(cli::whole);
    let cli = cli::Cli::from_process();
    match cmd::run(&cli) {
        Ok(code) => code,
        Err(error) => {
            let word = painted("error:", Colour::Red);
            eprintln!("{word} {}", shown(&stdin::named(format!("{error:#}"))));
            ExitCode::FAILURE
        }
    }
}

/// A system that holds nodeimg alone has no `/tmp`: what is removed at the end is in the working
/// directory then.
fn choose_temporary_folder() {
    if std::env::var_os("TMPDIR").is_none() && !std::env::temp_dir().is_dir() {
        // It refuses a second call only.
        let _ = tempfile::env::override_temp_dir(Path::new("."));
    }
}

/// An error quotes what archives, indexes and servers hold: nothing of that may
/// steer the terminal that it is printed on.
fn shown(error: &str) -> String {
    let lines: Vec<String> = error
        .split('\n')
        .map(|line| printable(line.to_owned()))
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_error_steers_no_terminal() {
        let hostile = "reading x\u{1b}]0;y\u{7}\nand a\rb";
        assert_eq!(
            super::shown(hostile),
            "reading x\\u{1b}]0;y\\u{7}\nand a\\rb"
        );
    }
}
