//! Every card that was seen, with its state: the driver's answers and events in, cards for the scheduler out.

use std::time::Duration;

use ideal_gpu::card::{Card, CardId};

use crate::capacity::Overcommit;
use crate::driver::{CardEvent, Driver, DriverError, Found};
use crate::health::{Event, Health, Reason, State};

/// Every card that was seen since the start. `now` is always the time since one fixed moment, e.g. the start.
#[derive(Debug, Default)]
pub struct HealthTracker {
    members: Vec<Member>,
}

/// A card and its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As the driver last listed it.
    pub found: Found,
    /// Its health.
    pub state: State,
}

impl HealthTracker {
    /// Nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what [`Driver::cards`] answered. True if a card is new or anything about one changed.
    ///
    /// A card that is not listed any more has fallen off; it stays, unhealthy, so that the kubelet still knows its slots. If
    /// the driver as a whole did not answer, every card is suspect until it does.
    pub fn listed(&mut self, answer: Result<Vec<Found>, DriverError>, now: Duration) -> bool {
        let before = self.outward();
        match answer {
            Err(error) => self.members.iter_mut().for_each(|member| {
                member.hear(&Event::Probed(Err(error.clone())), now);
            }),
            Ok(found) => self.found(found, now),
        }
        self.outward() != before
    }

    /// What others see of the cards: not how often one was probed.
    fn outward(&self) -> Vec<(Found, Option<Reason>)> {
        self.members.iter().map(|member| (member.found.clone(), member.state.reason().cloned())).collect()
    }

    fn found(&mut self, found: Vec<Found>, now: Duration) {
        let listed = |member: &Member| found.iter().any(|card| card.id == member.found.id);
        self.members
            .iter_mut()
            .filter(|member| !listed(member))
            .for_each(|member| member.hear(&Event::Lost, now));
        for card in found {
            let at = self.members.iter().position(|member| member.found.id == card.id).unwrap_or_else(|| {
                self.members.push(Member { found: card.clone(), state: State::new() });
                self.members.len() - 1
            });
            let Some(member) = self.members.get_mut(at) else { continue };
            if card.incarnation != member.found.incarnation {
                member.hear(&Event::Renewed, now);
            }
            if let Some(reset) = &card.reset_required {
                member.hear(&Event::Probed(Err(DriverError::ResetRequired(reset.clone()))), now);
            }
            member.found = card;
        }
        // The one that fell off keeps the number that it had.
        self.members.sort_by(|a, b| (a.found.index, &a.found.id).cmp(&(b.found.index, &b.found.id)));
    }

    /// Takes an event. True if a state changed. [`CardEvent::Recut`] changes none: list the cards again. A card that was not
    /// listed yet is not known, so cards are listed before events are asked for.
    pub fn happened(&mut self, event: &CardEvent, now: Duration) -> bool {
        let heard = match event {
            CardEvent::Xid { number, .. } => Event::Xid(*number),
            CardEvent::Lost { .. } => Event::Lost,
            CardEvent::Recut { .. } => return false,
        };
        let Some(member) = self.members.iter_mut().find(|member| member.found.id == *event.card()) else {
            return false;
        };
        let before = member.state.clone();
        member.hear(&heard, now);
        member.state != before
    }

    /// When the next probe is due, if any card is suspect.
    pub fn next_probe(&self) -> Option<Duration> {
        self.members.iter().filter_map(|member| member.state.next_probe()).min()
    }

    /// Whether a card waits for what only a new [`Driver::cards`] can tell: that it, or the driver, is back.
    pub fn has_failed(&self) -> bool {
        self.members.iter().any(|member| matches!(member.state, State::Failed { .. }))
    }

    /// Probes the cards whose time has come. True if a card became healthy or failed.
    pub fn probe(&mut self, driver: &mut dyn Driver, now: Duration) -> bool {
        let mut changed = false;
        for member in &mut self.members {
            if member.state.next_probe().is_some_and(|due| due <= now) {
                let answer = driver.probe(&member.found.id);
                member.hear(&Event::Probed(answer), now);
                changed |= !matches!(member.state, State::Suspect { .. });
            }
        }
        changed
    }

    /// The cards in NVML's order, for the scheduler and for the kubelet.
    pub fn cards(&self, overcommit: Overcommit) -> Vec<Card> {
        self.members
            .iter()
            .map(|member| member.found.to_card(member.state.is_healthy(), overcommit))
            .collect()
    }

    /// Every card with its state, in NVML's order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The cards that are not healthy: how ill they are, and why.
    pub fn unhealthy(&self) -> impl Iterator<Item = (&CardId, Health, &Reason)> {
        self.members.iter().filter_map(|member| {
            let (health, reason) = member.state.ill()?;
            Some((&member.found.id, health, reason))
        })
    }
}

impl Member {
    fn hear(&mut self, event: &Event, now: Duration) {
        let was_healthy = self.state.is_healthy();
        let state = std::mem::take(&mut self.state).after(event, now);
        match (was_healthy, state.reason()) {
            (true, Some(reason)) => tracing::warn!(card = %self.found.id, %reason, "card takes no new work"),
            (false, None) => tracing::info!(card = %self.found.id, "card takes new work again"),
            _ => {}
        }
        self.state = state;
    }
}

#[cfg(test)]
mod tests;
