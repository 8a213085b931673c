//! The controller called as the sidecars call it.

use std::future::Future;
use std::time::Duration;

use eck_csi_controller::service::Controller;
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::call::{Call, Told};
use crate::judge;
use crate::rig::Rig;

/// `--timeout` of the chart's sidecars.
const CALL: Duration = Duration::from_secs(300);

/// An operation that has not ended so long after its caller left never will: ten minutes in all.
const AFTERWARDS: Duration = Duration::from_secs(300);

/// Calls until it is said that a sidecar calls for ever.
const CALLS: u32 = 6;

type Ended = Result<Told, Status>;

/// Calls until it is OK, as the sidecars do after every code while the claim is there; `None` if it never was. Every call is
/// judged.
pub(crate) async fn until_ok(rig: &mut Rig, controller: &Controller, calls: Vec<Call>) -> Vec<Option<Told>> {
    let mut done: Vec<Option<Ended>> = vec![None; calls.len()];
    for attempt in 0..CALLS {
        let open = |(at, _): &(usize, Call)| !matches!(&done[*at], Some(Ok(_)));
        let open: Vec<(usize, Call)> = calls.iter().cloned().enumerate().filter(open).collect();
        if open.is_empty() || rig.over {
            break;
        }
        // Keys that were changed reach the controller by a restart.
        let fresh =
            if attempt >= CALLS / 2 && rig.truth().key != "ak-1" { Some(rig.controller()) } else { None };
        let controller = fresh.as_ref().unwrap_or(controller);
        for (at, result) in together(rig, controller, open).await {
            done[at] = Some(result);
        }
        // Up to five minutes, as the sidecars' `--retry-interval-max`.
        sleep(Duration::from_secs(4_u64.pow(attempt).min(300))).await;
    }
    for (call, result) in calls.iter().zip(&done) {
        judge::last_word(rig, call, result.as_ref());
    }
    done.into_iter().map(|result| result.and_then(Result::ok)).collect()
}

/// The call to a controller that ends, without a word, when it has sent so many requests.
pub(crate) async fn killed(rig: &mut Rig, call: Call, after: u64) {
    let before = rig.truth().log.len();
    let result = limited(call.clone().send(rig.dying(after))).await;
    rig.say(&format!("killed {call:?} {result:?}"));
    judge::call(rig, &call, &result, before, 1);
}

/// One call about another cluster's disk.
pub(crate) async fn foreign(rig: &mut Rig, call: Call) {
    let before = rig.truth().log.len();
    let result = limited(call.clone().send(rig.controller())).await;
    rig.say(&format!("foreign {call:?} {result:?}"));
    judge::foreign(rig, &call, &result, before);
}

/// Sends the calls at the same time.
async fn together(rig: &mut Rig, controller: &Controller, calls: Vec<(usize, Call)>) -> Vec<(usize, Ended)> {
    let (before, many, began) = (rig.truth().log.len(), calls.len(), rig.now());
    let sent = calls.iter().map(|(_, call)| limited(call.clone().send(controller.clone())));
    let results = futures::future::join_all(sent).await;
    let idle = timeout(AFTERWARDS, controller.idle()).await.is_ok();
    let mut ended = Vec::new();
    for ((at, call), result) in calls.into_iter().zip(results) {
        judge::call(rig, &call, &result, before, many);
        rig.say(&format!("{began:>9} to {:>9} ms {call:?} {result:?}", rig.now()));
        if !idle {
            rig.over = true;
            rig.broken(format!("{} runs longer than ten minutes", call.kind()));
        }
        ended.push((at, result));
    }
    ended
}

async fn limited(call: impl Future<Output = Ended>) -> Ended {
    timeout(CALL, call).await.unwrap_or_else(|_| Err(Status::deadline_exceeded("the sidecar gave up")))
}
