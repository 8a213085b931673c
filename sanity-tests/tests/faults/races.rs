//! Many callers at once, and two controllers at once, as while the leader changes.

use std::time::Duration;

use ecx::api::Op;
use ecx_sim::{Effect, Fault};
use futures::StreamExt as _;
use futures::future::{join, join_all};
use sanity_tests::in_process::InProcess;
use sanity_tests::sidecar::{Claim, Reply, Request, RetryPolicy, Sidecar};
use tonic::{Code, Status};

use crate::scene::{Act, GIB, PLAIN, Scene, Stage, profile};
use crate::verdict::until;

type Ended = Result<Reply, Status>;

/// Rounds of each race: who is first differs from round to round.
const ROUNDS: usize = 10;

/// Cases that run side by side: they mostly wait.
const AT_ONCE: usize = 8;

/// Long enough for any answer.
const LONG: Duration = Duration::from_secs(30);

/// A cloud and two controllers that know nothing of each other.
struct Race {
    stage: Stage,
    sidecars: [Sidecar; 2],
    _controllers: [InProcess; 2],
}

impl Race {
    /// After `before`, done by the first controller.
    async fn begin(scene: Scene, before: &'static [Act]) -> Self {
        let mut stage = Stage::new(Scene { before, ..scene });
        let controllers =
            [stage.controller(profile(&stage.sim)).await, stage.controller(profile(&stage.sim)).await];
        let sidecars = [Sidecar::new(controllers[0].channel()), Sidecar::new(controllers[1].channel())];
        stage.prepare(&sidecars[0]).await;
        Self { stage, sidecars, _controllers: controllers }
    }

    /// Both at once: the first through the first controller, the second through it too or through the other one.
    async fn both(&self, first: &Request, second: &Request, other: bool) -> (Ended, Ended) {
        let [one, two] = &self.sidecars;
        let two = if other { two } else { one };
        let policy = RetryPolicy::default();
        join(one.call(first, &policy, |_| ()), two.call(second, &policy, |_| ())).await
    }

