//! A volume as its callers know it: what they want of it, and what they were told.

use std::collections::BTreeMap;

use rand::Rng as _;
use rand::rngs::StdRng;

use super::caller::Ask;
use super::places::Places;
use crate::sidecar::Claim;

/// How far the creation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Made {
    NotAsked,
    /// Asked for, and no final answer yet.
    Open,
    Yes,
    /// Told to have failed for good: nobody will ever ask for it again.
    Failed,
}

/// How far the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deletion {
    NotAsked,
    Open,
    Done,
}

/// A volume on a machine, as the attacher keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attachment {
    /// To be attached; `told`: that it is.
    Wanted { told: bool },
    /// To be detached.
    Unwanted,
}

#[derive(Debug)]
pub(super) struct Volume {
    pub(super) claim: Claim,
    /// The size that was last asked for.
    pub(super) gib: u64,
    pub(super) made: Made,
    pub(super) turn: u32,
    /// Id, when created; region.
    pub(super) id: String,
    pub(super) region: String,
    pub(super) attachments: BTreeMap<usize, Attachment>,
    pub(super) deletion: Deletion,
    /// A fault made the disk disappear, or is about to.
    pub(super) lost: bool,
    /// A fault makes the cloud's order of the disk fail: a person will have to look.
    pub(super) dead: bool,
}

impl Volume {
    pub(super) fn draw(rng: &mut StdRng, number: usize, places: &Places) -> Self {
        let regions = places.regions.clone();
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
            made: Made::NotAsked,
            turn: 0,
            id: String::new(),
            region: String::new(),
            attachments: BTreeMap::new(),
            deletion: Deletion::NotAsked,
            lost: false,
            dead: false,
        }
    }

    /// There is such a volume, for its callers: it was created and nobody has asked for its end.
    pub(super) fn owned(&self) -> bool {
        self.made == Made::Yes && self.deletion == Deletion::NotAsked && !self.lost
    }

    /// Machines that were told to have it.
    pub(super) fn published(&self) -> impl Iterator<Item = usize> {
        let told = |a: &Attachment| *a == Attachment::Wanted { told: true };
        self.attachments.iter().filter(move |(_, a)| told(a)).map(|(machine, _)| *machine)
    }

    /// Something that may be asked now, and takes the wish for it down. `live`: calls for this volume that run.
    pub(super) fn wish(&mut self, rng: &mut StdRng, places: &Places, live: &[Ask]) -> Option<Ask> {
        let creating = live.iter().any(|ask| matches!(ask, Ask::Create(_)));
        if self.made == Made::Failed || self.deletion == Deletion::Done {
            return rng.random_bool(0.1).then_some(Ask::List);
        }
        if self.made != Made::Yes || (self.deletion == Deletion::NotAsked && rng.random_bool(0.05)) {
            self.made = if self.made == Made::NotAsked { Made::Open } else { self.made };
            return (!creating).then(|| self.create());
        }
        match rng.random_range(0..100) {
            0..30 if self.deletion == Deletion::NotAsked => self.attach(rng, places, live),
            0..60 => self.detach(rng, live),
            60..70 if self.deletion == Deletion::NotAsked => {
                self.gib += if rng.random() { 10 } else { 0 };
                Some(Ask::Expand(self.gib))
            }
            70..76 => Some(Ask::Get),
            76..82 => Some(Ask::List),
            82..100 if !creating && (self.attachments.is_empty() || rng.random_bool(0.1)) => {
                self.deletion = Deletion::Open;
                Some(Ask::Delete)
            }
            _ => None,
        }
    }

    pub(super) fn create(&mut self) -> Ask {
        self.turn += 1;
        Ask::Create(self.turn - 1)
    }

    /// Mostly where it is wanted already, or nowhere else; rarely on a second machine.
    fn attach(&mut self, rng: &mut StdRng, places: &Places, live: &[Ask]) -> Option<Ask> {
        let here: Vec<usize> =
            (0..places.machines.len()).filter(|m| places.machines[*m].region == self.region).collect();
        let machine = *here.get(rng.random_range(0..here.len().max(1)))?;
        let elsewhere = self.attachments.keys().any(|m| *m != machine);
        let unwanted = self.attachments.get(&machine) == Some(&Attachment::Unwanted);
        let busy = live.contains(&Ask::Unpublish(machine));
        if unwanted || busy || (elsewhere && !rng.random_bool(0.2)) {
            return None;
        }
        self.attachments.entry(machine).or_insert(Attachment::Wanted { told: false });
        Some(Ask::Publish(machine))
    }

    fn detach(&mut self, rng: &mut StdRng, live: &[Ask]) -> Option<Ask> {
        let machines: Vec<usize> = self.attachments.keys().copied().collect();
        let machine = *machines.get(rng.random_range(0..machines.len().max(1)))?;
        (!live.contains(&Ask::Publish(machine))).then(|| self.unwant(machine))
    }

    pub(super) fn unwant(&mut self, machine: usize) -> Ask {
        self.attachments.insert(machine, Attachment::Unwanted);
        Ask::Unpublish(machine)
    }
}
