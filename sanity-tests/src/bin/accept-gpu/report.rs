//! The result: what was compared, what was measured, on which card, with which driver and commit.

use std::fmt;

use serde_json::{Value, json};

use crate::nvidia_smi::Card;

/// A comparison.
struct Check {
    what: String,
    passed: bool,
    detail: String,
}

/// The result so far.
pub(crate) struct Report {
    commit: String,
    cards: Vec<String>,
    driver: String,
    checks: Vec<Check>,
    measured: Vec<(String, f64)>,
}

impl Report {
    pub(crate) fn new(commit: &str, cards: &[Card]) -> Self {
        Self {
            commit: commit.to_owned(),
            cards: cards.iter().map(|card| card.name.clone()).collect(),
            driver: cards.first().map(|card| card.driver.clone()).unwrap_or_default(),
            checks: Vec::new(),
            measured: Vec::new(),
        }
    }

    /// Adds a comparison; `detail` says what is wrong, or what was found.
    pub(crate) fn check(&mut self, what: &str, passed: bool, detail: impl Into<String>) {
        self.checks.push(Check { what: what.to_owned(), passed, detail: detail.into() });
    }

    /// Adds a comparison of two values that must be equal.
    pub(crate) fn same<T: PartialEq + fmt::Debug>(&mut self, what: &str, plugin: T, expected: T) {
        let detail = format!("plugin {plugin:?}, expected {expected:?}");
        self.check(what, plugin == expected, detail);
    }

    pub(crate) fn measured(&mut self, what: &str, value: f64) {
        self.measured.push((what.to_owned(), value));
    }

    pub(crate) fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// The result file's content.
    pub(crate) fn to_text(&self) -> String {
        let check =
            |check: &Check| json!({"check": check.what, "passed": check.passed, "detail": check.detail});
        let measured: serde_json::Map<String, Value> =
            self.measured.iter().map(|(what, value)| (what.clone(), json!(value))).collect();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let report = json!({
            "cards": self.cards,
            "driver": self.driver,
            "commit": self.commit,
            "kernel": kernel.trim(),
            "passed": self.passed(),
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
            "measured": measured,
        });
        format!("{report:#}\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, driver {}, commit {}", self.cards.join(", "), self.driver, self.commit)?;
        for check in &self.checks {
            writeln!(f, "{:<6} {}", if check.passed { "passed" } else { "FAILED" }, check.what)?;
            if !check.passed {
                writeln!(f, "       {}", check.detail)?;
            }
        }
        for (what, value) in &self.measured {
            writeln!(f, "{value:>8.2} {what}")?;
        }
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        writeln!(f, "{} passed, {failed} failed", self.checks.len() - failed)
    }
}
