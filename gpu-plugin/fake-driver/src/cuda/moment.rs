//! Moments in the life of a process: when so much of its work is done, on each of its devices.

/// Devices of a process at most.
pub(crate) const DEVICES: usize = 16;

/// How many ns of the process's work are done by then, by device. The beginning is the default: nothing needs to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moment([u64; DEVICES]);

impl Moment {
    /// When a device has done so much.
    pub(crate) fn of(device: usize, work: u64) -> Self {
        let mut moment = Self::default();
        if let Some(of_device) = moment.0.get_mut(device) {
            *of_device = work;
        }
        moment
    }

    /// The later of both, on each device.
    pub(crate) fn and(self, other: Self) -> Self {
        Self(std::array::from_fn(|device| self.work(device).max(other.work(device))))
    }

    /// What a device has done by then.
    pub(crate) fn work(&self, device: usize) -> u64 {
        self.0.get(device).copied().unwrap_or_default()
    }

    /// Whether it is about a device.
    pub(crate) fn is_about(&self, device: usize) -> bool {
        self.work(device) > 0
    }
}
