//! Virtual memory: a slice that its card has no room for works on host memory, and its results are right.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod rig;

use rig::{Machine, program};

const MIB: u64 = 1 << 20;

const HARD: &str = "\"virtual_memory\":false,\"work_conserving\":false,";
const VIRTUAL: &str = "\"virtual_memory\":true,\"work_conserving\":false,";

/// A card with 128 MiB left: a neighbour has the rest.
fn machine_with_128_mib_left() -> Machine {
    Machine::new(1, 384)
}

#[test]
fn one_and_a_half_times_the_free_memory_gives_right_results() {
    let machine = machine_with_128_mib_left();
    let neighbour = machine.container(256, 50, HARD);
    let mut taken = neighbour.start(&program("memory"));
    assert_eq!(taken.ask("most 2"), "most 128 2");
    let container = machine.container(192, 50, VIRTUAL);
    let mut spill = container.start(&program("spill"));
    assert_eq!(spill.ask("192"), "right 24");
    let accounted = container.accounted(0);
    assert_eq!((accounted.used, accounted.spilled), (192 * MIB, 64 * MIB));
    assert_eq!(spill.end(), (String::new(), true));
    assert_eq!(container.accounted(0).used, 0);
    let mut more = container.start(&program("spill"));
    assert_eq!(more.ask("200"), "refused 24 2", "its slice holds with host memory too");
}

#[test]
fn a_slice_without_virtual_memory_is_refused_where_the_card_is_full() {
    let machine = machine_with_128_mib_left();
    let neighbour = machine.container(256, 50, HARD);
    let mut taken = neighbour.start(&program("memory"));
    assert_eq!(taken.ask("most 2"), "most 128 2");
    let container = machine.container(192, 50, HARD);
    let mut spill = container.start(&program("spill"));
    assert_eq!(spill.ask("192"), "refused 16 2", "CUDA_ERROR_OUT_OF_MEMORY");
}
