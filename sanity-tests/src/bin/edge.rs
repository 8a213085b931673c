//! Runs the cases of virtual edge nodes, for `hack/edge`.

#![allow(clippy::print_stdout)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use sanity_tests::edge::cases::{CASES, Case};
use sanity_tests::edge::guest::Image;

/// A case that takes longer hangs: the longest takes two minutes on two idle cores.
const LONGEST: Duration = Duration::from_secs(900);

#[derive(Debug, Parser)]
struct Args {
    /// Debian's kernel
    #[arg(long)]
    kernel: PathBuf,
    /// The initramfs
    #[arg(long)]
    image: PathBuf,
    /// Names of cases; `core` for the short ones, `list` to see them all; all if none is named
    cases: Vec<String>,
}

fn chosen(names: &[String]) -> Result<Vec<&'static Case>, String> {
    match names {
        [] => Ok(CASES.iter().collect()),
        [one] if one == "core" => Ok(CASES.iter().filter(|case| case.core).collect()),
        names => names
            .iter()
            .map(|name| {
                let known: Vec<&str> = CASES.iter().map(|case| case.name).collect();
                let found = CASES.iter().find(|case| case.name == name);
                found.ok_or_else(|| {
                    format!("case: {name:?} is not allowed; allowed: core, list, {}", known.join(", "))
                })
            })
            .collect(),
    }
}

#[tokio::main]
async fn main() -> Result<(), String> {
    let args = Args::parse();
    if args.cases == ["list"] {
        CASES.iter().for_each(|case| println!("{}{}", case.name, if case.core { " (core)" } else { "" }));
        return Ok(());
    }
    let image = Image { kernel: args.kernel, initrd: args.image };
    let (mut passed, mut failed) = (0, 0);
    for case in chosen(&args.cases)? {
        let begun = Instant::now();
        let ended = tokio::time::timeout(LONGEST, (case.run)(&image)).await;
        let seconds = begun.elapsed().as_secs();
        match ended {
            Ok(Ok(seen)) => {
                passed += 1;
                println!("passed {seconds:>4} s  {}: {seen}", case.name);
            }
            Ok(Err(words)) => {
                failed += 1;
                println!("FAILED {seconds:>4} s  {}: {words}", case.name);
            }
            Err(_) => {
                failed += 1;
                println!("FAILED {seconds:>4} s  {}: it hangs", case.name);
            }
        }
    }
    println!("{passed} passed, {failed} failed, 0 skipped");
    if failed == 0 { Ok(()) } else { Err("a case failed".to_owned()) }
}
