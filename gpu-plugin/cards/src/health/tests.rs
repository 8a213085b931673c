use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn bad() -> Event {
    Event::Probed(Err(DriverError::Other("unknown error".to_owned())))
}

const GOOD: Event = Event::Probed(Ok(()));

#[test]
fn what_a_program_did_is_not_held_against_the_card() {
    for number in [13, 31, 43, 45, 68, 109] {
        assert!(State::new().after(&Event::Xid(number), s(1)).is_healthy());
    }
}

#[test]
fn a_transient_error_keeps_work_away_until_the_probe_that_is_due_finds_the_card_well() {
    let ill = State::new().after(&Event::Xid(74), s(100));
    assert_eq!(ill.next_probe(), Some(s(110)));
    assert_eq!(ill.reason().unwrap().to_string(), "XID 74 (NVLINK Error)");
    let early = ill.clone().after(&GOOD, s(109));
    assert_eq!(early, ill, "an answer that comes early proves nothing");
    assert!(ill.after(&GOOD, s(110)).is_healthy());
}

#[test]
fn bad_probes_wait_twice_as_long_each_and_ten_minutes_at_most() {
    let mut state = State::new();
    let mut now = s(0);
    for wait in [10, 20, 40, 80, 160, 320, 600, 600, 600] {
        state = state.after(&bad(), now);
        assert_eq!(state.next_probe(), Some(now + s(wait)));
        now += s(wait);
    }
    for _ in 0..100 {
        state = state.after(&bad(), now);
    }
    assert_eq!(state.next_probe(), Some(now + s(600)), "no overflow, however long it lasts");
    assert!(state.after(&GOOD, now + s(600)).is_healthy());
}

#[test]
fn a_card_that_flaps_is_looked_at_ever_more_rarely_and_forgiven_after_ten_calm_minutes() {
    let well = State::new().after(&Event::Xid(74), s(0)).after(&GOOD, s(10));
    let again = well.clone().after(&Event::Xid(74), s(15));
    assert_eq!(again.next_probe(), Some(s(35)), "20 s now");
    let calm = well.after(&Event::Xid(74), s(610));
    assert_eq!(calm.next_probe(), Some(s(620)), "10 s as at first");
}

#[test]
fn fatal_stays_until_the_card_is_renewed_and_keeps_the_first_reason() {
    for fatal in [Event::Xid(79), Event::Lost, Event::Probed(Err(DriverError::ResetRequired("reset".into())))]
    {
        let failed = State::new().after(&Event::Xid(74), s(0)).after(&fatal, s(1));
        assert!(matches!(failed, State::Failed { .. }), "{fatal:?}");
        for event in [GOOD, bad(), Event::Lost, Event::Xid(48), Event::Xid(13)] {
            assert_eq!(failed.clone().after(&event, s(5000)), failed);
        }
        assert_eq!(failed.after(&Event::Renewed, s(6000)), State::new());
    }
}

/// Whatever a card can recover from by itself.
fn transient() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0_u32..400).prop_map(Event::Xid).prop_filter("not fatal", |event| match event {
            Event::Xid(number) => xid::class(*number) != Class::Fatal,
            _ => true,
        }),
        prop_oneof![
            Just(DriverError::NotLoaded),
            Just(DriverError::Stuck),
            Just(DriverError::NoDriver("gone".into())),
            Just(DriverError::Other("unknown".into())),
        ]
        .prop_map(|error| Event::Probed(Err(error))),
        Just(GOOD),
    ]
}

fn any() -> impl Strategy<Value = Event> {
    prop_oneof![
        transient(),
        (0_u32..400).prop_map(Event::Xid),
        Just(Event::Lost),
        Just(Event::Probed(Err(DriverError::Lost))),
        Just(Event::Probed(Err(DriverError::ResetRequired("reset".into())))),
    ]
}

fn run(events: Vec<(Event, u64)>, mut state: State) -> (State, Duration) {
    let mut now = Duration::ZERO;
    for (event, later) in events {
        now += Duration::from_millis(later);
        state = state.after(&event, now);
    }
    (state, now)
}

proptest! {
    #[test]
    fn no_sequence_of_transient_events_leaves_a_card_unhealthy_for_ever(
        events in proptest::collection::vec((transient(), 0_u64..700_000), 0..200),
    ) {
        let (state, end) = run(events, State::new());
        let due = state.next_probe().unwrap_or(end);
        prop_assert!(due <= end + LONGEST_PROBE, "looked at within ten minutes of the last trouble");
        prop_assert!(state.after(&GOOD, due.max(end)).is_healthy(), "and one good answer heals it");
    }

    #[test]
    fn nothing_but_renewal_heals_what_is_fatal(
        events in proptest::collection::vec((any(), 0_u64..700_000), 0..200),
    ) {
        let failed = State::new().after(&Event::Xid(48), Duration::ZERO);
        let (state, end) = run(events, failed.clone());
        prop_assert_eq!(&state, &failed);
        prop_assert!(state.after(&Event::Renewed, end).is_healthy());
    }

    #[test]
    fn a_suspect_card_is_always_due_later_and_a_healthy_one_has_no_reason(
        events in proptest::collection::vec((any(), 0_u64..700_000), 1..200),
    ) {
        let (state, end) = run(events, State::new());
        prop_assert_eq!(state.is_healthy(), state.reason().is_none());
        if let State::Suspect { since, next_probe, .. } = state {
            prop_assert!(since <= end && since < next_probe);
        }
    }
}
