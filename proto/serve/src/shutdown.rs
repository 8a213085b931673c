//! SIGTERM and SIGINT become one cancellation token; a second signal ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// A token that is cancelled by the first SIGTERM or SIGINT.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        let name = either(&mut term, &mut int).await;
        info!(signal = name, "Shutting down: what runs is finished, nothing new is taken");
        cancelled.cancel();
        let name = either(&mut term, &mut int).await;
        warn!(signal = name, "Second signal: ending at once");
        std::process::abort();
    });
    Ok(token)
}

async fn either(term: &mut Signal, int: &mut Signal) -> &'static str {
    tokio::select! {
        _ = term.recv() => "SIGTERM",
        _ = int.recv() => "SIGINT",
    }
}
