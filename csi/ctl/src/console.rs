//! Where a command writes, whom it asks, what time it has, and how it ended.

use std::io::Write as _;

/// How a command ended, beside what it printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All is well, or done: 0.
    Well,
    /// Something was found, is stuck, or was not done: 1.
    Found,
}

/// Where a command writes, and whom it asks.
pub struct Console<'a> {
    /// The answer.
    pub out: &'a mut dyn std::io::Write,
    /// Yes or no.
    pub ask: &'a mut dyn FnMut(&str) -> bool,
    /// The time of day, in milliseconds since 1970.
    pub now: &'a dyn Fn() -> u64,
}

/// Asks on the terminal. Only a plain yes is one: an end of the input is none.
pub(crate) fn ask(question: &str) -> bool {
    let asked = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    asked.is_ok()
        && std::io::stdin().read_line(&mut answer).is_ok()
        && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}
