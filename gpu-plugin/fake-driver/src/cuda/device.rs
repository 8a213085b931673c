//! The cards that a process sees, as the machine's file describes them.

use super::abi::CudaError;
use super::card::Card;
use crate::config::File;

/// A card that this process sees.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) card: Card,
    pub(crate) uuid: [u8; 16],
    pub(crate) model: String,
    /// What each context takes, in bytes.
    pub(crate) context_bytes: u64,
}

/// Opens the cards that are visible.
pub(crate) fn open_visible() -> Result<Vec<Device>, CudaError> {
    let mut file = File::find();
    let state = file.state().ok_or(CudaError::NO_DEVICE)?;
    let config = file.read().filter(|config| config.driver != "not_loaded").ok_or(CudaError::NO_DEVICE)?;
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let cards = config.cards.iter().enumerate().filter(|(at, card)| {
        let named = |text: &String| text.split(',').any(|one| one == at.to_string() || one == card.uuid);
        !card.lost && visible.as_ref().is_none_or(named)
    });
    let open = |(_, card): (usize, &crate::config::Card)| {
        let capacity = card.memory_mib.saturating_sub(card.reserved_mib) << 20;
        Ok(Device {
            card: Card::open(&state, &card.uuid, capacity)?,
            uuid: uuid_bytes(&card.uuid),
            model: card.model.clone(),
            context_bytes: card.context_mib << 20,
        })
    };
    cards.map(open).collect()
}

/// The bytes of a UUID; what is no hexadecimal digit is left out.
fn uuid_bytes(text: &str) -> [u8; 16] {
    let digits: Vec<u8> =
        text.trim_start_matches("GPU-").chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    std::array::from_fn(|at| {
        let digit = |at: usize| digits.get(at).copied().unwrap_or(0);
        digit(2 * at) << 4 | digit(2 * at + 1)
    })
}
