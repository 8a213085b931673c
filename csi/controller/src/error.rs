//! One error enum per operation, each with its gRPC codes chosen by what the sidecars do next.
//!
//! The provisioner keeps asking after `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `ABORTED` and treats a CreateVolume's other
//! codes as final: so an unknown outcome may only ever be one of these three.

use eck_csi::cluster::OtherCluster;
use eck_csi::driver::TOPOLOGY_REGION;
use eck_csi::field::BadField;
use eck_csi::volume::Region;
use eck_csi_kubernetes::ClusterError;
use ecx::api::{Disk, DiskState};
use serve::code::GrpcCode;
use tonic::Code;

use crate::disk_locator::RegionNotTold;
use crate::disk_reader::WaitError;

mod cloud;
mod read;
mod snapshot;

use cloud::{cloud_code, not_given_up, wait_code};
pub(crate) use read::ReadError;
pub(crate) use snapshot::{GroupError, SnapshotError};

serve::into_status!(ReadError, GroupError);

/// CreateVolume.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    #[error(transparent)]
    Field(#[from] BadField),
    #[error("volume {name} exists as {disk}, but {what}")]
    Incompatible { name: String, disk: String, what: String },
    #[error("disk {disk} is called {name} and is another cluster's: {other}")]
    OtherCluster { name: String, disk: String, other: Box<OtherCluster> },
    #[error("the cloud answers the order of {name} with disk {disk}, which is another cluster's: {other}")]
    OthersAnswer { name: String, disk: String, other: Box<OtherCluster> },
    #[error("{count} disks are called {name}; none or several carry this cluster's mark: {disks}")]
    Ambiguous { name: String, count: usize, disks: String },
    #[error("disk {disk} of an earlier volume {name} is being deleted")]
    Deleting { name: String, disk: String },
    #[error("there is no {kind} {id} to make {name} from")]
    NoSource { name: String, kind: &'static str, id: String },
    #[error("{kind} {id} is {state} in the cloud; it will not become usable by itself")]
    DeadSource { kind: &'static str, id: String, state: String },
    #[error(transparent)]
    OutOfRange(BadField),
    #[error(
        "the source of {name} is in {region}, and a disk can only be made there; allowed are {allowed}. If it goes on: make the pod anew, or \
         give it the nodeSelector {TOPOLOGY_REGION}: {region}"
    )]
    SourceElsewhere { name: String, region: String, allowed: String },
    #[error("cloning for {name}")]
    Snapshot { name: String, source: Box<SnapshotError> },
    #[error("volume {name} is there, without what its class of attributes asks for")]
    Modify { name: String, source: Box<ModifyError> },
    #[error("no region has a disk for {name}: {tried}")]
    Exhausted { name: String, tried: String },
    #[error("the cloud did not make a disk for {name}: its order failed {attempts} times")]
    OrderFailed { name: String, attempts: u32 },
    #[error("the cloud refuses to order a disk for {name}")]
    Refused { name: String, source: ecx::Error },
    #[error(
        "an order of {name} was taken before, and no disk of that name is shown in any region (FindDiskByName)"
    )]
    Hidden { name: String, source: Box<CreateError> },
    #[error("volume {name} is there; what it was cloned through is not cleaned up yet")]
    Cleanup { name: String, source: Box<CreateError> },
    #[error(
        "disk {disk} of {name} in {region} is {state} in the cloud and will not become usable by itself; {remedy}"
    )]
    Dead { name: String, region: String, disk: String, state: String, remedy: &'static str },
    #[error("disk {disk} of {name} was dead when it was made, and is to be deleted")]
    Stillborn { name: String, disk: String, source: Box<DeleteError> },
    #[error("creating {name}")]
    Cloud { name: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("disk of {name}")]
    Wait { name: String, source: WaitError },
}

impl CreateError {
    pub(crate) fn ambiguous<'a>(name: &str, disks: impl Iterator<Item = &'a Disk>) -> Self {
        let ids: Vec<&str> = disks.map(|disk| disk.disk_id.as_str()).collect();
        Self::Ambiguous { name: name.to_owned(), count: ids.len(), disks: ids.join(", ") }
    }

    /// Of a disk that is dead and may have been usable once.
    pub(crate) fn dead(name: &str, region: &Region, disk: &Disk) -> Self {
        let remedy = if disk.disk_status == DiskState::Error {
            "it may hold data, so that it is not deleted unasked: delete it in the ECX console, and another one is ordered"
        } else {
            "it is for the account to pay for it or to have it unlocked"
        };
        let (disk, state) = (disk.disk_id.clone(), disk.disk_status.as_str().to_owned());
        Self::Dead { name: name.to_owned(), region: region.to_string(), disk, state, remedy }
    }

    /// Whether the cloud says that the name was ordered in another way.
    pub(crate) fn is_token_conflict(&self) -> bool {
        matches!(
            self,
            Self::Refused { source: ecx::Error::TokenConflict(_), .. }
                | Self::Cloud { source: ecx::Error::TokenConflict(_), .. }
        )
    }

    /// Whether the provisioner gives the volume up.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Aborted)
    }
}

