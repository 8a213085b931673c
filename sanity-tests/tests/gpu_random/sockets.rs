//! The same with the product's own code on real sockets: ideal-gpu-scheduler's extender before a stub API server,
//! ideal-gpu-plugin between the fake kubelet and a driver of this test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use cards::{CardEvent, CardUsage, Driver, DriverError, Found};
use clap::Parser as _;
use ideal_gpu::ask::Share;
use ideal_gpu::card::{CardId, Inventory};
use ideal_gpu::decision::Decision;
use ideal_gpu::names::{CARDS, CORE, DECISION, GPU, WHOLE};
use sanity_tests::apiserver::{ApiServer, Key};
use sanity_tests::fake_kubelet::kube_scheduler::{KubeScheduler, Outcome, ScheduleError};
use sanity_tests::fake_kubelet::node::Node;
use sanity_tests::fake_kubelet::pod::{Container, Pod};
use serve::admin::Ready;
use serve::metrics::Metrics;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::check::{self, card};

/// The most that anything may take before the test gives up; CI's machines are slow at times.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A driver with these cards, to which nothing happens.
struct Cards {
    found: Vec<Found>,
    silent: (mpsc::Sender<()>, mpsc::Receiver<()>),
}

impl Driver for Cards {
    fn cards(&mut self) -> Result<Vec<Found>, DriverError> {
        Ok(self.found.clone())
    }

    fn next_event(&mut self, patience: Duration) -> Result<Option<CardEvent>, DriverError> {
        // Nobody sends: this waits.
        let _ = self.silent.1.recv_timeout(patience);
        Ok(None)
    }

    fn usage(&mut self) -> Result<Vec<CardUsage>, DriverError> {
        Ok(Vec::new())
    }

    fn probe(&mut self, _: &CardId) -> Result<(), DriverError> {
        Ok(())
    }
}

fn found(inventory: &Inventory) -> Vec<Found> {
    let one = |card: &ideal_gpu::card::Card| Found {
        id: card.id.clone(),
        model: card.model.clone(),
        index: card.index,
        minor: card.index,
        pci: format!("00000000:{:02X}:00.0", card.index),
        memory_mib: card.memory_mib,
        numa: None,
        mig: false,
        driver: "580.82.07".to_owned(),
        reset_required: None,
        incarnation: 0,
    };
    inventory.cards.iter().map(one).collect()
}

/// A program's code that runs in this process.
pub(crate) struct Service {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.task).await.expect("it ends").unwrap();
    }
}

/// A node with its plugin.
pub(crate) struct Machine<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) inventory: Inventory,
    folder: PathBuf,
    url: String,
    plugin: Option<Service>,
}

impl<'a> Machine<'a> {
    pub(crate) async fn start(
        api: &'a ApiServer,
        name: &str,
        inventory: Inventory,
        folder: &Path,
        seed: u64,
    ) -> Machine<'a> {
        let node = Node::start(api, name, &folder.join("kubelet"), seed).await.unwrap();
        let (folder, url) = (folder.to_owned(), api.url());
        let mut machine = Machine { node, inventory, folder, url, plugin: None };
        machine.start_plugin().await;
        let cards = machine.inventory.to_text();
        let told = api.wait_for(|_| {
            let node = machine.node.object();
            let status = !node["status"]["allocatable"][CORE].is_null();
            (node["metadata"]["annotations"][CARDS] == *cards && status).then_some(())
        });
        timeout(PATIENCE, told).await.expect("the plugin tells of its cards");
        machine.node.publish().unwrap();
        machine
    }

    async fn start_plugin(&mut self) {
        let at = |name: &str| self.folder.join(name).to_string_lossy().into_owned();
        let (kubelet, state, cdi, root) = (at("kubelet"), at("state"), at("cdi"), at("root"));
        let args = [
            ["ideal-gpu-plugin", "--admin-address=127.0.0.1:0"],
            ["--libvcuda", ""],
            ["--node-name", &self.node.name],
            ["--kubelet-dir", &kubelet],
            ["--state-dir", &state],
            ["--cdi-dir", &cdi],
            ["--driver-root", &root],
            ["--api-url", &self.url],
        ];
        let args = ideal_gpu_plugin::args::Args::try_parse_from(args.as_flattened()).unwrap();
        let driver = Cards { found: found(&self.inventory), silent: mpsc::channel() };
        let stop = CancellationToken::new();
        let serving = ideal_gpu_plugin::run::serve(args, Box::new(driver), stop.clone());
        let task = tokio::spawn(async move { serving.await.unwrap() });
        self.plugin = Some(Service { stop, task });
        self.registered().await;
    }

    /// Waits until the kubelet has every device.
    async fn registered(&self) {
        let cards = self.inventory.cards.len() as u64;
        for (resource, devices) in [(GPU, cards * 5), (WHOLE, cards)] {
            let kubelet = &self.node.kubelet;
            assert!(
                kubelet.has(resource, devices, PATIENCE).await,
                "{resource}: {:?}",
                kubelet.heard(resource)
            );
        }
    }

    pub(crate) async fn restart_plugin(&mut self) {
        self.plugin.take().unwrap().stop().await;
        for resource in [GPU, WHOLE] {
            assert!(self.node.kubelet.has(resource, 0, PATIENCE).await);
        }
        self.start_plugin().await;
    }

    pub(crate) async fn restart_kubelet(&self) {
        self.node.kubelet.restart().await.unwrap();
        self.registered().await;
    }

    pub(crate) async fn stop(mut self) {
        self.plugin.take().unwrap().stop().await;
    }

    /// Starts a container, and looks at what it is created with.
    pub(crate) async fn start_container(&self, key: &Key, pod: &Pod, container: &Container) {
        let started = self.node.start_container(key, &container.name).await;
        let answers =
            started.unwrap_or_else(|why| panic!("{} does not start: {why}: {pod:?}", container.name));
        let mut wanted = BTreeSet::new();
        for (resource, kind) in [(GPU, "ideal.com/gpu"), (WHOLE, "ideal.com/card")] {
            let held = self.node.kubelet.rules().held(&pod.uid, &container.name, resource).cloned();
            let ids = held.map(|held| held.ids).unwrap_or_default();
            wanted.extend(ids.iter().map(|id| format!("{kind}={id}")));
            if resource == GPU && !ids.is_empty() {
                check::limits(&self.folder.join("state"), &pod.uid, &ids, container);
            }
        }
        let named = answers.iter().flat_map(|answer| &answer.cdi_devices).map(|device| device.name.clone());
        assert_eq!(named.collect::<BTreeSet<_>>(), wanted);
    }

    /// Each holder's cards are those of its pod's decision, and all decisions together fit.
    pub(crate) fn check(&self, api: &ApiServer) {
        let mut shares: BTreeMap<CardId, Vec<Share>> = BTreeMap::new();
        let pods = api.list("pods");
        let here = pods.iter().filter(|pod| pod["spec"]["nodeName"] == *self.node.name);
        for pod in here {
            let text = pod["metadata"]["annotations"][DECISION].as_str();
            let uid = pod["metadata"]["uid"].as_str().unwrap();
            let Some(decision) = text.map(|text| Decision::parse(text, uid).unwrap()) else { continue };
            for (card, share) in decision.charge() {
                shares.entry(card).or_default().push(share);
            }
            let rules = self.node.kubelet.rules();
            for ((_, name, resource), held) in rules.holders().iter().filter(|((of, _, _), _)| of == uid) {
                let cards: Vec<CardId> = held.ids.iter().map(|id| card(resource, id)).collect();
                decision.grant(name, &cards).unwrap();
            }
        }
        for (id, shares) in shares {
            let card = self.inventory.cards.iter().find(|card| card.id == id).unwrap();
            let mut used = ideal_gpu::usage::Used::default();
            for share in shares {
                assert!(used.fits(card, share), "{id} is overcommitted");
                used.add(share);
            }
        }
        assert_eq!(self.node.kubelet.rules().rejections(), []);
        assert_eq!(self.node.kubelet.pre_start_errors(), [] as [String; 0]);
    }
}

