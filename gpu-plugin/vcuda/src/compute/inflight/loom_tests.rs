//! Models of launches on several threads beside a poll of the card: see `crate::sync`.

use loom::sync::Arc;
use loom::sync::atomic::AtomicU64 as Plain;
use loom::thread;

use super::*;
use crate::sync::model;

/// What the driver has been given to do. Its own memory orders nothing here: what orders is in flight.
#[derive(Default)]
struct Driver {
    inflight: Inflight,
    launched: Plain,
}

impl Driver {
    fn launch(&self) {
        let before = self.inflight.begin_launch();
        if !before.is_busy() {
            self.inflight.set_busy();
        }
        self.launched.fetch_add(1, Ordering::Relaxed);
        self.inflight.end_launch();
    }

    /// Asks the card, which has done all that it was given; how much that was, if it was noted that the card is idle.
    fn poll(&self) -> Option<u64> {
        let seen = self.inflight.snapshot();
        if !seen.is_busy() || seen.is_launching() {
            return None;
        }
        let done = self.launched.load(Ordering::Relaxed);
        self.inflight.set_idle_since(seen).then_some(done)
    }
}

#[test]
fn a_card_that_is_noted_as_idle_has_no_work() {
    model(|| {
        let driver = Arc::new(Driver::default());
        let launchers = [(); 2].map(|()| {
            let driver = driver.clone();
            thread::spawn(move || driver.launch())
        });
        let done = driver.poll().unwrap_or(0);
        launchers.into_iter().for_each(|launcher| launcher.join().unwrap());
        let end = driver.inflight.snapshot();
        assert!(!end.is_launching());
        assert_eq!(end.launches(), 2);
        assert!(end.is_busy() || done == 2, "the card is noted as idle, and {done} of 2 launches were seen");
    });
}

#[test]
fn a_cancelled_launch_leaves_no_trace() {
    loom::model(|| {
        let driver = Arc::new(Driver::default());
        driver.launch();
        let other = {
            let driver = driver.clone();
            thread::spawn(move || {
                driver.inflight.begin_launch();
                driver.inflight.cancel_launch();
            })
        };
        let noted = driver.poll();
        other.join().unwrap();
        let end = driver.inflight.snapshot();
        assert_eq!((end.launches(), end.is_launching(), end.is_busy()), (1, false, noted.is_none()));
    });
}
