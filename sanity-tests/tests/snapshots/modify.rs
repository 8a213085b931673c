//! Classes of attributes.

use std::collections::BTreeMap;

use ecx::Profile;
use ecx::api::Op;
use ecx_sim::Config;
use proto::csi::v1 as pb;
use tonic::Code;

use crate::rig::{Rig, claim, code, parameters};

/// A cloud that can change disks.
fn able() -> Rig {
    let paths = BTreeMap::from([(Op::ModifyDisk, "/v4/ebs/modify-ebs".to_owned())]);
    Rig::with(Config::default(), Profile { paths, ..Profile::default() })
}

fn shown(rig: &Rig, volume: &str) -> (String, Option<u64>, Option<String>) {
    let disk = rig.cloud.look(|world| world.disks[volume].disk.clone());
    (disk.disk_type, disk.provisioned_iops, disk.volume_description)
}

#[tokio::test(start_paused = true)]
async fn a_volume_gets_what_its_class_asks_for_once() {
    let rig = able();
    let volume = rig.create(claim("a")).await.unwrap().volume_id;
    let class = [("diskType", "SSD"), ("iops", "3000"), ("description", "for the ledger")];
    rig.modify(&volume, &class).await.unwrap();
    assert_eq!(shown(&rig, &volume), ("SSD".into(), Some(3000), Some("for the ledger".into())));
    let before = (rig.calls(Op::ModifyDisk), rig.calls(Op::UpdateDisk));
    rig.modify(&volume, &class).await.unwrap();
    assert_eq!((rig.calls(Op::ModifyDisk), rig.calls(Op::UpdateDisk)), before, "nothing is sent for nothing");
    rig.modify(&volume, &[("diskType", "SAS")]).await.unwrap();
    rig.modify(&volume, &[("diskType", "SSD")]).await.unwrap();
    assert_eq!(shown(&rig, &volume).0, "SSD", "there and back again");
    assert_eq!(code(rig.modify("cd-0", &class).await), Code::NotFound);
    assert_eq!(code(rig.modify(&volume, &[("diskType", "GOLD")]).await), Code::InvalidArgument);
    // The volume's own StorageClass names another type, and CreateVolume once more still finds it.
    assert_eq!(rig.create(claim_of("a", &[("diskType", "SSD")])).await.unwrap().volume_id, volume);
}

fn claim_of(name: &str, class: &[(&str, &str)]) -> pb::CreateVolumeRequest {
    pb::CreateVolumeRequest { mutable_parameters: parameters(class), ..claim(name) }
}

#[tokio::test(start_paused = true)]
async fn a_cloud_that_changes_no_disk_refuses_before_anything_is_done() {
    let rig = Rig::new();
    let volume = rig.create(claim("a")).await.unwrap().volume_id;
    let before = shown(&rig, &volume);
    let refused = rig.modify(&volume, &[("diskType", "SSD"), ("description", "x")]).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && refused.message().contains("diskType"), "{refused}");
    assert_eq!(shown(&rig, &volume), before);
    rig.modify(&volume, &[("description", "x")]).await.unwrap();
    // A new disk can be ordered with any type.
    let made =
        rig.create(claim_of("b", &[("diskType", "SSD"), ("description", "y")])).await.unwrap().volume_id;
    assert_eq!(shown(&rig, &made), ("SSD".into(), None, Some("y".into())));
    assert_eq!(code(rig.create(claim_of("c", &[("iops", "9")])).await), Code::InvalidArgument);
    assert_eq!(rig.disks(), 2);
}
