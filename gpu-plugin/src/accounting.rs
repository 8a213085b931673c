//! The accounting of one container: a file that its processes map and that the plugin reads.
//!
//! The plugin makes it anew, all zero, at each start of the container. `libvcuda.so` is the only writer. Every number is a
//! `u64` in the machine's order and is written whole, so a reader sees no half of one; sums over several are of nearly one moment.
//!
//! | offset | what |
//! |---|---|
//! | 0 | [`MAGIC`], 0 before the first process, or [`DAMAGED`] |
//! | 8 | whose turn it is to change several numbers: a process's id, or 0 |
//! | [`CARDS_AT`] | [`CARDS`] cards of [`CARD_BYTES`]: see the constants that begin with `CARD_` |
//! | [`PROCESSES_AT`] | [`PROCESSES`] processes of [`PROCESS_BYTES`]: see those that begin with `PROCESS_` |
//! | [`PIDS_AT`] | the id of each process as it sees it itself, or 0 if its entry is free |

use crate::names::MAX_CARDS_PER_NODE;

/// Size of the file in bytes: a little more than is used, so that a later version may add.
pub const FILE_BYTES: usize = 192 << 10;

/// "VCUDARG3": the form is this one.
pub const MAGIC: u64 = u64::from_le_bytes(*b"VCUDARG3");

/// "VCUDABAD": a process has found a number that none of them had written. It stays so until the container starts again.
pub const DAMAGED: u64 = u64::from_le_bytes(*b"VCUDABAD");

/// Cards that there is room for; a card's place is its place in the limits file.
pub const CARDS: usize = MAX_CARDS_PER_NODE as usize;

/// Where the cards begin.
pub const CARDS_AT: usize = 256;

/// Bytes of a card: two cache lines, so that cards do not slow each other down.
pub const CARD_BYTES: usize = 128;

/// In a card: when the next work may start, ns of `CLOCK_MONOTONIC`.
pub const CARD_TAT: usize = 0;

/// In a card: device time that was charged, in ns.
pub const CARD_BUSY: usize = 8;

/// In a card: time that programs were made to wait for their share, in ns.
pub const CARD_THROTTLED: usize = 16;

/// In a card: allocations that were refused because of the limit.
pub const CARD_REFUSED: usize = 24;

/// Processes that use a card at one time, at most. The next one's CUDA calls fail.
pub const PROCESSES: usize = 256;

/// Where the processes begin.
pub const PROCESSES_AT: usize = 4096;

/// Bytes of a process.
pub const PROCESS_BYTES: usize = 512;

/// Where the ids of the processes are, 8 bytes each: side by side, since every allocation looks which entries are free.
pub const PIDS_AT: usize = process_at(PROCESSES);

/// In a process: when it started, in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
pub const PROCESS_START: usize = 8;

/// In a process: the inode of its PID namespace.
pub const PROCESS_NAMESPACE: usize = 16;

/// In a process: where its stack starts, field 28 of `/proc/<pid>/stat`: another after `execve`.
pub const PROCESS_STACK: usize = 24;

/// In a process: [`mix`] of its id, of the three numbers above and of where the process stands.
pub const PROCESS_CHECK: usize = 32;

/// In a process: bytes charged on each card, spilled ones included, [`seal`]ed.
pub const PROCESS_USED: usize = 64;

/// In a process: bytes of each card that lie in host memory.
pub const PROCESS_SPILLED: usize = 64 + 8 * CARDS;

/// Where a process's entry begins.
#[must_use]
pub const fn process_at(entry: usize) -> usize {
    PROCESSES_AT + entry * PROCESS_BYTES
}

/// Where the id of an entry's process is.
#[must_use]
pub const fn pid_at(entry: usize) -> usize {
    PIDS_AT + 8 * entry
}

const _: () = assert!(PIDS_AT + 8 * PROCESSES <= FILE_BYTES);
const _: () = assert!(CARDS_AT + CARDS * CARD_BYTES <= PROCESSES_AT);
const _: () = assert!(PROCESS_SPILLED + 8 * CARDS <= PROCESS_BYTES);

/// The part of a sealed number that says whether it is one.
const SEAL: u64 = (1 << 20) - 1;

