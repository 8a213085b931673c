//! A cluster and its cloud, as after an installation of the chart.

use std::time::Duration;

use base64::Engine as _;
use clap::Parser as _;
use eckctl::args::Args;
use eckctl::console::Console;
use eckctl::run::CommandError;
use eckctl::{Ended, run};
use ecx::api::{Disk, DiskState, Label, Op};
use ecx_sim::world::DiskRecord;
use ecx_sim::{Config, Sim};
use sanity_tests::apiserver::{ApiServer, Key};
use serde_json::{Value, json};

pub(crate) const CLUSTER: &str = "test";
/// UIDs of the cluster, and of another one with the same id.
pub(crate) const UIDS: [&str; 2] =
    ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
pub(crate) const REGION: &str = "fj-xiamen-4";
/// The machine of the node `fj-xiamen-4.172.16.0.6` in ecx-sim's built-in cloud, and of the one beside it.
pub(crate) const MACHINES: [&str; 2] = ["evm-fjxiamen41", "evm-fjxiamen42"];
pub(crate) const NODES: [&str; 2] = ["fj-xiamen-4.172.16.0.6", "fj-xiamen-4.172.16.0.7"];

/// What a command has returned, printed and asked.
pub(crate) struct Output {
    pub(crate) result: Result<Ended, CommandError>,
    pub(crate) text: String,
    pub(crate) questions: Vec<String>,
}

impl Output {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The command has found a problem.
    pub(crate) fn found_problems(&self) -> bool {
        matches!(self.result, Ok(Ended::Found))
    }

    /// The command has succeeded and found no problem.
    pub(crate) fn succeeded(&self) -> bool {
        matches!(self.result, Ok(Ended::Well))
    }

    /// The error of a command that must have failed, with its causes.
    #[track_caller]
    pub(crate) fn error(self) -> String {
        serve::chain::chain(&self.result.unwrap_err())
    }
}

pub(crate) struct Rig {
    pub(crate) sim: Sim,
    pub(crate) api: ApiServer,
    pub(crate) folder: tempfile::TempDir,
}

impl Rig {
    /// Two nodes with the driver, and the controller's Deployment with its Secret and its profile.
    pub(crate) fn new() -> Self {
        let sim = Sim::start(Config::default()).unwrap();
        let api = ApiServer::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kubeconfig"), api.kubeconfig()).unwrap();
        let rig = Self { sim, api, folder };
        rig.create("namespaces", json!({"metadata": {"name": "default"}}));
        rig.create("namespaces", json!({"metadata": {"name": "kube-system", "uid": UIDS[0]}}));
        for node in NODES {
            let region = json!({"topology.csi.esx.eck.ctyun.cn/region": REGION});
            rig.create("nodes", json!({"metadata": {"name": node, "labels": region}}));
            let driver = json!({"name": "eck.csi.k8s.io", "nodeID": node, "topologyKeys": []});
            rig.create("csinodes", json!({"metadata": {"name": node}, "spec": {"drivers": [driver]}}));
        }
        rig.driver();
        rig
    }

    fn driver(&self) {
        let container = json!({"name": "eck-csi-controller", "args": ["--csi-endpoint=unix:///csi/csi.sock", "--allow-plain-http",
            format!("--cluster-id={CLUSTER}"), format!("--regions=zj-shaoxing-2,{REGION}"), format!("--ecx-url={}", self.sim.url())]});
        let volumes = json!([{"name": "credentials", "secret": {"secretName": "keys"}},
            {"name": "profile", "configMap": {"name": "eck-csi-profile"}}]);
        let spec = json!({"template": {"spec": {"containers": [container], "volumes": volumes}}});
        let metadata = |name: &str| json!({"name": name, "namespace": "kube-system"});
        let deployment =
            json!({"metadata": metadata("eck-csi-controller"), "spec": spec, "status": {"readyReplicas": 2}});
        self.create("deployments", deployment);
        let profile = "rate_per_second = 1000.0\nburst = 1000.0\nreads_lag_ms = 0\n[poll]\nfirst_ms = 20\nmax_ms = 50\ngive_up_ms = 20000\n";
        self.create(
            "configmaps",
            json!({"metadata": metadata("eck-csi-profile"), "data": {"profile.toml": profile}}),
        );
        let (ak, sk) = Self::keys();
        let data = json!({"ak": encoded(&ak), "sk": encoded(&format!("{sk}\n"))});
        self.create("secrets", json!({"metadata": metadata("keys"), "data": data}));
        self.create("csidrivers", json!({"metadata": {"name": "eck.csi.k8s.io"}, "spec": {}}));
    }

    /// The account's access key and secret key.
    pub(crate) fn keys() -> (String, String) {
        Config::default().keys.into_iter().next().unwrap()
    }

    /// Creates an object in the cluster.
    pub(crate) fn create(&self, resource: &str, object: Value) {
        self.api.create(resource, object).unwrap();
    }