    /// The disk's holder, and how often it was attached.
    fn disk(&self) -> (Option<String>, usize) {
        self.stage.sim.look(|world| {
            let record = world.disks.values().next().unwrap();
            (record.holder.clone(), record.history.len())
        })
    }
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// What happens at once; each race has a function of its own.
const RACES: [&str; 7] = [
    "attach to two nodes",
    "attach and detach",
    "move to another node",
    "the same create",
    "create of two sizes",
    "delete and attach",
    "the same growth",
];

async fn run(race: &str, scene: Scene, other: bool) -> Result<(), String> {
    match race {
        "attach to two nodes" => two_nodes(scene, other).await,
        "attach and detach" => there_and_back(scene, other).await,
        "move to another node" => moved(scene, other).await,
        "the same create" => same_create(scene, other).await,
        "create of two sizes" => two_sizes(scene, other).await,
        "delete and attach" => delete_and_attach(scene, other).await,
        _ => same_growth(scene, other).await,
    }
}

#[tokio::test]
async fn faults_of_many_callers_at_once() {
    let mut cases = Vec::new();
    for round in 0..ROUNDS {
        cases.extend(RACES.into_iter().flat_map(|race| [(race, round, false), (race, round, true)]));
    }
    let run = |(race, round, other): (&'static str, usize, bool)| async move {
        let whom = if other { "two controllers" } else { "one controller" };
        let scene = Scene { address: round % 2 == 0, ..PLAIN };
        (format!("{race}, {whom}, round {round}"), run(race, scene, other).await)
    };
    let mut ended: Vec<_> = futures::stream::iter(cases).map(run).buffer_unordered(AT_ONCE).collect().await;
    ended.push(("100 retries of one attach".to_owned(), retries().await));
    ended.push(("a read that hangs".to_owned(), hung().await));
    crate::report("a race", ended);
}

/// A retry joins what runs: whatever the number of callers, the cloud is asked what one caller costs.
async fn retries() -> Result<(), String> {
    let mut stage = Stage::new(Scene { before: &[Act::Create], act: Act::Publish, ..PLAIN });
    let controller = stage.controller(profile(&stage.sim)).await;
    let sidecar = Sidecar::new(controller.channel());
    stage.prepare(&sidecar).await;
    let (before, request) = (stage.sim.log().len(), stage.publish(0));
    let calls = (0..100).map(|turn| sidecar.call_once(&request, turn, LONG));
    let reply = join_all(calls).await;
    let same = reply.iter().all(|ended| ended.as_ref().ok() == reply[0].as_ref().ok() && ended.is_ok());
    let ops: Vec<Op> = stage.sim.log()[before..].iter().map(|entry| entry.op).collect();
    check(same && ops == [Op::GetDisk, Op::AttachDisk, Op::GetDisk], || format!("{ops:?} for {reply:?}"))
}

/// A read that hangs is one disk's trouble: another disk of the region is attached meanwhile.
async fn hung() -> Result<(), String> {
    let mut stage = Stage::new(Scene { before: &[Act::Create], act: Act::Publish, ..PLAIN });
    let controller = stage.controller(profile(&stage.sim)).await;
    let sidecar = Sidecar::new(controller.channel());
    stage.prepare(&sidecar).await;
    let other = Claim { name: "pvc-other".to_owned(), ..stage.claim() };
    let reply =
        sidecar.call_once(&Request::Create(other), 0, LONG).await.map_err(|status| format!("{status:?}"))?;
    let Reply::Created { volume, region, .. } = reply else { return Err(format!("{reply:?}")) };
    let contains = stage.volume().map(str::to_owned);
    let hang = Fault { op: Some(Op::GetDisk), contains, skip: 0, count: 0, effect: Effect::HoldBefore };
    stage.sim.fault(hang);
    let publish = Request::Publish { volume, node: stage.node(&region, 0) };
    let hanging = stage.publish(0);
    let rest = async {
        until(LONG, || stage.sim.held() > 0).await.map_err(|()| "nothing hangs".to_owned())?;
        // Far below the time after which the client gives the hanging read up.
        let reply = sidecar.call_once(&publish, 0, Duration::from_secs(8)).await;
        stage.sim.clear_faults();
        stage.sim.release();
        reply.map_err(|status| format!("the other disk: {status:?}"))
    };
    let (hung, rest) = join(sidecar.call_once(&hanging, 0, LONG), rest).await;
    rest?;
    hung.map(drop).map_err(|status| format!("the disk itself: {status:?}"))
}

/// One wins; the other one is told who holds the volume.
async fn two_nodes(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[Act::Create]).await;
    let requests = [race.stage.publish(0), race.stage.publish(1)];
    let ended = race.both(&requests[0], &requests[1], other).await;
    let (winner, refused) = match &ended {
        (Ok(_), Err(status)) => (0, status),
        (Err(status), Ok(_)) => (1, status),
        _ => return Err(format!("not one of two: {ended:?}")),
    };
    let Request::Publish { node, .. } = &requests[winner] else {
        return Err("a publish is asked for".to_owned());
    };
    // A controller that has never published to a node knows only its instance, not how the node calls itself.
    let instance = race.disk().0.unwrap_or_default();
    let name = if other { instance } else { node.clone() };
    let named = refused.message().contains(&name);
    check(refused.code() == Code::FailedPrecondition && named, || format!("{name} not named: {refused:?}"))?;
    check(race.disk().1 == 1, || format!("attached twice: {:?}", race.disk()))
}

