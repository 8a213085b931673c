//! How turns end, and what they are charged.

use std::collections::BTreeSet;

use super::{GRACE, STUCK, TURN, Turns};
use crate::account::Time;
use crate::container::{Member, Overdue};

/// What a container owes at most, in ns of the card, for work that was overdue while others had their turns beside it: it may have waited
/// for them. One with several cards may just as well have waited for another card of its own.
const DEBT: u64 = 5 * TURN;
const DEBT_OF_SEVERAL: u64 = 2 * TURN;

/// How long a process has for one launch that another one may wait for.
const ONE_LAUNCH: u64 = 2_000_000;

impl Turns {
    /// Work that is overdue is charged with its part of the card.
    pub(super) fn charge_overdue(&mut self, now: Time) {
        let (running, counts) = (self.running(), self.overdue());
        for container in self.containers.values_mut() {
            let Some(mut overdue) = container.overdue.take() else { continue };
            let several = container.slices.len() > 1;
            for at in &overdue.slices {
                let Some(slice) = container.slices.get_mut(*at) else { continue };
                let beside = counts.get(&slice.card).copied().unwrap_or(1).max(1) - 1
                    + u64::from(running.contains_key(&slice.card));
                let length = now.saturating_sub(overdue.charged) / (1 + beside);
                slice.account.charge(container.wanted_since, length);
                if several {
                    slice.account.bound(now, DEBT_OF_SEVERAL);
                } else if beside > 0 {
                    slice.account.bound(now, DEBT);
                }
            }
            overdue.charged = now;
            if container.is_on(&overdue.slices) {
                container.overdue = Some(overdue);
            } else {
                container.served = now;
            }
        }
    }

    /// A turn is over when all its members are done, or it is overdue.
    pub(super) fn end_turns(&mut self, now: Time) {
        let counts = self.overdue();
        for container in self.containers.values_mut() {
            let Some(turn) = container.turn.clone() else { continue };
            let on = container.is_on(&turn.slices);
            if on && now < turn.until + GRACE {
                continue;
            }
            container.turn = None;
            container.served = now;
            for at in &turn.slices {
                let Some(slice) = container.slices.get_mut(*at) else { continue };
                let beside = counts.get(&slice.card).copied().unwrap_or(0);
                if !turn.borrowed {
                    let length = now.saturating_sub(turn.since) / (1 + beside);
                    slice.account.charge(container.wanted_since, length);
                }
            }
            if on {
                let late = container.members.values().filter(|member| member.granted);
                let slices: BTreeSet<usize> =
                    late.map(|member| member.slice).filter(|at| turn.slices.contains(at)).collect();
                container.overdue = Some(Overdue { charged: now, slices });
            }
        }
    }

    /// At a turn's end one process may wait on the card for a launch of another one that comes too late: it gets one, and one more.
    pub(super) fn give_one_launch(&mut self, now: Time) {
        let mut late = Vec::new();
        for container in self.containers.values() {
            let Some(turn) = container.turn.as_ref().filter(|turn| now >= turn.until) else { continue };
            let stuck = |member: &Member| member.granted && now >= member.open_until.max(turn.until) + STUCK;
            if container.members.values().any(stuck) {
                let waits = container.waiting().filter(|(_, member)| turn.slices.contains(&member.slice));
                let rested = waits.filter(|(_, member)| now >= member.done_at + STUCK);
                late.extend(rested.map(|(id, _)| *id));
            }
        }
        for member in late {
            self.grant(member, ONE_LAUNCH, 1, now);
        }
    }
}
