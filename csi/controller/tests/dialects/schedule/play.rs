//! A schedule from its seed to what it came to.

use std::cell::Cell;
use std::time::Duration;

use futures::future::{join, join_all};
use second_cloud::Millis;
use tokio::time::{sleep, timeout};

use super::life::Life;
use super::scene::Scene;
use crate::judge;

/// Long enough for every order to end.
const LONG: Duration = Duration::from_secs(1800);

/// Volumes of a schedule at most.
const LIVES: u64 = 3;

/// A schedule that goes on for so long never ends.
const LONGEST: Duration = Duration::from_secs(48 * 3600);

/// What a schedule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) dialect: &'static str,
    /// What did not hold.
    pub(crate) broken: Vec<String>,
    pub(crate) calls: u64,
    pub(crate) requests: usize,
    /// Changes of the leader, and controllers that were killed.
    pub(crate) handovers: u64,
    pub(crate) kills: u64,
    /// What a person had to see to.
    pub(crate) repairs: u64,
    pub(crate) lasted: Millis,
}

/// Runs the schedule of `seed`.
pub(crate) fn run(seed: u64) -> Outcome {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { play(Scene::random(seed)).await })
}

async fn play(scene: Scene) -> Outcome {
    let count = scene.draw(1, LIVES);
    let lives: Vec<Life> = (0..count).map(|number| Life::random(&scene, number)).collect();
    let names: Vec<String> = lives.iter().flat_map(Life::names).collect();
    scene.rig.borrow().another_cluster(2);
    scene.rig.borrow().speak(&names);
    let over = Cell::new(false);
    let all = async {
        let kept = join_all(lives.iter().map(|life| life.live(&scene))).await;
        over.set(true);
        kept
    };
    let played = timeout(LONGEST, join(all, scene.upheaval(&over))).await;
    let kept = played.map(|(kept, ())| kept);
    sleep(LONG).await;
    judge_the_end(&scene, &lives, kept.as_deref().unwrap_or_default());
    outcome(scene)
}

/// What must hold when all is over.
fn judge_the_end(scene: &Scene, lives: &[Life], kept: &[bool]) {
    let mut rig = scene.rig.borrow_mut();
    if kept.len() != lives.len() {
        rig.broken(format!("it goes on for {} hours", LONGEST.as_secs() / 3600));
    }
    for (life, kept) in lives.iter().zip(kept) {
        judge::end(&mut rig, &life.names(), *kept);
    }
    if kept.iter().all(|kept| !kept) {
        judge::snapshots(&mut rig, 0);
    }
    let truth = rig.truth();
    judge::strangers(&mut rig, &truth, 0);
}

fn outcome(scene: Scene) -> Outcome {
    let rig = scene.rig.into_inner();
    Outcome {
        seed: scene.seed,
        dialect: rig.name,
        requests: rig.truth().log.len(),
        lasted: rig.now(),
        broken: rig.broken,
        calls: scene.calls.get(),
        handovers: scene.handovers.get(),
        kills: scene.kills.get(),
        repairs: scene.repairs.get(),
    }
}