impl GrpcCode for CreateError {
    fn code(&self) -> Code {
        match self {
            Self::Field(_) => Code::InvalidArgument,
            // The spec's code for the same name with other content.
            Self::Incompatible { .. } => Code::AlreadyExists,
            // A person must look; nothing may be bought meanwhile. Not final: the claim may be deleted, and then the provisioner goes on
            // asking until there is one disk to delete.
            Self::Ambiguous { .. } => Code::Unavailable,
            // The disk is there and paid for: a claim that is deleted now must not leave it behind. The provisioner goes on asking, until
            // somebody has deleted it and another one can be made, or deleted with its claim.
            Self::Dead { .. } | Self::Stillborn { .. } => Code::Unavailable,
            // A person must say whose it is. Nothing was ordered.
            Self::OtherCluster { .. } => Code::FailedPrecondition,
            // Every order has ended, and no disk is there.
            Self::OrderFailed { .. } => Code::Internal,
            // Nothing of ours was seen, and an order may be open: the retry looks first.
            Self::Deleting { .. } | Self::OthersAnswer { .. } | Self::Hidden { .. } => Code::Aborted,
            // The spec's code for a source that does not exist.
            Self::NoSource { .. } => Code::NotFound,
            Self::DeadSource { .. } => Code::Internal,
            // The spec's code for a source that is larger than the volume may be.
            Self::OutOfRange(_) => Code::OutOfRange,
            // Lets the provisioner ask the scheduler for another region.
            Self::Exhausted { .. } | Self::SourceElsewhere { .. } => Code::ResourceExhausted,
            Self::Snapshot { source, .. } => not_given_up(source.code()),
            // The order was refused, none was open, and no disk of the name is there. Keys and rights are changed and come back: a claim
            // whose earlier order this controller does not know of must not be given up for them.
            Self::Refused { source: ecx::Error::Auth(_) | ecx::Error::Denied(_), .. } => Code::Unavailable,
            Self::Refused { source, .. } => cloud_code(source),
            // The disk is there: a claim that is deleted now must not leave it behind.
            Self::Modify { .. } | Self::Cleanup { .. } => Code::Unavailable,
            Self::Region(error) => error.code(),
            // An order may be open, whatever refuses to tell of it.
            Self::Cloud { source: ecx::Error::TokenConflict(_), .. } => Code::Aborted,
            Self::Cloud { .. } | Self::Wait { source: WaitError::Cloud(_), .. } => Code::Unavailable,
            Self::Wait { source: WaitError::TooLong { .. }, .. } => Code::DeadlineExceeded,
        }
    }
}

/// DeleteVolume.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    #[error("disk {disk} is attached to {holders}")]
    Attached { disk: String, holders: String },
    #[error("disk {disk} is {state}: something else goes on with it")]
    Busy { disk: String, state: String },
    #[error("disk {disk} is another cluster's and is not deleted: {other}")]
    OtherCluster { disk: String, other: Box<OtherCluster> },
    #[error("the cloud did not refund disk {disk}: its order failed {attempts} times")]
    OrderFailed { disk: String, attempts: u32 },
    #[error("disk {disk} has snapshots, and the cloud refunds no such disk: {snapshots}")]
    Snapshots { disk: String, snapshots: String },
    #[error("deleting {disk}")]
    Cloud { disk: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("deleting {disk}")]
    Wait { disk: String, source: WaitError },
}

impl GrpcCode for DeleteError {
    fn code(&self) -> Code {
        match self {
            // The spec's code for a volume in use.
            Self::Attached { .. } | Self::Snapshots { .. } => Code::FailedPrecondition,
            // A person must say whose it is.
            Self::OtherCluster { .. } => Code::FailedPrecondition,
            // The disk is there, by its own word: this is about something else.
            Self::Cloud { source: ecx::Error::DiskNotFound(_), .. } => Code::Unavailable,
            Self::Busy { .. } => Code::Aborted,
            Self::OrderFailed { .. } => Code::Internal,
            Self::Cloud { source, .. } => cloud_code(source),
            Self::Region(error) => error.code(),
            Self::Wait { source, .. } => wait_code(source),
        }
    }
}

