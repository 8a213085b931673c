//! What the controller does not keep today, each with its number in the findings of issue 18. The list may only shrink: an
//! entry whose operation breaks nothing any more fails the test.

/// Operations that break something in a dialect.
pub(crate) struct Known {
    pub(crate) dialect: &'static str,
    pub(crate) operations: &'static [&'static str],
    pub(crate) finding: &'static str,
}

/// In place of a dialect: whichever is spoken.
pub(crate) const EVERY: &str = "*";

impl Known {
    /// Dialect and operation, each.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (&'static str, &'static str)> + use<> {
        let dialect = self.dialect;
        self.operations.iter().map(move |operation| (dialect, *operation))
    }
}

const fn row(finding: &'static str, dialect: &'static str, operations: &'static [&'static str]) -> Known {
    Known { finding, dialect, operations }
}

pub(crate) const KNOWN: &[Known] = &[
    // A claim that may be in any region waits for all: an order of a controller before this one may be in the one that is down.
    row("C1", "one-region-hangs", &["immediate"]),
    row("C1", "one-region-fails", &["immediate"]),
    row("C1", "one-region-denied", &["immediate"]),
];
