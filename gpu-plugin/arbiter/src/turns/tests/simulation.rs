//! What containers get over seconds, of cards that work as cards do.

use super::machine::{Machine, Program};
use super::*;

const SECOND: Time = 1_000 * MS;

/// So long that a turn more or less does not matter.
const RUN: Time = 8 * SECOND;

fn busy(kernel: Time) -> Program {
    Program::Busy { kernel, job: None }
}

/// What containers with these percents of one card and kernels of these lengths get.
fn got(containers: &[(u32, Time)]) -> Vec<f64> {
    let mut machine = Machine::default();
    for (number, (percent, kernel)) in (0..).zip(containers) {
        machine.container(&name(number), shares(*percent, &[0]), &[(0, busy(*kernel))]);
    }
    machine.run(RUN);
    (0..containers.len()).map(|number| machine.share(number)).collect()
}

#[test]
fn every_share_is_held() {
    for containers in [
        vec![(30, MS)],
        vec![(10, MS / 10)],
        vec![(50, MS), (50, MS)],
        vec![(20, MS), (80, 10 * MS)],
        vec![(10, 5 * MS), (30, MS), (60, 2 * MS)],
        vec![(20, MS); 5],
        vec![(1, MS), (49, MS), (50, 10 * MS)],
    ] {
        for ((percent, _), got) in containers.iter().zip(got(&containers)) {
            assert!((got - f64::from(*percent)).abs() <= 3.0, "{containers:?}: {got} of {percent}");
        }
    }
}

#[test]
fn kernels_that_are_longer_than_a_turn_are_paid() {
    let alone = got(&[(40, 150 * MS)])[0];
    assert!((alone - 40.0).abs() <= 3.0, "{alone}");
    let both = got(&[(40, 150 * MS), (60, MS)]);
    assert!((both[0] - 40.0).abs() <= 6.0 && both[1] >= 54.0, "{both:?}");
}

/// Jobs of two ranks on two cards each, with these percents; the least that a rank gets of each, and the longest gap in ms.
fn jobs(percents: &[u32], every: u32) -> Vec<(f64, u64)> {
    let mut machine = Machine::default();
    for (job, percent) in percents.iter().enumerate() {
        let program = Program::Busy { kernel: MS, job: Some((job, every)) };
        machine.container(&name(job as u64), shares(*percent, &[0, 1]), &[(0, program), (1, program)]);
    }
    machine.run(RUN);
    let of = |job: usize| {
        let ranks = [2 * job, 2 * job + 1];
        let share = ranks.map(|rank| machine.share(rank)).into_iter().fold(f64::MAX, f64::min);
        let gap = ranks.map(|rank| machine.processes[rank].gap).into_iter().max().unwrap();
        (share, gap / MS)
    };
    (0..percents.len()).map(of).collect()
}

/// Finding 1: two ranks of one job on two slices.
#[test]
fn a_gang_gets_its_share_whatever_its_ranks_wait_for() {
    for percent in [10, 25, 30, 40, 45, 50, 60, 80, 90] {
        for every in [1, 10, 50] {
            let (got, gap) = jobs(&[percent], every)[0];
            assert!((got - f64::from(percent)).abs() <= 3.0, "{percent} %, each {every}: {got}");
            assert!(gap <= 200, "{percent} %, each {every}: {gap} ms");
        }
    }
}

#[test]
fn gangs_that_cross_each_other_get_their_shares() {
    for percents in [[50, 50], [80, 20], [30, 70]] {
        for every in [1, 10, 50] {
            for (percent, (got, gap)) in percents.iter().zip(jobs(&percents, every)) {
                assert!(
                    (got - f64::from(*percent)).abs() <= 3.0,
                    "{percents:?}, each {every}: {got} of {percent}"
                );
                assert!(gap <= 200, "{percents:?}, each {every}: {gap} ms of {percent}");
            }
        }
    }
}

#[test]
fn a_gang_beside_containers_of_one_card_gets_its_share_and_so_do_they() {
    let mut machine = Machine::default();
    let rank = Program::Busy { kernel: MS, job: Some((0, 10)) };
    machine.container("gang", shares(40, &[0, 1]), &[(0, rank), (1, rank)]);
    machine.container("left", shares(60, &[0]), &[(0, busy(MS))]);
    machine.container("right", shares(50, &[1]), &[(0, busy(3 * MS))]);
    machine.run(RUN);
    for (number, percent) in [(0, 40.0), (1, 40.0), (2, 60.0), (3, 50.0)] {
        let got = machine.share(number);
        assert!((got - percent).abs() <= 4.0, "{number}: {got} of {percent}");
    }
}

/// Finding 3: what a container of 1 % does, its neighbour of 50 % has 45 at least.
#[test]
fn a_neighbour_that_does_not_end_costs_nobody_his_share() {
    for (what, kernel, stops) in
        [("a kernel without an end", 1_000 * SECOND, Time::MAX), ("stopped in its turn", MS, 3 * MS)]
    {
        let mut machine = Machine::default();
        machine.container("bad", shares(1, &[0]), &[(0, busy(kernel))]);
        machine.container("good", shares(50, &[0]), &[(0, busy(MS))]);
        machine.processes[0].stops = stops;
        machine.run(10 * SECOND);
        assert!(machine.share(1) >= 45.0, "{what}: {}", machine.share(1));
    }
}

#[test]
fn many_processes_of_a_neighbour_get_no_more_than_its_share() {
    let mut machine = Machine::default();
    machine.container("many", shares(10, &[0]), &[(0, busy(MS)); 8]);
    machine.container("good", shares(90, &[0]), &[(0, busy(MS))]);
    machine.run(RUN);
    let many: f64 = (0..8).map(|number| machine.share(number)).sum();
    assert!(many <= 13.0 && machine.share(8) >= 86.0, "{many} and {}", machine.share(8));
}

/// The 99th of a hundred requests of 2 ms each 20 ms beside one that always computes, in ms; and what that one gets.
fn request(latency: bool, percent: u32) -> (f64, f64) {
    let mut machine = Machine::default();
    let shares = Shares { latency, burst_ns: 100 * MS, ..shares(percent, &[0]) };
    machine.container("requests", shares, &[(0, Program::Requests { kernel: 2 * MS, every: 20 * MS })]);
    machine.container("batch", super::shares(100 - percent, &[0]), &[(0, busy(MS))]);
    machine.run(RUN);
    let took = &mut machine.processes[0].took;
    took.sort_unstable();
    (took[took.len() * 99 / 100] as f64 / MS as f64, machine.share(1))
}

#[test]
fn a_request_of_the_latency_class_waits_for_what_runs_and_for_nothing_else() {
    for percent in [20, 50, 80] {
        let (took, batch) = request(true, percent);
        assert!(took <= 2.0 * 1.1 + 2.0 + 1.0, "{percent} %: {took} ms");
        let left = f64::from(100 - percent).min(90.0);
        assert!(batch >= 0.8 * left, "{percent} %: the batch one has {batch} of {left}");
    }
    assert!(request(false, 50).0 > 10.0, "without the class it waits for the turn's end");
}

#[test]
fn a_request_on_an_idle_card_is_not_stretched() {
    let mut machine = Machine::default();
    let shares = Shares { burst_ns: 100 * MS, ..shares(10, &[0]) };
    let requests = Program::Requests { kernel: 40 * MS, every: 2 * SECOND };
    machine.container("requests", shares, &[(0, requests)]);
    machine.run(20 * SECOND);
    let longest = machine.processes[0].took.iter().skip(1).max().unwrap();
    assert!(*longest <= 42 * MS, "{longest}");
}
