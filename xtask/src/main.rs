//! What the workspace checks of itself, and the few programs that its scripts need and no shell should hold.

#![expect(clippy::print_stdout, reason = "what a check finds is its output")]

mod error;
mod layers;
mod process;
mod rust;
mod workspace;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use error::Error;

#[derive(Parser)]
#[command(about = "Checks of the workspace itself")]
enum Command {
    /// Who may import whom, circles of files, lengths and names: the rules of xtask/layers.toml
    Layers,
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Layers => layers::check(root()),
    };
    match outcome {
        Ok(found) if found.is_empty() => ExitCode::SUCCESS,
        Ok(found) => {
            println!("{}", found.join("\n"));
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("xtask: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
