//! The accounting file of a container, which the container itself can write.
//!
//! An input is the number of cards (1 byte), bytes too many or too few (1 byte), and words: kind (1 byte), place (2 bytes), value (8).

use ideal_gpu::accounting::layout::{
    CARD_BUSY, CARD_BYTES, CARDS, CARDS_AT, FILE_BYTES, MAGIC, PROCESS_SPILLED, PROCESS_USED, PROCESSES,
    pid_at, process_at,
};
use ideal_gpu::accounting::read;
use ideal_gpu::accounting::seal::{seal, unseal};

use crate::input::Input;

pub(crate) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let cards = usize::from(input.byte() % (CARDS as u8 + 2));
    let length = (FILE_BYTES + 1).saturating_sub(usize::from(input.byte() ^ 1));
    let mut content = vec![0; length];
    while !input.is_empty() {
        let (kind, place, value) = (input.byte(), usize::from(input.two()), input.eight());
        write(&mut content, kind, place, value);
    }
    let number = |at: usize| {
        let word = content.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        u64::from_ne_bytes(word.unwrap_or_default())
    };
    let Some(all) = read(&content, cards) else { return };
    assert!(content.len() == FILE_BYTES && cards <= CARDS && [0, MAGIC].contains(&number(0)));
    assert_eq!(all.len(), cards);
    for (card, sum) in all.iter().enumerate() {
        let taken = (0..PROCESSES).filter(|entry| number(pid_at(*entry)) != 0).map(process_at);
        let (mut used, mut spilled) = (0_u128, 0_u128);
        for process in taken {
            let at = process + PROCESS_USED + 8 * card;
            let Some(bytes) = unseal(number(at), at) else { panic!("a number that nobody sealed counts") };
            assert_eq!(seal(bytes, at), number(at));
            used += u128::from(bytes);
            spilled += u128::from(number(process + PROCESS_SPILLED + 8 * card));
        }
        let most = u128::from(u64::MAX);
        assert_eq!((u128::from(sum.used), u128::from(sum.spilled)), (used.min(most), spilled.min(most)));
        assert_eq!(sum.busy_ns, number(CARDS_AT + card * CARD_BYTES + CARD_BUSY));
    }
}

/// Writes a word: the magic number, a process's id, a sealed number, or any at any place.
fn write(content: &mut [u8], kind: u8, place: usize, value: u64) {
    let process = process_at(place % PROCESSES);
    let (at, value) = match kind % 6 {
        0 => (0, MAGIC),
        1 => (pid_at(place % PROCESSES), value),
        2 => {
            let at = process + PROCESS_USED + 8 * (value as usize % CARDS);
            (at, seal(value, at))
        }
        3 => (process + PROCESS_SPILLED + 8 * (value as usize % CARDS), value),
        4 => (CARDS_AT + place % (CARDS * CARD_BYTES), value),
        _ => (place * 3, value),
    };
    if let Some(word) = content.get_mut(at..at + 8) {
        word.copy_from_slice(&value.to_ne_bytes());
    }
}
