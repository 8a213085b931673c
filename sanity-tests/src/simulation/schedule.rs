//! A schedule in progress: the cloud, what the callers know, and the runs of the controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::Profile;
use ecx_sim::Local;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::bug::{Bug, WithBug};
use super::caller::{self, Call, Completed, Reply, Request};
use super::check::{self, Check, Invariant};
use super::config::ScheduleConfig;
use super::outcome::{Counts, Outcome, SetupError, Violation};
use super::topology::{self, Topology};
use super::trace::Trace;
use super::volume::{Attachment, Creation, Deletion, Volume};
use crate::direct::{Created, Direct};
use crate::sidecar::is_retryable;

/// A call that runs longer never ends. A detach that waits for an attach that waits for a detach, each up to the profile's
/// limit of 5 minutes, takes far less.
const LONGEST_CALL_MS: u64 = 3_600_000;

/// How a run of the controller has ended.
pub(super) enum RunEnd {
    Crashed,
    Finished,
}

/// A call that has no reply yet.
pub(super) struct RunningCall {
    pub(super) volume: usize,
    pub(super) request: Request,
    started_ms: u64,
    task: AbortHandle,
    /// When it was sent: which volumes existed, and the machine on which its own volume was published.
    existing: Vec<bool>,
    published: Option<usize>,
}

pub(super) struct Schedule {
    pub(super) rng: StdRng,
    pub(super) config: ScheduleConfig,
    pub(super) topology: Topology,
    pub(super) cloud: Arc<Local>,
    pub(super) volumes: Vec<Volume>,
    pub(super) running: BTreeMap<u64, RunningCall>,
    pub(super) counts: Counts,
    seed: u64,
    bug: Option<Bug>,
    profile: Profile,
    regions: Vec<Region>,
    stock: u64,
    trace: Trace,
    controllers: u64,
    started_ms: u64,
    traced_requests: usize,
}

/// One run of the controller.
pub(super) struct ControllerRun {
    pub(super) controller: Direct,
    sender: mpsc::UnboundedSender<Completed>,
    completed: mpsc::UnboundedReceiver<Completed>,
}

