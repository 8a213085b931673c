//! The shipped controller audits by itself.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use sanity_tests::process::{Process, get, shipped};
use sanity_tests::sidecar::{Claim, Request, RetryPolicy, Sidecar};
use serde_json::Value;
use tonic::transport::Channel;

use super::rig::{CLUSTER, REGION, Rig};

const TIMEOUT: Duration = Duration::from_secs(60);

/// The value of a metric, in its text form.
fn value(metrics: &str, name: &str) -> Option<f64> {
    let line = metrics.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A controller that audits every second, in a cluster with an unclaimed disk and a missing disk.
struct Auditing {
    rig: Rig,
    controller: Process,
    channel: Channel,
}

impl Auditing {
    async fn start() -> Self {
        let rig = Rig::new();
        rig.disk("cd-unclaimed", Some(CLUSTER), None);
        rig.volume("pv-missing", "cd-missing");
        let socket = rig.folder.path().join("csi.sock");
        let (ak, sk) = Rig::keys();
        let mut command = Command::new(shipped("eck-csi-controller", "eck-csi-controller").unwrap());
        command.env("CTYUN_AK", ak).env("CTYUN_SK", sk).arg("--csi-endpoint").arg(&socket);
        command.args(["--ecx-url", &rig.sim.url(), "--regions", REGION, "--cluster-id", CLUSTER]);
        command.args([
            "--allow-plain-http",
            "--admin-address",
            "127.0.0.1:0",
            "--audit-seconds",
            "1",
            "--audit-grace-seconds",
            "0",
        ]);
        command.arg("--kubeconfig").arg(rig.folder.path().join("kubeconfig"));
        let mut controller = Process::start(command, &rig.folder.path().join("controller.log")).unwrap();
        let channel = controller.serves(&socket, TIMEOUT).await.unwrap();
        Self { rig, controller, channel }
    }

    /// Waits for the events of the first audit.
    async fn events(&self) -> Vec<Arc<Value>> {
        let both = |api: &sanity_tests::apiserver::ApiServer| {
            let events = api.list("events");
            (events.len() >= 2).then_some(events)
        };
        tokio::time::timeout(TIMEOUT, self.rig.api.wait_for(both)).await.unwrap().unwrap()
    }

    /// Waits until a metric has at least this value; returns the value.
    async fn wait_for_metric(&mut self, name: &str, at_least: f64) -> f64 {
        let address = self.controller.ready(TIMEOUT).await.unwrap();
        let found = async || {
            let metrics = get(address, "/metrics").await.ok()?;
            value(&metrics, name).filter(|value| *value >= at_least)
        };
        self.controller.until(name, TIMEOUT, found).await.unwrap()
    }

    async fn stop(mut self) {
        self.controller.stop(TIMEOUT).await.unwrap();
    }
}

const FAILURES: &str = "eck_csi_audit_failures_total";

#[tokio::test]
async fn the_controller_reports_each_finding_as_an_event() {
    let auditing = Auditing::start().await;
    let events = auditing.events().await;
    let event = |reason: &str| events.iter().find(|event| event["reason"] == reason).unwrap().clone();
    assert_eq!(event("UnclaimedDisk")["involvedObject"]["kind"], "CSIDriver");
    assert_eq!(event("MissingDisk")["involvedObject"]["name"], "pv-missing");
    auditing.stop().await;
}

#[tokio::test]
async fn the_controller_counts_its_findings() {
    let mut auditing = Auditing::start().await;
    auditing.wait_for_metric("eck_csi_audit_findings{kind=\"unclaimed-disk\"}", 1.0).await;
    let shared = auditing.wait_for_metric("eck_csi_audit_findings{kind=\"shared-disk\"}", 0.0).await;
    assert_eq!(shared, 0.0);
    auditing.stop().await;
}

#[tokio::test]
async fn an_audit_with_the_same_findings_reports_nothing_new() {
    let mut auditing = Auditing::start().await;
    auditing.events().await;
    let api = &auditing.rig.api;
    let audits = || api.calls_of("list", "persistentvolumes");
    let before = audits();
    let more = async || (audits() >= before + 4).then_some(());
    auditing.controller.until("more audits", TIMEOUT, more).await.unwrap();
    assert_eq!(api.list("events").len(), 2);
    auditing.stop().await;
}

#[tokio::test]
async fn an_audit_that_fails_is_counted() {
    let mut auditing = Auditing::start().await;
    auditing.rig.api.go_away();
    auditing.wait_for_metric(FAILURES, 1.0).await;
    auditing.rig.api.come_back();
    auditing.stop().await;
}

#[tokio::test]
async fn without_an_api_server_the_controller_creates_volumes() {
    let mut auditing = Auditing::start().await;
    auditing.rig.api.go_away();
    auditing.wait_for_metric(FAILURES, 1.0).await;
    let claim = Claim { name: "pvc-1".to_owned(), gib: 20, ..Claim::default() };
    let sidecar = Sidecar::new(auditing.channel.clone());
    let created = sidecar.call(&Request::Create(claim), &RetryPolicy::default(), |_| {}).await;
    assert!(created.is_ok(), "{created:?}");
    auditing.rig.api.come_back();
    auditing.stop().await;
}
