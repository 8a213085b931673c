//! Models of processes that take, clear, read and charge entries at one time: see `crate::sync`.

use loom::sync::Arc;
use loom::thread;

use super::*;
use crate::sync::model;

const MIB: u64 = 1 << 20;

fn process(pid: u64) -> ProcessIdentity {
    ProcessIdentity { pid, start: 100 + pid, namespace: 1, stack: 1_000 + pid }
}

fn entry(mapping: &Mapping, number: usize) -> ProcessEntry<'_> {
    ProcessEntry::new(mapping, number)
}

/// Bytes of the card that all processes are charged with.
fn sum(mapping: &Mapping) -> Result<u64, Damage> {
    let charged = |number| Ok::<_, Damage>(entry(mapping, number).charged(0)?.unwrap_or(0));
    Ok(charged(0)? + charged(1)?)
}

#[test]
fn an_entry_that_is_taken_is_never_seen_half_written() {
    loom::model(|| {
        let mapping = Arc::new(Mapping::unused());
        let taker = {
            let mapping = mapping.clone();
            thread::spawn(move || {
                let entry = entry(&mapping, 0);
                entry.publish(&process(7)).unwrap();
                entry.charge(0, 3 * MIB, 0).unwrap();
            })
        };
        let charged = entry(&mapping, 0).charged(0).unwrap();
        assert!([None, Some(0), Some(3 * MIB)].contains(&charged), "{charged:?}");
        taker.join().unwrap();
    });
}

#[test]
fn an_entry_that_changes_hands_is_never_taken_for_damaged() {
    model(|| {
        let mapping = Arc::new(Mapping::unused());
        entry(&mapping, 0).publish(&process(7)).unwrap();
        entry(&mapping, 0).charge(0, 3 * MIB, 0).unwrap();
        let other = {
            let mapping = mapping.clone();
            thread::spawn(move || {
                let entry = entry(&mapping, 0);
                assert!(entry.clear(&process(7)));
                entry.publish(&process(8)).unwrap();
            })
        };
        let charged = entry(&mapping, 0).charged(0).unwrap();
        assert!([None, Some(0), Some(3 * MIB)].contains(&charged), "{charged:?}");
        other.join().unwrap();
        assert_eq!(entry(&mapping, 0).charged(0).unwrap(), Some(0), "nothing of the dead process is left");
    });
}

#[test]
fn an_entry_is_cleared_once() {
    loom::model(|| {
        let mapping = Arc::new(Mapping::unused());
        entry(&mapping, 0).publish(&process(7)).unwrap();
        let other = {
            let mapping = mapping.clone();
            thread::spawn(move || entry(&mapping, 0).clear(&process(7)))
        };
        let cleared = [entry(&mapping, 0).clear(&process(7)), other.join().unwrap()];
        assert_eq!(cleared.into_iter().filter(|cleared| *cleared).count(), 1);
    });
}

#[test]
fn two_processes_that_charge_at_one_time_do_not_pass_the_limit() {
    loom::model(|| {
        let mapping = Arc::new(Mapping::unused());
        for number in [0, 1] {
            entry(&mapping, number).publish(&process(7 + number as u64)).unwrap();
        }
        let try_charge = |mapping: &Mapping, number| {
            entry(mapping, number).try_charge(0, 6 * MIB, 10 * MIB, || sum(mapping)).unwrap()
        };
        let other = {
            let mapping = mapping.clone();
            thread::spawn(move || try_charge(&mapping, 1))
        };
        let fits = [try_charge(&mapping, 0), other.join().unwrap()];
        let used = sum(&mapping).unwrap();
        assert_eq!(used, 6 * MIB * fits.into_iter().filter(|fits| *fits).count() as u64);
        assert!(used <= 10 * MIB, "{used}");
    });
}

#[test]
fn charges_of_two_threads_add_up() {
    loom::model(|| {
        let mapping = Arc::new(Mapping::unused());
        entry(&mapping, 0).publish(&process(7)).unwrap();
        let other = {
            let mapping = mapping.clone();
            thread::spawn(move || entry(&mapping, 0).charge(0, 4 * MIB, MIB).unwrap())
        };
        entry(&mapping, 0).charge(0, 8 * MIB, 0).unwrap();
        other.join().unwrap();
        assert_eq!(entry(&mapping, 0).used(0).unwrap(), 11 * MIB);
    });
}