/// The later of the two decides, and both replies are true.
async fn there_and_back(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[Act::Create]).await;
    let (publish, unpublish) = (race.stage.publish(0), race.stage.unpublish(0));
    let ended = race.both(&publish, &unpublish, other).await;
    check(ended.0.is_ok() && ended.1.is_ok(), || format!("{ended:?}"))?;
    let again = race.sidecars[0].call_once(&publish, 0, LONG).await;
    // Two controllers that are asked for contrary things may undo each other's work for a while.
    let (holder, attaches) = race.disk();
    let few = attaches <= 2 || other;
    check(again.is_ok() && holder.is_some() && few, || format!("{again:?}, {holder:?}, {attaches}"))?;
    let off = race.sidecars[1].call_once(&unpublish, 0, LONG).await;
    check(off.is_ok() && race.disk().0.is_none(), || format!("{off:?}, {:?}", race.disk()))
}

/// A pod moves: the attacher attaches to the new node while the old one lets go.
async fn moved(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[Act::Create, Act::Publish]).await;
    let (there, off) = (race.stage.publish(1), race.stage.unpublish(0));
    let ended = race.both(&there, &off, other).await;
    check(ended.1.is_ok(), || format!("{ended:?}"))?;
    if let Err(status) = &ended.0 {
        check(status.code() == Code::FailedPrecondition, || format!("{status:?}"))?;
        let again = race.sidecars[0].call_once(&there, 1, LONG).await;
        check(again.is_ok(), || format!("{again:?}"))?;
    }
    let (holder, attaches) = race.disk();
    check(holder.is_some() && attaches == 2, || format!("{holder:?} after {attaches} attaches"))
}

async fn same_create(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[]).await;
    let mut elsewhere = race.stage.claim();
    // Through one controller another preference is another request; through two it is what Immediate binding does.
    if other {
        elsewhere.preferred.rotate_left(1);
    }
    let ended = race.both(&Request::Create(race.stage.claim()), &Request::Create(elsewhere), other).await;
    let bought = race.stage.sim.look(|world| world.bought);
    let same = matches!(&ended, (Ok(one), Ok(two)) if one == two);
    check(same && bought == 1, || format!("{bought} bought, {ended:?}"))
}

async fn two_sizes(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[]).await;
    let larger = Claim { gib: 2 * GIB, ..race.stage.claim() };
    let ended = race.both(&Request::Create(race.stage.claim()), &Request::Create(larger), other).await;
    let right = match &ended {
        (Ok(_), Err(status)) => status.code() == Code::AlreadyExists,
        // The larger one is large enough for both.
        (Ok(one), Ok(two)) => one == two,
        _ => false,
    };
    let bought = race.stage.sim.look(|world| world.bought);
    check(right && bought == 1, || format!("{bought} bought, {ended:?}"))
}

/// Either it is gone and was never attached, or it is attached and was not deleted.
async fn delete_and_attach(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[Act::Create]).await;
    let (delete, publish) = (race.stage.request(Act::Delete), race.stage.publish(0));
    let ended = race.both(&delete, &publish, other).await;
    let left =
        race.stage.sim.look(|world| world.disks.values().map(|d| d.holder.is_some()).collect::<Vec<_>>());
    let right = match (&ended, &left[..]) {
        ((Ok(_), Err(status)), []) => status.code() == Code::NotFound,
        ((Err(status), Ok(_)), [true]) => status.code() == Code::FailedPrecondition,
        _ => false,
    };
    check(right, || format!("{ended:?}, held: {left:?}"))
}

async fn same_growth(scene: Scene, other: bool) -> Result<(), String> {
    let race = Race::begin(scene, &[Act::Create, Act::Publish]).await;
    let grow = race.stage.request(Act::Expand);
    let ended = race.both(&grow, &grow, other).await;
    let log = race.stage.sim.log();
    let orders = log.iter().filter(|entry| entry.op == Op::ResizeDisk && entry.code.is_empty()).count();
    let most = if other { 2 } else { 1 };
    check(ended.0.is_ok() && ended.1.is_ok() && orders <= most, || format!("{orders} orders, {ended:?}"))
}