impl Schedule {
    pub(super) fn random(seed: u64, bug: Option<Bug>) -> Result<Self, SetupError> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (topology, config) = topology::random(&mut rng);
        let cloud = Local::new(config)?;
        let regions = topology.regions.iter().map(|code| Region::parse("regions", code));
        let regions = regions.collect::<Result<_, _>>()?;
        let volumes = (0..rng.random_range(1..=6)).map(|n| Volume::random(&mut rng, n, &topology)).collect();
        let mut profile = Profile { base_url: "http://ecx-sim".to_owned(), ..Profile::default() };
        if rng.random() {
            // So fast that no request ever waits for the rate limit.
            (profile.rate_per_second, profile.burst) = (2000.0, 2000.0);
        }
        Ok(Self {
            config: ScheduleConfig::random(&mut rng),
            stock: topology.regions.len() as u64 * topology::STOCK,
            started_ms: cloud.now_ms(),
            cloud: Arc::new(cloud),
            running: BTreeMap::new(),
            counts: Counts::default(),
            trace: Trace::default(),
            controllers: 0,
            traced_requests: 0,
            rng,
            topology,
            volumes,
            seed,
            bug,
            profile,
            regions,
        })
    }

    /// Starts a new controller, and takes steps until it crashes or nothing is left to do.
    pub(super) async fn run_controller(&mut self) -> Result<RunEnd, (Invariant, String)> {
        self.cloud.begin();
        let mut run = self.start_controller();
        while self.counts.steps < self.config.steps {
            self.counts.steps += 1;
            let crash = self.step(&mut run).await?;
            self.check()?;
            if crash {
                self.crash();
                return Ok(RunEnd::Crashed);
            }
        }
        self.wind_down(&mut run).await?;
        self.check()?;
        let all_accounted_for = self.volumes.iter().all(|volume| !volume.vanished);
        self.cloud.look(|world| check::nothing_left(world, all_accounted_for.then_some(self.stock)))?;
        self.note("finished");
        Ok(RunEnd::Finished)
    }

    fn start_controller(&mut self) -> ControllerRun {
        self.controllers += 1;
        self.note(&format!("controller {} starts", self.controllers));
        let seed = self.seed.wrapping_mul(1000) + self.controllers;
        let controller = Direct::new(&self.cloud, self.profile.clone(), seed, self.regions.clone());
        let (sender, completed) = mpsc::unbounded_channel();
        ControllerRun { controller, sender, completed }
    }

    /// The process is gone: every caller has lost its connection; of the requests that were on their way to the cloud each
    /// has arrived or not.
    fn crash(&mut self) {
        self.counts.crashes += 1;
        self.note(&format!("the controller crashes; {} calls have no reply", self.running.len()));
        self.running.clear();
        let rng = &mut self.rng;
        self.cloud.end(|| rng.random());
    }

    /// Sends a request about a volume.
    pub(super) fn send(&mut self, run: &ControllerRun, volume: usize, request: Request) {
        self.counts.calls += 1;
        let number = self.counts.calls;
        let node_id = match request {
            Request::Publish(m) | Request::Unpublish(m) => self.topology.machines[m].node_id.clone(),
            _ => String::new(),
        };
        let Volume { claim, id, .. } = &self.volumes[volume];
        let event = format!("call {number}: {} {id} {request:?} {node_id}", claim.name);
        let published = self.volumes[volume].published().next();
        let call =
            Call { number, request: request.clone(), claim: claim.clone(), volume_id: id.clone(), node_id };
        let service = WithBug { controller: run.controller.clone(), bug: self.bug };
        let calling = caller::call(service, Arc::clone(&self.cloud), call, run.sender.clone());
        let task = tokio::spawn(calling).abort_handle();
        let existing = self.volumes.iter().map(Volume::exists).collect();
        let started_ms = self.cloud.now_ms();
        let running = RunningCall { volume, request, started_ms, task, existing, published };
        self.running.insert(number, running);
        self.note(&event);
    }

    /// The caller gives up: it gets no reply, and what it started goes on.
    pub(super) fn abandon(&mut self, number: u64) {
        if let Some(running) = self.running.remove(&number) {
            running.task.abort();
            self.counts.abandoned += 1;
            self.note(&format!("call {number} is abandoned"));
        }
    }

    /// Lets time pass, and handles the calls that end meanwhile.
    pub(super) async fn wait(&mut self, run: &mut ControllerRun, ms: u64) -> Check {
        let until = Instant::now() + Duration::from_millis(ms);
        while let Ok(Some(completed)) = timeout_at(until, run.completed.recv()).await {
            self.complete(completed)?;
        }
        Ok(())
    }

    fn complete(&mut self, completed: Completed) -> Check {
        let Completed { number, result, disks } = completed;
        // Abandoned at this very moment.
        let Some(call) = self.running.remove(&number) else { return Ok(()) };
        self.counts.replies += 1;
        let text = match &result {
            Ok(reply) => format!("{reply:?}"),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        self.note(&format!("call {number} returns {text}"));
        let volume = &self.volumes[call.volume];
        let late_writes = self.config.late_writes;
        check::result(volume, &call.request, &result, &disks, &self.topology, late_writes)?;
        match &result {
            Ok(Reply::Listed(entries)) if !late_writes => {
                check::list(&self.volumes, &call.existing, entries)?;
            }
            Ok(Reply::Got(nodes)) if !late_writes => check::nodes(volume, call.published, nodes)?,
            _ => {}
        }
        self.record(&call, result);
        self.check()
    }

    /// What the callers know from a result.
    fn record(&mut self, call: &RunningCall, result: Result<Reply, Status>) {
        let creates =
            |other: &RunningCall| other.volume == call.volume && matches!(other.request, Request::Create(_));
        let other_create = self.running.values().any(creates);
        let volume = &mut self.volumes[call.volume];
        match (&call.request, result) {
            (Request::Create(_), Ok(Reply::Created(Created { id, region, gib })))
                if volume.creation != Creation::Done || volume.vanished =>
            {
                (volume.creation, volume.id, volume.region) = (Creation::Done, id, region);
                volume.gib = volume.gib.max(gib);
            }
            (Request::Create(_), Err(status)) => {
                let is_final = !is_retryable(status.code()) && !other_create;
                if is_final && volume.creation == Creation::Pending {
                    volume.creation = Creation::Failed;
                    volume.order_failed |= status.code() == Code::Internal;
                }
            }
            (Request::Publish(machine), Ok(_)) => {
                if let Some(Attachment::Wanted { confirmed }) = volume.attachments.get_mut(machine) {
                    *confirmed = true;
                }
            }
            (Request::Unpublish(machine), Ok(_)) => {
                // Unless it is wanted there again.
                let detached = |at: &usize, a: &mut Attachment| at == machine && *a == Attachment::Unwanted;
                volume.attachments.retain(|at, a| !detached(at, a));
            }
            (Request::Delete, Ok(_)) => volume.deletion = Deletion::Done,
            _ => {}
        }
    }

    /// Checks the invariants, and adds the requests that the cloud has received since to the trace.
    pub(super) fn check(&mut self) -> Check {
        let entries = self.cloud.log_from(self.traced_requests);
        self.traced_requests += entries.len();
        self.counts.requests += entries.len() as u64;
        self.trace.requests(&entries);
        let late_writes = self.config.late_writes;
        self.cloud.look(|world| check::world(world, &self.volumes, &self.topology, late_writes))?;
        let now = self.cloud.now_ms();
        let overdue = self.running.iter().find(|(_, call)| now > call.started_ms + LONGEST_CALL_MS);
        let Some((number, call)) = overdue else { return Ok(()) };
        let seconds = (now - call.started_ms) / 1000;
        Err((
            Invariant::Answered,
            format!("call {number}, {:?}, has no reply after {seconds} s", call.request),
        ))
    }

    pub(super) fn note(&mut self, event: &str) {
        self.trace.event(self.cloud.now_ms() - self.started_ms, event);
    }

    pub(super) fn into_outcome(self, result: Check) -> Outcome {
        // The replies are hashed here: they come after their requests were added to the trace.
        let all = self.cloud.log_from(0);
        let replies: Vec<String> = all.iter().map(|e| format!("{} {}", e.http, e.code)).collect();
        let hash = self.trace.hash(&replies);
        let lasted_ms = self.trace.last_ms();
        let events = self.trace.into_lines();
        let violation = result.err().map(|(invariant, details)| Violation { invariant, details });
        Outcome { seed: self.seed, hash, counts: self.counts, lasted_ms, events, violation }
    }
}
