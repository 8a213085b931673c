//! The rules of the election, without network and without clock: what was seen and when goes in, what to do comes out.

use std::time::Duration;

use tokio::time::Instant;

/// Durations of an election. The defaults are those of Kubernetes' own components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Another replica takes over when it has seen no renewal for so long.
    pub lease: Duration,
    /// The holder stops when its last renewal was sent so long ago.
    pub renew_within: Duration,
    /// Between rounds.
    pub retry: Duration,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew_within: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// A Lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Empty: released.
    pub holder: String,
    /// Of the object: it changes with every renewal.
    pub version: String,
    /// Changes of holder so far.
    pub transitions: i32,
    /// The holder's own terms, if it told them.
    pub seconds: Option<u64>,
}

/// What to do about a Lease that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is none.
    Create,
    /// Somebody holds it.
    Wait,
    /// It is free, or its holder is gone.
    Take {
        /// To be written.
        transitions: i32,
    },
    /// It is ours.
    Renew {
        /// To be written.
        transitions: i32,
    },
}

/// What the elections tell their program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// This replica holds the Lease until then, if it is not renewed.
    Leader(Instant),
    /// Somebody else, or nobody that is known.
    Follower(String),
}

/// One replica's part.
#[derive(Debug)]
pub struct Election {
    name: String,
    identity: String,
    terms: Terms,
    /// The Lease as last seen changed, and when.
    last: Option<(Seen, Instant)>,
    /// The end of our own hold.
    until: Option<Instant>,
}

impl Election {
    /// Takes part in the election of the Lease `name` as `identity`, which must be unique.
    pub fn new(name: String, identity: String, terms: Terms) -> Self {
        Self { name, identity, terms, last: None, until: None }
    }

    /// The Lease's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This replica.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The durations.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// The Lease was read; `at` is before the request was sent.
    pub fn saw(&mut self, at: Instant, seen: &Seen) -> Step {
        if self.last.as_ref().is_none_or(|(last, _)| last != seen) {
            // Counted from now, not from when the request was sent: to be late is safe for who waits.
            self.last = Some((seen.clone(), at.max(Instant::now())));
        }
        let since = self.last.as_ref().map_or(at, |(_, since)| *since);
        // A holder with longer terms than ours is given its own.
        let lease = seen.seconds.map_or(self.terms.lease, |s| Duration::from_secs(s).max(self.terms.lease));
        let expired = at.saturating_duration_since(since) >= lease;
        if seen.holder == self.identity {
            // Also after a restart under the same name: the renewal starts a new hold.
            return Step::Renew { transitions: seen.transitions };
        }
        self.until = None;
        if seen.holder.is_empty() || expired {
            return Step::Take { transitions: seen.transitions.saturating_add(1) };
        }
        Step::Wait
    }

    /// Our write was accepted; `started` is before the round's first request was sent.
    pub fn wrote(&mut self, started: Instant, seen: &Seen) {
        self.last = Some((seen.clone(), Instant::now()));
        self.until = Some(started + self.terms.renew_within);
    }

    /// Where this replica stands.
    pub fn leadership(&self, now: Instant) -> Leadership {
        match (self.until, &self.last) {
            (Some(until), _) if until > now => Leadership::Leader(until),
            (_, Some((seen, _))) if !seen.holder.is_empty() && seen.holder != self.identity => {
                Leadership::Follower(seen.holder.clone())
            }
            _ => Leadership::Follower("nobody that is known".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(holder: &str, version: u32) -> Seen {
        let holder = holder.to_owned();
        Seen { holder, version: version.to_string(), transitions: 3, seconds: Some(15) }
    }

    fn replica(name: &str) -> Election {
        Election::new("l".to_owned(), name.to_owned(), Terms::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_that_cannot_renew_stops_before_anybody_else_may_start() {
        let (mut a, mut b) = (replica("a"), replica("b"));
        a.wrote(Instant::now(), &seen("a", 1));
        // The other sees the renewal the moment it was made: the worst case for the old leader.
        assert_eq!(b.saw(Instant::now(), &seen("a", 1)), Step::Wait);
        let (mut stopped, mut started) = (None, None);
        for second in 0..60_u32 {
            let now = Instant::now();
            if stopped.is_none() && !matches!(a.leadership(now), Leadership::Leader(_)) {
                stopped = Some(second);
            }
            if started.is_none() && matches!(b.saw(now, &seen("a", 1)), Step::Take { .. }) {
                started = Some(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!((stopped, started), (Some(10), Some(15)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_renewal_counts_from_when_it_was_sent() {
        let mut a = replica("a");
        let sent = Instant::now();
        tokio::time::advance(Duration::from_secs(8)).await;
        a.wrote(sent, &seen("a", 1));
        assert_eq!(a.leadership(Instant::now()), Leadership::Leader(sent + Duration::from_secs(10)));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(a.leadership(Instant::now()), Leadership::Follower("nobody that is known".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn every_renewal_that_is_seen_starts_the_wait_anew_and_a_release_ends_it() {
        let mut b = replica("b");
        for version in 0..5 {
            assert_eq!(b.saw(Instant::now(), &seen("a", version)), Step::Wait);
            tokio::time::advance(Duration::from_secs(14)).await;
        }
        assert_eq!(b.leadership(Instant::now()), Leadership::Follower("a".to_owned()));
        assert_eq!(b.saw(Instant::now(), &seen("", 6)), Step::Take { transitions: 4 });
    }

    #[tokio::test(start_paused = true)]
    async fn who_sees_another_holder_is_no_leader_any_more() {
        let mut a = replica("a");
        a.wrote(Instant::now(), &seen("a", 1));
        assert_eq!(a.saw(Instant::now(), &seen("a", 1)), Step::Renew { transitions: 3 });
        assert_eq!(a.saw(Instant::now(), &seen("b", 2)), Step::Wait);
        assert_eq!(a.leadership(Instant::now()), Leadership::Follower("b".to_owned()));
    }
}
