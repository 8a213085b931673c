//! A schedule under way: the cloud, the callers' beliefs, and the lives of the controller.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eck_csi::volume::Region;
use ecx::Profile;
use ecx_sim::{Config, Local};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::bug::Bug;
use super::caller::{self, Answer, Ask, Call, Ended};
use super::check::{self, Invariant, Verdict};
use super::places::{self, Places};
use super::steps::Moods;
use super::trace::Trace;
use super::volume::{Attachment, Deletion, Made, Volume};
use super::{Broken, CannotRun, Counts, Outcome};
use crate::direct::{Created, Direct};
use crate::sidecar::is_retryable;

/// A call that runs longer is one that nobody answers. A detach that waits for an attach that waits for a detach, each
/// as long as the profile's patience of 5 minutes, is well below.
const LONGEST_MS: u64 = 3_600_000;

/// How a life ended.
pub(super) enum Life {
    Crashed,
    Over,
}

/// A call that nobody has answered yet.
pub(super) struct Live {
    pub(super) volume: usize,
    pub(super) ask: Ask,
    since: u64,
    task: AbortHandle,
    /// Which volumes their callers had, and of this one the machine that was told to have it, when it was asked.
    owned: Vec<bool>,
    published: Option<usize>,
}

pub(super) struct Scene {
    pub(super) rng: StdRng,
    pub(super) moods: Moods,
    pub(super) places: Places,
    pub(super) cloud: Arc<Local>,
    pub(super) volumes: Vec<Volume>,
    pub(super) live: BTreeMap<u64, Live>,
    pub(super) counts: Counts,
    seed: u64,
    bug: Option<Bug>,
    profile: Profile,
    regions: Vec<Region>,
    stock: u64,
    trace: Trace,
    lives: u64,
    begun: u64,
    heard: usize,
}

/// What a life's calls need.
pub(super) struct Stage {
    pub(super) controller: Direct,
    sender: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
}

