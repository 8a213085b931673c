//! The events of a schedule, as lines and as one hash.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use ecx_sim::LogEntry;

/// The events of a schedule.
#[derive(Default)]
pub(super) struct Trace {
    hasher: DefaultHasher,
    lines: Vec<String>,
    last_ms: u64,
}

impl Trace {
    /// Adds an event, `at_ms` after the beginning.
    pub(super) fn event(&mut self, at_ms: u64, event: &str) {
        self.last_ms = at_ms;
        self.line(format!("{:>10.3} s  {event}", at_ms as f64 / 1000.0));
    }

    /// Adds requests that the cloud has received; status 0 means that the reply is not sent yet.
    pub(super) fn requests(&mut self, entries: &[LogEntry]) {
        for LogEntry { op, text, http, code, auth: _ } in entries {
            self.line(format!("              cloud: {op:?} {text} -> {http} {code}"));
        }
    }

    fn line(&mut self, line: String) {
        line.hash(&mut self.hasher);
        self.lines.push(line);
    }

    /// The hash of all events and of `more`.
    pub(super) fn hash(&self, more: &[String]) -> u64 {
        let mut hasher = self.hasher.clone();
        more.hash(&mut hasher);
        hasher.finish()
    }

    /// The time of the last event.
    pub(super) fn last_ms(&self) -> u64 {
        self.last_ms
    }

    pub(super) fn into_lines(self) -> Vec<String> {
        self.lines
    }
}
