//! From an error to a gRPC status, in one place.

use serve::chain::chain;
use tonic::{Code, Status};

/// An error of an operation that knows its gRPC code. The code is chosen by what the caller does next:
/// sidecars retry `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `ABORTED` with the same arguments and treat the rest of a
/// CreateVolume's codes as final.
pub trait GrpcCode: std::error::Error + Sized {
    /// The code, from one exhaustive match.
    fn code(&self) -> Code;

    /// The status: the code and the whole chain of causes, printed once.
    fn status(&self) -> Status {
        Status::new(self.code(), chain(self))
    }
}

impl GrpcCode for crate::field::BadField {
    fn code(&self) -> Code {
        // The request itself is wrong; the spec's code for a bad field.
        Code::InvalidArgument
    }
}

impl GrpcCode for crate::operations::Interrupted {
    fn code(&self) -> Code {
        match self {
            // Another operation on the volume runs: the spec's "operation pending", ask again later.
            Self::Conflict { .. } => Code::Aborted,
            // The outcome is unknown: a code after which every sidecar asks again.
            Self::Lost => Code::Unavailable,
        }
    }
}
