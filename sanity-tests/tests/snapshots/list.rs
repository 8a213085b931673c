//! ListSnapshots.

use proto::csi::v1 as pb;
use proto::csi::v1::controller_server::Controller as _;
use tonic::{Code, Request, Status};

use crate::rig::{OTHER_REGION, Rig, accessible_in, code, create_request, with_retries};

/// Two snapshots of a volume, and one of volume `b` in another region.
struct Listed {
    rig: Rig,
    volume_b: String,
    /// In order.
    ids: Vec<String>,
}

impl Listed {
    async fn new() -> Self {
        let rig = Rig::new();
        let volume_a = rig.create_volume("a").await;
        let elsewhere = pb::CreateVolumeRequest {
            accessibility_requirements: Some(accessible_in(OTHER_REGION)),
            ..create_request("b")
        };
        let volume_b = rig.create(elsewhere).await.unwrap().volume_id;
        let mut ids = Vec::new();
        for (name, volume) in [("1", &volume_a), ("22", &volume_a), ("33", &volume_b)] {
            let snapshot = with_retries(async || rig.create_snapshot(name, volume).await).await.unwrap();
            ids.push(snapshot.snapshot_id);
        }
        ids.sort();
        Self { rig, volume_b, ids }
    }

    /// The ids of one page, and the token of the next one.
    async fn list(&self, request: pb::ListSnapshotsRequest) -> Result<(Vec<String>, String), Status> {
        let reply = self.rig.controller.list_snapshots(Request::new(request)).await?.into_inner();
        let ids = reply.entries.into_iter().map(|entry| entry.snapshot.unwrap().snapshot_id);
        Ok((ids.collect(), reply.next_token))
    }
}

#[tokio::test(start_paused = true)]
async fn pages_contain_every_snapshot_once() {
    let listed = Listed::new().await;
    let first = pb::ListSnapshotsRequest { max_entries: 2, ..Default::default() };
    let (first, token) = listed.list(first).await.unwrap();
    let rest = pb::ListSnapshotsRequest { max_entries: 2, starting_token: token, ..Default::default() };
    let (second, end) = listed.list(rest).await.unwrap();
    assert_eq!(([first, second].concat(), end.as_str()), (listed.ids, ""));
}

#[tokio::test(start_paused = true)]
async fn the_snapshots_of_one_volume_are_listed() {
    let listed = Listed::new().await;
    let source_volume_id = listed.volume_b.clone();
    let (ids, _) =
        listed.list(pb::ListSnapshotsRequest { source_volume_id, ..Default::default() }).await.unwrap();
    assert_eq!(ids.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_snapshot_is_listed_by_its_id() {
    let listed = Listed::new().await;
    let snapshot_id = listed.ids[1].clone();
    let (ids, _) = listed.list(pb::ListSnapshotsRequest { snapshot_id, ..Default::default() }).await.unwrap();
    assert_eq!(ids, [listed.ids[1].clone()]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_never_returned_is_refused() {
    let listed = Listed::new().await;
    let invalid = pb::ListSnapshotsRequest { starting_token: "5".into(), ..Default::default() };
    assert_eq!(code(listed.list(invalid).await), Code::Aborted);
}
