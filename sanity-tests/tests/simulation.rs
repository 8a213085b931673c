//! The controller under seeded schedules (`sanity_tests::simulation`): the short run; `hack/simulate` is the long one.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeSet;

use sanity_tests::simulation::{Bug, Counts, Invariant, Outcome, run};

/// Schedules of this test.
const SEEDS: u64 = 200;

/// Schedules in which a planted bug must be found.
const BUG_SEEDS: u64 = 300;

fn report(outcome: &Outcome) -> String {
    let violation = outcome.violation.as_ref().unwrap();
    let events = outcome.events.join("\n");
    format!("{events}\nseed {} violates {:?}: {}", outcome.seed, violation.invariant, violation.details)
}

#[test]
fn every_invariant_holds_in_every_schedule() {
    let mut all = Counts::default();
    for seed in 0..SEEDS {
        let outcome = run(seed, None).unwrap();
        assert!(outcome.violation.is_none(), "{}", report(&outcome));
        all.add(&outcome.counts);
    }
    println!("{all}");
    // The schedules do test something.
    assert!(all.faults > SEEDS && all.crashes > SEEDS / 4 && all.abandoned > SEEDS / 4, "{all}");
    assert!(all.replies > 10 * SEEDS && all.requests > 30 * SEEDS, "{all}");
}

#[test]
fn a_seed_gives_the_same_schedule_again_and_another_seed_another() {
    let hashes: BTreeSet<u64> = (0..20)
        .map(|seed| {
            let (first, second) = (run(seed, None).unwrap(), run(seed, None).unwrap());
            assert_eq!(first, second, "seed {seed}");
            first.hash
        })
        .collect();
    assert_eq!(hashes.len(), 20);
}

#[test]
fn each_planted_bug_is_found_and_its_seed_finds_it_again() {
    for bug in Bug::ALL {
        let mut outcomes = (0..BUG_SEEDS).map(|seed| run(seed, Some(bug)).unwrap());
        let found = outcomes.find(|outcome| outcome.violation.is_some());
        let found = found.unwrap_or_else(|| panic!("{bug:?} is not found in {BUG_SEEDS} schedules"));
        let violation = found.violation.as_ref().unwrap();
        println!("{bug:?}: seed {} violates {:?}: {}", found.seed, violation.invariant, violation.details);
        let expected: &[Invariant] = match bug {
            Bug::OrdersTwice => &[Invariant::OneDisk],
            Bug::UnknownIsDone => &[Invariant::ReplyIsTrue],
            Bug::UnknownIsFailure => &[Invariant::ReplyIsTrue, Invariant::NothingLeft],
            Bug::FailsEarly => &[Invariant::NothingLeft],
            Bug::HolderIgnored => &[Invariant::ReplyIsTrue, Invariant::OneMachine],
            Bug::NeverAnswers => &[Invariant::Answered],
            Bug::UnpublishDeletes => &[Invariant::DiskExists],
            Bug::ExpandDetaches => &[Invariant::StaysAttached],
        };
        assert!(expected.contains(&violation.invariant), "{bug:?}: {}", report(&found));
        assert_eq!(run(found.seed, Some(bug)).unwrap(), found, "{bug:?}");
    }
}
