//! Decisions one by one; how they add up is in `simulation`.

use super::*;

mod machine;
mod simulation;

const MS: Time = 1_000_000;

fn card(number: usize) -> CardId {
    CardId::parse(&format!("GPU-{number}")).unwrap()
}

/// The shares of a container on these cards.
fn shares(percent: u32, cards: &[usize]) -> Shares {
    Shares {
        cards: cards.iter().map(|number| (card(*number), percent)).collect(),
        work_conserving: false,
        latency: false,
        burst_ns: 0,
    }
}

/// Containers `a`, `b`, … of so many percent each of one card, each with a process of that place's number.
fn sharing(percents: &[u32]) -> Turns {
    let mut turns = Turns::default();
    for (number, percent) in (0..).zip(percents) {
        let id = name(number);
        turns.register(&id, shares(*percent, &[0]), 0);
        assert!(turns.join(MemberId(number), &id, 0));
    }
    turns
}

fn name(number: u64) -> String {
    char::from(b'a' + u8::try_from(number).unwrap()).to_string()
}

/// Who was granted what since the last time: member, length in ms, launches.
fn granted(turns: &mut Turns) -> Vec<(u64, u64, u32)> {
    let told = |(member, grant): (MemberId, Grant)| (member.0, grant.length_ns / MS, grant.launches);
    turns.take_grants().into_iter().map(told).collect()
}

#[test]
fn a_free_card_is_had_at_once_and_a_card_that_somebody_has_when_it_is_done() {
    let mut turns = sharing(&[50, 50]);
    turns.want(MemberId(0), 0);
    assert_eq!(granted(&mut turns), [(0, 20, 0)]);
    turns.want(MemberId(1), MS);
    assert_eq!(granted(&mut turns), []);
    turns.done(MemberId(0), 1, true, 5 * MS);
    assert_eq!(granted(&mut turns), [(1, 20, 0)]);
}

#[test]
fn a_container_waits_until_its_share_allows_the_next_turn() {
    let mut turns = sharing(&[25]);
    turns.want(MemberId(0), 0);
    turns.done(MemberId(0), 1, true, 20 * MS);
    assert_eq!((granted(&mut turns).len(), turns.next_at(20 * MS)), (1, Some(80 * MS)));
    turns.decide(80 * MS - 1);
    assert_eq!(granted(&mut turns), []);
    turns.decide(80 * MS);
    assert_eq!(granted(&mut turns), [(0, 20, 0)]);
}

#[test]
fn what_is_said_of_an_earlier_grant_does_not_count() {
    let mut turns = sharing(&[50, 50]);
    turns.want(MemberId(0), 0);
    turns.want(MemberId(1), 0);
    turns.done(MemberId(0), 0, false, MS);
    assert_eq!(granted(&mut turns), [(0, 20, 0)]);
}

#[test]
fn a_process_of_a_container_that_has_its_turn_has_it_too() {
    let mut turns = sharing(&[50]);
    assert!(turns.join(MemberId(7), "a", 0));
    turns.want(MemberId(0), 0);
    turns.want(MemberId(7), 5 * MS);
    assert_eq!(granted(&mut turns), [(0, 20, 0), (7, 15, 0)]);
}

#[test]
fn cards_of_one_container_are_had_together_and_kept_for_it() {
    let mut turns = Turns::default();
    turns.register("gang", shares(50, &[0, 1]), 0);
    turns.register("other", shares(50, &[1]), 0);
    turns.register("third", shares(50, &[0]), 0);
    for (member, id, slice) in [(0, "gang", 0), (1, "gang", 1), (2, "other", 0), (3, "third", 0)] {
        assert!(turns.join(MemberId(member), id, slice));
    }
    turns.want(MemberId(2), 0);
    turns.want(MemberId(0), MS);
    assert_eq!(granted(&mut turns), [(2, 20, 0), (0, 20, 0)], "of the gang one card only is wanted yet");
    turns.want(MemberId(1), MS);
    turns.done(MemberId(0), 1, true, 2 * MS);
    turns.want(MemberId(3), 2 * MS);
    turns.done(MemberId(3), 1, false, 2 * MS + MS / 10);
    assert_eq!(granted(&mut turns), [(3, 20, 0)], "the gang waits for its share, and for the other card");
    turns.want(MemberId(3), 3 * MS);
    assert_eq!(granted(&mut turns), [(3, 17, 0)], "lent until the other card is free");
    turns.done(MemberId(2), 1, false, 20 * MS);
    turns.done(MemberId(3), 2, true, 20 * MS);
    assert_eq!(granted(&mut turns), [(0, 50, 0), (1, 50, 0)]);
}

