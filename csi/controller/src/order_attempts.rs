//! OrderAttempts that failed in the cloud. A client token means one order, whatever becomes of it: after a failure the same
//! token only tells of the same failure, for as long as the cloud remembers it. So each new order about a disk has a
//! number of its own.

use std::time::Duration;

use eck_csi::recent::{ORDERS, Recent};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

/// What became of the orders that were to do one thing.
#[derive(Debug, Clone, Copy, Default)]
struct Attempts {
    /// How many failed.
    failed: u32,
    /// The last one that a region refused for want of stock. No order has its token.
    sold_out: u32,
    /// Since when the next one's token is known to be another request's.
    conflict: Option<Instant>,
}

/// By what they were to do. A new controller begins at none and is told of the failures again, a few with each call; so it is with those
/// that were not ordered for long.
#[derive(Default)]
pub(crate) struct OrderAttempts(Mutex<Recent<String, Attempts, ORDERS>>);

impl OrderAttempts {
    /// The number of the next order to do `purpose`, from 1 on.
    pub(crate) fn next(&self, purpose: &str) -> u32 {
        self.of(purpose).failed + 1
    }

    /// The order `number` to do `purpose` failed.
    pub(crate) fn failed(&self, purpose: &str, number: u32) {
        let mut attempts = self.lock();
        let attempts = attempts.entry(purpose.to_owned(), Attempts::default);
        (attempts.failed, attempts.conflict) = (number, None);
    }

    /// The token of the next order to do `purpose` is another request's; for how long that is known.
    pub(crate) fn conflicted(&self, purpose: &str) -> Duration {
        let mut attempts = self.lock();
        let attempts = attempts.entry(purpose.to_owned(), Attempts::default);
        attempts.conflict.get_or_insert_with(Instant::now).elapsed()
    }

    /// A region refused the order `number` for want of stock.
    pub(crate) fn sold_out(&self, purpose: &str, number: u32) {
        self.lock().entry(purpose.to_owned(), Attempts::default).sold_out = number;
    }

    /// Whether a region did so.
    pub(crate) fn was_sold_out(&self, purpose: &str, number: u32) -> bool {
        self.of(purpose).sold_out == number
    }

    /// The order `number` to do `purpose` was refused. That an order failed is also how the cloud tells a controller that knows nothing of
    /// it about the order of an earlier one with the same token: the next one needs a token of its own.
    pub(crate) fn refused(&self, purpose: &str, number: u32, error: &ecx::Error) {
        if matches!(error, ecx::Error::Billing(_)) {
            self.failed(purpose, number);
        }
    }

    /// It is done.
    pub(crate) fn done(&self, purpose: &str) {
        self.lock().remove(purpose);
    }

    fn of(&self, purpose: &str) -> Attempts {
        self.lock().get(purpose).copied().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Recent<String, Attempts, ORDERS>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests;
