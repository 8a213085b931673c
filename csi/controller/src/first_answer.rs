//! What the API server must tell before the controller is ready.

use std::error::Error;
use std::time::Duration;

use serve::admin::Ready;
use tokio_util::sync::CancellationToken;

/// How often an API server that has not told it is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The answer, as soon as there is one; `None` if the program is to end before. `what` is for people.
pub(crate) async fn first_answer<T, E, F>(
    what: &str,
    ask: impl Fn() -> F,
    ready: &Ready,
    token: &CancellationToken,
) -> Option<T>
where
    E: Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    loop {
        let asked = tokio::select! {
            () = token.cancelled() => return None,
            asked = ask() => asked,
        };
        match asked {
            Ok(answer) => return Some(answer),
            Err(error) => {
                let error = serve::chain::chain(&error);
                tracing::warn!(error, "The API server has not told {what} yet");
                ready.set(Err(format!("the API server has not told {what} yet: {error}")));
            }
        }
        tokio::select! {
            () = token.cancelled() => return None,
            () = tokio::time::sleep(ASK_AGAIN) => {}
        }
    }
}
