//! `cargo xtask mutants FILE`: how many of the mutants of cargo-mutants' outcomes the tests have killed.

use std::path::Path;
use std::process::ExitCode;

use serde::Deserialize;

use crate::error::Error;
use crate::files::read;

/// Of a hundred mutants so many must be killed.
const WANTED_PERCENT: u64 = 95;

/// What `mutants.out/outcomes.json` sums up. A mutant that does not compile says nothing of the tests.
#[derive(Deserialize)]
struct Outcomes {
    caught: u64,
    missed: u64,
    timeout: u64,
}

impl Outcomes {
    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// A test that does not end has failed as well.
    fn killed(&self) -> u64 {
        self.caught + self.timeout
    }

    fn all(&self) -> u64 {
        self.killed() + self.missed
    }

    /// Where nothing was tried, nothing is shown.
    fn are_enough(&self) -> bool {
        self.all() > 0 && self.killed() * 100 >= self.all() * WANTED_PERCENT
    }
}

/// Prints the sum; fails if it is too small.
pub(crate) fn check(file: &Path) -> Result<ExitCode, Error> {
    let outcomes = Outcomes::parse(&read(file)?);
    let outcomes = outcomes.map_err(|error| Error::Unreadable(file.to_owned(), error.to_string()))?;
    println!("{} of {} mutants killed", outcomes.killed(), outcomes.all());
    Ok(if outcomes.are_enough() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcomes(caught: u64, timeout: u64, missed: u64) -> Outcomes {
        Outcomes { caught, missed, timeout }
    }

    #[test]
    fn nineteen_of_twenty_are_enough() {
        assert!(outcomes(18, 1, 1).are_enough());
        assert!(!outcomes(37, 0, 2).are_enough());
    }

    #[test]
    fn without_a_mutant_nothing_is_shown() {
        assert!(!outcomes(0, 0, 0).are_enough());
    }

    #[test]
    fn outcomes_are_read_as_cargo_mutants_writes_them() {
        let text = r#"{"outcomes": [], "total_mutants": 9, "missed": 1, "caught": 5, "timeout": 1, "unviable": 2, "success": 0}"#;
        let outcomes = Outcomes::parse(text).unwrap();
        assert_eq!((outcomes.killed(), outcomes.all()), (6, 7));
    }
}
