//! The limits of a container, as `libvcuda.so` reads them.

use std::collections::BTreeSet;

use ideal_gpu::limits::{Limits, MAX_BYTES, MAX_MEMORY_MIB, VERSION};
use ideal_gpu::names::{CORE_PER_CARD, MAX_CARDS_PER_NODE};

pub(crate) fn run(bytes: &[u8]) {
    let limits = match Limits::parse(bytes) {
        Ok(limits) => limits,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(bytes.len() as u64 <= MAX_BYTES && limits.version == VERSION);
    assert!((1..=MAX_CARDS_PER_NODE as usize).contains(&limits.cards.len()), "{} cards", limits.cards.len());
    for card in &limits.cards {
        assert!((1..=CORE_PER_CARD).contains(&card.core_percent), "{card:?}");
        assert!(
            (1..=MAX_MEMORY_MIB).contains(&card.memory_mib) && card.context_mib <= MAX_MEMORY_MIB,
            "{card:?}"
        );
        assert!(card.memory_mib.checked_mul(1 << 20).is_some(), "its bytes are a number");
    }
    let ids: BTreeSet<&str> = limits.cards.iter().map(|card| card.uuid.as_str()).collect();
    assert_eq!(ids.len(), limits.cards.len(), "each card once");
    let text = serde_json::to_vec(&limits).unwrap_or_default();
    assert_eq!(Limits::parse(&text).ok().as_ref(), Some(&limits), "written and read");
    for cut in [text.len() - 1, text.len() / 2, 1, 0] {
        assert!(Limits::parse(&text[..cut]).is_err(), "a file that was cut off is none");
    }
}
