//! Lengths of time that scheduling is made of.

/// A time slice, in ns of the card's time: long beside what it costs to hand the card over (about 0.2 ms), short beside what a
/// person notices where five containers share a card.
pub(super) const TIMESLICE: u64 = 20_000_000;

/// How long, in ns, work of unknown length may seem not to end until more is let in.
pub(super) const MIN_PATIENCE: u64 = 100_000_000;
