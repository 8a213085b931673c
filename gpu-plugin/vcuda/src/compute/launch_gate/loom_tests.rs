//! Models of launches that wait for a time slice beside the thread that runs the time slices: see `crate::sync`.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool as Plain, AtomicUsize};
use loom::thread;

use super::*;

/// A launch: whether it was made.
fn launch(gate: &LaunchGate, made: impl FnOnce()) -> bool {
    if gate.enter() == Err(Abandoned) {
        return false;
    }
    made();
    gate.leave();
    true
}

#[test]
fn a_launch_that_waits_wakes_the_thread_and_is_admitted() {
    loom::model(|| {
        let gate = Arc::new(LaunchGate::default());
        let timeslices = {
            let gate = gate.clone();
            thread::spawn(move || {
                gate.register_timeslice_thread();
                gate.sleep_until_one_waits();
                gate.admit(1);
            })
        };
        assert!(launch(&gate, || ()));
        timeslices.join().unwrap();
    });
}

#[test]
fn no_launch_is_made_once_the_gate_is_shut_and_none_is_in_flight() {
    loom::model(|| {
        let (gate, ours) = (Arc::new(LaunchGate::default()), Arc::new(Plain::new(true)));
        gate.admit(1);
        let launcher = {
            let (gate, ours) = (gate.clone(), ours.clone());
            thread::spawn(move || {
                launch(&gate, || assert!(ours.load(Ordering::Relaxed), "another container has the card"))
            })
        };
        gate.shut();
        if !gate.inflight().snapshot().is_launching() {
            // The time slice is over, and the next container may have its own.
            ours.store(false, Ordering::Relaxed);
        }
        gate.abandon();
        launcher.join().unwrap();
    });
}

#[test]
fn no_more_launches_are_made_than_are_admitted() {
    loom::model(|| {
        let (gate, made) = (Arc::new(LaunchGate::default()), Arc::new(AtomicUsize::new(0)));
        gate.admit(1);
        let launchers = [(); 2].map(|()| {
            let (gate, made) = (gate.clone(), made.clone());
            thread::spawn(move || {
                launch(&gate, || {
                    made.fetch_add(1, Ordering::Relaxed);
                })
            })
        });
        gate.abandon();
        let made_by = launchers.map(|launcher| launcher.join().unwrap());
        let made = made.load(Ordering::Relaxed);
        assert_eq!(made_by.into_iter().filter(|made| *made).count(), made);
        assert_eq!(made, 1, "one is admitted, and the other told that none will be");
    });
}

#[test]
fn a_launch_that_waits_ends_when_the_gate_is_abandoned() {
    loom::model(|| {
        let gate = Arc::new(LaunchGate::default());
        let launcher = {
            let gate = gate.clone();
            thread::spawn(move || launch(&gate, || ()))
        };
        gate.abandon();
        assert!(!launcher.join().unwrap());
    });
}