impl Scene {
    pub(super) fn draw(seed: u64, bug: Option<Bug>) -> Result<Self, CannotRun> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (places, config) = places::draw(&mut rng);
        let cloud = Local::new(Config { forgets_tokens: bug == Some(Bug::FreshTokens), ..config })?;
        let regions = places.regions.iter().map(|code| Region::parse("regions", code));
        let regions = regions.collect::<Result<_, _>>()?;
        let volumes = (0..rng.random_range(1..=6)).map(|n| Volume::draw(&mut rng, n, &places)).collect();
        let mut profile = Profile { base_url: "http://ecx-sim".to_owned(), ..Profile::default() };
        if rng.random() {
            // So fast that nobody ever waits for his turn.
            (profile.rate_per_second, profile.burst) = (2000.0, 2000.0);
        }
        Ok(Self {
            moods: Moods::draw(&mut rng),
            stock: places.regions.len() as u64 * places::STOCK,
            begun: cloud.now_ms(),
            cloud: Arc::new(cloud),
            live: BTreeMap::new(),
            counts: Counts::default(),
            trace: Trace::default(),
            lives: 0,
            heard: 0,
            rng,
            places,
            volumes,
            seed,
            bug,
            profile,
            regions,
        })
    }

    /// One life: a new controller, and steps until it crashes or nothing is left to do.
    pub(super) async fn live(&mut self) -> Result<Life, (Invariant, String)> {
        self.cloud.begin();
        let mut stage = self.stage();
        while self.counts.steps < self.moods.steps {
            self.counts.steps += 1;
            let crash = self.step(&mut stage).await?;
            self.check()?;
            if crash {
                self.crash();
                return Ok(Life::Crashed);
            }
        }
        self.quiet(&mut stage).await?;
        self.check()?;
        let all_there = self.volumes.iter().all(|volume| !volume.lost);
        self.cloud.look(|world| check::left(world, all_there.then_some(self.stock)))?;
        self.note("over");
        Ok(Life::Over)
    }

    fn stage(&mut self) -> Stage {
        self.lives += 1;
        self.note(&format!("the controller's life {} begins", self.lives));
        let seed = self.seed.wrapping_mul(1000) + self.lives;
        let controller = Direct::new(&self.cloud, self.profile.clone(), seed, self.regions.clone());
        let (sender, ended) = mpsc::unbounded_channel();
        Stage { controller, sender, ended }
    }

    /// The process is gone: every caller has lost his connection, and what it had sent the cloud has or has not.
    fn crash(&mut self) {
        self.counts.crashes += 1;
        self.note(&format!("crash, {} calls are cut off", self.live.len()));
        self.live.clear();
        let rng = &mut self.rng;
        self.cloud.end(|| rng.random());
    }

    /// Asks for something about a volume.
    pub(super) fn ask(&mut self, stage: &Stage, volume: usize, ask: Ask) {
        self.counts.calls += 1;
        let number = self.counts.calls;
        let v = &self.volumes[volume];
        let node = match ask {
            Ask::Publish(m) | Ask::Unpublish(m) => self.places.machines[m].node.clone(),
            _ => String::new(),
        };
        let call = Call { number, ask: ask.clone(), claim: v.claim.clone(), id: v.id.clone(), node };
        let what = format!("call {number}: {} {} {:?} {}", v.claim.name, call.id, call.ask, call.node);
        let published = v.published().next();
        let (controller, cloud, sender) =
            (stage.controller.clone(), Arc::clone(&self.cloud), stage.sender.clone());
        let task = tokio::spawn(caller::call(controller, cloud, self.bug, call, sender)).abort_handle();
        let owned = self.volumes.iter().map(Volume::owned).collect();
        self.live.insert(number, Live { volume, ask, since: self.cloud.now_ms(), task, owned, published });
        self.note(&what);
    }

    /// The caller goes away: he hears nothing, and what he began goes on.
    pub(super) fn abandon(&mut self, number: u64) {
        if let Some(live) = self.live.remove(&number) {
            live.task.abort();
            self.counts.abandoned += 1;
            self.note(&format!("call {number} is given up"));
        }
    }

    /// Lets so much time pass, and hears who is answered meanwhile.
    pub(super) async fn wait(&mut self, stage: &mut Stage, ms: u64) -> Verdict {
        let until = Instant::now() + Duration::from_millis(ms);
        while let Ok(Some(ended)) = timeout_at(until, stage.ended.recv()).await {
            self.hear(ended)?;
        }
        Ok(())
    }

    fn hear(&mut self, ended: Ended) -> Verdict {
        let Ended { number, told, disks } = ended;
        // Given up at the very moment.
        let Some(live) = self.live.remove(&number) else { return Ok(()) };
        self.counts.answers += 1;
        let shown = match &told {
            Ok(answer) => format!("{answer:?}"),
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        self.note(&format!("call {number} is told {shown}"));
        let volume = &self.volumes[live.volume];
        check::answer(volume, &live.ask, &told, &disks, &self.places, self.moods.late)?;
        if let (Ok(Answer::Listed(entries)), false) = (&told, self.moods.late) {
            check::listed(&self.volumes, &live.owned, entries)?;
        }
        if let (Ok(Answer::Got(nodes)), false) = (&told, self.moods.late) {
            check::got(volume, live.published, nodes)?;
        }
        self.believe(&live, told);
        self.check()
    }

    /// What the callers know by an answer.
    fn believe(&mut self, live: &Live, told: Result<Answer, Status>) {
        let creates = |other: &Live| other.volume == live.volume && matches!(other.ask, Ask::Create(_));
        let asked_otherwise = self.live.values().any(creates);
        let volume = &mut self.volumes[live.volume];
        match (&live.ask, told) {
            (Ask::Create(_), Ok(Answer::Created(Created { id, region, gib })))
                if volume.made != Made::Yes =>
            {
                (volume.made, volume.id, volume.region) = (Made::Yes, id, region);
                volume.gib = volume.gib.max(gib);
            }
            (Ask::Create(_), Err(status)) => {
                let last = !is_retryable(status.code()) && !asked_otherwise && volume.made == Made::Open;
                volume.made = if last { Made::Failed } else { volume.made };
                volume.dead |= last && status.code() == Code::Internal;
            }
            (Ask::Publish(machine), Ok(_)) => {
                if let Some(Attachment::Wanted { told }) = volume.attachments.get_mut(machine) {
                    *told = true;
                }
            }
            (Ask::Unpublish(machine), Ok(_)) => {
                // Unless somebody wants it there again.
                let unwanted = |at: &usize, a: &mut Attachment| at == machine && *a == Attachment::Unwanted;
                volume.attachments.retain(|at, a| !unwanted(at, a));
            }
            (Ask::Delete, Ok(_)) => volume.deletion = Deletion::Done,
            _ => {}
        }
    }

    /// The rules, and what the cloud has heard since.
    pub(super) fn check(&mut self) -> Verdict {
        let entries = self.cloud.log_from(self.heard);
        self.heard += entries.len();
        self.counts.requests += entries.len() as u64;
        self.trace.requests(&entries);
        self.cloud.look(|world| check::world(world, &self.volumes, &self.places, self.moods.late))?;
        let now = self.cloud.now_ms();
        match self.live.iter().find(|(_, live)| now > live.since + LONGEST_MS) {
            None => Ok(()),
            Some((number, live)) => Err((
                Invariant::Answered,
                format!("call {number}, {:?}, has no answer since {} s", live.ask, (now - live.since) / 1000),
            )),
        }
    }

    pub(super) fn note(&mut self, what: &str) {
        self.trace.event(self.cloud.now_ms() - self.begun, what);
    }

    pub(super) fn outcome(self, ended: Verdict) -> Outcome {
        // The replies too, which come after their requests were noted.
        let all = self.cloud.log_from(0);
        let replies: Vec<String> = all.iter().map(|e| format!("{} {}", e.http, e.code)).collect();
        let hash = self.trace.hash(&replies);
        let lasted_ms = self.trace.last_ms();
        let schedule = self.trace.into_lines();
        let broken = ended.err().map(|(invariant, seen)| Broken { invariant, seen });
        Outcome { seed: self.seed, hash, counts: self.counts, lasted_ms, schedule, broken }
    }
}