/// ControllerPublishVolume.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("there is no volume {0}")]
    NoVolume(String),
    #[error(
        "there is no node {0}: the cloud shows no machine with its id or its address (`privateIP`) in its region (ListInstances)"
    )]
    NoNode(String),
    #[error(
        "node {node} can be any of the machines {machines}: they have its address; name the node's own in its spec.providerID, or with \
         --instance-id of eck-csi-node; or name the cluster's VPC with vpc of the profile"
    )]
    AmbiguousNode { node: String, machines: String },
    #[error("disk {disk} is another cluster's and is not attached: {other}")]
    OtherCluster { disk: String, other: Box<OtherCluster> },
    #[error("disk {disk} is published there already, with readonly {published}")]
    OtherReadonly { disk: String, published: bool },
    #[error("disk {disk} is attached to {holders}; it must be detached there first")]
    Elsewhere { disk: String, holders: String },
    #[error("disk {disk} is where a late attach has put it, and is to be detached there")]
    Stray { disk: String, source: Box<DetachError> },
    #[error("disk {disk} is in region {disk_region}, node {node} in {node_region}")]
    OtherRegion { disk: String, disk_region: String, node: String, node_region: String },
    #[error("disk {disk} is {state} in the cloud; it will not become usable by itself")]
    Dead { disk: String, state: String },
    #[error("the cloud could not attach {disk}: its job failed")]
    JobFailed { disk: String },
    #[error("the cloud took {attempts} attaches of {disk} and shows it free")]
    NotShown { disk: String, attempts: u32 },
    #[error("attaching {disk}")]
    Cloud { disk: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("attaching {disk}")]
    Wait { disk: String, source: WaitError },
}

impl GrpcCode for AttachError {
    fn code(&self) -> Code {
        match self {
            Self::NoVolume(_) | Self::NoNode(_) => Code::NotFound,
            // The spec's code for a volume published there in another way.
            Self::OtherReadonly { .. } => Code::AlreadyExists,
            // The spec's code for a volume published at another node.
            Self::Elsewhere { .. } => Code::FailedPrecondition,
            Self::Stray { source, .. } => source.code(),
            // The pair can never work: no retry helps.
            Self::OtherRegion { .. } => Code::InvalidArgument,
            Self::Dead { .. } => Code::Internal,
            // A person must say which, or whose; nothing may be attached meanwhile.
            Self::AmbiguousNode { .. } | Self::OtherCluster { .. } => Code::FailedPrecondition,
            // Nothing is attached; the next attempt may do better.
            Self::JobFailed { .. } | Self::NotShown { .. } => Code::Unavailable,
            Self::Cloud { source, .. } => cloud_code(source),
            Self::Region(error) => error.code(),
            Self::Wait { source, .. } => wait_code(source),
        }
    }
}

/// ControllerUnpublishVolume.
#[derive(Debug, thiserror::Error)]
pub enum DetachError {
    #[error("the cloud could not take {disk} from {instance}: the machine still uses it")]
    JobFailed { disk: String, instance: String },
    #[error(
        "node {node} is not known to the cloud: no machine that ListInstances shows has its address (`privateIP`), and disk {disk} is on \
         {holders}: whether that is the node cannot be told"
    )]
    UnknownNode { disk: String, node: String, holders: String },
    #[error("disk {disk} is another cluster's and is not taken from every machine: {other}")]
    OtherCluster { disk: String, other: Box<OtherCluster> },
    #[error(
        "disk {disk} stays on {machine}: the kubelet of {node} {kubelet} and {machine} may still write to it, for the cloud says: {state}. {remedy}"
    )]
    CutOff {
        disk: String,
        machine: String,
        node: String,
        kubelet: &'static str,
        state: String,
        remedy: &'static str,
    },
    #[error(
        "disk {disk} stays where it is: node {node} has only just come back, and its kubelet still uses the disk"
    )]
    JustBack { disk: String, node: String },
    #[error("disk {disk} stays where it is: whether node {node} still uses it cannot be told")]
    Cluster { disk: String, node: String, source: ClusterError },
    #[error("the cloud took {attempts} detaches of {disk} and shows it on {holders}")]
    StillHeld { disk: String, holders: String, attempts: u32 },
    #[error("detaching {disk}")]
    Cloud { disk: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("detaching {disk}")]
    Wait { disk: String, source: WaitError },
}

