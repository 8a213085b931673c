//! Each step of each operation × each fault, through the controller's real socket.

use std::time::Duration;

use ecx::Profile;
use ecx_sim::{Effect, Fault};
use futures::StreamExt as _;
use sanity_tests::sidecar::{RetryPolicy, Sidecar};
use tonic::Code;

use crate::scene::{SCENES, Scene, Stage, Step, profile};
use crate::verdict::{judge, quiet};

/// Cases that run side by side: they mostly wait.
const AT_ONCE: usize = 16;

/// Why a case does not count, and how often it is tried.
const MISSED: &str = "the fault has hit nothing";
const TRIES: usize = 5;

/// When what a fault holds back goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    /// As soon as a call of the sidecar has failed, so beside its retry.
    Soon,
    /// After the operation has long succeeded without it.
    Last,
}

/// A fault and how long everybody waits.
#[derive(Debug, Clone)]
struct Kind {
    name: &'static str,
    effect: Effect,
    /// Attempts of the client: one leaves the retry to the sidecar, more do it in the client.
    attempts: u32,
    http_timeout_ms: u64,
    give_up_ms: u64,
    /// The sidecar's first deadline.
    first: Duration,
    release: Option<Release>,
    /// Only for requests that start something that takes time.
    starts: bool,
}

fn kinds() -> Vec<Kind> {
    let plain = |name, effect| Kind {
        name,
        effect,
        attempts: 1,
        http_timeout_ms: 10_000,
        give_up_ms: 5000,
        first: Duration::from_secs(30),
        release: None,
        starts: false,
    };
    let (soon, last) = (Some(Release::Soon), Some(Release::Last));
    // Far above any honest reply here, and short, since each case waits for it.
    let slow = |name, effect, release| Kind { http_timeout_ms: 200, release, ..plain(name, effect) };
    let mut kinds = Vec::new();
    for (name, effect) in [
        ("request lost", Effect::DropBefore),
        ("reply lost", Effect::DropAfter),
        ("500", Effect::Http { status: 500 }),
        ("502 although done", Effect::HttpAfter { status: 502 }),
        ("429", Effect::Throttle { retry_after_s: 0.02 }),
    ] {
        kinds.push(plain(name, effect.clone()));
        kinds.push(Kind { attempts: 4, ..plain(name, effect) });
    }
    kinds.push(Kind { starts: true, give_up_ms: 150, release: soon, ..plain("stuck", Effect::Stuck) });
    kinds.push(Kind { starts: true, ..plain("job fails", Effect::JobFails) });
    let impatient = Duration::from_millis(15);
    kinds.push(Kind { first: impatient, ..plain("late, the caller gives up", Effect::Delay { ms: 60 }) });
    kinds.push(slow("no reply although done", Effect::HoldAfter, last));
    kinds.push(slow("done beside the retry", Effect::HoldBefore, soon));
    kinds.push(slow("done after all", Effect::HoldBefore, last));
    kinds
}

#[tokio::test]
async fn faults_at_every_step_of_every_operation() {
    let mut cases = Vec::new();
    for scene in SCENES {
        for step in Step::all(&Stage::new(scene).record().await) {
            let fits = |kind: &Kind| step.starts || !kind.starts;
            cases.extend(kinds().into_iter().filter(fits).map(|kind| (scene, step, kind)));
        }
    }
    let run = |(scene, step, kind): (Scene, Step, Kind)| async move {
        let name = format!("{}, {:?} #{} × {} ({})", scene.name, step.op, step.nth, kind.name, kind.attempts);
        // On a busy machine a caller may give up before the step, and its retry may talk otherwise: then once more.
        let mut ended = Err(MISSED.to_owned());
        for _ in 0..TRIES {
            if !matches!(&ended, Err(why) if why == MISSED) {
                break;
            }
            ended = case(scene, step, &kind).await;
        }
        (name, ended)
    };
    let ended = futures::stream::iter(cases).map(run).buffer_unordered(AT_ONCE).collect().await;
    crate::report("a step × a fault", ended);
}

/// The goal is twelve: what a single volume's life costs in the cloud's calls, with the guide's ordinary class.
#[tokio::test]
async fn without_faults_a_life_is_eleven_calls() {
    let mut calls = Vec::new();
    for name in ["create in the class's region", "attach", "detach", "delete"] {
        let scene = SCENES.into_iter().find(|scene| scene.name == name).unwrap();
        calls.push(Stage::new(scene).record().await.len());
    }
    assert_eq!(calls, [3, 3, 2, 3]);
}

async fn case(scene: Scene, step: Step, kind: &Kind) -> Result<(), String> {
    let mut stage = Stage::new(scene);
    let mut controller = stage.controller(impatient(profile(&stage.sim), kind)).await;
    stage.prepare(&Sidecar::new(controller.channel())).await;
    if scene.forgotten {
        controller = stage.controller(impatient(profile(&stage.sim), kind)).await;
    }
    let (op, effect) = (Some(step.op), kind.effect.clone());
    stage.sim.fault(Fault { op, contains: None, skip: step.nth, count: 1, effect });
    let sidecar = Sidecar::new(controller.channel());
    let request = stage.request(scene.act);
    let policy = RetryPolicy { first_deadline: kind.first, ..RetryPolicy::default() };
    let mut codes = Vec::new();
    let between = |status: &tonic::Status| {
        codes.push(status.code());
        stage.time_passes();
        if kind.release == Some(Release::Soon) {
            stage.sim.release();
        }
    };
    let ended = sidecar.call(&request, &policy, between).await;
    let failed_once = kind.effect == Effect::JobFails;
    // The reply is true when it comes, and still when everything that was held back has happened.
    let at_once = stage.sim.look(|world| judge(world, &scene, &ended, failed_once));
    stage.sim.release();
    quiet(&stage.sim).await?;
    if !stage.sim.faults_left().is_empty() {
        return Err(MISSED.to_owned());
    }
    if kind.effect == Effect::Stuck && codes != [Code::DeadlineExceeded] {
        return Err(format!("what is stuck is DEADLINE_EXCEEDED once, not {codes:?}"));
    }
    at_once.map_err(|why| format!("when the call returned: {why}"))?;
    stage.sim.look(|world| judge(world, &scene, &ended, failed_once))?;
    // Twice is once.
    let again = sidecar.call(&request, &RetryPolicy::default(), |_| ()).await;
    quiet(&stage.sim).await?;
    stage.sim.look(|world| judge(world, &scene, &again, failed_once)).map_err(|why| format!("again: {why}"))
}

fn impatient(mut profile: Profile, kind: &Kind) -> Profile {
    (profile.attempts, profile.http_timeout_ms) = (kind.attempts, kind.http_timeout_ms);
    profile.poll.give_up_ms = kind.give_up_ms;
    profile
}
