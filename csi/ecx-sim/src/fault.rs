//! What goes wrong: scripted faults that match requests, and random ones from a seed.

use ecx::api::Op;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde::{Deserialize, Serialize};

/// A fault: which requests it hits and what it does to them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Only this operation; any if absent.
    #[serde(default)]
    pub op: Option<Op>,
    /// Only requests whose body or query contains this text, e.g. a disk id or name.
    #[serde(default)]
    pub contains: Option<String>,
    /// So many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// So many are hit; 0 for all.
    #[serde(default = "one")]
    pub count: u32,
    /// What happens.
    pub effect: Effect,
}

fn one() -> u32 {
    1
}

/// What happens to a request that a fault hits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Effect {
    /// Answered with this HTTP status, nothing done.
    Http {
        /// E.g. 500.
        status: u16,
    },
    /// Carried out, but answered with this HTTP status.
    HttpAfter {
        /// E.g. 502.
        status: u16,
    },
    /// 429 with this `Retry-After`.
    Throttle {
        /// Seconds.
        retry_after_s: f64,
    },
    /// The connection breaks before anything is done.
    DropBefore,
    /// The connection breaks after everything was done: the reply is lost.
    DropAfter,
    /// The reply comes late.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Carried out only after `POST /_sim/release`: late, when the client has long given up.
    HoldBefore,
    /// Carried out at once, answered only after `POST /_sim/release`.
    HoldAfter,
    /// The transition that the request starts never ends by itself.
    Stuck,
    /// The job that the request starts fails.
    JobFails,
    /// Refused as sold out.
    SoldOut,
    /// Refused for quota.
    Quota,
    /// The disk that the request names disappears first.
    Vanish,
    /// The attach shows this serial in the guest; empty for none.
    Serial {
        /// What the guest sees.
        serial: String,
    },
    /// The reply comes in the `core.ok` envelope.
    CoreOk,
    /// The reply's codes are strings.
    StringCodes,
    /// The order is done but its list of ids is empty.
    EmptyOrder,
}

/// The faults in force.
pub struct Faults {
    scripted: Vec<Fault>,
    random: Option<(StdRng, f64)>,
}

impl Faults {
    /// Random faults come from `seed` and hit a share `rate` of the requests.
    pub fn new(seed: Option<u64>, rate: f64) -> Self {
        Self { scripted: Vec::new(), random: seed.map(|s| (StdRng::seed_from_u64(s), rate)) }
    }

    /// Adds a scripted fault.
    pub fn add(&mut self, fault: Fault) {
        self.scripted.push(fault);
    }

    /// The scripted faults that may still hit.
    pub fn list(&self) -> &[Fault] {
        &self.scripted
    }

    /// No more faults, scripted or random.
    pub fn clear(&mut self) {
        self.scripted.clear();
        self.random = None;
    }

    /// The effect on a request, if any: the first scripted fault that matches, else a random one.
    pub fn hit(&mut self, op: Op, text: &str) -> Option<Effect> {
        for (i, fault) in self.scripted.iter_mut().enumerate() {
            let named = fault.contains.as_ref().is_none_or(|part| text.contains(part.as_str()));
            if fault.op.is_some_and(|wanted| wanted != op) || !named {
                continue;
            }
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            let effect = fault.effect.clone();
            match fault.count {
                0 => {}
                1 => drop(self.scripted.remove(i)),
                _ => fault.count -= 1,
            }
            return Some(effect);
        }
        let (random, rate) = self.random.as_mut()?;
        random.random_bool(rate.clamp(0.0, 1.0)).then(|| match random.random_range(0..6) {
            0 => Effect::Http { status: 500 },
            1 => Effect::HttpAfter { status: 502 },
            2 => Effect::Throttle { retry_after_s: 0.1 },
            3 => Effect::DropBefore,
            4 => Effect::DropAfter,
            _ => Effect::Delay { ms: 50 },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_skips_hits_and_is_used_up() {
        let mut faults = Faults::new(None, 0.0);
        let effect = Effect::DropAfter;
        faults.add(Fault {
            op: Some(Op::AttachDisk),
            contains: Some("cd-1".into()),
            skip: 1,
            count: 2,
            effect,
        });
        let hits = [
            faults.hit(Op::AttachDisk, "cd-1"),
            faults.hit(Op::DetachDisk, "cd-1"),
            faults.hit(Op::AttachDisk, "cd-2"),
            faults.hit(Op::AttachDisk, "cd-1"),
            faults.hit(Op::AttachDisk, "cd-1"),
            faults.hit(Op::AttachDisk, "cd-1"),
        ];
        assert_eq!(hits.map(|h| h.is_some()), [false, false, false, true, true, false]);
    }

    #[test]
    fn a_seed_gives_the_same_faults_again() {
        let run = || {
            let mut faults = Faults::new(Some(7), 0.3);
            (0..50).map(|_| faults.hit(Op::GetDisk, "")).collect::<Vec<_>>()
        };
        assert_eq!(run(), run());
        assert!(run().iter().any(Option::is_some) && run().iter().any(Option::is_none));
    }
}
