//! What the driver tells about the cards, whoever the driver is.

use std::time::Duration;

use ideal_gpu::card::CardId;

/// A card that the driver lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// UUID.
    pub id: CardId,
    /// NVML's name, e.g. `NVIDIA GeForce RTX 3060`.
    pub model: String,
    /// NVML index: the number under which `nvidia-smi` shows it. May change when a card falls off.
    pub index: u32,
    /// N in `/dev/nvidia<N>`.
    pub minor: u32,
    /// PCI bus id as NVML writes it, e.g. `00000000:3B:00.0`.
    pub pci: String,
    /// MiB that programs can have: total less what the driver keeps for itself.
    pub memory_mib: u64,
    /// NUMA node that is nearest to it, where there is one.
    pub numa: Option<u32>,
    /// True if the card is cut by MIG.
    pub mig: bool,
    /// Version of the kernel driver, e.g. `580.82.07`.
    pub driver: String,
    /// The reset that the driver asks for before the card can be used, if it does.
    pub reset_required: Option<String>,
    /// Grows when the driver was away and came back, and when this card did: what was held against it is then over.
    pub incarnation: u32,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardEvent {
    /// The kernel driver reported an error of this number.
    Xid {
        /// On this card.
        card: CardId,
        /// See [`crate::xid`].
        number: u32,
    },
    /// The card has fallen off the bus.
    Lost {
        /// This one.
        card: CardId,
    },
    /// MIG was switched or cut anew: [`Driver::cards`] tells something else now.
    Recut {
        /// This one.
        card: CardId,
    },
}

impl CardEvent {
    /// The card that it is about.
    pub fn card(&self) -> &CardId {
        match self {
            Self::Xid { card, .. } | Self::Lost { card } | Self::Recut { card } => card,
        }
    }
}

/// How a card is used now. What the card does not measure is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardUsage {
    /// Card.
    pub card: CardId,
    /// Memory, all of it.
    pub total_bytes: u64,
    /// Of it, what the driver keeps for itself.
    pub reserved_bytes: u64,
    /// Of it, what programs hold.
    pub used_bytes: u64,
    /// Percent of the time in which something ran.
    pub busy_percent: Option<u32>,
    /// Degrees Celsius.
    pub temperature: Option<u32>,
    /// Milliwatts.
    pub power_milliwatts: Option<u32>,
    /// Programs that hold memory, by pid.
    pub processes: Vec<ProcessUsage>,
}

/// A program on a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessUsage {
    /// In the plugin's own pid namespace, or the host's where it has none.
    pub pid: u32,
    /// What it holds, where the driver may tell.
    pub used_bytes: Option<u64>,
}

/// Why the driver did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    /// There is no library, or it cannot be loaded: no driver is installed, or not for this container.
    #[error("the NVIDIA library cannot be loaded: {0}")]
    NoDriver(String),
    /// The library is there and the kernel module is not.
    #[error("the NVIDIA kernel driver is not loaded")]
    NotLoaded,
    /// The card has fallen off the bus.
    #[error("the card has fallen off the bus")]
    Lost,
    /// The card works again only after a reset.
    #[error("the card must be reset: {0}")]
    ResetRequired(String),
    /// A call into the library did not come back in time.
    #[error("the NVIDIA library does not answer")]
    Stuck,
    /// Anything else, in NVML's words.
    #[error("NVML: {0}")]
    Other(String),
}

impl DriverError {
    /// Whether the driver as a whole is missing, and not one card.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NoDriver(_) | Self::NotLoaded)
    }
}

/// The driver of the machine's cards. Calls block, each within its bound. After an error the next call starts anew by
/// itself: there is nothing to repair from outside. An error may come at once, so who asks in a loop pauses after one.
pub trait Driver: Send {
    /// Lists the cards in NVML's order. One that has fallen off is not among them.
    fn cards(&mut self) -> Result<Vec<Found>, DriverError>;

    /// Waits for an event, no longer than `patience`. What happens between two calls is kept, not lost.
    fn next_event(&mut self, patience: Duration) -> Result<Option<CardEvent>, DriverError>;

    /// How each card is used. One that does not answer is left out.
    fn usage(&mut self) -> Result<Vec<CardUsage>, DriverError>;

    /// Whether a card answers and asks for no reset.
    fn probe(&mut self, card: &CardId) -> Result<(), DriverError>;
}
