//! Every request that came, and how it was answered.

use std::collections::BTreeMap;

use ecx::api::Op;
use parking_lot::Mutex;
use serde::Serialize;

/// One request, as `/_sim/log` shows it.
#[derive(Debug, Clone, Serialize)]
pub struct LogEntry {
    /// Operation.
    pub op: Op,
    /// Body or query.
    pub text: String,
    /// The authentication step that failed.
    pub auth: Option<String>,
    /// HTTP status of the reply; 0 while it runs.
    pub http: u16,
    /// Error code of the reply; empty for success.
    pub code: String,
}

/// The requests so far.
#[derive(Default)]
pub(crate) struct RequestLog(Mutex<Vec<LogEntry>>);

impl RequestLog {
    /// From the `first` on.
    pub(crate) fn entries_from(&self, first: usize) -> Vec<LogEntry> {
        self.0.lock().iter().skip(first).cloned().collect()
    }

    /// How many there were of each operation.
    pub(crate) fn counts(&self) -> BTreeMap<Op, u64> {
        self.0.lock().iter().fold(BTreeMap::new(), |mut counts, entry| {
            *counts.entry(entry.op).or_default() += 1;
            counts
        })
    }

    /// Adds a request; its number.
    pub(crate) fn add(&self, entry: LogEntry) -> usize {
        let mut entries = self.0.lock();
        entries.push(entry);
        entries.len() - 1
    }

    /// The reply to the request of this number.
    pub(crate) fn answered(&self, number: usize, http: u16, code: &str) {
        if let Some(entry) = self.0.lock().get_mut(number) {
            entry.http = http;
            code.clone_into(&mut entry.code);
        }
    }
}
