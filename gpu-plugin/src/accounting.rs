//! The accounting of one container: a file that its processes map and that the plugin reads.
//!
//! The plugin makes it anew, all zero, at each start of the container. `libvcuda.so` is the only writer. What is where is in
//! [`layout`].

pub mod layout;
pub mod seal;

use layout::{
    CARD_BUSY, CARD_BYTES, CARD_REFUSED, CARD_THROTTLED, CARDS, CARDS_AT, FILE_BYTES, MAGIC, PROCESS_SPILLED,
    PROCESS_USED, PROCESSES, pid_at, process_at,
};
use seal::unseal;

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
    use super::seal::seal;
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
}
