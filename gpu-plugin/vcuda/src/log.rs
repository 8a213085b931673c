//! Messages to the people who run a program: lines on its standard error.

use std::io::Write as _;

/// Writes one line. A program that has closed its standard error is not harmed.
pub(crate) fn error(line: &str) {
    let _closed = writeln!(std::io::stderr(), "libvcuda: {line}");
}
