//! One schedule: the events of a cluster in a random order, and what must hold after each.

use std::time::Duration;

use rand::Rng as _;
use tokio::time::sleep;

use crate::check;
use crate::counts::{Compared, Counts};
use crate::replica::Replica;
use crate::world::{Stage, World};

/// Two looks of the scheduler at pods of which it does not know everything: one may fail.
const LOOKS: Duration = Duration::from_secs(2 * 5 + 1);

/// After so long without a Binding no promise is open: the API server's own limit, the call's, and two looks.
const QUIET: Duration = Duration::from_secs(60 + 4 + LOOKS.as_secs());

impl World {
    /// Runs until every pod was placed or deleted, then deletes all and looks for what is left behind.
    pub(crate) async fn run(mut self) -> (Counts, Compared) {
        let mut patience = 60;
        while self.left > 0 || self.jobs.iter().any(|job| job.stage != Stage::Gone) {
            if self.left == 0 {
                patience -= 1;
            }
            self.pass().await;
            self.event(patience <= 0).await;
            self.counts.events += 1;
            self.observe();
            self.check(check::all);
        }
        self.come_back().await;
        self.rest().await;
        self.check(check::nothing_is_left);
        (self.counts, self.compared)
    }

    fn check(&mut self, check: fn(&Self, &mut Compared)) {
        let mut compared = std::mem::take(&mut self.compared);
        check(self, &mut compared);
        self.compared = compared;
    }

    /// Time goes by, or none does; either way what was waiting to run runs.
    async fn pass(&mut self) {
        match self.rng.random() {
            true => tokio::task::yield_now().await,
            false => sleep(Duration::from_millis(self.rng.random_range(0..400))).await,
        }
    }

    async fn event(&mut self, ending: bool) {
        match self.rng.random_range(0..32) {
            0..4 if self.left > 0 => self.create(),
            0..4 if ending => self.delete(true),
            0..9 => self.schedule(),
            9..14 => self.admit().await,
            14..18 => self.start().await,
            18..20 => self.start_again().await,
            20..22 => self.hear(),
            22 => self.delete(ending),
            23 => self.end(),
            24 => self.restart_kubelet(),
            25 => self.restart_plugin(),
            26 => self.change_scheduler().await,
            27 => self.card_changes().await,
            28 => self.come_back().await,
            29 => self.relist(),
            30 => sleep(Duration::from_secs(self.rng.random_range(0..20))).await,
            31 => self.rest().await,
            _ => unreachable!("32 kinds of events"),
        }
    }

    /// Nothing happens until nothing is on its way any more and everybody has heard of everything.
    async fn rest(&mut self) {
        sleep(QUIET).await;
        self.replicas.iter_mut().for_each(Replica::hear_all);
        // What a listing has left in doubt is looked at.
        sleep(LOOKS).await;
        self.observe();
        self.jobs.iter_mut().for_each(|job| job.tried.clear());
        self.check(check::settled);
    }
}
