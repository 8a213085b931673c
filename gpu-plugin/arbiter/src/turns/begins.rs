//! Who has the next turn.

use std::collections::{BTreeMap, BTreeSet};

use ideal_gpu::card::CardId;

use super::{Running, TURN, Turns};
use crate::account::Time;
use crate::container::{Container, MemberId, Slice, Turn};

/// A turn on several cards, at most: its end takes longer, as processes that wait for each other must come to the same point.
const LONGEST_TURN: u64 = 50_000_000;

/// However long turns are, a container waits no longer for its share to allow the next one; and then for one of another container at most.
const LONGEST_GAP: u64 = 140_000_000;

/// A turn of a container that is not entitled: somebody may want the card soon.
const BORROWED: u64 = 5_000_000;

/// The least time, in ns, that is worth a turn.
const LEAST: u64 = 1_000_000;

/// A container that wants a turn.
struct Candidate {
    id: String,
    needs: BTreeSet<usize>,
    cards: Vec<CardId>,
    latency: bool,
    entitled: bool,
    /// The order of turns.
    rank: (bool, bool, Time),
}

impl Turns {
    /// A process of a container that has its turn has it too.
    pub(super) fn join_turns(&mut self, now: Time) {
        let running = self.running();
        let mut joining = Vec::new();
        for container in self.containers.values_mut() {
            let Some(mut turn) = container.turn.take() else { continue };
            let waits: Vec<_> = container.waiting().map(|(id, member)| (*id, member.slice)).collect();
            for (member, at) in waits.into_iter().filter(|_| now < turn.until) {
                // One that comes later, or was overdue: the others may wait for it, so its share is asked at the next turn.
                let free = |slice: &Slice| !running.contains_key(&slice.card);
                if turn.slices.contains(&at) || container.slices.get(at).is_some_and(free) {
                    turn.slices.insert(at);
                    joining.push((member, turn.until - now));
                }
            }
            container.turn = Some(turn);
        }
        for (member, length) in joining {
            self.grant(member, length, 0, now);
        }
    }

    /// Gives free cards to those who want them.
    pub(super) fn begin_turns(&mut self, now: Time) {
        let mut candidates = self.candidates(now);
        candidates.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
        let mut running = self.running();
        // Cards that somebody before waits for, and until when they are of no use to it.
        let mut kept: BTreeMap<CardId, Time> = BTreeMap::new();
        for candidate in candidates.iter().filter(|candidate| candidate.entitled) {
            let busy =
                candidate.cards.iter().filter_map(|card| running.get(card)).map(|(_, until)| *until).max();
            match busy {
                None => {
                    let lent = candidate.cards.iter().filter_map(|card| kept.get(card)).min().copied();
                    let left = lent.map_or(u64::MAX, |until| until.saturating_sub(now));
                    if left >= LEAST {
                        let length = self.length(candidate).min(left);
                        self.begin(candidate, length, false, now, &mut running);
                    }
                }
                Some(until) => {
                    if candidate.latency {
                        self.cut_short(candidate, now);
                    }
                    for card in &candidate.cards {
                        kept.entry(card.clone()).or_insert(until);
                    }
                }
            }
        }
        for candidate in candidates.iter().filter(|candidate| !candidate.entitled) {
            let free = |card: &CardId| !running.contains_key(card) && !kept.contains_key(card);
            let borrows = self.containers.get(&candidate.id).is_some_and(|it| it.work_conserving);
            if borrows && candidate.cards.iter().all(free) {
                self.begin(candidate, BORROWED, true, now, &mut running);
            }
        }
    }

    fn candidates(&self, now: Time) -> Vec<Candidate> {
        let wanting = self.containers.iter().filter(|(_, container)| container.turn.is_none());
        let candidate = |(id, container): (&String, &Container)| {
            let needs = container.needs(now)?;
            Some(Candidate {
                id: id.clone(),
                cards: container.cards(&needs).cloned().collect(),
                latency: container.latency,
                entitled: container.entitled_at(&needs) <= now,
                rank: (container.overdue.is_some(), !container.latency, container.served),
                needs,
            })
        };
        wanting.filter_map(candidate).collect()
    }

    /// How long a turn is.
    fn length(&self, candidate: &Candidate) -> u64 {
        if candidate.cards.len() < 2 {
            return TURN;
        }
        let Some(container) = self.containers.get(&candidate.id) else { return TURN };
        let percent = container.percent(&candidate.needs);
        (LONGEST_GAP * percent / (100 - percent).max(1)).clamp(TURN, LONGEST_TURN)
    }

    fn begin(
        &mut self,
        candidate: &Candidate,
        length: u64,
        borrowed: bool,
        now: Time,
        running: &mut Running,
    ) {
        let Some(container) = self.containers.get_mut(&candidate.id) else { return };
        let (until, slices) = (now + length, candidate.needs.clone());
        if let Some(overdue) = &mut container.overdue {
            overdue.slices.retain(|at| !slices.contains(at));
        }
        container.overdue = container.overdue.take().filter(|overdue| !overdue.slices.is_empty());
        let on = container
            .members
            .iter()
            .filter(|(_, member)| slices.contains(&member.slice) && (member.wants || member.granted));
        let members: Vec<MemberId> = on.map(|(id, _)| *id).collect();
        container.turn = Some(Turn { since: now, until, slices, borrowed });
        for card in &candidate.cards {
            running.insert(card.clone(), (candidate.id.clone(), until));
        }
        for member in members {
            self.grant(member, length, 0, now);
        }
    }

    /// Ends the turns of others that a container of latency waits for.
    fn cut_short(&mut self, candidate: &Candidate, now: Time) {
        let wanted: BTreeSet<&CardId> = candidate.cards.iter().collect();
        let mut open = Vec::new();
        for container in self.containers.values_mut().filter(|container| !container.latency) {
            let Some(mut turn) = container.turn.take() else { continue };
            if turn.until > now && container.cards(&turn.slices).any(|card| wanted.contains(card)) {
                turn.until = now;
                let granted = container.members.iter().filter(|(_, member)| member.granted);
                open.extend(granted.map(|(id, _)| *id));
            }
            container.turn = Some(turn);
        }
        for member in open {
            self.grant(member, 0, 0, now);
        }
    }
}
