//! Which replica may bind: the holder of a Lease, as long as it can be sure of it.
//!
//! The holder binds only until [`Terms::renew_within`] after it *sent* its last successful renewal; another replica takes the
//! Lease only after it has seen no renewal for [`Terms::lease`], counted from when it *saw* the last one. The first ends before
//! the second, whatever the clocks say: only durations are compared, each on one machine. A Binding that is under way is cut
//! off at the holder's end too, and a new holder reads the whole cluster anew before its first Binding.
//!
//! Where each replica has a kube-scheduler beside it, only the one whose kube-scheduler leads is asked to bind: it alone takes
//! and renews the Lease ([`Beside`]). The Lease is still what makes binding safe; whose turn it is follows kube-scheduler's.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

mod election;

pub use self::election::{Election, Leadership, Step, Terms};

/// Until when this replica may bind. Clones of the moment are useless after it: ask again.
#[derive(Default)]
pub struct LeadershipGate(Mutex<Option<Instant>>);

impl LeadershipGate {
    /// The end of the current permission, if there is one that has not passed.
    pub fn until(&self) -> Option<Instant> {
        let until = *self.0.lock();
        until.filter(|until| *until > Instant::now())
    }

    /// Sets the end; `None` closes the gate.
    pub fn set(&self, until: Option<Instant>) {
        *self.0.lock() = until;
    }
}

/// The kube-scheduler in the same pod, by the Lease in which it takes part under the pod's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Its Lease, in the namespace of ours.
    pub lease: String,
    /// Name of the pod, and so of its host.
    pub pod: String,
}

impl Beside {
    /// Whether its Lease names it. kube-scheduler's identity is its host's name, `_` and a UUID
    /// (cmd/kube-scheduler/app/options/options.go).
    fn leads(&self, lease: Option<&Lease>) -> bool {
        let holder = lease.map(|lease| seen(lease).holder).unwrap_or_default();
        holder.rsplit_once('_').is_some_and(|(host, _)| host == self.pod)
    }
}

/// Why a round of the election failed. The next one is tried all the same.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    /// The API server.
    #[error("the Lease cannot be read or written")]
    Api(#[from] kube::Error),
    /// It took longer than a renewal may.
    #[error("the API server did not answer in time")]
    Slow(#[from] tokio::time::error::Elapsed),
}

/// Takes part in elections for ever; each round's outcome goes to `tell`.
pub async fn run(
    client: Client,
    namespace: &str,
    mut election: Election,
    beside: Option<Beside>,
    token: CancellationToken,
    mut tell: impl FnMut(Leadership),
) {
    let leases: Api<Lease> = Api::namespaced(client, namespace);
    loop {
        let terms = *election.terms();
        let patience = terms.retry.max(Duration::from_secs(1)) * 2;
        match tokio::time::timeout(patience, round(&leases, &mut election, beside.as_ref())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = serve::chain::chain(&error), "A round of the election failed")
            }
            Err(error) => {
                let error = RoundError::from(error);
                tracing::warn!(%error, "A round of the election failed");
            }
        }
        tell(election.leadership(Instant::now()));
        if token.run_until_cancelled(tokio::time::sleep(terms.retry)).await.is_none() {
            break;
        }
    }
    tell(Leadership::Follower("nobody: this one is shutting down".to_owned()));
    if let Err(error) = release(&leases, &election).await {
        tracing::warn!(error = serve::chain::chain(&error), "The Lease could not be released; it expires");
    }
}

async fn round(
    leases: &Api<Lease>,
    election: &mut Election,
    beside: Option<&Beside>,
) -> Result<(), RoundError> {
    let started = Instant::now();
    let found = leases.get_opt(election.name()).await?;
    // Also where it is not our turn: how long the holder has been silent counts from now on.
    let step = match &found {
        None => Step::Create,
        Some(lease) => election.saw(started, &seen(lease)),
    };
    if let Some(beside) = beside
        && !beside.leads(leases.get_opt(&beside.lease).await?.as_ref())
    {
        // Not released, if it is held: a Binding may be under way. It expires.
        return Ok(());
    }
    let now = MicroTime(Timestamp::now());
    let written = match (step, found) {
        (Step::Wait, _) => return Ok(()),
        (Step::Take { transitions } | Step::Renew { transitions }, Some(mut lease)) => {
            let acquired = match step {
                Step::Renew { .. } => lease.spec.take().and_then(|spec| spec.acquire_time),
                _ => None,
            };
            lease.spec = Some(spec(election, now, acquired, transitions));
            // Its version is the one just read: who was faster wins, and this write is a conflict.
            leases.replace(election.name(), &PostParams::default(), &lease).await
        }
        (_, _) => {
            let metadata = ObjectMeta { name: Some(election.name().to_owned()), ..ObjectMeta::default() };
            let lease = Lease { metadata, spec: Some(spec(election, now, None, 0)) };
            leases.create(&PostParams::default(), &lease).await
        }
    };
    match written {
        Ok(lease) => election.wrote(started, &seen(&lease)),
        Err(kube::Error::Api(status)) if status.code == 409 => tracing::info!("Another replica was faster"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn seen(lease: &Lease) -> election::Seen {
    let spec = lease.spec.as_ref();
    election::Seen {
        holder: spec.and_then(|spec| spec.holder_identity.clone()).unwrap_or_default(),
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or(0),
        seconds: spec.and_then(|spec| spec.lease_duration_seconds).and_then(|s| u64::try_from(s).ok()),
    }
}

fn spec(election: &Election, now: MicroTime, acquired: Option<MicroTime>, transitions: i32) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(election.identity().to_owned()),
        lease_duration_seconds: i32::try_from(election.terms().lease.as_secs()).ok(),
        acquire_time: Some(acquired.unwrap_or_else(|| now.clone())),
        renew_time: Some(now),
        lease_transitions: Some(transitions),
        ..LeaseSpec::default()
    }
}

/// Gives the Lease up, so that the next holder need not wait.
async fn release(leases: &Api<Lease>, election: &Election) -> Result<(), RoundError> {
    let patience = election.terms().retry;
    let Some(mut lease) = tokio::time::timeout(patience, leases.get_opt(election.name())).await?? else {
        return Ok(());
    };
    let held = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    if held != Some(election.identity()) {
        return Ok(());
    }
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
    }
    let params = PostParams::default();
    tokio::time::timeout(patience, leases.replace(election.name(), &params, &lease)).await??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_turn_it_is_follows_the_kube_scheduler_of_the_same_pod() {
        let beside = Beside { lease: "k".to_owned(), pod: "gpu-1".to_owned() };
        let held = |by: &str| {
            let spec = LeaseSpec { holder_identity: Some(by.to_owned()), ..LeaseSpec::default() };
            Lease { spec: Some(spec), ..Lease::default() }
        };
        assert!(beside.leads(Some(&held("gpu-1_7d7a0d6e-43f1"))));
        for other in ["gpu-2_7d7a0d6e-43f1", "gpu-11_7d7a", "gpu-1", "", "7d7a_gpu-1"] {
            assert!(!beside.leads(Some(&held(other))), "{other}");
        }
        assert!(!beside.leads(None) && !beside.leads(Some(&Lease::default())));
    }
}
