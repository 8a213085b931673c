//! How often things happen in a schedule. Each schedule has its own values, since each finds other weaknesses.

use rand::Rng as _;
use rand::rngs::StdRng;

/// Values of one schedule. The weights are relative to those of the other steps.
pub(super) struct ScheduleConfig {
    /// Steps before the wind-down.
    pub(super) steps: u64,
    /// Attaches, detaches and orders may be carried out long after their caller has given up.
    pub(super) late_writes: bool,
    /// Disks may disappear from the cloud.
    pub(super) disks_vanish: bool,
    pub(super) fault_weight: u32,
    pub(super) crash_weight: u32,
    pub(super) abandon_weight: u32,
    pub(super) repeat_weight: u32,
    /// The longest pause between two steps, in milliseconds.
    pub(super) max_pause_ms: u64,
}

impl ScheduleConfig {
    pub(super) fn random(rng: &mut StdRng) -> Self {
        let mut one_of = |choices: [u32; 3]| choices[rng.random_range(0..3)];
        let (fault_weight, crash_weight) = (one_of([0, 10, 30]), one_of([0, 2, 8]));
        let (abandon_weight, repeat_weight) = (one_of([0, 4, 12]), one_of([0, 6, 12]));
        let max_pause_ms = [20, 2000, 30_000][rng.random_range(0..3)];
        Self {
            steps: rng.random_range(30..=300),
            late_writes: rng.random_bool(0.2),
            disks_vanish: rng.random_bool(0.2),
            fault_weight,
            crash_weight,
            abandon_weight,
            repeat_weight,
            max_pause_ms,
        }
    }
}