#[test]
fn a_turn_that_does_not_end_is_followed_by_the_next_one() {
    let mut turns = sharing(&[50, 50]);
    turns.want(MemberId(0), 0);
    turns.want(MemberId(1), 0);
    assert_eq!((granted(&mut turns).len(), turns.next_at(0)), (1, Some(TURN + GRACE)));
    turns.decide(TURN + GRACE);
    assert_eq!(granted(&mut turns), [(1, 20, 0)]);
    turns.done(MemberId(1), 1, true, 60 * MS);
    assert_eq!(
        granted(&mut turns),
        [(1, 20, 0)],
        "it has paid for half of its turn only, and the other is not done"
    );
}

#[test]
fn what_is_overdue_may_wait_for_a_launch_of_its_own_container_and_gets_it() {
    let mut turns = Turns::default();
    turns.register("gang", shares(10, &[0, 1]), 0);
    assert!(turns.join(MemberId(0), "gang", 0) && turns.join(MemberId(1), "gang", 1));
    turns.want(MemberId(0), 0);
    turns.want(MemberId(1), 0);
    granted(&mut turns);
    turns.done(MemberId(1), 1, false, 10 * MS);
    turns.decide(TURN + GRACE);
    turns.want(MemberId(1), TURN + GRACE);
    assert_eq!(granted(&mut turns), []);
    turns.decide(1_000 * MS);
    assert_eq!(granted(&mut turns), [(1, 20, 0)], "its share of that card allows it");
}

#[test]
fn a_process_that_is_gone_has_nothing() {
    let mut turns = sharing(&[50, 50]);
    turns.want(MemberId(0), 0);
    turns.want(MemberId(1), 0);
    granted(&mut turns);
    turns.leave(MemberId(0), MS);
    assert_eq!(granted(&mut turns), [(1, 20, 0)]);
    turns.leave(MemberId(1), MS);
    turns.remove("a", MS);
    assert!(!turns.join(MemberId(8), "a", 0) && !turns.join(MemberId(8), "b", 1));
    assert_eq!(turns.next_at(MS), None);
}

#[test]
fn a_container_that_is_gone_or_begins_anew_gives_its_cards_to_those_that_wait() {
    let gone = |turns: &mut Turns| turns.remove("a", MS);
    let anew = |turns: &mut Turns| turns.register("a", shares(50, &[0]), MS);
    for ends in [gone, anew] {
        let mut turns = sharing(&[50, 50]);
        turns.want(MemberId(0), 0);
        turns.want(MemberId(1), 0);
        granted(&mut turns);
        ends(&mut turns);
        assert_eq!(granted(&mut turns), [(1, 20, 0)]);
    }
}

#[test]
fn who_waits_at_a_turns_end_gets_one_launch_if_another_process_does_not_end() {
    let mut turns = sharing(&[50]);
    assert!(turns.join(MemberId(7), "a", 0));
    turns.want(MemberId(0), 0);
    turns.want(MemberId(7), 0);
    granted(&mut turns);
    turns.done(MemberId(7), 1, true, TURN);
    assert_eq!((granted(&mut turns), turns.next_at(TURN)), (vec![], Some(TURN + STUCK)));
    turns.decide(TURN + STUCK);
    assert_eq!(granted(&mut turns), [(7, 2, 1)]);
    turns.done(MemberId(0), 1, true, TURN + MS);
    turns.done(MemberId(7), 2, true, TURN + MS);
    assert_eq!(turns.next_at(TURN + MS), Some(2 * (TURN + MS)), "both are done");
}

#[test]
fn a_container_of_latency_ends_its_neighbours_turn() {
    let mut turns = sharing(&[50]);
    turns.register("fast", Shares { latency: true, ..shares(50, &[0]) }, 0);
    assert!(turns.join(MemberId(9), "fast", 0));
    turns.want(MemberId(0), 0);
    let grant = turns.take_grants().pop().unwrap().1;
    assert_eq!(grant.ahead_ns, AHEAD_OF_LATENCY);
    turns.want(MemberId(9), 3 * MS);
    assert_eq!(granted(&mut turns), [(0, 0, 0)]);
    turns.done(MemberId(0), 2, true, 4 * MS);
    assert_eq!(granted(&mut turns), [(9, 20, 0)]);
}

#[test]
fn what_nobody_else_wants_is_lent_where_it_may_be() {
    let mut turns = sharing(&[50]);
    turns.register("more", Shares { work_conserving: true, ..shares(10, &[0]) }, 0);
    assert!(turns.join(MemberId(9), "more", 0));
    turns.want(MemberId(9), 0);
    turns.done(MemberId(9), 1, true, 20 * MS);
    assert_eq!(granted(&mut turns), [(9, 20, 0), (9, 5, 0)]);
    turns.want(MemberId(0), 21 * MS);
    turns.done(MemberId(9), 2, true, 25 * MS);
    assert_eq!(granted(&mut turns), [(0, 20, 0)]);
}
