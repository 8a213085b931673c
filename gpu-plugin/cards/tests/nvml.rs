//! `cards::Nvml` on the simulated library of `gpu-plugin/fake-driver`, through the real nvml-wrapper and the real loader.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

mod machine;

use std::time::{Duration, Instant};

use cards::{
    CardEvent, CardUsage, Driver, DriverError, HealthTracker, Nvml, Overcommit, ProcessUsage, label_value,
};
use ideal_gpu::card::CardId;
use machine::{Machine, card};

/// Nothing here takes longer, however slow the machine: the fake answers at once.
const BOUND: Duration = Duration::from_secs(20);

/// Too short for anything to happen in it that has not happened yet.
const NOW: Duration = Duration::ZERO;

fn id(number: u32) -> CardId {
    CardId::parse(&machine::uuid(number)).unwrap()
}

/// The next event, whenever it comes.
fn event(driver: &mut Nvml) -> CardEvent {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        if let Some(event) = driver.next_event(BOUND).unwrap() {
            return event;
        }
    }
    panic!("no event came in {BOUND:?}");
}

#[test]
fn sixteen_cards_are_listed_with_all_that_the_plugin_needs() {
    let machine = Machine::new(&(0..16).map(card).collect::<String>());
    let mut driver = machine.driver();
    let found = driver.cards().unwrap();
    assert_eq!(found.len(), 16);
    for (number, found) in (0_u32..).zip(&found) {
        assert_eq!((&found.id, found.index, found.minor), (&id(number), number, number + 100));
        assert_eq!(found.memory_mib, 81559 - 569, "the driver's own is not offered");
        assert_eq!(found.pci, format!("00000000:{:02X}:00.0", number + 1));
        assert_eq!((found.numa, found.mig, found.incarnation), (Some(number % 2), false, 0));
        assert_eq!((found.driver.as_str(), &found.reset_required), ("580.82.07", &None));
        assert_eq!(label_value(&found.model), "NVIDIA-H100-80GB-HBM3");
    }
    let offered = found[3].to_card(true, "1.5".parse::<Overcommit>().unwrap());
    assert_eq!((offered.memory_mib, offered.index, offered.usable()), (80990 * 3 / 2, 3, true));
}

#[test]
fn a_card_that_is_cut_is_recognised_and_cutting_it_is_heard() {
    let machine = Machine::new(&(card(0) + "mig = true\n" + &card(1) + "mig = false\n" + &card(2)));
    let mut driver = machine.driver();
    let mig = |driver: &mut Nvml| driver.cards().unwrap().iter().map(|card| card.mig).collect::<Vec<_>>();
    assert_eq!(mig(&mut driver), [true, false, false]);
    let cut = card(0) + "mig = true\n" + &card(1) + "mig = true\n" + &card(2);
    machine.write(&(cut + &format!("[[events]]\nid = 1\ncard = \"{}\"\nmig = true\n", id(1))));
    assert_eq!(event(&mut driver), CardEvent::Recut { card: id(1) });
    assert_eq!(mig(&mut driver), [true, true, false]);
}

#[test]
fn an_xid_reaches_who_waits_for_it_and_only_once() {
    let machine = Machine::new(&(card(0) + &card(1)));
    let mut driver = machine.driver();
    assert_eq!(driver.next_event(NOW), Ok(None));
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| event(&mut driver));
        machine.write(&(card(0) + &card(1) + &machine::xid(1, 1, 74)));
        assert_eq!(waits.join().unwrap(), CardEvent::Xid { card: id(1), number: 74 });
    });
    assert_eq!(driver.next_event(NOW), Ok(None));
}

#[test]
fn an_xid_that_comes_between_two_calls_is_kept_in_its_order() {
    let machine = Machine::new(&card(0));
    let mut driver = machine.driver();
    driver.cards().unwrap();
    machine.write(&(card(0) + &machine::xid(1, 0, 31) + &machine::xid(2, 0, 999)));
    assert_eq!(driver.usage().unwrap().len(), 1);
    assert_eq!(driver.next_event(NOW), Ok(Some(CardEvent::Xid { card: id(0), number: 31 })));
    assert_eq!(driver.next_event(NOW), Ok(Some(CardEvent::Xid { card: id(0), number: 999 })));
    assert_eq!(driver.next_event(NOW), Ok(None));
}

