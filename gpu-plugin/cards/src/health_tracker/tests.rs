use super::*;
use crate::driver::CardUsage;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn found(index: u32, incarnation: u32) -> Found {
    Found {
        id: CardId::parse(&format!("GPU-{index}")).unwrap(),
        model: "NVIDIA A100".to_owned(),
        index,
        minor: index,
        pci: format!("00000000:0{index}:00.0"),
        memory_mib: 40_000,
        numa: None,
        mig: false,
        driver: "580.82.07".to_owned(),
        reset_required: None,
        incarnation,
    }
}

fn health(tracker: &HealthTracker) -> Vec<bool> {
    tracker.cards(Overcommit::NONE).iter().map(|card| card.healthy).collect()
}

fn two() -> HealthTracker {
    let mut tracker = HealthTracker::new();
    assert!(tracker.listed(Ok(vec![found(0, 0), found(1, 0)]), s(0)));
    tracker
}

/// A driver that answers every probe alike.
struct Answers(Result<(), DriverError>);

impl Driver for Answers {
    fn cards(&mut self) -> Result<Vec<Found>, DriverError> {
        Ok(Vec::new())
    }

    fn next_event(&mut self, _: Duration) -> Result<Option<CardEvent>, DriverError> {
        Ok(None)
    }

    fn usage(&mut self) -> Result<Vec<CardUsage>, DriverError> {
        Ok(Vec::new())
    }

    fn probe(&mut self, _: &CardId) -> Result<(), DriverError> {
        self.0.clone()
    }
}

#[test]
fn the_same_list_again_changes_nothing_and_an_event_changes_one_card() {
    let mut tracker = two();
    assert!(!tracker.listed(Ok(vec![found(0, 0), found(1, 0)]), s(1)));
    let xid = CardEvent::Xid { card: found(1, 0).id, number: 79 };
    assert!(tracker.happened(&xid, s(2)));
    assert!(!tracker.happened(&xid, s(3)), "the first reason stays");
    assert_eq!(health(&tracker), [true, false]);
    let (_, health, reason) = tracker.unhealthy().next().unwrap();
    assert_eq!(
        (health, reason.to_string().as_str()),
        (Health::Failed, "XID 79 (GPU has fallen off the bus)")
    );
    assert!(!tracker.happened(&CardEvent::Lost { card: CardId::parse("GPU-9").unwrap() }, s(3)), "not ours");
}

#[test]
fn a_suspect_card_is_probed_when_it_is_due_and_not_before() {
    let mut tracker = two();
    tracker.happened(&CardEvent::Xid { card: found(0, 0).id, number: 74 }, s(0));
    assert_eq!(tracker.next_probe(), Some(s(10)));
    assert!(!tracker.probe(&mut Answers(Ok(())), s(9)));
    assert!(!tracker.probe(&mut Answers(Err(DriverError::Stuck)), s(10)), "still suspect");
    assert_eq!(tracker.next_probe(), Some(s(30)));
    assert!(tracker.probe(&mut Answers(Ok(())), s(30)));
    assert_eq!((health(&tracker), tracker.next_probe()), (vec![true, true], None));
}

#[test]
fn a_card_that_fell_off_stays_known_and_is_as_new_when_it_comes_back() {
    let mut tracker = two();
    assert!(tracker.listed(Ok(vec![found(1, 0)]), s(1)));
    assert_eq!(health(&tracker), [false, true]);
    assert!(tracker.has_failed());
    assert!(!tracker.probe(&mut Answers(Ok(())), s(10_000)), "a failed card is not probed");
    assert!(tracker.listed(Ok(vec![found(0, 1), found(1, 0)]), s(10_001)));
    assert_eq!((health(&tracker), tracker.has_failed()), (vec![true, true], false));
}

#[test]
fn without_the_driver_every_card_is_suspect_and_the_reload_heals_what_had_failed() {
    let mut tracker = two();
    tracker.happened(&CardEvent::Xid { card: found(0, 0).id, number: 48 }, s(1));
    assert!(tracker.listed(Err(DriverError::NotLoaded), s(2)));
    assert_eq!(health(&tracker), [false, false]);
    assert!(!tracker.listed(Err(DriverError::NotLoaded), s(3)), "nothing new to tell");
    assert!(tracker.listed(Ok(vec![found(0, 1), found(1, 1)]), s(4)));
    assert_eq!(health(&tracker), [true, true]);
}

#[test]
fn a_card_that_waits_for_a_reset_takes_no_work_even_when_it_is_listed_for_the_first_time() {
    let mut tracker = HealthTracker::new();
    let waits = Found { reset_required: Some("reset the card".into()), ..found(0, 0) };
    assert!(tracker.listed(Ok(vec![waits]), s(0)));
    assert_eq!(health(&tracker), [false]);
    assert!(tracker.listed(Ok(vec![found(0, 1)]), s(1)), "reset, and back");
    assert_eq!(health(&tracker), [true]);
}

#[test]
fn without_any_card_there_is_nothing_to_do() {
    let mut tracker = HealthTracker::new();
    assert!(!tracker.listed(Err(DriverError::NoDriver("libnvidia-ml.so.1".into())), s(0)));
    assert!(!tracker.probe(&mut Answers(Ok(())), s(1)));
    assert_eq!((tracker.cards(Overcommit::NONE).len(), tracker.next_probe()), (0, None));
}
