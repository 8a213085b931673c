//! Bad input: limits and accounting files that are no such thing, and an accounting file that is damaged while it is used. CUDA is refused with one
//! clear line, or the limit is held to the byte; a program without CUDA notices nothing.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod rig;

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use ideal_gpu::accounting::layout::{CARDS_AT, FILE_BYTES, PIDS_AT, PROCESS_BYTES, PROCESSES_AT};
use rig::{AccountingFile, Container, Machine, Program, Random, limits, program, uuid};

const HARD: &str = "\"virtual_memory\":false,\"work_conserving\":false,";
const MIB: u64 = 1 << 20;

/// No program of the container may use CUDA, and it is said why; `true` is as ever.
fn refused(container: &Container<'_>, named: &str) {
    let output = container.command(&program("memory")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "refused 800\n", "{said}");
    assert!(said.lines().count() == 1 && said.starts_with("libvcuda: ") && said.contains(named), "{said}");
    unaffected(container);
}

fn unaffected(container: &Container<'_>) {
    let other = container.command(Path::new("true")).output().unwrap();
    assert!(other.status.success() && other.stderr.is_empty(), "a program without CUDA notices nothing");
}

#[test]
fn without_limits_that_can_be_held_there_is_no_cuda() {
    let machine = Machine::new(1, 4096);
    let good = limits(0, 200, 30, HARD);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        good.replace(from, to).into_bytes()
    };
    let card = &good[good.find("[{").unwrap() + 1..good.len() - 2];
    let nested = format!("{{\"version\":1,\"cards\":{}", "[".repeat(30_000));
    let cases: Vec<Option<Vec<u8>>> = vec![
        None,
        Some(Vec::new()),
        Some(good.as_bytes()[..100].to_vec()),
        Some(with("\"version\":1", "\"version\":2")),
        Some(with("\"version\":1", "\"version\":99999999999999999999999999")),
        Some(with("\"memory_mib\":200", "\"memory_mib\":-1")),
        Some(with("\"memory_mib\":200", "\"memory_mib\":1e300")),
        Some(with("\"memory_mib\":200", "\"memory_mib\":18446744073709551615")),
        Some(with("\"memory_mib\":200", "\"memory_mib\":0")),
        Some(with("\"context_mib\":0", "\"context_mib\":18446744073709551615")),
        Some(with("\"core_percent\":30", "\"core_percent\":101")),
        Some(with("\"core_percent\":30", "\"core_percent\":30,\"core_percent\":90")),
        Some(with("\"pod_uid\"", "\"unlimited\":true,\"pod_uid\"")),
        Some(with(card, &format!("{card},{card}"))),
        Some(with(card, "")),
        Some(nested.into_bytes()),
        Some([good.as_bytes(), &[0xff, 0xfe, 0x80]].concat()),
        Some(good.bytes().map(|byte| if byte == b'p' { 0xc0 } else { byte }).collect()),
        Some(vec![b'{'; 1 << 20]),
    ];
    for limits in cases {
        let unused = vec![0; FILE_BYTES];
        let container = machine.container_with(limits.as_deref(), AccountingFile::Bytes(&unused));
        refused(&container, "limits.json");
    }
    // A card that the machine has and the limits do not: whatever else is allowed, nothing on it.
    let elsewhere = limits(5, 200, 30, HARD);
    refused(
        &machine.container_with(Some(elsewhere.as_bytes()), AccountingFile::Bytes(&vec![0; FILE_BYTES])),
        &uuid(0),
    );
}

#[test]
fn without_an_accounting_file_that_can_be_kept_there_is_no_cuda() {
    let machine = Machine::new(1, 4096);
    let good = limits(0, 200, 30, HARD);
    let unused = vec![0; FILE_BYTES];
    let mut damaged = unused.clone();
    damaged[3] = 7;
    let longer = vec![0; FILE_BYTES + 1];
    let cases = [
        AccountingFile::Bytes(&damaged),
        AccountingFile::Bytes(&unused[1..]),
        AccountingFile::Bytes(&longer),
        AccountingFile::Bytes(&[]),
        AccountingFile::Missing,
        AccountingFile::Folder,
        AccountingFile::ReadOnly,
    ];
    for accounting in cases {
        refused(&machine.container_with(Some(good.as_bytes()), accounting), "region");
    }
    assert_eq!(machine.most(0), 0, "nothing was ever given");
}

/// Two programs that hold memory.
fn two(container: &Container<'_>, random: &mut Random) -> [Program; 2] {
    [0, 1].map(|_| {
        let mut it = container.start(&program("memory"));
        let answer = it.ask(&format!("run {} 12", random.next() >> 1));
        assert!(answer.starts_with("quiet "), "{answer}");
        it
    })
}

