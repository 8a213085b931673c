//! The shipped controller, killed by SIGKILL at each step of each operation, started again and asked again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ecx_sim::{Config, Effect, Fault, Sim};
use futures::StreamExt as _;
use sanity_tests::process::{self, Process};
use sanity_tests::sidecar::{Reply, Request, RetryPolicy, Sidecar};
use tempfile::TempDir;

use crate::scene::{NAME, REGIONS, SCENES, Scene, Stage, Step, profile};
use crate::verdict::{judge, quiet, until};

/// Cases that run side by side, each with a process.
const AT_ONCE: usize = 6;

/// How long a start or an arrival may take on a busy machine.
const BOUND: Duration = Duration::from_secs(20);

/// Deaths in a row of one operation.
const DEATHS: usize = 5;

/// When the request is carried out at whose arrival the controller dies.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// At once; the reply meets nobody.
    Unanswered,
    /// Only when the next controller has begun to retry.
    Beside,
    /// Only when the next controller has done everything without it.
    Last,
}

/// A controller that is started, killed and started again over the same socket.
pub(crate) struct Shipped {
    program: PathBuf,
    folder: TempDir,
    url: String,
    running: Option<Process>,
}

/// The shipped controller, built if need be.
pub(crate) fn program() -> PathBuf {
    process::shipped("eck-csi-controller", "eck-csi-controller").unwrap()
}

impl Shipped {
    pub(crate) fn new(program: &Path, sim: &Sim) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let profile = profile(sim);
        let (poll, rate, burst) = (profile.poll, profile.rate_per_second, profile.burst);
        let text = format!(
            "rate_per_second = {rate:?}\nburst = {burst:?}\nreads_lag_ms = {}\n\
             poll = {{ first_ms = {}, factor = {:?}, max_ms = {}, give_up_ms = {} }}\n",
            profile.reads_lag_ms, poll.first_ms, poll.factor, poll.max_ms, poll.give_up_ms
        );
        std::fs::write(folder.path().join("profile.toml"), text).unwrap();
        Self { program: program.to_owned(), folder, url: sim.url(), running: None }
    }

    /// Starts it; gives a client once it is ready.
    pub(crate) async fn start(&mut self) -> Sidecar {
        let at = |name: &str| self.folder.path().join(name);
        let (ak, sk) = Config::default().keys.into_iter().next().unwrap();
        let mut command = Command::new(&self.program);
        command.env_clear().env("CTYUN_AK", ak).env("CTYUN_SK", sk);
        command.arg("--csi-endpoint").arg(at("csi.sock")).args(["--admin-address", "127.0.0.1:0"]);
        command.args(["--regions", &REGIONS.join(","), "--cluster-id", sanity_tests::in_process::CLUSTER]);
        command
            .args(["--ecx-url", &self.url, "--allow-plain-http"])
            .arg("--ecx-profile")
            .arg(at("profile.toml"));
        let mut process = Process::start(command, &at("log")).unwrap();
        let channel = process.serves(&at("csi.sock"), BOUND).await.unwrap();
        self.running = Some(process);
        Sidecar::new(channel)
    }

    pub(crate) fn kill(&mut self) {
        self.running.as_mut().unwrap().kill().unwrap();
    }
}

/// Prepares the scene and gives a sidecar of the program that will die.
async fn begin(stage: &mut Stage, scene: &Scene, shipped: &mut Shipped) -> Sidecar {
    if scene.forgotten {
        let other = stage.controller(profile(&stage.sim)).await;
        stage.prepare(&Sidecar::new(other.channel())).await;
        return shipped.start().await;
    }
    let sidecar = shipped.start().await;
    stage.prepare(&sidecar).await;
    sidecar
}

/// Asks, and kills when a request of the operation is held in the cloud; an error if none ever is.
async fn die(
    stage: &Stage,
    request: &Request,
    sidecar: &Sidecar,
    shipped: &mut Shipped,
) -> Result<(), String> {
    let died = tokio::select! {
        reply = sidecar.call_once(request, 0, BOUND) => Err(format!("answered before the step came: {reply:?}")),
        held = until(BOUND, || stage.sim.held() > 0) => held.map_err(|()| "the step never came".to_owned()),
    };
    shipped.kill();
    stage.time_passes();
    died
}

