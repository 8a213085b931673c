//! The scheduler: one random step after another.

use ecx::api::Op;
use ecx_sim::{Effect, Fault};
use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, IteratorRandom as _};

use super::caller::Request;
use super::check::{Check, Invariant};
use super::schedule::{ControllerRun, Schedule};
use super::volume::Creation;

/// The client waits 10 s for a reply by default; this is half of it.
const SOON_MS: u64 = 5000;

/// Volumes that are tried until one can send a request.
const TRIES: u32 = 4;

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

/// Calls that start work which takes time.
const WRITES: [Op; 5] = [Op::CreateDisk, Op::DeleteDisk, Op::AttachDisk, Op::DetachDisk, Op::ResizeDisk];

/// Kinds of steps.
enum Step {
    Send,
    Wait,
    Yield,
    Repeat,
    Abandon,
    Fault,
    Crash,
    MachineStatus,
    Release,
}

impl Schedule {
    /// Takes one step; true if the controller crashes now.
    pub(super) async fn step(&mut self, run: &mut ControllerRun) -> Result<bool, (Invariant, String)> {
        let weights = [
            (Step::Send, 40),
            (Step::Wait, 25),
            (Step::Yield, 5),
            (Step::Repeat, self.config.repeat_weight),
            (Step::Abandon, self.config.abandon_weight),
            (Step::Fault, self.config.fault_weight),
            (Step::Crash, self.config.crash_weight),
            (Step::MachineStatus, 2),
            (Step::Release, 2),
        ];
        // The weights are never all zero.
        let Ok((step, _)) = weights.choose_weighted(&mut self.rng, |(_, weight)| *weight) else {
            return Ok(false);
        };
        match step {
            Step::Send => self.send_any(run),
            Step::Wait => {
                let pause_ms = self.rng.random_range(0..=self.config.max_pause_ms);
                self.wait(run, pause_ms).await?;
            }
            Step::Yield => self.yield_often(run).await?,
            Step::Repeat => self.repeat(run),
            Step::Abandon => {
                if let Some(number) = self.running.keys().copied().choose(&mut self.rng) {
                    self.abandon(number);
                }
            }
            Step::Fault => self.inject_fault(),
            Step::MachineStatus => self.change_machine_status(),
            Step::Release => {
                self.note("stuck and held requests are released");
                self.cloud.release();
            }
            Step::Crash => {
                self.yield_often(run).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Lets every task that can run advance a little, so that each is at another await point.
    async fn yield_often(&mut self, run: &mut ControllerRun) -> Check {
        for _ in 0..self.rng.random_range(0..20) {
            tokio::task::yield_now().await;
        }
        self.wait(run, 0).await
    }

    /// Sends a request about some volume; not every volume can send one now.
    fn send_any(&mut self, run: &ControllerRun) {
        for _ in 0..TRIES {
            let volume = self.rng.random_range(0..self.volumes.len());
            let running = self.requests_of(volume);
            let next = self.volumes[volume].next_request(&mut self.rng, &self.topology, &running);
            if let Some(request) = next {
                return self.send(run, volume, request);
            }
        }
    }

    /// The requests about a volume that have no reply yet.
    pub(super) fn requests_of(&self, volume: usize) -> Vec<Request> {
        let calls = self.running.values().filter(|call| call.volume == volume);
        calls.map(|call| call.request.clone()).collect()
    }

    /// Sends a request again whose first call has no reply yet.
    fn repeat(&mut self, run: &ControllerRun) {
        let Some(call) = self.running.values().choose(&mut self.rng) else { return };
        let (volume, mut request) = (call.volume, call.request.clone());
        if matches!(request, Request::Create(_)) && self.rng.random() {
            request = self.volumes[volume].create();
        }
        self.send(run, volume, request);
    }

    fn change_machine_status(&mut self) {
        let Some(machine) = self.topology.machines.choose(&mut self.rng) else { return };
        let (id, status) = (machine.id.clone(), ["running", "starting"][self.rng.random_range(0..2)]);
        self.note(&format!("{id} is {status}"));
        let _ = self.cloud.change(|world| world.set_instance_status(&id, status));
    }

    fn inject_fault(&mut self) {
        self.counts.faults += 1;
        let fault = self.random_fault();
        self.note(&format!("fault: {fault:?}"));
        self.cloud.fault(fault);
    }

    fn random_fault(&mut self) -> Fault {
        let late_writes = self.config.late_writes;
        let rng = &mut self.rng;
        let (skip, count) = (rng.random_range(0..3), rng.random_range(1..=3));
        let any = |rng: &mut StdRng| OPS[rng.random_range(0..OPS.len())];
        let write = |rng: &mut StdRng| WRITES[rng.random_range(0..WRITES.len())];
        let ms = rng.random_range(1..=if late_writes { 4 * SOON_MS } else { SOON_MS });
        let (op, effect) = match rng.random_range(0..16) {
            0 => (any(rng), Effect::Http { status: 500 }),
            1 => (any(rng), Effect::HttpAfter { status: 502 }),
            2 => (any(rng), Effect::Throttle { retry_after_s: rng.random_range(0.1..5.0) }),
            3 => (any(rng), Effect::DropBefore),
            4 | 5 => (any(rng), Effect::DropAfter),
            6 | 7 => (any(rng), Effect::Delay { ms }),
            8 => (self.op_to_hold(), Effect::HoldBefore),
            9 => (any(rng), Effect::HoldAfter),
            10 => (write(rng), Effect::Stuck),
            11 => return self.job_failure(skip, count),
            12 => {
                let effect = if rng.random() { Effect::SoldOut } else { Effect::Quota };
                ([Op::CreateDisk, Op::ResizeDisk][rng.random_range(0..2)], effect)
            }
            13 => return self.vanishing_disk(skip),
            14 => (any(rng), if rng.random() { Effect::CoreOk } else { Effect::StringCodes }),
            _ => (Op::GetOrder, Effect::EmptyOrder),
        };
        Fault { op: Some(op), contains: None, skip, count, effect }
    }

    /// A call that may be carried out at any later time: one with a client token, except an order; with late writes, any.
    fn op_to_hold(&mut self) -> Op {
        let harmless = |op: &&Op| !matches!(op, Op::AttachDisk | Op::DetachDisk | Op::CreateDisk);
        let late_writes = self.config.late_writes;
        OPS.iter()
            .filter(|op| late_writes || harmless(op))
            .choose(&mut self.rng)
            .copied()
            .unwrap_or(Op::GetDisk)
    }

    /// A job or an order fails. If it is the order of a disk, an operator has to clean up.
    fn job_failure(&mut self, skip: u32, count: u32) -> Fault {
        let op = WRITES[self.rng.random_range(0..WRITES.len())];
        let mut contains = None;
        if op == Op::CreateDisk {
            let volume = self.rng.random_range(0..self.volumes.len());
            self.volumes[volume].order_failed = true;
            contains = Some(format!("\"{}\"", self.volumes[volume].claim.name));
        }
        Fault { op: Some(op), contains, skip, count, effect: Effect::JobFails }
    }

    /// A disk disappears from the cloud without a call.
    fn vanishing_disk(&mut self, skip: u32) -> Fault {
        let disks_vanish = self.config.disks_vanish;
        let created = self.volumes.iter_mut().filter(|volume| volume.creation == Creation::Done);
        let contains = match created.choose(&mut self.rng) {
            Some(volume) if disks_vanish => {
                volume.vanished = true;
                Some(volume.id.clone())
            }
            _ => return Fault { op: None, contains: None, skip, count: 1, effect: Effect::DropAfter },
        };
        Fault { op: None, contains, skip, count: 1, effect: Effect::Vanish }
    }
}
