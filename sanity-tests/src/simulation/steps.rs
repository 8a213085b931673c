//! The scheduler: one random step after the other.

use ecx::api::Op;
use ecx_sim::{Effect, Fault};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use super::caller::Ask;
use super::check::{Invariant, Verdict};
use super::scene::{Scene, Stage};
use super::volume::Made;

/// A reply is waited for 10 s by default: what comes later, comes when its caller has given up.
const SOON_MS: u64 = 5000;

/// So many volumes are asked for a wish.
const TRIES: u32 = 4;

/// How a schedule is inclined; each has other weak points.
pub(super) struct Moods {
    /// Steps before quiet.
    pub(super) steps: u64,
    /// Attaches, detaches and orders may be carried out long after their caller has given up.
    pub(super) late: bool,
    /// Disks may disappear.
    loses: bool,
    faults: u32,
    crashes: u32,
    abandons: u32,
    repeats: u32,
    /// The longest pause between two steps, ms.
    pause: u64,
}

impl Moods {
    pub(super) fn draw(rng: &mut StdRng) -> Self {
        let mut of = |choices: [u32; 3]| choices[rng.random_range(0..3)];
        let (faults, crashes) = (of([0, 10, 30]), of([0, 2, 8]));
        let (abandons, repeats) = (of([0, 4, 12]), of([0, 6, 12]));
        let pause = [20, 2000, 30_000][rng.random_range(0..3)];
        Self {
            steps: rng.random_range(30..=300),
            late: rng.random_bool(0.2),
            loses: rng.random_bool(0.2),
            faults,
            crashes,
            abandons,
            repeats,
            pause,
        }
    }
}

const OPS: [Op; 12] = [
    Op::CreateDisk,
    Op::DeleteDisk,
    Op::GetDisk,
    Op::FindDiskByName,
    Op::ListDisks,
    Op::AttachDisk,
    Op::DetachDisk,
    Op::ResizeDisk,
    Op::GetJob,
    Op::GetOrder,
    Op::ListInstances,
    Op::AttachDisk,
];

/// What starts something that takes time.
const WRITES: [Op; 5] = [Op::CreateDisk, Op::DeleteDisk, Op::AttachDisk, Op::DetachDisk, Op::ResizeDisk];

/// Kinds of steps.
enum Kind {
    Ask,
    Wait,
    Turn,
    Repeat,
    Abandon,
    Fault,
    Crash,
    Machine,
    Release,
}

