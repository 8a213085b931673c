//! Regions that owe an answer to how much they sell. The provisioner asks of every class and region each minute, a few at once: whoever
//! waits for a region that hangs keeps a question of another region from being asked. So one waits, and for a while nobody else does.

use std::collections::HashMap;
use std::time::Duration;

use eck_csi::volume::Region;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long a region may take. The client's own patience is four times that.
pub(crate) const HANGS: Duration = Duration::from_secs(10);

/// Who asks while another's question is open waits for so long after that: with twenty regions that hang and four classes, ten at once
/// are through in 20 × (10 + 3 × 4) / 10 = 44 s.
const SHARED: Duration = Duration::from_secs(4);

/// A region that owes an answer for so long is asked again: before the provisioner's next round, a minute after this one.
const FORGIVEN: Duration = Duration::from_secs(50);

/// Since when a region owes an answer, of those that do.
#[derive(Default)]
pub(crate) struct SilentRegions(Mutex<HashMap<Region, Instant>>);

impl SilentRegions {
    /// A question is to be sent: how long its answer may be waited for; zero if it should not be sent at all.
    pub(crate) fn patience(&self, region: &Region) -> Duration {
        let mut owing = self.0.lock();
        match owing.get(region).map(Instant::elapsed) {
            Some(owed) if owed < FORGIVEN => SHARED.saturating_sub(owed),
            Some(_) | None => {
                owing.insert(region.clone(), Instant::now());
                HANGS
            }
        }
    }

    /// The region has answered, whatever it said.
    pub(crate) fn answered(&self, region: &Region) {
        self.0.lock().remove(region);
    }
}