#[test]
fn a_card_that_falls_off_is_told_once_and_the_others_are_watched_on() {
    let machine = Machine::new(&(card(0) + &card(1)));
    let mut driver = machine.driver();
    let mut tracker = HealthTracker::new();
    tracker.listed(driver.cards(), NOW);
    machine.write(&(card(0) + "lost = true\n" + &card(1)));
    let lost = event(&mut driver);
    assert_eq!(lost, CardEvent::Lost { card: id(0) });
    assert!(tracker.happened(&lost, NOW));
    assert_eq!(driver.next_event(NOW), Ok(None), "told once");
    assert_eq!(driver.probe(&id(0)), Err(DriverError::Lost));
    assert_eq!(driver.probe(&id(1)), Ok(()));
    assert_eq!(driver.usage().unwrap().len(), 1);
    tracker.listed(driver.cards(), NOW);
    assert_eq!(
        tracker.cards(Overcommit::NONE).iter().map(|card| card.healthy).collect::<Vec<_>>(),
        [false, true]
    );
    machine.write(&(card(0) + "lost = true\n" + &card(1) + &machine::xid(1, 1, 74)));
    assert_eq!(event(&mut driver), CardEvent::Xid { card: id(1), number: 74 });

    machine.write(&(card(0) + &card(1)));
    let found = driver.cards().unwrap();
    assert_eq!(found.iter().map(|card| card.incarnation).collect::<Vec<_>>(), [1, 0], "back, and as new");
    tracker.listed(Ok(found), NOW);
    assert!(tracker.cards(Overcommit::NONE).iter().all(|card| card.healthy));
}

#[test]
fn a_card_that_is_pulled_out_is_lost_even_if_its_last_words_name_no_card() {
    let machine = Machine::new(&(card(0) + &card(1)));
    let mut driver = machine.driver();
    driver.cards().unwrap();
    machine.write(&(card(0) + &machine::xid(1, 1, 79)));
    assert_eq!(event(&mut driver), CardEvent::Lost { card: id(1) });
    assert_eq!(driver.cards().unwrap().len(), 1);
}

#[test]
fn the_driver_is_found_when_it_comes_and_its_cards_are_as_new_after_it_was_away() {
    let machine = Machine::new("driver = \"not_loaded\"\n");
    let elsewhere = machine.library().with_extension("not-yet");
    let mut driver = Nvml::new([machine.library().with_extension("never").as_path(), &elsewhere]);
    for _ in 0..2 {
        assert!(matches!(driver.cards(), Err(DriverError::NoDriver(_))));
        assert!(driver.next_event(BOUND).is_err_and(|error| error.is_absent()), "at once");
    }
    std::fs::copy(machine.library(), &elsewhere).unwrap();
    let config = elsewhere.with_added_extension("toml");
    machine::write(&config, "driver = \"not_loaded\"\n");
    assert_eq!(driver.cards(), Err(DriverError::NotLoaded));
    assert_eq!(driver.next_event(BOUND), Err(DriverError::NotLoaded));
    machine::write(&config, &card(0));
    assert_eq!(driver.cards().unwrap()[0].incarnation, 0);
    machine::write(&config, "driver = \"not_loaded\"\n");
    assert_eq!(driver.usage(), Err(DriverError::NotLoaded));
    machine::write(&config, &("driver = \"590.1\"\n".to_owned() + &card(0) + &card(1)));
    let found = driver.cards().unwrap();
    let outline = found.iter().map(|card| (card.driver.as_str(), card.incarnation)).collect::<Vec<_>>();
    assert_eq!(outline, [("590.1", 1), ("590.1", 0)]);
}

#[test]
fn an_old_xid_does_not_come_again_when_the_driver_does() {
    let failed = card(0) + &machine::xid(1, 0, 48);
    let machine = Machine::new(&failed);
    let mut driver = machine.driver();
    driver.cards().unwrap();
    assert_eq!(event(&mut driver), CardEvent::Xid { card: id(0), number: 48 });
    machine.write("driver = \"not_loaded\"\n");
    assert_eq!(driver.cards(), Err(DriverError::NotLoaded));
    machine.write(&failed);
    assert_eq!(driver.cards().unwrap()[0].incarnation, 1);
    assert_eq!(driver.next_event(NOW), Ok(None));
}

#[test]
fn usage_is_told_per_card_and_program() {
    let programs = "processes = [{ pid = 7, used_mib = 100 }, { pid = 9, used_mib = 20 }, \
                    { pid = 7, used_mib = 100, graphics = true }]\nutilization = 35\ntemperature = 61\nused_mib = 130\n";
    let machine = Machine::new(&(card(0) + programs + &card(1)));
    let mib = |mib: u64| mib << 20;
    let program = |pid, held| ProcessUsage { pid, used_bytes: Some(mib(held)) };
    let busy = CardUsage {
        card: id(0),
        total_bytes: mib(81559),
        reserved_bytes: mib(569),
        used_bytes: mib(130),
        busy_percent: Some(35),
        temperature: Some(61),
        power_milliwatts: Some(70_000),
        processes: vec![program(7, 100), program(9, 20)],
    };
    let usage = machine.driver().usage().unwrap();
    assert_eq!((&usage[0], usage.len()), (&busy, 2));
    assert_eq!((usage[1].used_bytes, usage[1].processes.len()), (0, 0));
}

