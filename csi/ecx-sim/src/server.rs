//! A simulated cloud that is served over HTTP, on a thread of its own.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use ecx::Profile;
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::cloud::Cloud;
use crate::config::Config;
use crate::http;
use crate::plane::{Plane, PlaneError};
use crate::request_log::LogEntry;
use crate::shared::{Shared, StartError};

/// A running simulator. It has a thread of its own, so that a test's runtime, clock and end do not matter to it.
pub struct Sim {
    cloud: Cloud,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Sim {
    /// Starts on the configured address.
    pub fn start(config: Config) -> Result<Self, StartError> {
        let wanted = config.check()?;
        let io = |e| StartError::Io(format!("cannot listen on {wanted}"), e);
        let listener = std::net::TcpListener::bind(wanted).map_err(io)?;
        listener.set_nonblocking(true).map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let clock = Clock::new(config.stepped, config.clock_skew_s);
        let shared = Arc::new(Shared::new(config, clock)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let served = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io)?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let router = http::router(Arc::clone(&served));
                tokio::select! {
                    ended = axum::serve(listener, router) => tracing::error!(?ended, "The server ended"),
                    () = served.tick() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { cloud: Cloud { shared }, address, stop: Some(stop), thread: Some(thread) })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A profile that points here, with short polls and a generous rate.
    pub fn profile(&self) -> Profile {
        let poll = ecx::profile::Poll { first_ms: 20, factor: 1.5, max_ms: 100, give_up_ms: 20_000 };
        let paths = self.cloud.shared.config.paths.clone();
        Profile {
            base_url: self.url(),
            paths,
            poll,
            // What it answers is of now.
            reads_lag_ms: 0,
            rate_per_second: 2000.0,
            burst: 2000.0,
            ..Profile::default()
        }
    }

    /// Requests that are held now.
    pub fn held(&self) -> usize {
        self.cloud.shared.held.count()
    }

    /// Moves a stepped clock.
    pub fn advance(&self, by: Duration) {
        self.cloud.shared.advance(by);
    }

    /// Every request so far.
    pub fn log(&self) -> Vec<LogEntry> {
        self.cloud.shared.log.entries_from(0)
    }

    /// Takes every disk of ours from this machine.
    pub fn clean(&self) -> Result<(), PlaneError> {
        self.cloud.shared.plane().map_or(Ok(()), Plane::clean)
    }
}

impl Deref for Sim {
    type Target = Cloud;

    fn deref(&self) -> &Cloud {
        &self.cloud
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
