//! Who has the cards: one decision for all cards and containers of the node, so that there is no order of locks and no deadlock.
//!
//! A container has all the cards that it works on together. Whoever is entitled by its share and has waited longest since its last turn
//! comes next; cards that it waits for are kept for it, and lent meanwhile until what it waits for ends. A turn that does not end when it
//! should is overdue: the next one begins beside it.
//!
//! Plain decisions: time is what the caller says, and what is to be sent is taken by [`Turns::take_grants`].

use std::collections::BTreeMap;

use ideal_gpu::arbiter_protocol::Grant;
use ideal_gpu::card::CardId;

use crate::account::Time;
use crate::container::{Container, Member, MemberId, Shares};

mod begins;
mod ends;

#[cfg(test)]
mod tests;

/// A turn, in ns: long beside what it costs to hand the card over, short beside what a person notices where five containers share a card.
pub(crate) const TURN: u64 = 20_000_000;

/// So long after its end a turn is overdue.
const GRACE: u64 = 20_000_000;

/// So long after its grant's end a process may be waiting for another one of its container.
const STUCK: u64 = 500_000;

/// Work that may be queued on a card at most, in ns: less than a turn, as it is still done in it. Of a container with several cards, where
/// all must be done until more is let in: more, as the card runs dry then. And beside a container of latency.
const AHEAD: u64 = 6_000_000;
const AHEAD_OF_SEVERAL: u64 = 12_000_000;
const AHEAD_OF_LATENCY: u64 = 2_000_000;

/// Cards and when they are free.
type Running = BTreeMap<CardId, (String, Time)>;

/// All turns of the node.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    containers: BTreeMap<String, Container>,
    members: BTreeMap<MemberId, String>,
    grants: Vec<(MemberId, Grant)>,
}

impl Turns {
    /// A container begins, or begins anew.
    pub(crate) fn register(&mut self, id: &str, shares: Shares, now: Time) {
        self.remove(id, now);
        self.containers.insert(id.to_owned(), Container::new(shares, now));
    }

    /// It is gone, and its cards are free.
    pub(crate) fn remove(&mut self, id: &str, now: Time) {
        self.containers.remove(id);
        self.members.retain(|_, container| container != id);
        self.decide(now);
    }

    /// A process begins to work on the card at this place of the container's limits; false if there is none.
    pub(crate) fn join(&mut self, member: MemberId, id: &str, slice: usize) -> bool {
        let Some(container) = self.containers.get_mut(id).filter(|it| slice < it.slices.len()) else {
            return false;
        };
        let joined = Member { slice, grant: 0, granted: false, open_until: 0, wants: false, done_at: 0 };
        container.members.insert(member, joined);
        self.members.insert(member, id.to_owned());
        true
    }

    /// It is gone, and its work with it.
    pub(crate) fn leave(&mut self, member: MemberId, now: Time) {
        let Some(id) = self.members.remove(&member) else { return };
        if let Some(container) = self.containers.get_mut(&id) {
            container.members.remove(&member);
        }
        self.decide(now);
    }

    /// A launch of it waits.
    pub(crate) fn want(&mut self, member: MemberId, now: Time) {
        if let Some(container) = self.members.get(&member).and_then(|id| self.containers.get_mut(id)) {
            container.want(member, now);
            self.decide(now);
        }
    }

    /// The card has done what it launched. What is said of an earlier grant than the last is of no account: the last has not arrived yet.
    pub(crate) fn done(&mut self, member: MemberId, grant: u64, wants: bool, now: Time) {
        let container = self.members.get(&member).and_then(|id| self.containers.get_mut(id));
        let Some(container) = container else { return };
        let Some(it) = container.members.get_mut(&member).filter(|it| it.grant == grant) else { return };
        (it.granted, it.done_at) = (false, now);
        it.wants |= wants;
        container.used(now);
        self.decide(now);
    }

    /// What is to be sent.
    pub(crate) fn take_grants(&mut self) -> Vec<(MemberId, Grant)> {
        std::mem::take(&mut self.grants)
    }

    /// Time has passed.
    pub(crate) fn decide(&mut self, now: Time) {
        self.charge_overdue(now);
        self.end_turns(now);
        self.give_one_launch(now);
        self.join_turns(now);
        self.begin_turns(now);
    }

    /// When to decide again if nothing happens before.
    pub(crate) fn next_at(&self, now: Time) -> Option<Time> {
        let mut times = Vec::new();
        for container in self.containers.values() {
            let waits = container.waiting().next().is_some();
            if let Some(turn) = &container.turn {
                times.push(turn.until + GRACE);
                if waits {
                    let granted = container.members.values().filter(|member| member.granted);
                    times.extend(granted.map(|member| member.open_until.max(turn.until) + STUCK));
                    times.extend(container.waiting().map(|(_, member)| member.done_at + STUCK));
                }
            } else if let Some(needs) = container.needs(now) {
                times.push(container.entitled_at(&needs));
            }
        }
        times.into_iter().filter(|at| *at > now).min()
    }

    /// Who has which card, and until when.
    fn running(&self) -> Running {
        let mut running = Running::new();
        for (id, container) in &self.containers {
            let Some(turn) = &container.turn else { continue };
            running
                .extend(container.cards(&turn.slices).map(|card| (card.clone(), (id.clone(), turn.until))));
        }
        running
    }

    /// On how many containers' overdue work each card is.
    fn overdue(&self) -> BTreeMap<CardId, u64> {
        let mut counts = BTreeMap::new();
        for container in self.containers.values() {
            let Some(overdue) = &container.overdue else { continue };
            for card in container.cards(&overdue.slices) {
                *counts.entry(card.clone()).or_default() += 1;
            }
        }
        counts
    }

    fn grant(&mut self, member: MemberId, length: u64, launches: u32, now: Time) {
        let Some(id) = self.members.get(&member) else { return };
        let Some(ahead_ns) = self.ahead(id, member) else { return };
        let Some(container) = self.containers.get_mut(id) else { return };
        let Some(it) = container.members.get_mut(&member) else { return };
        it.grant += 1;
        (it.granted, it.open_until, it.wants) = (true, now + length, false);
        self.grants.push((member, Grant { grant: it.grant, length_ns: length, launches, ahead_ns }));
        container.used(now);
    }

    /// Work that the member may queue: what is queued on the card is all its container's processes'.
    fn ahead(&self, id: &str, member: MemberId) -> Option<u64> {
        let container = self.containers.get(id)?;
        let at = container.members.get(&member)?.slice;
        let card = &container.slices.get(at)?.card;
        let with_it = container.members.values().filter(|it| it.slice == at && (it.wants || it.granted));
        let mut others = self.containers.iter().filter(|(other, it)| *other != id && it.latency);
        let beside_latency = others.any(|(_, other)| other.slices.iter().any(|slice| slice.card == *card));
        let ahead = match (beside_latency, container.slices.len()) {
            (true, _) => AHEAD_OF_LATENCY,
            (false, 0..=1) => AHEAD,
            (false, _) => AHEAD_OF_SEVERAL,
        };
        Some(ahead / u64::try_from(with_it.count()).unwrap_or(1).max(1))
    }
}
