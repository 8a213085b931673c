//! Machines for tests: cards whose files lie in a folder of the test's own. Time is what the test says.

use tempfile::TempDir;

use super::abi::BLOCK;
use super::card::Card;
use super::current::set_current;
use super::device::Device;
use super::process::Process;

/// Of every card.
const UUID: &str = "GPU-0";

/// A machine with one card.
pub(crate) struct Machine(TempDir);

impl Machine {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The folder of what processes do to the card.
    pub(crate) fn state(&self) -> &std::path::Path {
        self.0.path()
    }

    /// The card, of so many blocks of memory, as one more process opens it.
    pub(crate) fn card(&self, blocks: u64) -> Card {
        Card::open(self.state(), UUID, blocks * BLOCK).unwrap()
    }

    /// A process that has opened the card and has no context yet; each takes so many blocks.
    pub(crate) fn process(&self, blocks: u64, context_blocks: u64) -> Process {
        let (card, context_bytes) = (self.card(blocks), context_blocks * BLOCK);
        let device = Device { card, uuid: [0; 16], model: String::new(), context_bytes };
        let mut process = Process::default();
        // Devices live as long as the process.
        process.devices = Box::leak(Box::new([device]));
        process
    }

    /// A process whose thread, the test's, has a context that takes nothing.
    pub(crate) fn running(&self, blocks: u64) -> Process {
        let mut process = self.process(blocks, 0);
        set_current(process.create_context(0).unwrap());
        process
    }

    /// The UUID of the card.
    pub(crate) fn uuid(&self) -> &str {
        UUID
    }
}
