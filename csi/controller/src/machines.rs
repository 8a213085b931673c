//! Whether a machine is off, by the cloud's word. Only a word that says so counts: a machine that starts, stops, sleeps, or of which the
//! cloud does not tell enough may write to its disks.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use eck_csi::volume::Region;
use ecx::api::Instance;
use ecx::lists::InstanceFilter;
use ecx::{Client, Error};
use parking_lot::Mutex;
use tokio::time::Instant;

/// What the cloud says of a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MachineState {
    /// It is there, and off.
    Off,
    /// The region's whole list does not have it.
    Absent,
    /// Its state is this word, and that is not off.
    On(String),
    /// The cloud does not tell enough, for this reason.
    Unclear(&'static str),
}

impl fmt::Display for MachineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("it is off"),
            Self::Absent => f.write_str("it exists no more"),
            Self::On(word) if word.is_empty() => f.write_str("it tells no state"),
            Self::On(word) => write!(f, "it is {word}"),
            Self::Unclear(why) => f.write_str(why),
        }
    }
}

impl MachineState {
    /// Of a machine that is listed.
    pub(crate) fn of(machine: &Instance) -> Self {
        if machine.is_off() { Self::Off } else { Self::On(machine.instance_status.clone()) }
    }
}

/// All machines of a region at one moment.
#[derive(Clone)]
pub(crate) struct Listing {
    /// The answer is not older than this.
    pub(crate) asked: Instant,
    pub(crate) machines: Arc<Vec<Instance>>,
}

/// Lists of machines, which those share that want one at the same time: when a region loses its power, fifty nodes are looked at.
#[derive(Default)]
pub(crate) struct Machines(Mutex<HashMap<Region, Arc<tokio::sync::Mutex<Option<Listing>>>>>);

impl Machines {
    /// Every machine of the region, not older than this call.
    pub(crate) async fn list(&self, client: &Client, region: &Region) -> Result<Listing, Error> {
        let wanted = Instant::now();
        let last = Arc::clone(self.0.lock().entry(region.clone()).or_default());
        let mut last = last.lock().await;
        if let Some(listing) = last.as_ref().filter(|listing| listing.asked >= wanted) {
            return Ok(listing.clone());
        }
        let asked = Instant::now();
        let machines = client.list_all_instances(region.as_str(), &InstanceFilter::All).await?;
        let listing = Listing { asked, machines: Arc::new(machines) };
        *last = Some(listing.clone());
        Ok(listing)
    }

    /// The state of one machine. That it exists no more is believed of the whole list alone: a filter may be fuzzy or ignored, and a
    /// list that is empty may be another account's.
    pub(crate) async fn state(
        &self,
        client: &Client,
        region: &Region,
        instance: &str,
    ) -> Result<MachineState, Error> {
        if let Some(machine) = client.find_instance(region.as_str(), instance).await? {
            return Ok(MachineState::of(&machine));
        }
        let all = self.list(client, region).await?.machines;
        Ok(match all.iter().find(|machine| machine.instance_id == instance) {
            Some(machine) => MachineState::of(machine),
            None if all.is_empty() => {
                MachineState::Unclear("the cloud shows no machine in its region at all")
            }
            None => MachineState::Absent,
        })
    }
}

#[cfg(test)]
mod tests;
