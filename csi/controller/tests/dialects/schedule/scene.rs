//! The cloud, and two controllers of which one leads, is killed, hands over or gets other keys.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eck_csi_controller::service::Controller;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use second_cloud::DIALECTS;
use tokio::time::sleep;

use super::weather;
use crate::rig::Rig;

/// Requests of one controller, after which none is answered: a loop without an end.
const FLOOD: u64 = 20_000;

/// One of the two controllers.
struct Replica {
    controller: Controller,
    dead: Arc<AtomicBool>,
    key: String,
}

/// A schedule in progress.
pub(super) struct Scene {
    pub(super) seed: u64,
    pub(super) rig: RefCell<Rig>,
    rng: RefCell<SmallRng>,
    replicas: RefCell<Vec<Replica>>,
    leader: Cell<usize>,
    pub(super) calls: Cell<u64>,
    pub(super) handovers: Cell<u64>,
    pub(super) kills: Cell<u64>,
    pub(super) repairs: Cell<u64>,
}

impl Scene {
    pub(super) fn random(seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let all: Vec<_> = DIALECTS.iter().flat_map(|family| family.iter()).collect();
        let fair: Vec<_> = all.into_iter().filter(|(name, _)| !weather::UNFAIR.contains(name)).collect();
        let (name, dialect) = fair[rng.random_range(0..fair.len())];
        let dialect = weather::add_to(&mut rng, name, dialect());
        let rig = Rig::new(name, dialect);
        rig.say(&format!("seed {seed}: {name}"));
        let scene = Self {
            seed,
            rig: RefCell::new(rig),
            rng: RefCell::new(rng),
            replicas: RefCell::default(),
            leader: Cell::new(0),
            calls: Cell::default(),
            handovers: Cell::default(),
            kills: Cell::default(),
            repairs: Cell::default(),
        };
        let replicas = (0..2).map(|_| scene.replica()).collect();
        scene.replicas.replace(replicas);
        scene
    }

    /// While volumes live, the leader changes, is killed, and gets the keys of now.
    pub(super) async fn upheaval(&self, over: &Cell<bool>) {
        // From a twentieth of a second, in the middle of a request, to minutes; a quiet schedule has none.
        let (quiet, most) = (self.chance(25), self.draw(1, 12));
        for _ in 0..most {
            let exponent = self.draw(0, 36);
            sleep(Duration::from_millis(50 * 2_u64.pow((exponent / 3) as u32))).await;
            if over.get() {
                return;
            }
            match self.draw(0, 9) {
                0..=3 if !quiet => self.hand_over(),
                4..=7 if !quiet => self.kill(),
                _ => self.renew_keys(),
            }
        }
        // The keys that were changed reach every controller in the end: they are read anew each minute.
        while !over.get() {
            sleep(Duration::from_secs(60)).await;
            self.renew_keys();
        }
    }

    fn hand_over(&self) {
        self.leader.set(1 - self.leader.get());
        self.handovers.set(self.handovers.get() + 1);
        self.say(&format!("controller {} leads", self.leader.get()));
    }

    /// The leader ends at whatever it is doing, and one that knows nothing is started in its place; the other one leads.
    fn kill(&self) {
        self.say(&format!("controller {} is killed", self.leader.get()));
        self.replace(self.leader.get());
        self.kills.set(self.kills.get() + 1);
        self.hand_over();
    }

    fn renew_keys(&self) {
        for number in 0..2 {
            if self.replicas.borrow()[number].key != self.rig.borrow().key() {
                self.say(&format!("controller {number} has other keys"));
                self.replace(number);
            }
        }
    }

    fn replace(&self, number: usize) {
        let new = self.replica();
        let old = std::mem::replace(&mut self.replicas.borrow_mut()[number], new);
        old.dead.store(true, Ordering::Relaxed);
    }

    fn replica(&self) -> Replica {
        let (rig, dead) = (self.rig.borrow(), Arc::new(AtomicBool::default()));
        Replica { controller: rig.mortal(FLOOD, Arc::clone(&dead)), dead, key: rig.key() }
    }

    /// The controller that leads now, and whether it was killed.
    pub(super) fn leader(&self) -> (Controller, Arc<AtomicBool>) {
        let leader = &self.replicas.borrow()[self.leader.get()];
        (leader.controller.clone(), Arc::clone(&leader.dead))
    }

    pub(super) fn draw(&self, least: u64, most: u64) -> u64 {
        self.rng.borrow_mut().random_range(least..=most)
    }

    pub(super) fn chance(&self, percent: u64) -> bool {
        self.draw(1, 100) <= percent
    }

    pub(super) fn say(&self, text: &str) {
        let rig = self.rig.borrow();
        rig.say(&format!("{:>9} {text}", rig.now()));
    }
}
