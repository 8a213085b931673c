//! Events of the node's half: what the kubelet does with pods, and what befalls kubelets, plugins and cards.

use rand::Rng as _;
use sanity_tests::fake_kubelet::admission;
use sanity_tests::fake_kubelet::pod::Kind;
use serde_json::json;

use crate::check;
use crate::world::{Job, Stage, World};

impl World {
    pub(crate) async fn admit(&mut self) {
        let ready =
            |world: &Self, job: &Job| matches!(job.stage, Stage::Bound(site) if !world.sites[site].away());
        let found: Vec<usize> = (0..self.jobs.len()).filter(|job| ready(self, &self.jobs[*job])).collect();
        if found.is_empty() {
            return;
        }
        let job = found[self.rng.random_range(0..found.len())];
        let Job { pod, stage, .. } = &self.jobs[job];
        let Some(site) = stage.site() else { return };
        let here = &self.sites[site];
        here.rules.lock().add(pod.clone());
        let agent = here.agent.as_ref().unwrap();
        let knows = agent.pod_cache.read(|pods| pods.contains_key(&pod.uid));
        self.counts.known_late += u64::from(self.jobs[job].asks() && !knows);
        let admitted = admission::admit(&here.rules, agent, &pod.uid).await;
        admitted
            .unwrap_or_else(|why| panic!("the kubelet refuses what the scheduler accepted: {why}: {pod:?}"));
        self.api.modify(&pod.name, |pod| pod["status"]["phase"] = json!("Running"));
        self.counts.admitted += 1;
        self.jobs[job].stage = Stage::Runs(site, 0);
        self.jobs[job].admitted = true;
    }

    /// The next container of a pod, in the kubelet's order; an init container ends at once.
    pub(crate) async fn start(&mut self) {
        let away: Vec<bool> = self.sites.iter().map(|site| site.away()).collect();
        let ready =
            |job: &Job| matches!(job.stage, Stage::Runs(s, n) if n < job.pod.containers.len() && !away[s]);
        let Some(job) = self.any(ready) else { return };
        let Stage::Runs(site, number) = self.jobs[job].stage else { return };
        self.start_one(job, site, number).await;
        self.jobs[job].stage = Stage::Runs(site, number + 1);
    }

    async fn start_one(&mut self, job: usize, site: usize, number: usize) {
        let (pod, here) = (&self.jobs[job].pod, &self.sites[site]);
        let container = &pod.containers[number];
        let agent = here.agent.as_ref().unwrap();
        let started = admission::start(&here.rules, agent, &pod.uid, &container.name).await;
        let answers =
            started.unwrap_or_else(|why| panic!("{} does not start: {why}: {pod:?}", container.name));
        check::created(here, &self.jobs[job], container, &answers, &mut self.compared);
        if container.kind == Kind::Init {
            let done = json!({"name": container.name, "state": {"terminated": {"exitCode": 0}}});
            self.api.modify(&pod.name, |pod| {
                let statuses = &mut pod["status"]["initContainerStatuses"];
                match statuses.as_array_mut() {
                    Some(list) => list.push(done),
                    None => *statuses = json!([done]),
                }
            });
        }
        self.counts.starts += 1;
    }

    /// A container that lasts has crashed.
    pub(crate) async fn start_again(&mut self) {
        let Some(job) = self.any(|job| matches!(job.stage, Stage::Runs(_, n) if n > 0)) else { return };
        let Stage::Runs(site, started) = self.jobs[job].stage else { return };
        let number = self.rng.random_range(0..started);
        if !self.sites[site].away() && self.jobs[job].pod.containers[number].kind != Kind::Init {
            self.start_one(job, site, number).await;
        }
    }

    /// All containers of a pod end well: its devices are free, and the object stays.
    pub(crate) fn end(&mut self) {
        let all = |job: &Job| matches!(job.stage, Stage::Runs(_, n) if n == job.pod.containers.len());
        let Some(job) = self.any(all) else { return };
        let Stage::Runs(site, _) = self.jobs[job].stage else { return };
        let pod = &self.jobs[job].pod;
        self.sites[site].rules.lock().remove(&pod.uid);
        self.api.modify(&pod.name, |pod| pod["status"]["phase"] = json!("Succeeded"));
        self.jobs[job].stage = Stage::Ended(site);
        self.counts.ended += 1;
    }

    /// Pods that wait are mostly left to wait for room until the end.
    pub(crate) fn delete(&mut self, ending: bool) {
        let also_unbound = ending || self.rng.random_bool(0.2);
        let at = |job: &Job| job.stage != Stage::Gone && (also_unbound || job.stage != Stage::Unbound);
        let Some(job) = self.any(at) else { return };
        let Job { pod, stage, .. } = &self.jobs[job];
        match stage.site() {
            Some(site) => self.sites[site].rules.lock().remove(&pod.uid),
            None => self.counts.never_placed += u64::from(*stage == Stage::Unbound),
        }
        self.api.delete(&pod.name);
        self.jobs[job].stage = Stage::Gone;
    }

    /// A node on which no pod is between Binding and admission: the real kubelet refuses such pods too while its plugins are
    /// away or the card is ill, and no plugin can help it (kubernetes#128043).
    fn quiet_site(&mut self) -> Option<usize> {
        let site = self.rng.random_range(0..self.sites.len());
        let waits = |job: &Job| job.stage == Stage::Bound(site) || job.tried.contains(&site);
        (!self.jobs.iter().any(waits) && !self.sites[site].away()).then_some(site)
    }

    pub(crate) fn restart_kubelet(&mut self) {
        let Some(site) = self.quiet_site() else { return };
        self.counts.kubelet_restarts += 1;
        self.sites[site].kubelet_restarts();
    }

    pub(crate) fn restart_plugin(&mut self) {
        let Some(site) = self.quiet_site() else { return };
        self.counts.plugin_restarts += 1;
        self.sites[site].plugin_ends();
    }

    pub(crate) async fn come_back(&mut self) {
        for site in &mut self.sites {
            site.come_back(&mut self.rng).await;
        }
    }

    /// A card falls ill or recovers. The scheduler hears at once: a pod that is bound to an ill card is refused by the kubelet
    /// with good reason.
    pub(crate) async fn card_changes(&mut self) {
        let Some(site) = self.quiet_site() else { return };
        let card = self.rng.random_range(0..self.sites[site].inventory.cards.len());
        let healthy = self.sites[site].card_changes(card).await;
        self.counts.cards_ill += u64::from(!healthy);
        self.replicas[self.leader].hear_nodes(usize::MAX);
    }
}
