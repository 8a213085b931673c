//! What a test does with a simulated cloud, whichever way a client reaches it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecx::Credentials;
use ecx::api::Op;

use crate::fault::Fault;
use crate::shared::Shared;
use crate::world::World;

/// A cloud that runs.
pub struct Cloud {
    pub(crate) shared: Arc<Shared>,
}

impl Cloud {
    /// The first configured key pair.
    pub fn credentials(&self) -> Credentials {
        self.shared.credentials()
    }

    /// Looks at the world.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        self.shared.look(look)
    }

    /// Changes the world from outside.
    pub fn change<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        self.shared.act(|world, _| change(world))
    }

    /// Adds a fault.
    pub fn fault(&self, fault: Fault) {
        self.shared.faults().add(fault);
    }

    /// The scripted faults that have not been used up.
    pub fn faults_left(&self) -> Vec<Fault> {
        self.shared.faults().list().to_vec()
    }

    /// No more faults.
    pub fn clear_faults(&self) {
        self.shared.faults().clear();
    }

    /// Ends every transition that is stuck, and lets every request go on that is held.
    pub fn release(&self) {
        self.shared.release();
    }

    /// Requests so far, by operation.
    pub fn calls(&self) -> BTreeMap<Op, u64> {
        self.shared.log.counts()
    }
}
