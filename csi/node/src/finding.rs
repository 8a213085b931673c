//! What is wrong with a volume or with a disk, as the spec wants it told.

/// How bad it is, in the spec's three steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// Usable, not as it should be.
    Degraded,
    /// Not usable from this node.
    Inaccessible,
    /// Data is lost, or is very likely to be.
    DataLoss,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// How bad.
    pub(crate) severity: Severity,
    /// One word for machines; each occurs once in an answer.
    pub(crate) reason: &'static str,
    /// A sentence for people.
    pub(crate) message: String,
}

impl Finding {
    pub(crate) fn new(severity: Severity, reason: &'static str, message: impl Into<String>) -> Self {
        Self { severity, reason, message: message.into() }
    }
}