/// Bytes, of which only whole MiB are ever charged, as they are written at an offset: the 20 bits below the MiB tell a number that
/// was written there from any other. So it stays one word, which is written whole; zeros are no number.
#[must_use]
pub fn seal(bytes: u64, at: usize) -> u64 {
    let bytes = bytes & !SEAL;
    bytes | mix(&[bytes, at as u64]) & SEAL | 1
}

/// The bytes of a sealed number; `None` if nobody wrote it there.
#[must_use]
pub fn unseal(word: u64, at: usize) -> Option<u64> {
    (seal(word, at) == word).then_some(word & !SEAL)
}

/// A number that depends on every bit of some (splitmix64: Steele, Lea, Flood 2014). Against damage, not against forgers.
#[must_use]
pub fn mix(words: &[u64]) -> u64 {
    words.iter().fold(0x9e37_79b9_7f4a_7c15, |sum: u64, word| {
        let sum = (sum ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let sum = (sum ^ (sum >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        sum ^ (sum >> 31)
    })
}

/// What a container uses of one card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CardAccount {
    /// Bytes charged, spilled ones included.
    pub used: u64,
    /// Bytes of them that lie in host memory.
    pub spilled: u64,
    /// Device time charged, in ns.
    pub busy_ns: u64,
    /// Time made to wait for the share, in ns.
    pub throttled_ns: u64,
    /// Allocations refused because of the limit.
    pub refused: u64,
}

/// Reads the first `cards` cards of an accounting file's content. `None` if it is not one, or damaged; one that no process has used yet is all
/// zero.
/// Processes that died since the last one looked are still counted.
#[must_use]
pub fn read(content: &[u8], cards: usize) -> Option<Vec<CardAccount>> {
    let number = |at: usize| {
        let bytes = content.get(at..at + 8)?;
        Some(u64::from_ne_bytes(bytes.try_into().ok()?))
    };
    if content.len() != FILE_BYTES || cards > CARDS || ![0, MAGIC].contains(&number(0)?) {
        return None;
    }
    let mut all = vec![CardAccount::default(); cards];
    for (card, sum) in all.iter_mut().enumerate() {
        let at = CARDS_AT + card * CARD_BYTES;
        sum.busy_ns = number(at + CARD_BUSY)?;
        sum.throttled_ns = number(at + CARD_THROTTLED)?;
        sum.refused = number(at + CARD_REFUSED)?;
        for entry in 0..PROCESSES {
            if number(pid_at(entry))? != 0 {
                let process = process_at(entry);
                let used = process + PROCESS_USED + 8 * card;
                sum.used = sum.used.saturating_add(unseal(number(used)?, used)?);
                sum.spilled = sum.spilled.saturating_add(number(process + PROCESS_SPILLED + 8 * card)?);
            }
        }
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accounting_file_is_the_sum_of_its_processes_and_anything_else_is_none() {
        let mut content = vec![0; FILE_BYTES];
        assert_eq!(read(&content, 2), Some(vec![CardAccount::default(); 2]));
        let mut put = |at: usize, value: u64| content[at..at + 8].copy_from_slice(&value.to_ne_bytes());
        put(0, MAGIC);
        for (entry, pid, mib) in [(0, 7, 10), (1, 0, 100), (255, 9, 5)] {
            let at = process_at(entry);
            put(pid_at(entry), pid);
            for card in [0, 8] {
                let used = at + PROCESS_USED + card;
                put(used, seal(if card == 8 { mib << 20 } else { 0 }, used));
            }
        }
        put(CARDS_AT + CARD_BYTES + CARD_BUSY, 77);
        let all = read(&content, 2).unwrap();
        assert_eq!(all[0], CardAccount::default());
        assert_eq!((all[1].used, all[1].busy_ns), (15 << 20, 77), "a free entry does not count");
        assert_eq!(read(&content[1..], 2), None);
        assert_eq!(read(&content, CARDS + 1), None);
        content[0] = b'X';
        assert_eq!(read(&content, 2), None);
    }

    #[test]
    fn a_number_that_nobody_wrote_there_is_none() {
        for mib in [0, 1, 300, 1 << 40] {
            let word = seal(mib << 20, 4160);
            assert_eq!((unseal(word, 4160), unseal(word, 4168)), (Some(mib << 20), None));
            for bit in 0..64 {
                assert_eq!(unseal(word ^ (1 << bit), 4160), None, "{mib} MiB, bit {bit}");
            }
        }
        assert_eq!((unseal(0, 64), unseal(u64::MAX, 64)), (None, None));
    }
}
