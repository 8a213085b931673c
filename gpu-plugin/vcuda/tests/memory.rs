//! Memory: what is accounted is what the driver has given, and never a byte more than the limit, with real processes that are
//! killed at any moment.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod rig;

use rig::{Container, Machine, Program, Random, program};

const MIB: u64 = 1 << 20;

/// Runs or kills some of the programs, and compares when all are quiet.
fn step(container: &Container<'_>, programs: &mut [Option<Program>], random: &mut Random) {
    let count = 1 + random.below(programs.len() as u64);
    let memory = program("memory");
    for place in programs.iter_mut().take(usize::try_from(count).unwrap()) {
        let it = place.get_or_insert_with(|| container.start(&memory));
        it.say(&format!("run {} {}", random.next() >> 1, 1 + random.below(40)));
    }
    for place in programs.iter_mut().take(usize::try_from(count).unwrap()) {
        if random.below(100) < 2 {
            place.take().unwrap().kill();
        } else if let Some(it) = place {
            let answer = it.answer();
            assert!(answer.starts_with("quiet "), "{answer}");
        }
    }
}

#[test]
fn what_is_accounted_is_real_and_never_above_the_limit_whoever_is_killed() {
    let sequences: u64 = std::env::var("VCUDA_SEQUENCES").map_or(2_000, |count| count.parse().unwrap());
    let seed = std::env::var("VCUDA_SEED").map_or(0x5eed, |seed| seed.parse().unwrap());
    println!("VCUDA_SEED={seed} VCUDA_SEQUENCES={sequences}");
    let (machine, limit) = (Machine::new(1, 4096), 300 * MIB);
    let container = machine.container(300, 100, "\"virtual_memory\":false,\"work_conserving\":false,");
    let mut random = Random(seed);
    let mut programs: Vec<Option<Program>> = (0..8).map(|_| None).collect();
    for sequence in 0..sequences {
        step(&container, &mut programs, &mut random);
        // One that lives looks, and clears what the dead left.
        let first = programs[0].get_or_insert_with(|| container.start(&program("memory")));
        let told = first.ask("info");
        let (real, accounted) = (machine.held(0), container.accounted(0).used);
        assert_eq!(accounted, real, "sequence {sequence}: {told}");
        assert_eq!(told, format!("info {} {limit}", limit - real), "sequence {sequence}");
    }
    // Not looked at from outside, which could miss it: the driver keeps it under its own lock.
    let most = machine.most(0);
    println!("{sequences} sequences, at most {most} of {limit} bytes at any moment");
    assert!(most <= limit && most > limit - limit / 10, "{most}");
}

#[test]
fn a_slice_ends_at_its_last_block_and_a_neighbour_has_its_own() {
    let machine = Machine::new(1, 4096);
    let limits = "\"virtual_memory\":false,\"work_conserving\":false,";
    let (one, other) = (machine.container(200, 100, limits), machine.container(100, 100, limits));
    let mut programs = [one.start(&program("memory")), other.start(&program("memory"))];
    // CUDA_ERROR_OUT_OF_MEMORY is 2.
    assert_eq!(programs.each_mut().map(|it| it.ask("most 2")), ["most 100 2", "most 50 2"]);
    assert_eq!(
        programs.each_mut().map(|it| it.ask("info")),
        [200, 100].map(|mib| format!("info 0 {}", mib * MIB))
    );
    assert_eq!(one.accounted(0).refused, 1);
}

/// Whether the driver puts a small piece into a block that it has is seen afterwards, and so room for a block is asked for before.
#[test]
fn a_piece_smaller_than_a_block_is_given_where_a_block_would_be() {
    let machine = Machine::new(1, 4096);
    let container = machine.container(200, 100, "\"virtual_memory\":false,\"work_conserving\":false,");
    let mut program = container.start(&program("memory"));
    assert_eq!(program.ask("most 1"), "most 199 2");
    assert_eq!(program.ask("info"), format!("info 0 {}", 200 * MIB));
}
