//! Virtual memory: a slice that is larger than what the card has left goes on in the host's memory, with right results.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod rig;

use rig::{Container, Machine, Program, program};

const MIB: u64 = 1 << 20;

fn start(container: &Container<'_>, kind: &str, pieces: u32) -> Program {
    let mut command = container.command(&program("spill"));
    command.args([kind, &pieces.to_string()]);
    Program::start(command)
}

/// A card of 400 MiB of which a neighbour has 200: a slice of 400 MiB, and a working set of 300, 1.5 × what is free.
#[test]
fn a_working_set_of_one_and_a_half_times_what_is_free_finishes_with_right_results() {
    let machine = Machine::new(1, 400);
    let neighbour = machine.container(200, 100, "\"virtual_memory\":false,\"work_conserving\":false,");
    let mut full = neighbour.start(&program("memory"));
    assert_eq!(full.ask("most 2"), "most 100 2");
    for kind in ["linear", "pitched", "pool", "physical"] {
        let container = machine.container(400, 100, "\"virtual_memory\":true,\"work_conserving\":false,");
        let mut program = start(&container, kind, 75);
        // The slice, though the card has but 200 MiB left.
        assert_eq!(program.answer(), "before: cuda 400 of 400, device 400, nvml 400 of 400");
        assert_eq!(program.ask(""), "right 75", "{kind}");
        assert_eq!(program.answer(), "full: cuda 100 of 400, device 400, nvml 100 of 400", "{kind}");
        let accounted = container.accounted(0);
        assert_eq!((accounted.used, accounted.spilled), (300 * MIB, 100 * MIB), "{kind}");
        // As the driver has it: the card is full to the last block, and nothing of the neighbour's was taken.
        assert_eq!((machine.held(0), machine.most(0)), (400 * MIB, 400 * MIB), "{kind}");
        // What is in the host's memory is of the slice as well: it ends where it ends.
        assert_eq!(program.ask(""), "beyond 2", "{kind}");
        assert_eq!(program.answer(), "after: cuda 400 of 400, device 400, nvml 400 of 400", "{kind}");
        let accounted = container.accounted(0);
        assert_eq!((accounted.used, accounted.spilled), (0, 0), "{kind}");
        program.say("");
        assert!(program.end().1);
    }
    assert_eq!(full.ask("info"), format!("info 0 {}", 200 * MIB));
}

/// Without it the same program gets what there is, and works in that.
#[test]
fn without_virtual_memory_the_card_s_room_is_the_end() {
    let machine = Machine::new(1, 400);
    let limits = "\"virtual_memory\":false,\"work_conserving\":false,";
    let neighbour = machine.container(200, 100, limits);
    let mut full = neighbour.start(&program("memory"));
    assert_eq!(full.ask("most 2"), "most 100 2");
    let container = machine.container(400, 100, limits);
    let mut program = start(&container, "linear", 75);
    assert_eq!(program.answer(), "before: cuda 200 of 400, device 400, nvml 400 of 400");
    assert_eq!(program.ask(""), "right 50");
    assert_eq!((container.accounted(0).used, container.accounted(0).spilled), (200 * MIB, 0));
}