#[test]
fn a_probe_hears_errors_and_resets_that_are_asked_for() {
    let machine = Machine::new(&card(0));
    let mut driver = machine.driver();
    driver.cards().unwrap();
    let mut probe = |line: &str| {
        machine.write(&(card(0) + line));
        driver.probe(&id(0))
    };
    assert_eq!(probe(""), Ok(()));
    assert!(matches!(probe("error = 999\n"), Err(DriverError::Other(text)) if text.contains("999")));
    assert!(matches!(probe("error = 16\n"), Err(DriverError::ResetRequired(_))));
    assert_eq!(probe("recovery = 2\n"), Err(DriverError::ResetRequired("reboot the machine".into())));
    assert!(matches!(probe("recovery = 3\n"), Err(DriverError::Other(_))));
    assert_eq!(probe("lost = true\n"), Err(DriverError::Lost));
    machine.write(&(card(0) + "recovery = 1\n"));
    assert_eq!(driver.cards().unwrap()[0].reset_required.as_deref(), Some("reset the card"));
    assert_eq!(driver.probe(&id(5)), Err(DriverError::Lost), "one that never was");
}

#[test]
fn a_transient_error_heals_and_a_fatal_one_waits_for_the_driver() {
    let machine = Machine::new(&(card(0) + &card(1)));
    let mut driver = machine.driver();
    let mut tracker = HealthTracker::new();
    let s = Duration::from_secs;
    let health = |tracker: &HealthTracker| {
        tracker.cards(Overcommit::NONE).iter().map(|card| card.healthy).collect::<Vec<_>>()
    };
    tracker.listed(driver.cards(), s(0));
    machine.write(&(card(0) + &card(1) + &machine::xid(1, 0, 74) + &machine::xid(2, 1, 95)));
    for _ in 0..2 {
        assert!(tracker.happened(&event(&mut driver), s(1)));
    }
    assert_eq!(health(&tracker), [false, false]);
    assert!(tracker.probe(&mut driver, tracker.next_probe().unwrap()));
    assert!(!tracker.listed(driver.cards(), s(20)));
    assert_eq!(health(&tracker), [true, false]);
    machine.write("driver = \"not_loaded\"\n");
    tracker.listed(driver.cards(), s(21));
    assert_eq!(health(&tracker), [false, false]);
    machine.write(&(card(0) + &card(1)));
    tracker.listed(driver.cards(), s(22));
    assert_eq!(health(&tracker), [true, true]);
}

#[test]
fn a_card_that_hangs_does_not_hang_the_plugin_and_is_asked_again_when_the_call_came_back() {
    let machine = Machine::new(&(card(0) + &card(1)));
    let mut driver = machine.driver().answering_within(Duration::from_millis(200));
    let start = Instant::now();
    while driver.cards().is_err() {
        assert!(
            start.elapsed() < BOUND,
            "200 ms may be short for a machine that is busy, but not for so long"
        );
    }
    machine.write(&(card(0) + "hang = true\n" + &card(1)));
    assert_eq!(driver.probe(&id(0)), Err(DriverError::Stuck));
    assert_eq!(driver.probe(&id(1)), Err(DriverError::Stuck), "no second session while the first one hangs");
    machine.write(&(card(0) + &card(1)));
    let start = Instant::now();
    let found = loop {
        match driver.cards() {
            Ok(found) => break found,
            Err(error) => assert!(error == DriverError::Stuck && start.elapsed() < BOUND, "{error}"),
        }
    };
    assert_eq!(found.iter().map(|card| card.incarnation).collect::<Vec<_>>(), [0, 0], "nothing was away");
}

#[test]
fn half_a_file_changes_nothing_and_a_machine_without_cards_has_none() {
    let machine = Machine::new(&card(0));
    let mut driver = machine.driver();
    assert_eq!(driver.cards().unwrap().len(), 1);
    machine.write("[[cards]]\nuuid = ");
    assert_eq!(driver.cards().unwrap().len(), 1);
    machine.write("");
    assert_eq!(event(&mut driver), CardEvent::Lost { card: id(0) });
    assert_eq!(driver.cards(), Ok(Vec::new()));
    assert_eq!(driver.next_event(Duration::from_millis(1)), Ok(None));
    machine.write(&card(3));
    assert_eq!(driver.cards().unwrap()[0].id, id(3), "another card in its place");
}