async fn finish(
    stage: &Stage,
    scene: &Scene,
    ended: &Result<Reply, tonic::Status>,
    sidecar: &Sidecar,
) -> Result<(), String> {
    let at_once = stage.sim.look(|world| judge(world, scene, ended, false));
    stage.sim.release();
    quiet(&stage.sim).await?;
    at_once.map_err(|why| format!("when the call returned: {why}"))?;
    stage.sim.look(|world| judge(world, scene, ended, false))?;
    let again = sidecar.call(&stage.request(scene.act), &RetryPolicy::default(), |_| ()).await;
    quiet(&stage.sim).await?;
    stage.sim.look(|world| judge(world, scene, &again, false)).map_err(|why| format!("again: {why}"))
}

async fn case(program: &Path, scene: Scene, step: Step, moment: Moment) -> Result<(), String> {
    let mut stage = Stage::new(scene);
    let mut shipped = Shipped::new(program, &stage.sim);
    let sidecar = begin(&mut stage, &scene, &mut shipped).await;
    let effect = match moment {
        Moment::Unanswered => Effect::HoldAfter,
        Moment::Beside | Moment::Last => Effect::HoldBefore,
    };
    stage.sim.fault(Fault { op: Some(step.op), contains: None, skip: step.nth, count: 1, effect });
    let request = stage.request(scene.act);
    die(&stage, &request, &sidecar, &mut shipped).await?;
    let sidecar = shipped.start().await;
    let seen = stage.sim.log().len();
    let policy = RetryPolicy::default();
    let retry = sidecar.call(&request, &policy, |_| ());
    let beside = async {
        if matches!(moment, Moment::Beside) {
            let _ = until(BOUND, || stage.sim.log().len() > seen).await;
            stage.sim.release();
        }
    };
    let (ended, ()) = futures::join!(retry, beside);
    finish(&stage, &scene, &ended, &sidecar).await
}

/// The n-th controller dies at its n-th request about the volume, done but unanswered; then one lives.
async fn again_and_again(program: &Path, scene: Scene) -> Result<(), String> {
    let mut stage = Stage::new(scene);
    let mut shipped = Shipped::new(program, &stage.sim);
    let mut sidecar = begin(&mut stage, &scene, &mut shipped).await;
    let request = stage.request(scene.act);
    let contains = Some(stage.volume().unwrap_or(NAME).to_owned());
    for death in 0..DEATHS {
        let skip = u32::try_from(death).unwrap();
        stage.sim.fault(Fault {
            op: None,
            contains: contains.clone(),
            skip,
            count: 1,
            effect: Effect::HoldAfter,
        });
        let died = die(&stage, &request, &sidecar, &mut shipped).await;
        stage.sim.clear_faults();
        stage.sim.release();
        quiet(&stage.sim).await?;
        sidecar = shipped.start().await;
        // The conversation became shorter than the step: it had succeeded.
        if died.is_err() {
            break;
        }
    }
    let ended = sidecar.call(&request, &RetryPolicy::default(), |_| ()).await;
    finish(&stage, &scene, &ended, &sidecar).await
}

#[tokio::test]
async fn faults_by_sigkill_at_every_step_of_every_operation() {
    let program = program();
    let mut cases = Vec::new();
    for scene in SCENES {
        for step in Step::all(&Stage::new(scene).record().await) {
            cases.extend(
                [Moment::Unanswered, Moment::Beside, Moment::Last].map(|moment| (scene, step, moment)),
            );
        }
    }
    let run = |(scene, step, moment): (Scene, Step, Moment)| {
        let program = program.clone();
        async move {
            let name = format!("{}, {:?} #{} × {moment:?}", scene.name, step.op, step.nth);
            (name, case(&program, scene, step, moment).await)
        }
    };
    let ended = futures::stream::iter(cases).map(run).buffer_unordered(AT_ONCE).collect().await;
    crate::report("a step × SIGKILL", ended);
    let run = |scene: Scene| {
        let program = program.clone();
        async move { (scene.name.to_owned(), again_and_again(&program, scene).await) }
    };
    let ended = futures::stream::iter(SCENES).map(run).buffer_unordered(AT_ONCE).collect().await;
    crate::report("SIGKILL again and again", ended);
}
