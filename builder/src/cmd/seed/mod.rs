//! `nodeimg seed`: what a node is given, made and checked on this machine.

pub mod check;
mod fleet;
mod new;

use anyhow::Result;

use super::Session;
use crate::cli::SeedVerb;

pub fn run(session: &Session<'_>, verb: &SeedVerb) -> Result<()> {
    match verb {
        SeedVerb::Check(args) => check::run(session, args),
        SeedVerb::New(args) => new::run(session, args),
        SeedVerb::Ca(args) => new::authority(session, args),
        SeedVerb::Token(args) => new::token(session, args),
    }
}
