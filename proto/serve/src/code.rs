//! From an error to a gRPC status, in one place.

use tonic::{Code, Status};

use crate::chain::chain;

/// An error of an operation that knows its gRPC code. The code is chosen by what the caller does next: Kubernetes' CSI
/// sidecars retry `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `ABORTED` with the same arguments and treat the other codes of
/// CreateVolume as final.
pub trait GrpcCode: std::error::Error + Sized {
    /// The code, from one exhaustive match.
    fn code(&self) -> Code;

    /// The status: the code, and the error with its causes as text.
    fn status(&self) -> Status {
        Status::new(self.code(), chain(self))
    }
}

/// Lets `?` turn the named errors into their status inside an RPC. (`Status` belongs to another crate, so no blanket
/// implementation can.)
#[macro_export]
macro_rules! into_status {
    ($($error:ty),+ $(,)?) => {$(
        impl From<$error> for ::tonic::Status {
            fn from(error: $error) -> Self {
                $crate::code::GrpcCode::status(&error)
            }
        }
    )+};
}
