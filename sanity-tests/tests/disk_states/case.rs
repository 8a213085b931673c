//! One content meets one fault: staged through the real service, looked at, staged again where that is asked, unstaged.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use eck_csi::context::VolumeContext;
use eck_csi::volume_options::VolumeOptions;
use eck_csi_node::fsid;
use eck_csi_node::host::content::{Content as Found, Depth, FsId};
use eck_csi_node::host::{Linux, Mounts as _};
use proto::csi::v1 as pb;
use proto::csi::v1::node_server::Node as _;
use tonic::{Request, Status};

use super::bench::Bench;
use super::content::GroundTruth;
use super::disk::{Disk, PRECIOUS, VOLUME, publish, volume};
use super::fault::{Fault, Outcome};
use super::faulty;
use super::lab::path;

/// What a case came to.
pub(crate) struct CaseResult {
    /// Of the first request.
    pub(crate) outcome: Outcome,
    /// The error, if it was one.
    pub(crate) words: String,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
}

/// Runs one case.
pub(crate) fn run(disk: &Disk<'_>, fault: Fault) -> CaseResult {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut case = Case { bench: Bench::new(disk, fault), disk, fault, wrong: Vec::new() };
        let (outcome, words) = case.first().await;
        case.retry().await;
        case.unstage().await;
        CaseResult { outcome, words, wrong: case.wrong }
    })
}

struct Case<'a> {
    bench: Bench,
    disk: &'a Disk<'a>,
    fault: Fault,
    wrong: Vec<String>,
}

impl Case<'_> {
    fn must(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.wrong.push(what.into());
        }
    }

    async fn first(&mut self) -> (Outcome, String) {
        let size = self.bench.size + if self.fault == Fault::Smaller { 1 << 30 } else { 0 };
        let answer = match self.bench.gate.take() {
            Some(gate) => {
                // Polled until the disk is being worked on, then dropped: what a caller's deadline does to the RPC.
                tokio::select! {
                    early = self.stage(size) => panic!("ended before it was given up: {early:?}"),
                    _ = gate.entered => {}
                }
                let again = self.stage(size);
                let open = async { gate.open.send(()).unwrap() };
                // In this order: the second request finds the first one's work still running.
                let (answer, ()) = tokio::join!(biased; again, open);
                answer
            }
            None => self.stage(size).await,
        };
        let (outcome, words) = self.outcome(&answer);
        let faults = &self.bench.faults;
        let (probes, formats) = (faults.probes.load(Ordering::SeqCst), faults.formats.load(Ordering::SeqCst));
        self.must(
            probes <= 1 && formats <= 1,
            format!("{probes} probes and {formats} formats for one request"),
        );
        self.check_disk(outcome);
        (outcome, words)
    }

    fn outcome(&self, answer: &Result<(), Status>) -> (Outcome, String) {
        let formatted = self.bench.faults.formats.load(Ordering::SeqCst) > 0;
        match answer {
            Err(status) => (Outcome::Refused, format!("{:?}: {}", status.code(), status.message())),
            Ok(()) if self.fault == Fault::Block => (Outcome::Block, String::new()),
            Ok(()) if formatted => (Outcome::Formatted, String::new()),
            Ok(()) => (Outcome::Mounted, String::new()),
        }
    }

    /// What the disk and the mount table must show after an answer.
    fn check_disk(&mut self, outcome: Outcome) {
        let mounted = Linux::new(Path::new("/")).mounts().unwrap().at(&self.bench.staging).is_some();
        self.must(
            mounted == matches!(outcome, Outcome::Formatted | Outcome::Mounted),
            format!("{outcome:?}, and mounted: {mounted}"),
        );
        let truth = self.disk.content.truth;
        if outcome == Outcome::Mounted && truth == GroundTruth::Ours {
            let file = fs::read_to_string(self.bench.staging.join("precious"));
            self.must(file.is_ok_and(|f| f == PRECIOUS), "the workload's file is lost");
        }
        let untouched = match outcome {
            Outcome::Refused => !self.fault.after_mkfs(truth),
            Outcome::Block => true,
            _ => false,
        };
        if untouched {
            self.wrong.extend(self.bench.changes(self.disk));
        }
    }

    /// The fault is over; the same request once more.
    async fn retry(&mut self) {
        let Some(wanted) = self.fault.retried(self.disk.content.truth, self.disk.mountable) else { return };
        self.bench.over();
        let formatted = self.bench.faults.formats.swap(0, Ordering::SeqCst);
        let (outcome, words) = self.outcome(&self.stage(self.bench.size).await);
        self.must(outcome == wanted, format!("then {outcome:?} instead of {wanted:?}: {words}"));
        self.bench.faults.formats.fetch_add(formatted, Ordering::SeqCst);
        self.check_disk(outcome);
    }

    /// Whatever was answered, the kubelet unstages; after a format the disk shows the volume's own file system.
    async fn unstage(&mut self) {
        self.bench.over();
        let staging_target_path = path(&self.bench.staging).to_owned();
        let request = pb::NodeUnstageVolumeRequest { volume_id: VOLUME.to_owned(), staging_target_path };
        let answer = self.bench.node.node_unstage_volume(Request::new(request)).await;
        self.must(answer.is_ok(), format!("unstaging: {answer:?}"));
        let staged = Linux::new(Path::new("/")).mounts().unwrap().at(&self.bench.staging).is_some();
        self.must(!staged, "still mounted after it was unstaged");
        let may_format = matches!(self.disk.content.truth, GroundTruth::Blank | GroundTruth::Hidden);
        let formats = self.bench.faults.formats.load(Ordering::SeqCst);
        self.must(formats == 0 || may_format, "a disk with data was ordered to be formatted");
        let proven = self.fault.outcome(self.disk.content.truth, self.disk.mountable) == Outcome::Formatted;
        if proven && formats == 1 {
            let ours = FsId::Uuid(fsid::filesystem_uuid(&volume(VOLUME)));
            let found = faulty::content(&self.bench.image, Depth::Whole);
            self.must(
                matches!(&found, Found::Formatted(f) if f.id == ours),
                format!("formatted, but {found:?}"),
            );
        }
    }

    async fn stage(&self, size: u64) -> Result<(), Status> {
        let access_type = match self.fault {
            Fault::Block => pb::volume_capability::AccessType::Block(pb::volume_capability::BlockVolume {}),
            _ => pb::volume_capability::AccessType::Mount(pb::volume_capability::MountVolume {
                fs_type: self.disk.content.ask.to_owned(),
                ..Default::default()
            }),
        };
        let mode = pb::volume_capability::access_mode::Mode::SingleNodeWriter.into();
        let provisioned = self.fault == Fault::Provisioned;
        let context = VolumeContext {
            disk_type: "cloud".to_owned(),
            fs: None,
            provisioned,
            source: None,
            options: VolumeOptions::default(),
        };
        let request = pb::NodeStageVolumeRequest {
            volume_id: VOLUME.to_owned(),
            publish_context: publish(size).to_map(),
            staging_target_path: path(&self.bench.staging).to_owned(),
            volume_capability: Some(pb::VolumeCapability {
                access_mode: Some(pb::volume_capability::AccessMode { mode }),
                access_type: Some(access_type),
            }),
            volume_context: context.to_map(),
            ..Default::default()
        };
        self.bench.node.node_stage_volume(Request::new(request)).await.map(drop)
    }
}
