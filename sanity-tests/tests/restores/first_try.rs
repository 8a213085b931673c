//! A hundred restores and clones over five regions, by pods that name no region: each disk is made at the first try, since the scheduler
//! is left no other region. Without the webhook four of five are sent where no disk can be made of the source.

use ecx::Profile;
use ecx::profile::Poll;
use ecx_sim::config::Latency;
use ecx_sim::{Config, Local};
use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use sanity_tests::apiserver::ApiServer;
use sanity_tests::direct::Direct;
use sanity_tests::sidecar::{Claim, create_request};
use serde_json::{Value, json};
use tonic::{Code, Request, Status};

use super::certificate::{Webhook, configure};
use super::objects::{
    DRIVER, REGION_KEY, claim, cluster, from_claim, from_snapshot, made, pod, snapshot, volume,
};

const REGIONS: [&str; 5] = ["zj-shaoxing-2", "fj-xiamen-4", "nm-huhehaote-6", "hi-haikou-6", "gd-foshan-3"];
const RESTORES: usize = 100;

/// A cluster over five regions, and a volume with a snapshot in each.
struct Site {
    api: ApiServer,
    controller: Direct,
    /// Of each region the handles of the volume and of the snapshot.
    sources: Vec<(String, String)>,
}

impl Site {
    async fn new() -> Self {
        let cloud = cloud();
        let poll = Poll { first_ms: 1, max_ms: 5, ..Poll::default() };
        let (rate, base_url) = (1e5, "http://ecx-sim".to_owned());
        let profile = Profile {
            base_url,
            poll,
            rate_per_second: rate,
            max_rate_per_second: rate,
            burst: rate,
            ..Profile::default()
        };
        let regions = REGIONS.map(|code| code.parse().unwrap()).to_vec();
        let controller = Direct::new(&cloud, profile, 1, regions);
        let (api, mut sources) = (cluster(), Vec::new());
        for region in REGIONS {
            let disk = controller.create(&asked(&format!("pvc-{region}"), region), 0).await.unwrap().id;
            let request = pb::CreateSnapshotRequest {
                name: format!("snapshot-{region}"),
                source_volume_id: disk.clone(),
                ..Default::default()
            };
            let taken = controller.service().create_snapshot(Request::new(request)).await.unwrap();
            let handle = taken.into_inner().snapshot.unwrap().snapshot_id;
            volume(&api, &format!("data-{region}"), DRIVER, &disk, region);
            snapshot(&api, &format!("before-{region}"), &format!("data-{region}"), DRIVER, Some(&handle));
            sources.push((disk, handle));
        }
        Self { api, controller, sources }
    }

    /// A claim that is made from a snapshot or a volume, each in turn, and its pod.
    fn restored(&self, at: usize) -> (Value, pb::volume_content_source::Type) {
        use pb::volume_content_source::{SnapshotSource, Type, VolumeSource};

        let (region, (volume_id, snapshot_id)) =
            (REGIONS[at % REGIONS.len()], &self.sources[at % REGIONS.len()]);
        let (source, content) = if at.is_multiple_of(2) {
            let content = Type::Snapshot(SnapshotSource { snapshot_id: snapshot_id.clone() });
            (from_snapshot(&format!("before-{region}")), content)
        } else {
            let content = Type::Volume(VolumeSource { volume_id: volume_id.clone() });
            (from_claim(&format!("data-{region}")), content)
        };
        let name = format!("restored-{at}");
        claim(&self.api, &name, json!({"storageClassName": "eck-csi", "dataSource": source}));
        (pod(&name), content)
    }

    /// What the provisioner asks for once the scheduler has chosen a node.
    async fn provision(
        &self,
        at: usize,
        region: &str,
        content: pb::volume_content_source::Type,
    ) -> Result<(), Status> {
        let mut request = create_request(&asked(&format!("pvc-restored-{at}"), region), 0).into_inner();
        request.volume_content_source = Some(pb::VolumeContentSource { r#type: Some(content) });
        self.controller.service().create_volume(Request::new(request)).await.map(drop)
    }
}

/// Five regions, in which everything happens at once.
fn cloud() -> Local {
    let latency = Latency { reply: 0, create: 0, attach: 0, detach: 0, delete: 0, resize: 0, snapshot: 0 };
    let mut config = Config { latency, ..Config::default() };
    let of_default = config.regions.values().next().unwrap().clone();
    config.regions = REGIONS.map(|code| (code.to_owned(), of_default.clone())).into();
    for (code, region) in &mut config.regions {
        region.instances.retain(|_| code == REGIONS[0]);
    }
    let cloud = Local::new(config).unwrap();
    cloud.begin();
    cloud
}

fn asked(name: &str, region: &str) -> Claim {
    Claim { name: name.to_owned(), gib: 20, requisite: vec![region.to_owned()], ..Claim::default() }
}

/// Three nodes in each region.
fn nodes() -> Vec<Value> {
    let of = |region: &str| {
        (1..=3)
            .map(|n| json!({REGION_KEY: region, "kubernetes.io/hostname": format!("{region}.10.0.0.{n}")}))
            .collect::<Vec<_>>()
    };
    REGIONS.iter().flat_map(|region| of(region)).collect()
}

/// A scheduler that takes any node which the pod's selector and affinity leave; the region of the one that it takes.
fn schedule(pod: &Value, nodes: &[Value], chance: &mut StdRng) -> String {
    let fitting: Vec<&Value> = nodes.iter().filter(|labels| fits(pod, labels)).collect();
    fitting.choose(chance).unwrap()[REGION_KEY].as_str().unwrap().to_owned()
}

fn fits(pod: &Value, labels: &Value) -> bool {
    let required = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let Some(terms) = required["nodeSelectorTerms"].as_array() else { return true };
    let holds = |one: &Value| {
        let label = &labels[one["key"].as_str().unwrap()];
        assert_eq!(one["operator"], "In");
        one["values"].as_array().unwrap().contains(label)
    };
    terms.iter().any(|term| term["matchExpressions"].as_array().unwrap().iter().all(holds))
}

/// How many of a hundred get their disk at the first try.
async fn first_tries(with_webhook: bool) -> usize {
    let (site, nodes, mut chance) = (Site::new().await, nodes(), StdRng::seed_from_u64(7));
    configure(&site.api);
    let webhook = if with_webhook { Some(Webhook::start(&site.api).await) } else { None };
    let mut started = 0;
    for at in 0..RESTORES {
        let (mut pod, content) = site.restored(at);
        if chance.random_bool(0.5) {
            pod["spec"]["affinity"] = json!({"podAntiAffinity": {}});
        }
        if let Some(webhook) = &webhook {
            pod = made(&pod, &webhook.ask(&site.api, &pod).await);
        }
        match site.provision(at, &schedule(&pod, &nodes, &mut chance), content).await {
            Ok(()) => started += 1,
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                assert!(status.message().contains("a disk can only be made there"), "{status}");
            }
        }
    }
    started
}

#[tokio::test]
async fn a_hundred_restores_over_five_regions_start_at_the_first_try() {
    assert_eq!(first_tries(true).await, RESTORES);
}

#[tokio::test]
async fn without_the_webhook_most_are_sent_elsewhere() {
    let started = first_tries(false).await;
    println!("{started} of {RESTORES} without the webhook");
    assert!(started < RESTORES / 2, "{started}");
}
