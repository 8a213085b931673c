//! One schedule over real sockets.

use ideal_gpu::names::WHOLE;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::apiserver::{ApiServer, Key};
use sanity_tests::fake_kubelet::kube_scheduler::Outcome;
use sanity_tests::fake_kubelet::pod::{Container, Kind, Pod};
use serde_json::json;

use crate::draw::{self, manifest};
use crate::sockets::{Machine, Schedulers};

/// Events of one schedule before it is wound up.
const EVENTS: usize = 40;

struct Scene<'a> {
    api: &'a ApiServer,
    rng: StdRng,
    machines: Vec<Machine<'a>>,
    schedulers: Schedulers<'a>,
    waiting: Vec<Key>,
    /// Pod, machine, and how many containers were started.
    running: Vec<(Key, usize, usize)>,
    pods: usize,
    placed: usize,
}

/// Runs the schedule of a seed; gives the pods that were created and placed.
pub(crate) async fn run(seed: u64) -> (usize, usize) {
    let mut rng = StdRng::seed_from_u64(seed);
    let (api, folder) = (ApiServer::start().unwrap(), tempfile::tempdir().unwrap());
    let mut machines = Vec::new();
    for number in 0..rng.random_range(1..=2) {
        let inventory = draw::inventory(&mut rng, number);
        let (name, folder) = (format!("n{number}"), folder.path().join(number.to_string()));
        let machine = Machine::start(&api, &name, inventory, &folder, rng.random()).await;
        api.modify(&Key::node(&name), |node| node["metadata"]["labels"]["test/node"] = json!(name)).unwrap();
        machines.push(machine);
    }
    let schedulers = Schedulers::start(&api).await;
    let mut scene =
        Scene { api: &api, rng, machines, schedulers, waiting: vec![], running: vec![], pods: 0, placed: 0 };
    for _ in 0..EVENTS {
        scene.event().await;
        scene.machines.iter().for_each(|machine| machine.check(&api));
    }
    let counts = (scene.pods, scene.placed);
    scene.wind_up().await;
    counts
}

impl Scene<'_> {
    async fn event(&mut self) {
        match self.rng.random_range(0..40) {
            0..10 => self.create(),
            10..22 => self.schedule().await,
            22..30 => self.start().await,
            30..34 => self.start_again().await,
            34..37 => self.delete(),
            37 => {
                let machine = self.rng.random_range(0..self.machines.len());
                self.machines[machine].restart_kubelet().await;
            }
            38 => {
                let machine = self.rng.random_range(0..self.machines.len());
                self.machines[machine].restart_plugin().await;
            }
            _ => {
                let which = self.rng.random_range(0..2);
                self.schedulers.restart(which).await;
            }
        }
    }

    fn create(&mut self) {
        let pod = draw::pod(&mut self.rng, self.pods);
        self.api.create("pods", manifest(&pod, None)).unwrap();
        self.pods += 1;
        self.waiting.push(Key::pod(&pod.namespace, &pod.name));
    }

    async fn schedule(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.waiting.len());
        let key = self.waiting[at].clone();
        let any = self.rng.random_bool(0.3).then(|| self.rng.random_range(0..2));
        if let Some(machine) = self.place(&key, any).await {
            self.waiting.swap_remove(at);
            self.running.push((key, machine, 0));
            self.placed += 1;
        }
    }

    /// Binds and admits a pod, if there is room.
    async fn place(&self, key: &Key, any: Option<usize>) -> Option<usize> {
        let node = match self.schedulers.schedule(key, any).await {
            Outcome::Bound(node) => node,
            Outcome::Pending(_) => return None,
            Outcome::Refused(why) => panic!("filter said yes and bind no: {why}"),
        };
        let machine = self.machines.iter().position(|machine| machine.node.name == node).unwrap();
        let admitted = self.machines[machine].node.admit(key).await;
        admitted.unwrap_or_else(|why| panic!("the kubelet refuses what the scheduler accepted: {why}"));
        Some(machine)
    }

    async fn start(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.running.len());
        let (key, machine, started) = self.running[at].clone();
        let pod = self.machines[machine].node.pod(&key).unwrap();
        if let Some(container) = pod.containers.get(started) {
            self.machines[machine].start_container(&key, &pod, container).await;
            self.running[at].2 += 1;
        }
    }

    async fn start_again(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.running.len());
        let (key, machine, started) = self.running[at].clone();
        let pod = self.machines[machine].node.pod(&key).unwrap();
        let lasting = pod.containers[..started].iter().find(|container| container.kind != Kind::Init);
        if let Some(container) = lasting {
            self.machines[machine].start_container(&key, &pod, container).await;
        }
    }

    fn delete(&mut self) {
        if self.running.is_empty() {
            return;
        }
        let at = self.rng.random_range(0..self.running.len());
        let (key, machine, _) = self.running.swap_remove(at);
        self.machines[machine].node.delete(&key).unwrap();
    }

    /// Deletes everything; then one pod can have every card of a node for itself: nothing was left behind anywhere.
    async fn wind_up(mut self) {
        while !self.running.is_empty() {
            self.delete();
        }
        for key in std::mem::take(&mut self.waiting) {
            self.api.delete(&key).unwrap();
        }
        for number in 0..self.machines.len() {
            let (name, cards) =
                (self.machines[number].node.name.clone(), self.machines[number].inventory.cards.len());
            let limits = [(WHOLE.to_owned(), cards as u64)].into();
            let containers = vec![Container { name: "all".into(), kind: Kind::App, limits }];
            let pod =
                Pod { uid: String::new(), namespace: "ns".into(), name: format!("all-{name}"), containers };
            self.api.create("pods", manifest(&pod, Some(&name))).unwrap();
            let key = Key::pod("ns", &pod.name);
            // The scheduler hears of the last deletion some milliseconds later.
            let placed = async {
                while self.place(&key, None).await.is_none() {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            tokio::time::timeout(crate::sockets::PATIENCE, placed).await.expect("every card is free again");
            let pod = self.machines[number].node.pod(&key).unwrap();
            self.machines[number].start_container(&key, &pod, &pod.containers[0]).await;
            self.machines[number].check(self.api);
        }
        self.schedulers.stop().await;
        for machine in self.machines {
            machine.stop().await;
        }
    }
}
