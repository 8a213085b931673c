//! How the requests ended that were sent: how long each took and what it came to, by operation.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::api::Op;
use crate::error::Error;

/// Upper bounds of the duration's histogram, in seconds: from a read within the data centre (20 ms) to what a gateway holds before it
/// gives up (60 s). The client itself gives up after the profile's `http_timeout_ms`.
pub const SECONDS: [f64; 11] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// What an operation's requests came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CallFigures {
    /// Requests by their end: `ok`, or [`Error::code`].
    pub codes: BTreeMap<&'static str, u64>,
    /// Requests by duration: at most [`SECONDS`] of the same index, and longer than that before; the last: longer than all.
    pub buckets: [u64; SECONDS.len() + 1],
    /// All durations together, in seconds.
    pub seconds: f64,
}

/// What has been counted of each operation of which a request has ended.
#[derive(Default)]
pub(crate) struct CallRecord(Mutex<BTreeMap<Op, CallFigures>>);

impl CallRecord {
    /// A request has ended; `taken` is from its begin to the end of the reply, without the wait for its turn.
    pub(crate) fn ended<T>(&self, op: Op, taken: Duration, result: &Result<T, Error>) {
        let code = result.as_ref().map_or_else(Error::code, |_| "ok");
        let seconds = taken.as_secs_f64();
        let mut all = self.0.lock();
        let figures = all.entry(op).or_default();
        *figures.codes.entry(code).or_default() += 1;
        figures.buckets[SECONDS.partition_point(|bound| *bound < seconds)] += 1;
        figures.seconds += seconds;
    }

    /// As it is now.
    pub(crate) fn figures(&self) -> BTreeMap<Op, CallFigures> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ApiMessage;

    #[test]
    fn a_request_is_counted_once_by_its_end_and_once_by_its_duration() {
        let record = CallRecord::default();
        record.ended(Op::GetDisk, Duration::from_millis(20), &Ok(()));
        record.ended(Op::GetDisk, Duration::from_millis(21), &Ok(()));
        let quota: Result<(), _> = Err(Error::Quota(ApiMessage::default()));
        record.ended(Op::CreateDisk, Duration::from_secs(61), &quota);
        let figures = record.figures();
        let read = &figures[&Op::GetDisk];
        assert_eq!((read.codes["ok"], &read.buckets[..3]), (2, &[1, 1, 0][..]));
        assert!((read.seconds - 0.041).abs() < 1e-9);
        let order = &figures[&Op::CreateDisk];
        assert_eq!((order.codes["quota"], order.buckets[SECONDS.len()]), (1, 1));
        assert_eq!(figures.len(), 2);
    }
}
