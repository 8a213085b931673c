//! Events of the scheduling half: users, kube-scheduler, and the replicas of ours.

use std::time::Duration;

use ideal_gpu::names::{CARD_POLICY, CORE, GPU, MEMORY, WHOLE};
use rand::Rng as _;
use rand::rngs::StdRng;
use serde_json::json;
use tokio::time::sleep;

use crate::api::{Answer, Fate};
use crate::draw;
use crate::replica::{BIND_TIMEOUT, Replica};
use crate::world::{Call, Job, Stage, World};

impl World {
    pub(crate) fn create(&mut self) {
        let number = self.jobs.len();
        let mut pod = draw::pod(&mut self.rng, number);
        // A StatefulSet's pod has the name of the one that it replaces. Of a pod that was deleted before its admission nothing
        // tells its successor's apart, until the watch does.
        let free = |job: &Job| job.stage == Stage::Gone && (job.admitted || job.decision.is_none());
        if self.rng.random_bool(0.3)
            && let Some(old) = self.any(free)
            && self.api.pod(&self.jobs[old].pod.name).is_none()
        {
            pod.name.clone_from(&self.jobs[old].pod.name);
            self.counts.names_again += 1;
        }
        let mut object = draw::manifest(&pod, None);
        if self.rng.random() {
            let policy = if self.rng.random() { "binpack" } else { "spread" };
            object["metadata"]["annotations"] = json!({CARD_POLICY: policy});
        }
        self.api.create(&pod.uid, object, self.started.elapsed().as_secs());
        self.left -= 1;
        self.counts.pods += 1;
        self.jobs.push(Job::new(pod));
    }

    /// What kube-scheduler does for one pod: its own count, filter, bind. Now and then it asks a replica that does not lead.
    pub(crate) fn schedule(&mut self) {
        let Some(job) = self.any(|job| job.stage == Stage::Unbound && job.binding.is_none()) else { return };
        let who = if self.rng.random_bool(0.05) { 1 - self.leader } else { self.leader };
        let object = self.api.pod(&self.jobs[job].pod.name).unwrap();
        let fits = (0..self.sites.len()).filter(|site| self.counts_fit(job, *site));
        let names: Vec<&str> = fits.map(|site| self.sites[site].name.as_str()).collect();
        let fits = self.replicas[who].filter(&object.pod, names.into_iter());
        if fits.is_empty() {
            return;
        }
        let node = fits[self.rng.random_range(0..fits.len())].to_owned();
        let fate = fate(&mut self.rng);
        self.counts.bindings += 1;
        self.counts.late_bindings += u64::from(fate.takes.is_some_and(|takes| takes > BIND_TIMEOUT));
        self.api.meets(&self.jobs[job].pod.name, fate);
        let site = self.sites.iter().position(|site| site.name == node).unwrap();
        let free = fate.answer == Answer::Status(403) && !self.replicas[who].counts(object.uid(), &node);
        let answer = self.replicas[who].bind(&object, &node);
        self.jobs[job].binding = Some(Call { site, who, free, answer });
        self.jobs[job].tried.insert(site);
    }

    /// NodeResourcesFit: what the node's status says less what pods ask for that are bound there, or are being bound.
    fn counts_fit(&self, job: usize, site: usize) -> bool {
        let rules = self.sites[site].rules.lock();
        let assumed = |job: &Job| job.binding.as_ref().is_some_and(|call| call.site == site);
        let here = |job: &&Job| job.stage.site() == Some(site) || assumed(job);
        let counted: &[&str] = if self.ignored { &[GPU, WHOLE] } else { &[GPU, WHOLE, CORE, MEMORY] };
        counted.iter().all(|resource| {
            let used: u64 = self.jobs.iter().filter(here).map(|job| job.pod.request(resource)).sum();
            let asked = self.jobs[job].pod.request(resource);
            asked == 0 || used + asked <= rules.allocatable(resource).unwrap_or(0)
        })
    }

    /// The leader changes, or a replica is killed; if it was the leader, the other one takes over. Bindings of the one before are
    /// cut off before the next one reads everything and binds.
    pub(crate) async fn change_scheduler(&mut self) {
        let killed = self.rng.random_bool(0.5).then(|| self.rng.random_range(0..2));
        if let Some(killed) = killed {
            self.counts.scheduler_crashes += 1;
            self.replicas[killed] = Replica::started(&self.api);
        }
        if killed.is_some_and(|killed| killed != self.leader) {
            return;
        }
        self.counts.handovers += 1;
        self.replicas[self.leader].leads(false);
        let wait = BIND_TIMEOUT + Duration::from_millis(self.rng.random_range(1..10_000));
        sleep(wait).await;
        self.api.settle(|| self.rng.random());
        self.leader = 1 - self.leader;
        self.replicas[self.leader].refresh();
        self.replicas[self.leader].leads(true);
    }
}

/// Mostly a Binding is carried out at once and answered; the rest is what a slow or broken API server does.
fn fate(rng: &mut StdRng) -> Fate {
    let mut within = |seconds: f64| Some(Duration::from_secs_f64(seconds * rng.random::<f64>()));
    let (short, slow, late) = (within(0.02), within(3.0), within(40.0));
    let (takes, answer) = match rng.random_range(0..24) {
        0 => (None, Answer::Status(403)),
        1 => (short, Answer::Status(500)),
        2 => (None, Answer::Status(500)),
        3 => (late, Answer::Never),
        4 => (None, Answer::Never),
        5 => (late, Answer::Status(504)),
        6 => (late, Answer::True),
        7..10 => (slow, Answer::True),
        _ => (short, Answer::True),
    };
    Fate { takes, answer, blind: rng.random_bool(0.2) }
}
