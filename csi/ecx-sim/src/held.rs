//! Requests that a fault holds until they are released.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The requests that wait for [`Self::release`].
#[derive(Default)]
pub(crate) struct HeldRequests {
    released: Notify,
    count: AtomicUsize,
}

impl HeldRequests {
    /// Waits until the next release.
    pub(crate) async fn wait(&self) {
        // Listens before it is counted: who sees the count may release at once.
        let mut released = std::pin::pin!(self.released.notified());
        released.as_mut().enable();
        self.count.fetch_add(1, Ordering::SeqCst);
        released.await;
        self.count.fetch_sub(1, Ordering::SeqCst);
    }

    /// Lets all of them go on.
    pub(crate) fn release(&self) {
        self.released.notify_waiters();
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}
