//! One error enum per operation. The kubelet looks at no code: it prints the text in the pod's event. What may succeed when the
//! kubelet comes again is UNAVAILABLE all the same, for people and metrics.

use arbiter::ArbiterError;
use ideal_gpu::card::CardId;
use ideal_gpu::decision::NotGranted;
use ideal_gpu::pod::PodSpecError;
use serve::code::GrpcCode;
use tonic::Code;

use crate::file::WriteError;
use crate::lister::ListError;

serve::into_status!(DeviceIdError, PreferError, StartError);

/// A device id that is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceIdError {
    #[error("device {id:?} of {resource} is of no card of this node")]
    Unknown { resource: &'static str, id: String },
    #[error("{resource}: {size} devices of {available} cannot be chosen")]
    Size { resource: &'static str, size: i32, available: usize },
}

impl GrpcCode for DeviceIdError {
    fn code(&self) -> Code {
        match self {
            Self::Unknown { .. } => Code::NotFound,
            Self::Size { .. } => Code::InvalidArgument,
        }
    }
}

/// GetPreferredAllocation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreferError {
    #[error(transparent)]
    Ids(#[from] DeviceIdError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error("no pod of this node is known that waits for {size} devices of {resource}")]
    Nobody { resource: &'static str, size: usize },
    #[error("pod {uid}, container {container}: no device of card {card}, which was decided for it, is free")]
    Taken { uid: String, container: String, card: CardId },
    #[error("pod {uid}: the node has no room for it: {why}")]
    NoRoom { uid: String, why: String },
    #[error("pod {uid}: no cards are chosen for it: {error}")]
    Spec { uid: String, error: PodSpecError },
}

impl GrpcCode for PreferError {
    fn code(&self) -> Code {
        match self {
            Self::Ids(error) => error.code(),
            // The API server or the kubelet may be back for the pod's successor.
            Self::List(_) | Self::Nobody { .. } => Code::Unavailable,
            Self::Taken { .. } | Self::NoRoom { .. } => Code::ResourceExhausted,
            // Stays until the pod is another one.
            Self::Spec { .. } => Code::FailedPrecondition,
        }
    }
}

/// PreStartContainer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Ids(#[from] DeviceIdError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error("the kubelet has recorded the devices {0} for no container")]
    Nobody(String),
    #[error("the pod {0}, which holds the devices, is not known here yet")]
    UnknownPod(String),
    #[error("pod {0}: no cards were decided for it, and its devices are not what it asks for")]
    Undecided(String),
    #[error("pod {0}: none of its containers asks for what the kubelet recorded")]
    NoContainer(String),
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Arbiter(#[from] ArbiterError),
}

impl StartError {
    /// For metrics.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Ids(_) => "unknown_device",
            Self::List(_) => "kubelet",
            Self::Nobody(_) => "nobody",
            Self::UnknownPod(_) => "unknown_pod",
            Self::Undecided(_) => "undecided",
            Self::NoContainer(_) => "unknown_container",
            Self::NotGranted(_) => "wrong_cards",
            Self::Write(_) => "disk",
            Self::Arbiter(_) => "arbiter",
        }
    }
}

impl GrpcCode for StartError {
    fn code(&self) -> Code {
        match self {
            Self::Ids(error) => error.code(),
            // Passes by itself; the kubelet starts the container again.
            Self::List(_) | Self::Nobody(_) | Self::UnknownPod(_) | Self::Write(_) | Self::Arbiter(_) => {
                Code::Unavailable
            }
            // Stays until the pod is another one.
            Self::Undecided(_) | Self::NoContainer(_) | Self::NotGranted(_) => Code::FailedPrecondition,
        }
    }
}
