//! An empty disk that cannot be had.

use super::*;
use ecx::api::Op;
use ecx::token;
use ecx_sim::{Effect, world};

use crate::disk_reader::WaitError;
use crate::local_cloud::{LocalCloud, OTHER_REGION, REGION, run};

/// What creating the volume fails with.
async fn refused(cloud: &LocalCloud, request: CreateRequest) -> CreateError {
    run(&cloud.driver(), request).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn when_every_region_is_sold_out_the_error_names_them() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 2, Effect::SoldOut);
    let error = refused(&cloud, ask(&[], &[], &[])).await;
    let CreateError::Exhausted { name, tried } = &error else { panic!("{error}") };
    assert_eq!(name, "pvc-1");
    assert!(tried.starts_with(&format!("{REGION}: sold out")), "{tried}");
    assert!(tried.contains(&format!("; {OTHER_REGION}: sold out")), "{tried}");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_another_reason_is_not_followed_by_the_next_region() {
    let cloud = LocalCloud::new();
    let mut request = ask(&[], &[], &[]);
    request.parameters.disk_type = Some("NVME".into());
    let error = refused(&cloud, request).await;
    assert!(matches!(error, CreateError::Refused { source: ecx::Error::Parameter(_), .. }), "{error}");
    assert_eq!(cloud.sent(Op::CreateDisk).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_order_of_the_name_in_another_region_is_found_there_and_refused() {
    let cloud = LocalCloud::new();
    run(&cloud.driver(), ask(&[], &[], &[OTHER_REGION])).await.unwrap();
    let error = refused(&cloud, ask(&[], &[], &[REGION])).await;
    let CreateError::Incompatible { what, .. } = &error else { panic!("{error}") };
    assert_eq!(*what, format!("it is in {OTHER_REGION} and only {REGION} will do"));
}

#[tokio::test(start_paused = true)]
async fn an_order_of_the_name_without_a_disk_is_a_conflict() {
    let cloud = LocalCloud::new();
    cloud.change(|world| {
        let other = world::Token { request: "{}".into(), order: String::new(), at: world.now };
        world.tokens.insert(token::create(CLUSTER, "pvc-1"), other);
    });
    let error = refused(&cloud, ask(&[], &[], &[])).await;
    assert!(error.is_token_conflict(), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_disk_whose_order_fails_is_dead() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::JobFails);
    let error = refused(&cloud, ask(&[], &[], &[])).await;
    let CreateError::Dead { disk, state } = &error else { panic!("{error}") };
    assert!(cloud.look(|world| world.disks.contains_key(disk)));
    assert_eq!(state, "error");
}

#[tokio::test(start_paused = true)]
async fn an_order_that_does_not_end_is_given_up_with_the_state_last_seen() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::Stuck);
    let error = refused(&cloud, ask(&[], &[], &[])).await;
    let CreateError::Wait { source: WaitError::TooLong { last, .. }, .. } = &error else { panic!("{error}") };
    assert_eq!(last, "creating");
}

#[tokio::test(start_paused = true)]
async fn an_order_without_a_disk_is_waited_for_as_long() {
    let cloud = LocalCloud::new();
    let vanished = cloud.after(500, |world| world.disks.clear());
    let (error, ()) = tokio::join!(refused(&cloud, ask(&[], &[], &[])), vanished);
    let CreateError::Wait { source: WaitError::TooLong { last, .. }, .. } = &error else { panic!("{error}") };
    assert_eq!(last, "no disk");
}

#[tokio::test(start_paused = true)]
async fn a_speed_that_this_cloud_cannot_give_is_refused_before_anything_is_ordered() {
    let cloud = LocalCloud::new();
    let mutable = Mutable { iops: Some(3000), ..Mutable::default() };
    let error = refused(&cloud, CreateRequest { mutable, ..ask(&[], &[], &[]) }).await;
    let CreateError::Field(field) = &error else { panic!("{error}") };
    assert_eq!((field.field.as_str(), field.value.as_str()), ("mutable_parameters.iops", "3000"));
    assert!(cloud.sent(Op::CreateDisk).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_does_not_get_its_description_is_a_failure_that_says_so() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::UpdateDisk, 1, Effect::Vanish);
    let mutable = Mutable { description: Some("for the shop".into()), ..Mutable::default() };
    let error = refused(&cloud, CreateRequest { mutable, ..ask(&[], &[], &[]) }).await;
    assert!(matches!(&error, CreateError::Modify { name, .. } if name == "pvc-1"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_region_that_the_cluster_is_not_in_is_refused_by_name() {
    let error = refused(&LocalCloud::new(), ask(&["a-1"], &[], &[])).await;
    assert!(matches!(&error, CreateError::Field(field) if field.value == "a-1"), "{error}");
}
