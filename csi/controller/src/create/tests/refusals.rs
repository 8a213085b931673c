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
    let CreateError::Hidden { source, .. } = &error else { panic!("{error}") };
    assert!(source.is_token_conflict() && !error.is_final(), "{error}");
}

/// Finding D18: the claim's pod goes to another region after the first was sold out.
#[tokio::test(start_paused = true)]
async fn a_token_that_was_bound_in_a_call_before_is_not_the_end_either() {
    let cloud = LocalCloud::new();
    cloud.meets_in(REGION, Op::CreateDisk, Effect::SoldOut);
    let driver = cloud.driver();
    let error = run(&driver, ask(&[REGION], &[], &[])).await.unwrap_err();
    assert!(matches!(error, CreateError::Exhausted { .. }), "{error}");
    cloud.change(|world| {
        let first = world::Token { request: "{}".into(), order: String::new(), at: world.now };
        world.tokens.insert(token::create(CLUSTER, "pvc-1"), first);
    });
    let created = run(&driver, ask(&[OTHER_REGION], &[], &[])).await.unwrap();
    assert_eq!((created.region, cloud.look(|world| world.bought)), (region(OTHER_REGION), 1));
}

/// Finding D18.
#[tokio::test(start_paused = true)]
async fn a_token_that_a_sold_out_region_has_bound_is_not_the_end() {
    let cloud = LocalCloud::new();
    cloud.change(|world| {
        let other = world::Token { request: "{}".into(), order: String::new(), at: world.now };
        world.tokens.insert(token::create(CLUSTER, "pvc-1"), other);
    });
    cloud.meets_in(REGION, Op::CreateDisk, Effect::SoldOut);
    let created = run(&cloud.driver(), ask(&[], &[REGION, OTHER_REGION], &[])).await.unwrap();
    assert_eq!((created.region, cloud.look(|world| world.bought)), (region(OTHER_REGION), 1));
    assert_eq!(cloud.sent(Op::CreateDisk).len(), 3);
}

/// Finding D13.
#[tokio::test(start_paused = true)]
async fn a_disk_that_was_never_usable_is_refunded_and_another_one_ordered() {
    let cloud = LocalCloud::new();
    cloud.meets(Op::CreateDisk, 1, Effect::JobFails);
    let created = run(&cloud.driver(), ask(&[], &[], &[])).await.unwrap();
    let left = cloud.look(|world| world.disks.keys().cloned().collect::<Vec<_>>());
    assert_eq!(left, [created.disk.disk_id]);
    assert_eq!([Op::CreateDisk, Op::DeleteDisk].map(|op| cloud.sent(op).len()), [2, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_disk_that_may_have_been_usable_is_named_and_left() {
    let cloud = LocalCloud::new();
    for state in [DiskState::Error, DiskState::Expired, DiskState::Freezing] {
        let (disk_name, region_id, disk_status) = ("pvc-1".into(), REGION.into(), state.clone());
        cloud.add(Disk { disk_name, region_id, disk_status, ..disk("cd-1", 20, true) });
        let error = refused(&cloud, ask(&[], &[], &[])).await;
        assert!(matches!(&error, CreateError::Dead { .. }) && !error.is_final(), "{error}");
        for word in ["cd-1", "pvc-1", REGION, state.as_str()] {
            assert!(error.to_string().contains(word), "{error}");
        }
    }
    assert_eq!([Op::CreateDisk, Op::DeleteDisk].map(|op| cloud.sent(op).len()), [0, 0]);
    // Whoever has deleted it gets another one.
    cloud.change(|world| world.disks.clear());
    run(&cloud.driver(), ask(&[], &[], &[])).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_somebody_deleted_is_ordered_anew_though_its_token_is_used() {
    let cloud = LocalCloud::new();
    run(&cloud.driver(), ask(&[], &[], &[])).await.unwrap();
    cloud.change(|world| world.disks.clear());
    let driver = cloud.driver();
    let error = run(&driver, ask(&[], &[], &[])).await.unwrap_err();
    assert!(!error.is_final(), "{error}");
    run(&driver, ask(&[], &[], &[])).await.unwrap();
    assert_eq!(cloud.look(|world| world.bought), 2);
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
    assert_eq!(last, "an order that is done, and no disk");
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