impl Scene {
    /// One step; true if the controller is to crash.
    pub(super) async fn step(&mut self, stage: &mut Stage) -> Result<bool, (Invariant, String)> {
        let weights = [
            (Kind::Ask, 40),
            (Kind::Wait, 25),
            (Kind::Turn, 5),
            (Kind::Repeat, self.moods.repeats),
            (Kind::Abandon, self.moods.abandons),
            (Kind::Fault, self.moods.faults),
            (Kind::Crash, self.moods.crashes),
            (Kind::Machine, 2),
            (Kind::Release, 2),
        ];
        // The weights are never all zero.
        let Ok((kind, _)) = weights.choose_weighted(&mut self.rng, |(_, weight)| *weight) else {
            return Ok(false);
        };
        match kind {
            Kind::Ask => self.wish(stage),
            Kind::Wait => {
                let pause = self.rng.random_range(0..=self.moods.pause);
                self.wait(stage, pause).await?;
            }
            Kind::Turn => self.turns(stage).await?,
            Kind::Repeat => self.repeat(stage),
            Kind::Abandon => {
                if let Some(number) = self.live.keys().copied().choose(&mut self.rng) {
                    self.abandon(number);
                }
            }
            Kind::Fault => self.fault(),
            Kind::Machine => self.machine(),
            Kind::Release => {
                self.note("what is stuck or held goes on");
                self.cloud.release();
            }
            Kind::Crash => {
                self.turns(stage).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Everybody who can go on goes on a little: each task stands at another await point then.
    async fn turns(&mut self, stage: &mut Stage) -> Verdict {
        for _ in 0..self.rng.random_range(0..20) {
            tokio::task::yield_now().await;
        }
        self.wait(stage, 0).await
    }

    /// Somebody wants something; not every volume has a wish that it may have now.
    fn wish(&mut self, stage: &Stage) {
        for _ in 0..TRIES {
            let volume = self.rng.random_range(0..self.volumes.len());
            let live: Vec<Ask> = self.asked(volume);
            if let Some(ask) = self.volumes[volume].wish(&mut self.rng, &self.places, &live) {
                return self.ask(stage, volume, ask);
            }
        }
    }

    /// What is asked for a volume now.
    pub(super) fn asked(&self, volume: usize) -> Vec<Ask> {
        self.live.values().filter(|live| live.volume == volume).map(|live| live.ask.clone()).collect()
    }

    /// A call that runs is made once more.
    fn repeat(&mut self, stage: &Stage) {
        let Some(live) = self.live.values().choose(&mut self.rng) else { return };
        let (volume, mut ask) = (live.volume, live.ask.clone());
        if matches!(ask, Ask::Create(_)) && self.rng.random() {
            ask = self.volumes[volume].create();
        }
        self.ask(stage, volume, ask);
    }

    fn machine(&mut self) {
        let Some(machine) = self.places.machines.choose(&mut self.rng) else { return };
        let (id, status) = (machine.id.clone(), ["running", "starting"][self.rng.random_range(0..2)]);
        self.note(&format!("{id} is {status}"));
        let _ = self.cloud.change(|world| world.set_instance_status(&id, status));
    }

    fn fault(&mut self) {
        self.counts.faults += 1;
        let fault = self.draw_fault();
        self.note(&format!("fault: {fault:?}"));
        self.cloud.fault(fault);
    }

    fn draw_fault(&mut self) -> Fault {
        let late = self.moods.late;
        let rng = &mut self.rng;
        let (skip, count) = (rng.random_range(0..3), rng.random_range(1..=3));
        let any = |rng: &mut StdRng| OPS[rng.random_range(0..OPS.len())];
        let write = |rng: &mut StdRng| WRITES[rng.random_range(0..WRITES.len())];
        let ms = rng.random_range(1..=if late { 4 * SOON_MS } else { SOON_MS });
        let (op, effect) = match rng.random_range(0..16) {
            0 => (any(rng), Effect::Http { status: 500 }),
            1 => (any(rng), Effect::HttpAfter { status: 502 }),
            2 => (any(rng), Effect::Throttle { retry_after_s: rng.random_range(0.1..5.0) }),
            3 => (any(rng), Effect::DropBefore),
            4 | 5 => (any(rng), Effect::DropAfter),
            6 | 7 => (any(rng), Effect::Delay { ms }),
            8 => (self.held(), Effect::HoldBefore),
            9 => (any(rng), Effect::HoldAfter),
            10 => (write(rng), Effect::Stuck),
            11 => return self.failure(skip, count),
            12 => {
                let effect = if rng.random() { Effect::SoldOut } else { Effect::Quota };
                ([Op::CreateDisk, Op::ResizeDisk][rng.random_range(0..2)], effect)
            }
            13 => return self.loss(skip),
            14 => (any(rng), if rng.random() { Effect::CoreOk } else { Effect::StringCodes }),
            _ => (Op::GetOrder, Effect::EmptyOrder),
        };
        Fault { op: Some(op), contains: None, skip, count, effect }
    }

    /// What may be carried out however late it is: what has a client token, but an order; or, in a late schedule,
    /// anything.
    fn held(&mut self) -> Op {
        let harmless = |op: &&Op| !matches!(op, Op::AttachDisk | Op::DetachDisk | Op::CreateDisk);
        let late = self.moods.late;
        OPS.iter().filter(|op| late || harmless(op)).choose(&mut self.rng).copied().unwrap_or(Op::GetDisk)
    }

    /// A job or an order fails. If it is that of a disk, a person has to look after it.
    fn failure(&mut self, skip: u32, count: u32) -> Fault {
        let op = WRITES[self.rng.random_range(0..WRITES.len())];
        let mut contains = None;
        if op == Op::CreateDisk {
            let volume = self.rng.random_range(0..self.volumes.len());
            self.volumes[volume].dead = true;
            contains = Some(format!("\"{}\"", self.volumes[volume].claim.name));
        }
        Fault { op: Some(op), contains, skip, count, effect: Effect::JobFails }
    }

    /// A disk disappears behind everybody's back.
    fn loss(&mut self, skip: u32) -> Fault {
        let loses = self.moods.loses;
        let made = self.volumes.iter_mut().filter(|volume| volume.made == Made::Yes);
        let contains = match made.choose(&mut self.rng) {
            Some(volume) if loses => {
                volume.lost = true;
                Some(volume.id.clone())
            }
            _ => return Fault { op: None, contains: None, skip, count: 1, effect: Effect::DropAfter },
        };
        Fault { op: None, contains, skip, count: 1, effect: Effect::Vanish }
    }
}
