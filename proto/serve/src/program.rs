//! What every program does alike: it says what it is, starts a runtime, handles signals, serves the admin port, and tells in
//! one line why it ends.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;
use tracing::error;

use crate::admin::{self, Ready};
use crate::chain::chain;
use crate::metrics::Metrics;
use crate::shutdown;
use crate::telemetry::{self, LogArgs, TraceArgs};

/// Why a program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread, or no file descriptor.
    #[error("the runtime cannot start")]
    Runtime(#[source] io::Error),
    /// SIGTERM and SIGINT.
    #[error("signals cannot be handled")]
    Signals(#[source] io::Error),
    /// Its address is taken, or is none of this machine.
    #[error("the admin port cannot be served")]
    AdminPort(#[source] io::Error),
}

/// A program's `main`: starts the log and traces, runs, and logs why it could not.
pub fn main<E: Error>(
    component: &str,
    version: &str,
    log: &LogArgs,
    traces: &TraceArgs,
    run: impl FnOnce() -> Result<(), E>,
) -> ExitCode {
    let _telemetry = telemetry::start(log, traces, component, version);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = chain(&error), "Ending");
            ExitCode::FAILURE
        }
    }
}

/// Runs `serve` on a runtime of its own to its end. It is given a token that the first SIGTERM or SIGINT fires.
pub fn run<F, E>(runtime: &mut Builder, serve: impl FnOnce(CancellationToken) -> F) -> Result<(), E>
where
    F: Future<Output = Result<(), E>>,
    E: From<StartError>,
{
    let runtime = runtime.enable_all().build().map_err(StartError::Runtime)?;
    runtime.block_on(async { serve(shutdown::on_signal().map_err(StartError::Signals)?).await })
}

/// Serves the admin port on `address` until `token` fires. The program is not ready, for `reason`, until it says otherwise.
pub async fn admin_port(
    address: SocketAddr,
    metrics: &Metrics,
    reason: &str,
    token: &CancellationToken,
) -> Result<Ready, StartError> {
    let ready = Ready::not_yet(reason);
    let bound = admin::serve(address, metrics.clone(), ready.clone(), token.clone()).await;
    bound.map_err(StartError::AdminPort)?;
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_run_has_a_runtime_with_timers_and_a_token() {
        let ran = run(&mut Builder::new_current_thread(), async |token| {
            tokio::time::sleep(std::time::Duration::ZERO).await;
            assert!(!token.is_cancelled());
            Ok::<(), StartError>(())
        });
        ran.unwrap();
    }

    #[tokio::test]
    async fn a_taken_admin_port_is_named() {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let token = CancellationToken::new();
        let address = taken.local_addr().unwrap();
        let Err(error) = admin_port(address, &Metrics::default(), "not yet", &token).await else {
            panic!("it is served twice")
        };
        assert!(chain(&error).starts_with("the admin port cannot be served: "), "{}", chain(&error));
    }
}
