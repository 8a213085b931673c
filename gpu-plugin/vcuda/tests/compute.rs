//! Slices of compute are held for real programs in real mount namespaces, on the simulated driver's card: what each got is what the
//! driver itself has counted. The margins are wide: it is tested that a slice is held, and `hack/bench vcuda` measures how well.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rig::{Container, Machine, program};

#[allow(dead_code, reason = "other tests use the rest")]
mod rig;

const MS: u64 = 1_000_000;

/// In limits.json, beside the cards.
const HARD: &str = "\"virtual_memory\":false,\"work_conserving\":false,";
const CONSERVING: &str = "\"virtual_memory\":false,\"work_conserving\":true,";

fn container<'a>(machine: &'a Machine, percent: u32, more: &str) -> Container<'a> {
    machine.container(2000, percent, more)
}

/// A program that computes in a container.
fn start(container: &Container<'_>, mode: &str, kernel_ns: u64, seconds: f64) -> Child {
    let mut command = container.command(&program("compute"));
    command.args([mode, &kernel_ns.to_string(), &seconds.to_string()]);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

fn said(child: Child) -> String {
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

/// The share that a program got: of the card's time between its first kernel's end and its last one's.
fn share(child: Child) -> f64 {
    let said = said(child);
    let share = said.strip_prefix("share ").and_then(|rest| rest.split(' ').next()?.parse().ok());
    share.unwrap_or_else(|| panic!("{said}"))
}

/// The share that a container gets which has the card to itself.
fn alone(percent: u32, more: &str, mode: &str, kernel_ns: u64) -> f64 {
    let machine = Machine::new(1, 4000);
    share(start(&container(&machine, percent, more), mode, kernel_ns, 2.0))
}

#[test]
fn a_share_is_held_however_the_work_is_launched_and_waited_for() {
    for mode in ["async", "sync", "query", "event", "default", "thread", "destroy", "graph"] {
        let got = alone(30, HARD, mode, 2 * MS);
        assert!((20.0..=36.0).contains(&got), "{mode}: {got} of 30 %");
    }
}

#[test]
fn a_share_is_held_whatever_the_length_of_its_kernels() {
    for kernel in [MS / 10, 10 * MS, 150 * MS] {
        let got = alone(40, HARD, "async", kernel);
        assert!((30.0..=47.0).contains(&got), "{kernel} ns: {got} of 40 %");
    }
}

#[test]
fn the_driver_counts_no_more_than_the_share() {
    let machine = Machine::new(1, 4000);
    let container = container(&machine, 25, HARD);
    said(start(&container, "burst", MS / 10, 3.0));
    let busy: u64 = machine.real(0).iter().map(|record| record.busy_ns).sum();
    // Three seconds at a quarter, what is on its way at the end, and the burst that a new account has.
    assert!((600 * MS..=1_100 * MS).contains(&busy), "{busy} ns in 3 s of 25 %");
}

#[test]
fn a_whole_card_and_one_that_may_take_what_is_left_are_not_held() {
    assert!(alone(100, HARD, "async", MS) > 85.0);
    assert!(alone(10, CONSERVING, "async", MS) > 60.0);
}

#[test]
fn two_containers_get_what_each_was_promised() {
    let machine = Machine::new(1, 4000);
    let (a, b) = (container(&machine, 20, HARD), container(&machine, 60, HARD));
    let (small, large) = (start(&a, "sync", MS, 4.0), start(&b, "async", 5 * MS, 4.0));
    let (small, large) = (share(small), share(large));
    assert!(
        (14.0..=25.0).contains(&small) && (50.0..=68.0).contains(&large),
        "{small} of 20 %, {large} of 60 %"
    );
}

#[test]
fn one_that_is_killed_in_its_turn_or_never_launches_again_keeps_nobody_waiting() {
    let machine = Machine::new(1, 4000);
    let [a, b, c] = [(); 3].map(|()| container(&machine, 50, HARD));
    let mut killed = start(&a, "async", MS, 60.0);
    let leaves = start(&b, "leave", MS, 0.5);
    std::thread::park_timeout(Duration::from_secs(1));
    killed.kill().unwrap();
    killed.wait().unwrap();
    let got = share(start(&c, "async", MS, 2.0));
    assert!((40.0..=58.0).contains(&got), "{got} of 50 %");
    share(leaves);
}

#[test]
fn without_an_arbiter_a_container_keeps_to_its_share_by_itself() {
    let machine = Machine::new(1, 4000);
    let container = container(&machine, 30, HARD);
    let unmounted = container.command(Path::new("umount")).arg("/etc/ideal-gpu/arbiter").status().unwrap();
    assert!(unmounted.success());
    let got = share(start(&container, "async", MS, 2.0));
    assert!((24.0..=36.0).contains(&got), "{got} of 30 %");
}

#[test]
fn shares_are_held_while_the_arbiter_is_away_for_a_while() {
    let machine = Machine::new(1, 4000);
    let containers = [30, 60].map(|percent| container(&machine, percent, HARD));
    let running = containers.each_ref().map(|container| start(container, "async", MS, 4.0));
    for _ in 0..2 {
        std::thread::park_timeout(Duration::from_secs(1));
        containers.iter().for_each(Container::lose_arbiter);
        std::thread::park_timeout(Duration::from_millis(500));
        containers.iter().for_each(Container::serve);
    }
    let [small, large] = running.map(share);
    assert!(
        (24.0..=38.0).contains(&small) && (48.0..=68.0).contains(&large),
        "{small} of 30 %, {large} of 60 %"
    );
}

/// Finding 3.
#[test]
fn a_neighbour_that_is_stopped_in_its_turn_keeps_nobody_waiting() {
    let machine = Machine::new(1, 4000);
    let [bad, good] = [1, 50].map(|percent| container(&machine, percent, HARD));
    let stopped = start(&bad, "async", MS, 60.0);
    std::thread::park_timeout(Duration::from_millis(300));
    let stop = Command::new("kill").args(["-STOP", &stopped.id().to_string()]).status().unwrap();
    assert!(stop.success());
    let got = share(start(&good, "async", MS, 4.0));
    assert!(got >= 45.0, "{got} of 50 %");
    let mut stopped = stopped;
    stopped.kill().unwrap();
    stopped.wait().unwrap();
}
