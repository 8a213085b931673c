//! Programs whose kernels wait for each other on several cards, as those of NCCL do, get their share, on the simulated driver. How well, and
//! in more shapes, `hack/bench vcuda` measures.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

use std::process::{Child, Stdio};

use rig::{Container, Machine, program};

#[allow(dead_code, reason = "other tests use the rest")]
mod rig;

/// One program a card, with so many kernels of a millisecond, which no rank may have fewer of than the other; each `every`-th one waits for
/// the other card's.
fn start(container: &Container<'_>, job: u32, every: u32, kernels: u32) -> [Child; 2] {
    [0, 1].map(|rank| {
        let mut command = container.command(&program("compute"));
        command.args(["async", "1000000", "60", &kernels.to_string()]).env("DEVICE", rank.to_string());
        command.env("MEET", format!("{job} {rank} 2 {every}")).stdout(Stdio::piped()).spawn().unwrap()
    })
}

/// The share that the slower rank got.
fn share(ranks: [Child; 2]) -> f64 {
    let of = |child: Child| {
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let share = said.strip_prefix("share ").and_then(|rest| rest.split(' ').next()?.parse().ok());
        share.unwrap_or_else(|| panic!("{said}"))
    };
    ranks.map(of).into_iter().fold(f64::MAX, f64::min)
}

/// Finding 1.
#[test]
fn a_job_on_two_slices_gets_its_share() {
    for (percent, every) in [(30, 1), (50, 10), (80, 1)] {
        let machine = Machine::new(2, 4000);
        let got = share(start(&machine.gang(2, percent), 1, every, 40 * percent));
        let asked = f64::from(percent);
        // To meet takes time too: without limits such a program has 96 % of its cards.
        assert!((asked * 0.85..=asked + 7.0).contains(&got), "each {every}: {got} of {percent} %");
    }
}

#[test]
fn jobs_that_cross_each_other_get_their_shares() {
    let machine = Machine::new(2, 4000);
    let [one, other] = [(); 2].map(|()| machine.gang(2, 50));
    let running = [start(&one, 1, 1, 2000), start(&other, 2, 10, 2000)];
    for got in running.map(share) {
        assert!((42.0..=58.0).contains(&got), "{got} of 50 %");
    }
}