/// Writes over some of the accounting file: where something stands, or anywhere.
fn damage(accounting: &Path, random: &mut Random) -> String {
    let file = File::options().write(true).read(true).open(accounting).unwrap();
    let at = match random.below(5) {
        0 => random.below(64),
        1 => CARDS_AT as u64 + random.below(128),
        2 => (PROCESSES_AT as u64) + random.below(3 * PROCESS_BYTES as u64),
        3 => PIDS_AT as u64 + random.below(32),
        _ => random.below(FILE_BYTES as u64),
    };
    let length = [1, 2, 8, 64, 512, 4096, FILE_BYTES as u64][random.below(7) as usize];
    let end = (at + length).min(FILE_BYTES as u64);
    let mut bytes = vec![0; (end - at) as usize];
    file.read_exact_at(&mut bytes, at).unwrap();
    let kind = random.below(5);
    for byte in &mut bytes {
        match kind {
            0 => *byte = 0,
            1 => *byte = 0xff,
            2 => *byte ^= 1 << random.below(8),
            3 => *byte = byte.wrapping_add(1),
            _ => *byte = random.next() as u8,
        }
    }
    file.write_all_at(&bytes, at).unwrap();
    format!("{at}..{end} kind {kind}")
}

/// Allocates as much as there is to be had; whether CUDA was refused to it.
fn take_all(program: &mut Program, what: &str) -> bool {
    let answer = program.ask("most 2");
    assert!(answer == "refused 800" || answer.starts_with("most "), "{what}: {answer}");
    assert!(answer.ends_with(" 2") || answer.ends_with(" 800"), "{what}: {answer}");
    answer.ends_with(" 800")
}

/// Whatever is written over the accounting file, by whom, and when: the limit is never passed, nobody crashes, nobody waits for ever.
#[test]
fn a_damaged_accounting_file_is_never_a_larger_slice() {
    let count: u64 = std::env::var("VCUDA_DAMAGES").map_or(200, |count| count.parse().unwrap());
    let seed = std::env::var("VCUDA_SEED").map_or(0x5eed, |seed| seed.parse().unwrap());
    println!("VCUDA_SEED={seed} VCUDA_DAMAGES={count}");
    let (mut random, mut refusals) = (Random(seed), 0);
    for number in 0..count {
        let (machine, limit) = (Machine::new(1, 256), 60 * MIB);
        let container = machine.container(60, 100, HARD);
        let mut programs = two(&container, &mut random);
        let what = format!("number {number}, {}", damage(&container.accounting_file(), &mut random));
        let refused = programs.each_mut().map(|it| take_all(it, &what));
        let mut third = container.start(&program("memory"));
        let refused = [refused[0], refused[1], take_all(&mut third, &what)];
        let (most, held) = (machine.most(0), machine.held(0));
        assert!(most <= limit, "{what}: {most} of {limit}");
        if refused.contains(&true) {
            refusals += 1;
        } else {
            assert_eq!((held, container.accounted(0).used), (limit, limit), "{what}");
        }
        unaffected(&container);
        let [one, other] = programs;
        for (it, refused) in [one, other, third].into_iter().zip(refused) {
            let (said, ended) = it.end();
            assert!(ended, "{what}: crashed. {said}");
            let lines = said.lines().filter(|line| line.starts_with("libvcuda: ")).count();
            assert_eq!(
                (said.lines().count(), lines),
                (usize::from(refused), usize::from(refused)),
                "{what}: {said}"
            );
        }
    }
    println!("{count} damages: in {refusals} CUDA was refused, in the others the limit was held to the byte");
    assert!(refusals > count / 5, "they were not damages: {refusals}");
}

#[test]
fn an_accounting_file_that_is_made_shorter_or_new_while_it_is_used_ends_cuda() {
    let machine = Machine::new(1, 4096);
    for again in [None, Some(FILE_BYTES as u64)] {
        let container = machine.container(60, 100, HARD);
        let mut programs = two(&container, &mut Random(1));
        let file = File::options().write(true).open(container.accounting_file()).unwrap();
        file.set_len(0).unwrap();
        if let Some(again) = again {
            file.set_len(again).unwrap();
        }
        // A new one first: it must not take what is all zero for its own while the others live.
        refused(&container, "region");
        for it in &mut programs {
            assert_eq!(it.ask("info"), "info refused 800");
            assert!(take_all(it, "truncated"));
        }
    }
    assert!(machine.most(0) <= 60 * MIB);
}

/// The lock is no promise that anybody keeps: one that is stopped while it holds it, or garbage, keeps others waiting for a
/// second.
#[test]
fn a_lock_that_is_never_given_back_is_taken() {
    let machine = Machine::new(1, 4096);
    let container = machine.container(60, 100, HARD);
    let mut program = container.start(&program("memory"));
    program.ask("info");
    let file = File::options().write(true).open(container.accounting_file()).unwrap();
    // A thread that lives and never gives it back: this one.
    file.write_all_at(&std::process::id().to_ne_bytes(), 8).unwrap();
    let began = std::time::Instant::now();
    assert_eq!(program.ask("most 60"), "most 1 2");
    assert!(began.elapsed().as_secs() < 10);
    assert_eq!(container.accounted(0).used, 60 * MIB);
}
