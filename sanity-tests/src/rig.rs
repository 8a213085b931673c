//! What the test rigs have in common that are programs or cases of their own: one error type, and how a program ends.

use std::process::ExitCode;

use tonic::{Code, Status};

use crate::apiserver::Refusal;
use crate::fake_kubelet::kube_scheduler::ScheduleError;
use crate::fake_kubelet::node::NodeError;
use crate::in_process::StartError;
use crate::process::ProcessError;

/// Why a rig could not do its work, or what it found to be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program that we ship.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A node of the fake kubelet.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The API server of the tests.
    #[error(transparent)]
    Api(#[from] Refusal),
    /// The extender.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// The controller in this process.
    #[error(transparent)]
    Controller(#[from] StartError),
    /// The simulated cloud.
    #[error(transparent)]
    Cloud(#[from] ecx_sim::StartError),
    /// The simulated cloud's disks.
    #[error(transparent)]
    DataPlane(#[from] ecx_sim::plane::PlaneError),
    /// A gRPC connection.
    #[error("cannot connect")]
    Connect(#[from] tonic::transport::Error),
    /// A system call, with what it was for.
    #[error("{0}")]
    Io(String, #[source] std::io::Error),
    /// A system call whose own text says enough.
    #[error(transparent)]
    Os(#[from] std::io::Error),
    /// An RPC has failed.
    #[error("{rpc}: {code:?}: {message}")]
    Rpc {
        /// Its name.
        rpc: &'static str,
        /// Its code.
        code: Code,
        /// Its message.
        message: String,
    },
    /// An RPC of one of several rigs' helpers has failed.
    #[error("{code:?}: {message}")]
    Status {
        /// Its code.
        code: Code,
        /// Its message.
        message: String,
    },
    /// Something that must hold does not.
    #[error("{0}")]
    Check(String),
    /// A step of a story has failed.
    #[error("step {0}")]
    Step(usize, #[source] Box<Error>),
    /// SIGTERM or SIGINT.
    #[error("stopped by a signal")]
    Interrupted,
}

impl Error {
    /// Something that must hold does not.
    pub fn check(message: impl ToString) -> Self {
        Self::Check(message.to_string())
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        Self::Status { code: status.code(), message: status.message().to_owned() }
    }
}

/// For `map_err` of a system call; `what` says what it was for.
pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Error {
    let what = what.into();
    move |source| Error::Io(what, source)
}

/// For `map_err` of an RPC.
pub fn rpc(name: &'static str) -> impl Fn(Status) -> Error {
    move |status| Error::Rpc { rpc: name, code: status.code(), message: status.message().to_owned() }
}

/// An error with this message unless `holds`.
pub fn ensure(holds: bool, message: impl ToString) -> Result<(), Error> {
    if holds { Ok(()) } else { Err(Error::check(message)) }
}

/// Runs a program's work on a runtime of one thread. The program succeeds if the work returns true; an error is printed with
/// its causes.
pub fn run(work: impl Future<Output = Result<bool, Error>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    finish(runtime.map_err(io("the runtime cannot start")).and_then(|runtime| runtime.block_on(work)))
}

/// The exit status of a program whose work has ended; as [`run`].
// What a program prints is its result.
#[allow(clippy::print_stdout)]
pub fn finish(result: Result<bool, Error>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAILED: {}", serve::chain::chain(&error));
            // After a signal as a shell reports it: 128 and the number of SIGINT.
            if matches!(error, Error::Interrupted) { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}