impl GrpcCode for DetachError {
    fn code(&self) -> Code {
        match self {
            // The node may let go later, and a machine that is not shown may be shown again.
            Self::JobFailed { .. } | Self::UnknownNode { .. } | Self::StillHeld { .. } => Code::Unavailable,
            // A person must say whose it is.
            Self::OtherCluster { .. } => Code::FailedPrecondition,
            // Not final, though a person may have to act: the machine may stop, the node come back, the kubelet let go, and whoever asks
            // again then is answered otherwise. Nothing was sent.
            Self::CutOff { .. } | Self::JustBack { .. } => Code::Aborted,
            // Taking a disk unasked can destroy what is on it; leaving it costs time. csi-attacher needs the same API server.
            Self::Cluster { .. } => Code::Unavailable,
            // The disk is there, by its own word: this is about something else, and no end.
            Self::Cloud { source: ecx::Error::DiskNotFound(_) | ecx::Error::Parameter(_), .. } => {
                Code::Unavailable
            }
            Self::Cloud { source, .. } => cloud_code(source),
            Self::Region(error) => error.code(),
            Self::Wait { source, .. } => wait_code(source),
        }
    }
}

/// ControllerExpandVolume.
#[derive(Debug, thiserror::Error)]
pub enum ExpandError {
    #[error("there is no volume {0}")]
    NoVolume(String),
    #[error(transparent)]
    OutOfRange(BadField),
    #[error("disk {disk} is {state} in the cloud; it will not become usable by itself")]
    Dead { disk: String, state: String },
    #[error("disk {disk} is another cluster's and does not grow: {other}")]
    OtherCluster { disk: String, other: Box<OtherCluster> },
    #[error("the cloud did not grow disk {disk}: its order failed {attempts} times")]
    OrderFailed { disk: String, attempts: u32 },
    #[error("the cloud says that disk {disk} has grown to {gib} GiB, and shows it smaller")]
    NotShown { disk: String, gib: u64 },
    #[error("the cloud does not tell the size of disk {0}")]
    NoSize(String),
    #[error("growing {disk}")]
    Cloud { disk: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("growing {disk}")]
    Wait { disk: String, source: WaitError },
}

impl GrpcCode for ExpandError {
    fn code(&self) -> Code {
        match self {
            Self::NoVolume(_) => Code::NotFound,
            Self::OutOfRange(_) => Code::OutOfRange,
            Self::Dead { .. } | Self::OrderFailed { .. } => Code::Internal,
            // A person must say whose it is.
            Self::OtherCluster { .. } => Code::FailedPrecondition,
            // It may only be late: ask again.
            Self::NotShown { .. } | Self::NoSize(_) => Code::Unavailable,
            Self::Cloud { source, .. } => cloud_code(source),
            Self::Region(error) => error.code(),
            Self::Wait { source, .. } => wait_code(source),
        }
    }
}

/// ControllerModifyVolume, and what CreateVolume does for a class of attributes.
#[derive(Debug, thiserror::Error)]
pub enum ModifyError {
    #[error("there is no volume {0}")]
    NoVolume(String),
    #[error(transparent)]
    Field(#[from] BadField),
    #[error("disk {disk} is {state} in the cloud; it will not become usable by itself")]
    Dead { disk: String, state: String },
    #[error("disk {disk} is another cluster's and is not changed: {other}")]
    OtherCluster { disk: String, other: Box<OtherCluster> },
    #[error("the cloud took the change of disk {disk} and shows {shown} all the same")]
    NotChanged { disk: String, shown: String },
    #[error("changing {disk}")]
    Cloud { disk: String, source: ecx::Error },
    #[error(transparent)]
    Region(#[from] RegionNotTold),
    #[error("changing {disk}")]
    Wait { disk: String, source: WaitError },
}

impl GrpcCode for ModifyError {
    fn code(&self) -> Code {
        match self {
            Self::NoVolume(_) => Code::NotFound,
            // The spec's code for parameters that the volume cannot have.
            Self::Field(_) => Code::InvalidArgument,
            Self::Dead { .. } => Code::Internal,
            // A person must say whose it is.
            Self::OtherCluster { .. } => Code::FailedPrecondition,
            // It may only be late: ask again.
            Self::NotChanged { .. } => Code::Unavailable,
            Self::Cloud { source, .. } => cloud_code(source),
            Self::Region(error) => error.code(),
            Self::Wait { source, .. } => wait_code(source),
        }
    }
}
