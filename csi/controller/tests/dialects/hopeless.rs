//! Dialects in which a call cannot be OK whoever makes it: there a refusal is right, and all other invariants hold.

/// Calls that may be refused for ever.
pub(crate) struct Hopeless {
    pub(crate) dialect: &'static str,
    pub(crate) calls: &'static [&'static str],
}

const fn row(dialect: &'static str, calls: &'static [&'static str]) -> Hopeless {
    Hopeless { dialect, calls }
}

/// Which machine a node is can only be asked with op 17.
const MACHINES: &[&str] = &["publish", "unpublish"];

pub(crate) const HOPELESS: &[Hopeless] = &[
    // A handle tells no region: that no region has the disk can only be said when all answer.
    row("one-region-hangs", &["delete again"]),
    row("one-region-fails", &["delete again"]),
    // Whether a disk of the name exists cannot be read, so none may be ordered.
    row("by-name-under-another-key", &["create"]),
    row("another-clusters-disk-of-the-name", &["create"]),
    row("machines-under-another-key", MACHINES),
    row("machine-pages-from-zero", MACHINES),
    row("machine-page-number-ignored", MACHINES),
    row("machine-not-listed", MACHINES),
    row("machine-address-null", MACHINES),
    row("two-vpcs-with-one-address", MACHINES),
];
