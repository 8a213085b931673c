//! `eckctl`.

use std::process::ExitCode;

use clap::Parser as _;
use eckctl::args::Args;

fn main() -> ExitCode {
    eckctl::run::main(Args::parse())
}
