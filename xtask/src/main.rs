//! What the workspace checks of itself, and the few programs that its scripts need and no shell should hold.

#![expect(clippy::print_stdout, reason = "what a check finds is its output")]

mod alerts;
mod charts;
mod coverage;
mod error;
mod files;
mod fuzz;
mod layers;
mod metrics;
mod mutants;
mod papers;
mod pattern;
mod process;
mod rust;
mod tally;
mod workspace;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};

use error::Error;

#[derive(Parser)]
#[command(about = "Checks of the workspace itself")]
enum Command {
    /// Who may import whom, circles of files, lengths and names: the rules of xtask/layers.toml
    Layers,
    /// Dashboards and alerts ask for metrics that exist
    Alerts,
    /// Dashboards and alerts ask for labels that exist, and the rules of the alerts hold: by Prometheus' own programs
    Metrics {
        /// Wrong names and labels are put into a copy, one at a time: each must be seen
        #[arg(long)]
        self_test: bool,
    },
    /// Values that the charts take and refuse, what they lock down, the guide's examples: without a cluster
    Charts,
    /// Every function of the CUDA driver is accounted for: gpu-plugin/vcuda/COVERAGE.md
    Coverage {
        /// Writes COVERAGE.md anew
        #[arg(long)]
        update: bool,
        /// Writes gpu-plugin/vcuda/symbols.txt anew from the headers in this folder, which hack/cuda-headers fetches
        #[arg(long, conflicts_with = "update", num_args = 0..=1, default_missing_value = ".cache/cuda/include")]
        symbols: Option<PathBuf>,
    },
    /// Every path and every command of the repository that a text in Markdown names is there
    Papers,
    /// How many mutants the tests have killed: for hack/mutants
    Mutants {
        /// outcomes.json of cargo-mutants
        outcomes: PathBuf,
    },
    /// Runs each fuzz target, from its corpus, and prints what each did
    Fuzz {
        /// What is found is added to the corpus: the smallest set of inputs that reaches the same code
        #[arg(long)]
        keep: bool,
        /// For each target, 60 if it is not said; 0 only replays the corpus. Then names of targets, all if none is said
        #[arg(value_name = "SECONDS] [TARGET")]
        words: Vec<String>,
    },
}

fn main() -> ExitCode {
    if let Some(code) = fuzz::compile_instead() {
        return code;
    }
    match run(Command::parse(), root()) {
        Ok(code) => code,
        Err(error) => {
            println!("xtask: {}", error.chain());
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, root: &Path) -> Result<ExitCode, Error> {
    match command {
        Command::Layers => layers::check(root).map(print),
        Command::Alerts => alerts::check(root),
        Command::Metrics { self_test: false } => metrics::check(root).map(print),
        Command::Metrics { self_test: true } => metrics::self_test(root).map(print),
        Command::Papers => papers::check(root, command_names()).map(print),
        Command::Mutants { outcomes } => mutants::check(&outcomes),
        Command::Charts => charts::check(root),
        Command::Coverage { symbols: Some(headers), .. } => {
            coverage::write_symbols(root, &headers).map(print)
        }
        Command::Coverage { symbols: None, update } => coverage::check(root, update).map(print),
        Command::Fuzz { keep, words } => fuzz::run(root, &fuzz::Plan::parse(root, &words, keep)?),
    }
}

/// The names of this program's own commands.
fn command_names() -> Vec<String> {
    Command::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// A check succeeds if it finds nothing.
fn print(found: Vec<String>) -> ExitCode {
    if found.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("{}", found.join("\n"));
    ExitCode::FAILURE
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}
