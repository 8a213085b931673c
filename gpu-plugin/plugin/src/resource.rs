//! The two kubelet resources, and what their device ids say.

use ideal_gpu::ask::Share;
use ideal_gpu::card::CardId;
use ideal_gpu::names::{GPU, WHOLE};
use ideal_gpu::slot::SlotId;

/// A kubelet resource of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// `ideal.com/gpu`: a device is one of a card's slots.
    Slices,
    /// `nvidia.com/gpu`: a device is a card.
    Whole,
}

impl Resource {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Slices, Self::Whole];

    /// The resource that a share is handed out by.
    pub(crate) fn of(share: Share) -> Self {
        match share {
            Share::Slice { .. } => Self::Slices,
            Share::Whole => Self::Whole,
        }
    }

    /// The resource of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.name() == name)
    }

    /// As the kubelet knows it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Slices => GPU,
            Self::Whole => WHOLE,
        }
    }

    /// CDI kind of the devices. Not `nvidia.com/gpu`: that one belongs to NVIDIA's own specs.
    pub(crate) fn cdi_kind(self) -> &'static str {
        match self {
            Self::Slices => "ideal.com/gpu",
            Self::Whole => "ideal.com/card",
        }
    }

    /// A card's device ids. They are CDI names as they are: letters, digits and dashes.
    pub fn ids(self, card: &CardId) -> Vec<String> {
        match self {
            Self::Slices => SlotId::all(card).map(|slot| slot.to_string()).collect(),
            Self::Whole => vec![card.to_string()],
        }
    }

    /// The card that a device id names.
    pub fn card(self, id: &str) -> Option<CardId> {
        match self {
            Self::Slices => SlotId::parse(id).map(|slot| slot.card),
            Self::Whole => CardId::parse(id).ok(),
        }
    }
}
