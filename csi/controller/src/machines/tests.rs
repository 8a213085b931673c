use super::*;

use crate::local_cloud::{LocalCloud, MACHINE, REGION, region};

fn is_unclear(state: &MachineState) -> bool {
    matches!(state, MachineState::Unclear(_))
}

#[tokio::test(start_paused = true)]
async fn a_machines_state_is_the_clouds_word() {
    let cloud = LocalCloud::new();
    let driver = cloud.driver();
    let state = async || driver.machines.state(&driver.client, &region(REGION), MACHINE).await.unwrap();
    assert_eq!(state().await, MachineState::On("running".into()));
    cloud.change(|world| world.set_instance_status(MACHINE, "stopped")).unwrap();
    assert_eq!(state().await, MachineState::Off);
    cloud.change(|world| world.set_instance_status(MACHINE, "released")).unwrap();
    assert_eq!(state().await, MachineState::Absent);
    cloud.change(|world| world.machines.clear());
    assert!(is_unclear(&state().await));
}

#[tokio::test(start_paused = true)]
async fn those_that_want_a_list_together_share_one() {
    let cloud = LocalCloud::new();
    let driver = cloud.driver();
    let region = region(REGION);
    let lists = (0..50).map(|_| driver.machines.list(&driver.client, &region));
    futures::future::try_join_all(lists).await.unwrap();
    let calls = driver.client.calls();
    assert_eq!(calls[&ecx::api::Op::ListInstances], 1);
    driver.machines.list(&driver.client, &region).await.unwrap();
    assert!(driver.client.calls()[&ecx::api::Op::ListInstances] <= 2);
}