    /// Puts a disk into the cloud that was made in 1970; `cluster` is its label, `machine` has it attached.
    pub(crate) fn disk(&self, id: &str, cluster: Option<&str>, machine: Option<&str>) {
        let labels = cluster.map(|value| Label { key: "eck-csi".to_owned(), value: value.to_owned() });
        let disk = Disk {
            disk_id: id.to_owned(),
            disk_name: format!("pvc-of-{id}"),
            disk_size: 20,
            disk_type: "SAS".to_owned(),
            disk_status: if machine.is_some() { DiskState::InUse } else { DiskState::Available },
            region_id: REGION.to_owned(),
            labels: labels.into_iter().collect(),
            create_time: Some(0),
            ..Disk::default()
        };
        let record =
            DiskRecord { disk, holder: machine.map(str::to_owned), pending: None, history: Vec::new() };
        self.sim.change(|world| world.disks.insert(id.to_owned(), record));
    }

    /// Adds the UID of the cluster that ordered the disk to its labels.
    pub(crate) fn mark(&self, id: &str, uid: &str) {
        let (key, value) = ("eck-csi-cluster-uid".to_owned(), uid.replace('-', ""));
        self.sim.change(|world| world.disks.get_mut(id).unwrap().disk.labels.push(Label { key, value }));
    }

    /// Adds a flag to the controller's Deployment.
    pub(crate) fn controller_flag(&self, flag: &str) {
        let key = Key::new("deployments", "kube-system", "eck-csi-controller");
        let add = |deployment: &mut Value| {
            let args = &mut deployment["spec"]["template"]["spec"]["containers"][0]["args"];
            args.as_array_mut().unwrap().push(json!(flag));
        };
        self.api.modify(&key, add).unwrap();
    }

    pub(crate) fn has_disk(&self, id: &str) -> bool {
        self.sim.look(|world| world.disks.contains_key(id))
    }

    /// Creates a PersistentVolume of the disk, as the provisioner does.
    pub(crate) fn volume(&self, name: &str, disk: &str) {
        let region =
            json!({"key": "topology.csi.esx.eck.ctyun.cn/region", "operator": "In", "values": [REGION]});
        let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [region]}]}});
        let spec = json!({"csi": {"driver": "eck.csi.k8s.io", "volumeHandle": disk}, "nodeAffinity": affinity,
            "persistentVolumeReclaimPolicy": "Delete"});
        self.create(
            "persistentvolumes",
            json!({"metadata": {"name": name}, "spec": spec, "status": {"phase": "Bound"}}),
        );
    }

    /// Creates a VolumeAttachment with the attacher's finalizer.
    pub(crate) fn attachment(&self, name: &str, volume: &str, node: &str, attached: bool) {
        let spec = json!({"attacher": "eck.csi.k8s.io", "nodeName": node, "source": {"persistentVolumeName": volume}});
        let metadata = json!({"name": name, "finalizers": ["external-attacher/eck-csi-k8s-io"]});
        self.create(
            "volumeattachments",
            json!({"metadata": metadata, "spec": spec, "status": {"attached": attached}}),
        );
    }

    /// The number of requests so far that change something, in the cloud or in the cluster.
    pub(crate) fn writes(&self) -> u64 {
        let reads =
            [Op::GetDisk, Op::FindDiskByName, Op::ListDisks, Op::ListInstances, Op::GetJob, Op::GetOrder];
        let cloud: u64 =
            self.sim.calls().iter().filter(|(op, _)| !reads.contains(op)).map(|(_, count)| count).sum();
        let cluster = self.api.calls();
        let cluster =
            cluster.iter().filter(|((verb, _), _)| !matches!(verb.as_str(), "get" | "list" | "watch"));
        cloud + cluster.map(|(_, count)| count).sum::<u64>()
    }

    /// Runs eckctl; every question is answered with yes.
    pub(crate) async fn eckctl(&self, args: &[&str]) -> Output {
        self.eckctl_with_answer(args, true).await
    }

    /// Runs eckctl; every question gets this answer.
    pub(crate) async fn eckctl_with_answer(&self, args: &[&str], yes: bool) -> Output {
        // An hour later than all that a test does, so everything is overdue.
        self.eckctl_after(Duration::from_secs(3600), args, yes).await
    }

    /// Runs eckctl with a clock that is so much ahead; every question gets this answer.
    pub(crate) async fn eckctl_after(&self, ahead: Duration, args: &[&str], yes: bool) -> Output {
        let kubeconfig = self.folder.path().join("kubeconfig");
        let fixed = ["eckctl", "--kubeconfig", kubeconfig.to_str().unwrap()];
        let args = Args::try_parse_from([&fixed, args].concat()).unwrap();
        let (mut out, mut questions) = (Vec::new(), Vec::new());
        let mut ask = |question: &str| {
            questions.push(question.to_owned());
            yes
        };
        let now = || (std::time::UNIX_EPOCH.elapsed().unwrap() + ahead).as_millis() as u64;
        let mut console = Console { out: &mut out, ask: &mut ask, now: &now };
        let result = run(&args, &mut console).await;
        Output { result, text: String::from_utf8(out).unwrap(), questions }
    }
}

fn encoded(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}
