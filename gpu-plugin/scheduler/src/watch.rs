//! Keeps the view of the cluster fresh: two watches, each of which starts with a complete listing and is listed anew when it
//! breaks, or when somebody wants to be sure.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::cluster::{Cluster, Relist};

/// Pause after a watch that failed; the API server's own clients start at 0.8 s and end at 30 s.
const PAUSE: Duration = Duration::from_secs(1);

/// How far both watches are: numbers of listings wanted and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Progress {
    wanted: u64,
    nodes: u64,
    pods: u64,
}

/// The watches' handle.
#[derive(Clone)]
pub struct Watches {
    progress: watch::Sender<Progress>,
}

impl Watches {
    /// Starts both; they run until `token` fires.
    pub fn start(client: Client, cluster: Arc<Cluster>, token: CancellationToken) -> Self {
        let progress = watch::Sender::new(Progress { wanted: 1, ..Progress::default() });
        let watches = Self { progress };
        tokio::spawn(token.clone().run_until_cancelled_owned(nodes(
            client.clone(),
            Arc::clone(&cluster),
            watches.clone(),
        )));
        tokio::spawn(token.run_until_cancelled_owned(pods(client, cluster, watches.clone())));
        watches
    }

    /// Resolves once nodes and pods have been listed completely at least once.
    pub async fn synced(&self) {
        self.done(1).await;
    }

    /// Lists both anew, and resolves once that is done: everything written before the call is known then.
    pub async fn refresh(&self) {
        let mut wanted = 0;
        self.progress.send_modify(|progress| {
            progress.wanted += 1;
            wanted = progress.wanted;
        });
        self.done(wanted).await;
    }

    async fn done(&self, wanted: u64) {
        let mut progress = self.progress.subscribe();
        let _ = progress.wait_for(|progress| progress.nodes >= wanted && progress.pods >= wanted).await;
    }

    /// The listing that is wanted now.
    fn wanted(&self) -> u64 {
        self.progress.borrow().wanted
    }

    /// Resolves when a later listing than this is wanted.
    async fn wants_more_than(&self, listing: u64) {
        let _ = self.progress.subscribe().wait_for(|progress| progress.wanted > listing).await;
    }
}

/// Runs a watch's stream until it breaks, or a new listing is wanted.
async fn run<K, S>(watches: &Watches, wanted: u64, stream: S, mut apply: impl FnMut(Event<K>))
where
    S: Stream<Item = watcher::Result<Event<K>>>,
{
    let mut stream = std::pin::pin!(stream);
    loop {
        let event = tokio::select! {
            event = stream.next() => event,
            () = watches.wants_more_than(wanted) => return,
        };
        match event {
            Some(Ok(event)) => apply(event),
            // The watcher goes on from where it was, or lists anew if that is too old.
            Some(Err(error)) => {
                tracing::warn!(error = serve::chain::chain(&error), "A watch broke");
                tokio::time::sleep(PAUSE).await;
            }
            None => return,
        }
    }
}

async fn nodes(client: Client, cluster: Arc<Cluster>, watches: Watches) {
    loop {
        let wanted = watches.wanted();
        let mut listed = HashSet::new();
        let stream = watcher(Api::<Node>::all(client.clone()), watcher::Config::default());
        let apply = |event: Event<Node>| match event {
            Event::Init => listed.clear(),
            Event::InitApply(node) => {
                listed.extend(node.metadata.name.clone());
                cluster.apply_node(&node);
            }
            Event::InitDone => {
                cluster.keep_nodes(&std::mem::take(&mut listed));
                watches.progress.send_modify(|progress| progress.nodes = wanted);
            }
            Event::Apply(node) => cluster.apply_node(&node),
            Event::Delete(node) => cluster.forget_node(node.metadata.name.as_deref().unwrap_or_default()),
        };
        run(&watches, wanted, stream, apply).await;
    }
}

async fn pods(client: Client, cluster: Arc<Cluster>, watches: Watches) {
    loop {
        let wanted = watches.wanted();
        let mut listing = Relist::default();
        let stream = watcher(Api::<Pod>::all(client.clone()), watcher::Config::default());
        let apply = |event: Event<Pod>| match event {
            Event::Init => listing = cluster.listing_starts(),
            Event::InitApply(pod) | Event::Apply(pod) => cluster.apply_pod(&pod),
            Event::InitDone => {
                cluster.listing_ends(listing);
                watches.progress.send_modify(|progress| progress.pods = wanted);
            }
            Event::Delete(pod) => cluster.forget_pod(pod.metadata.uid.as_deref().unwrap_or_default()),
        };
        run(&watches, wanted, stream, apply).await;
    }
}
