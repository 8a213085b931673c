//! The counted checks: a line a case, and at the end `N passed, N failed, N skipped`, which hack/test adds up.

use std::process::ExitCode;

use crate::error::Error;

/// How many cases have passed so far.
#[derive(Default)]
pub(crate) struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// A case passes if nothing is found.
    pub(crate) fn check(&mut self, name: &str, found: Result<Vec<String>, Error>) {
        let found = found.unwrap_or_else(|error| vec![error.chain()]);
        if found.is_empty() {
            self.passed += 1;
            println!("passed  {name}");
        } else {
            self.failed += 1;
            println!("FAILED  {name}");
            found.iter().flat_map(|finding| finding.lines()).for_each(|line| println!("        {line}"));
        }
    }

    /// Counts a case that is printed elsewhere.
    pub(crate) fn count(&mut self, passed: bool) {
        *(if passed { &mut self.passed } else { &mut self.failed }) += 1;
    }

    /// Prints the sum; fails if a case has failed.
    pub(crate) fn finish(&self) -> ExitCode {
        println!("{self}");
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, 0 skipped", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_with_findings_and_one_that_cannot_be_made_fail() {
        let mut tally = Tally::default();
        tally.check("well", Ok(Vec::new()));
        tally.check("found", Ok(vec!["one\ntwo".to_owned()]));
        tally.check("not made", Err(Error::Tool("helm".into(), "not there".into())));
        assert_eq!(tally.to_string(), "1 passed, 2 failed, 0 skipped");
        assert_eq!(tally.finish(), ExitCode::FAILURE);
    }
}
