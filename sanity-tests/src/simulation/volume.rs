//! A volume as its callers know it: what they want, and what they were told.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::caller::Request;
use super::topology::Topology;
use crate::sidecar::Claim;

/// How far the creation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Creation {
    NotRequested,
    /// Requested, and no final result yet.
    Pending,
    Done,
    /// Reported as failed for good: nobody will request it again.
    Failed,
}

/// How far the deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    NotRequested,
    Pending,
    Done,
}

/// A volume on a machine, as the attacher keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attachment {
    /// To be attached; `confirmed`: reported as attached.
    Wanted { confirmed: bool },
    /// To be detached.
    Unwanted,
}

#[derive(Debug)]
pub(super) struct Volume {
    pub(super) claim: Claim,
    /// The size that was last requested.
    pub(super) gib: u64,
    pub(super) creation: Creation,
    pub(super) attempts: u32,
    /// Empty until it is created.
    pub(super) id: String,
    pub(super) region: String,
    pub(super) attachments: BTreeMap<usize, Attachment>,
    pub(super) deletion: Deletion,
    /// A fault has made the disk disappear, or is about to.
    pub(super) vanished: bool,
    /// A fault makes the cloud's order of the disk fail: an operator will have to clean up.
    pub(super) order_failed: bool,
}

impl Volume {
    pub(super) fn random(rng: &mut StdRng, number: usize, topology: &Topology) -> Self {
        let regions = topology.regions.clone();
        let mut preferred = regions.clone();
        preferred.rotate_left(rng.random_range(0..regions.len()));
        let mut claim = Claim { name: format!("pvc-{number}"), gib: 20, ..Claim::default() };
        match rng.random_range(0..3) {
            0 => drop(claim.parameters.insert("region".to_owned(), preferred.swap_remove(0))),
            1 => {
                (claim.requisite, claim.preferred) = (vec![preferred[0].clone()], vec![preferred[0].clone()])
            }
            _ => (claim.requisite, claim.preferred) = (regions, preferred),
        }
        Self {
            gib: claim.gib,
            claim,
            creation: Creation::NotRequested,
            attempts: 0,
            id: String::new(),
            region: String::new(),
            attachments: BTreeMap::new(),
            deletion: Deletion::NotRequested,
            vanished: false,
            order_failed: false,
        }
    }

    /// The volume exists for its callers: it was created and nobody has requested its deletion.
    pub(super) fn exists(&self) -> bool {
        self.creation == Creation::Done && self.deletion == Deletion::NotRequested && !self.vanished
    }

    /// Machines on which it was reported as published.
    pub(super) fn published(&self) -> impl Iterator<Item = usize> {
        let confirmed = |a: &Attachment| *a == Attachment::Wanted { confirmed: true };
        self.attachments.iter().filter(move |(_, a)| confirmed(a)).map(|(machine, _)| *machine)
    }

    /// A random request that may be made now; the volume then wants what is requested. `running`: requests for this volume
    /// that have no reply yet.
    pub(super) fn next_request(
        &mut self,
        rng: &mut StdRng,
        topology: &Topology,
        running: &[Request],
    ) -> Option<Request> {
        let creating = running.iter().any(|request| matches!(request, Request::Create(_)));
        if self.creation == Creation::Failed || self.deletion == Deletion::Done {
            return rng.random_bool(0.1).then_some(Request::List);
        }
        if self.creation != Creation::Done
            || (self.deletion == Deletion::NotRequested && rng.random_bool(0.05))
        {
            if self.creation == Creation::NotRequested {
                self.creation = Creation::Pending;
            }
            return (!creating).then(|| self.create());
        }
        match rng.random_range(0..100) {
            0..30 if self.deletion == Deletion::NotRequested => self.attach(rng, topology, running),
            0..60 => self.detach(rng, running),
            60..70 if self.deletion == Deletion::NotRequested => {
                self.gib += if rng.random() { 10 } else { 0 };
                Some(Request::Expand(self.gib))
            }
            70..76 => Some(Request::Get),
            76..82 => Some(Request::List),
            82..100 if !creating && (self.attachments.is_empty() || rng.random_bool(0.1)) => {
                self.deletion = Deletion::Pending;
                Some(Request::Delete)
            }
            _ => None,
        }
    }

    pub(super) fn create(&mut self) -> Request {
        self.attempts += 1;
        Request::Create(self.attempts - 1)
    }

    /// Mostly where it is wanted already, or if it is wanted nowhere; rarely on a second machine.
    fn attach(&mut self, rng: &mut StdRng, topology: &Topology, running: &[Request]) -> Option<Request> {
        let machines = &topology.machines;
        let candidates: Vec<usize> =
            (0..machines.len()).filter(|machine| machines[*machine].region == self.region).collect();
        let machine = *candidates.get(rng.random_range(0..candidates.len().max(1)))?;
        let elsewhere = self.attachments.keys().any(|m| *m != machine);
        let unwanted = self.attachments.get(&machine) == Some(&Attachment::Unwanted);
        let busy = running.contains(&Request::Unpublish(machine));
        if unwanted || busy || (elsewhere && !rng.random_bool(0.2)) {
            return None;
        }
        self.attachments.entry(machine).or_insert(Attachment::Wanted { confirmed: false });
        Some(Request::Publish(machine))
    }

    fn detach(&mut self, rng: &mut StdRng, running: &[Request]) -> Option<Request> {
        let machines: Vec<usize> = self.attachments.keys().copied().collect();
        let machine = *machines.get(rng.random_range(0..machines.len().max(1)))?;
        (!running.contains(&Request::Publish(machine))).then(|| self.detach_from(machine))
    }

    pub(super) fn detach_from(&mut self, machine: usize) -> Request {
        self.attachments.insert(machine, Attachment::Unwanted);
        Request::Unpublish(machine)
    }
}
