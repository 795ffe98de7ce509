//! `nodeimg-update`; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    nodeimg_update::verbs::main(std::env::args_os().skip(1))
}