/// A replica of the scheduler.
struct Replica {
    extender: SocketAddr,
    ready: Ready,
    service: Service,
}

/// Two replicas, of which the holder of the Lease binds, and kube-scheduler before them.
pub(crate) struct Schedulers<'a> {
    api: &'a ApiServer,
    replicas: Vec<Replica>,
    started: usize,
}

impl<'a> Schedulers<'a> {
    pub(crate) async fn start(api: &'a ApiServer) -> Schedulers<'a> {
        let mut schedulers = Schedulers { api, replicas: Vec::new(), started: 0 };
        schedulers.start_one().await;
        schedulers.start_one().await;
        schedulers
    }

    async fn start_one(&mut self) {
        self.started += 1;
        let identity = format!("--identity=s{}", self.started);
        let args = ["ideal-gpu-scheduler", "--address=127.0.0.1:0", "--plain-http", &identity];
        let terms = ["--lease-duration=4", "--lease-renew-within=3", "--lease-retry=1"];
        let args = ideal_gpu_scheduler::args::Args::try_parse_from(args.into_iter().chain(terms)).unwrap();
        let client = kube::Client::try_from(kube::Config::new(self.api.url().parse().unwrap())).unwrap();
        let (ready, stop) = (Ready::not_yet("it starts"), CancellationToken::new());
        let metrics = Metrics::default();
        let started = ideal_gpu_scheduler::run::start(&args, client, &metrics, ready.clone(), stop.clone());
        let running = started.await.unwrap();
        let extender = running.address;
        let service = Service { stop, task: tokio::spawn(running.ended()) };
        self.replicas.push(Replica { extender, ready, service });
    }

    /// Ends one of the two, the leader or not, and starts another in its place.
    pub(crate) async fn restart(&mut self, which: usize) {
        self.replicas.remove(which % self.replicas.len()).service.stop().await;
        self.start_one().await;
    }

    pub(crate) async fn stop(self) {
        for replica in self.replicas {
            replica.service.stop().await;
        }
    }

    /// Tries a pod once: at any replica, or at the one that is ready, as soon as one is. A replica that may not bind, or has not
    /// listed the cluster yet, says so with 503, and the pod waits.
    pub(crate) async fn schedule(&self, key: &Key, any: Option<usize>) -> Outcome {
        let ready = async {
            loop {
                if let Some(replica) = self.replicas.iter().find(|replica| replica.ready.is_ready()) {
                    return replica.extender;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let extender = match any {
            Some(any) => self.replicas[any % self.replicas.len()].extender,
            None => timeout(PATIENCE, ready).await.expect("a replica leads"),
        };
        let kube = KubeScheduler { api: self.api, extender };
        match timeout(PATIENCE, kube.schedule(key)).await.expect("the extender answers") {
            Ok(outcome) => outcome,
            Err(ScheduleError::Answer { answer, .. }) if answer.starts_with("HTTP/1.1 503") => {
                Outcome::Pending(BTreeMap::new())
            }
            Err(error) => panic!("{error}"),
        }
    }
}
