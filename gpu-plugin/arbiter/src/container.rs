//! What is known of a container that has slices of cards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ideal_gpu::card::CardId;
use ideal_gpu::limits::{CardLimit, Limits};

use crate::account::{Account, Time};

/// A process of a container on one card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MemberId(pub(crate) u64);

/// What a container may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shares {
    /// Its cards in the order of its limits, each with percent of the card's time.
    pub cards: Vec<(CardId, u32)>,
    /// Time that nobody else wants may be used beyond the share.
    pub work_conserving: bool,
    /// Its launches begin as soon as what runs on the card has ended, not when the neighbour's time slice is over.
    pub latency: bool,
    /// Card time, in ns, that may be used at once after the container wanted none for long.
    pub burst_ns: u64,
}

impl Shares {
    /// What a container with these limits may use.
    #[must_use]
    pub fn of(limits: &Limits, burst: Duration) -> Self {
        let share = |card: &CardLimit| (card.uuid.clone(), card.core_percent);
        Self {
            cards: limits.cards.iter().map(share).collect(),
            work_conserving: limits.work_conserving,
            latency: false,
            burst_ns: u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) slices: Vec<Slice>,
    pub(crate) work_conserving: bool,
    pub(crate) latency: bool,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) turn: Option<Turn>,
    pub(crate) overdue: Option<Overdue>,
    /// Since when it wants cards without a pause.
    pub(crate) wanted_since: Time,
    /// When its last turn ended.
    pub(crate) served: Time,
}

/// Its part of one card.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) card: CardId,
    pub(crate) account: Account,
    /// When a process of it last wanted or had the card.
    used: Option<Time>,
}

#[derive(Debug)]
pub(crate) struct Member {
    /// Place among the container's slices.
    pub(crate) slice: usize,
    /// Number of the last grant that was sent.
    pub(crate) grant: u64,
    /// It may be on the card: a grant was sent, and its end was not told.
    pub(crate) granted: bool,
    /// When it launches no more by its last grant.
    pub(crate) open_until: Time,
    /// A launch of it waits.
    pub(crate) wants: bool,
    /// When it said last that it is done.
    pub(crate) done_at: Time,
}

/// The container has these cards.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) since: Time,
    pub(crate) until: Time,
    pub(crate) slices: BTreeSet<usize>,
    /// It was not entitled, and nobody else wanted them.
    pub(crate) borrowed: bool,
}

/// Its turn is over, and its work on these cards is not: the next container's turn runs beside it.
#[derive(Debug, Clone)]
pub(crate) struct Overdue {
    /// Until when it was charged.
    pub(crate) charged: Time,
    pub(crate) slices: BTreeSet<usize>,
}

/// A container that works on several cards has them together: for so long, in ns, a card that it has used counts as one of them.
const TOGETHER: u64 = 100_000_000;

/// A container that wants cards again so soon, in ns, has wanted them all the time: longer than a program takes from the end of a kernel
/// to the launch of the next one, and than a message takes.
const BACK_TO_BACK: u64 = 1_000_000;

impl Container {
    pub(crate) fn new(shares: Shares, now: Time) -> Self {
        let slice = |(card, percent)| {
            let account = Account::new(percent, shares.burst_ns, now);
            Slice { card, account, used: None }
        };
        Self {
            slices: shares.cards.into_iter().map(slice).collect(),
            work_conserving: shares.work_conserving,
            latency: shares.latency,
            members: BTreeMap::new(),
            turn: None,
            overdue: None,
            wanted_since: now,
            served: 0,
        }
    }

    /// A launch of the member waits.
    pub(crate) fn want(&mut self, member: MemberId, now: Time) {
        let pause = now.saturating_sub(self.served);
        if !self.is_active() && pause > BACK_TO_BACK {
            self.wanted_since = now;
        }
        let Some(member) = self.members.get_mut(&member) else { return };
        member.wants = true;
        self.used(now);
    }

    /// Whether it has cards, or wants any.
    pub(crate) fn is_active(&self) -> bool {
        self.turn.is_some() || self.members.values().any(|member| member.wants || member.granted)
    }

    /// Cards that are wanted or worked on are in use.
    pub(crate) fn used(&mut self, now: Time) {
        for member in self.members.values().filter(|member| member.wants || member.granted) {
            if let Some(slice) = self.slices.get_mut(member.slice) {
                slice.used = Some(now);
            }
        }
    }

    /// The slices that its next turn is about, if a launch waits: those where one does, and those that it works on besides, as its
    /// processes may wait for each other. Where its work is overdue it is on the card already, and may wait for just that launch.
    pub(crate) fn needs(&self, now: Time) -> Option<BTreeSet<usize>> {
        let mut needs: BTreeSet<usize> = self.waiting().map(|(_, member)| member.slice).collect();
        if needs.is_empty() {
            return None;
        }
        let present: BTreeSet<usize> = self.members.values().map(|member| member.slice).collect();
        let lately = |slice: &Slice| slice.used.is_some_and(|used| now.saturating_sub(used) <= TOGETHER);
        let overdue = |at: &usize| self.overdue.as_ref().is_some_and(|overdue| overdue.slices.contains(at));
        let besides = |at: &usize| present.contains(at) && !overdue(at);
        let also = self.slices.iter().enumerate().filter(|(at, slice)| besides(at) && lately(slice));
        needs.extend(also.map(|(at, _)| at));
        Some(needs)
    }

    /// Members that wait for a grant.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.members.iter().filter(|(_, member)| member.wants && !member.granted)
    }

    /// When the share of all these slices allows a turn.
    pub(crate) fn entitled_at(&self, needs: &BTreeSet<usize>) -> Time {
        let due = |at: &usize| self.slices.get(*at).map(|slice| slice.account.entitled_at());
        needs.iter().filter_map(due).max().unwrap_or_default()
    }

    /// The smallest percent of these slices.
    pub(crate) fn percent(&self, needs: &BTreeSet<usize>) -> u64 {
        let percent = |at: &usize| self.slices.get(*at).map(|slice| slice.account.percent());
        needs.iter().filter_map(percent).min().unwrap_or(100)
    }

    /// The cards of these slices.
    pub(crate) fn cards<'a>(&'a self, slices: &'a BTreeSet<usize>) -> impl Iterator<Item = &'a CardId> {
        slices.iter().filter_map(|at| self.slices.get(*at)).map(|slice| &slice.card)
    }

    /// Whether a member may still be on the card of one of these slices.
    pub(crate) fn is_on(&self, slices: &BTreeSet<usize>) -> bool {
        self.members.values().any(|member| member.granted && slices.contains(&member.slice))
    }
}
