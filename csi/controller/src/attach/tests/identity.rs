//! Nodes whose address leaves open which machine they are.

use eck_csi_fencing::{Node, Nodes, OutOfService};
use eck_csi_kubernetes::ClusterError;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;

/// The cluster's Node of every id; it says that it is this machine.
struct Says(&'static str);

impl Nodes for Says {
    fn called<'a>(&'a self, _: &'a NodeId) -> BoxFuture<'a, Result<Vec<Node>, ClusterError>> {
        let node = crate::detach_policy::tests::node(true, None, &[], OutOfService::No);
        let told = vec![Node { instance: Some(self.0.to_owned()), ..node }];
        std::future::ready(Ok(told)).boxed()
    }
}

/// The attach to the node of an address, where machines of [`REGION`] have these addresses and the Node says that it is `says`.
async fn attach_to_node(ips: [&str; 2], says: &'static str) -> Result<Option<String>, AttachError> {
    let mut config = Config::default();
    for (machine, ip) in config.regions.get_mut(REGION).unwrap().instances.iter_mut().zip(ips) {
        machine.ip = ip.into();
    }
    let cloud = LocalCloud::of(config);
    cloud.add(disk(DISK));
    let driver = cloud.driver_identifying(Arc::new(Says(says)));
    let node = NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap();
    run(&driver, AttachRequest { node, ..to(MACHINE) }).await?;
    Ok(cloud.record_of(DISK).holder)
}

#[tokio::test(start_paused = true)]
async fn of_two_machines_with_one_address_the_node_is_the_one_that_its_object_names() {
    for machine in [MACHINE, OTHER_MACHINE] {
        let holder = attach_to_node(["10.0.0.3", "10.0.0.3"], machine).await.unwrap();
        assert_eq!(holder.as_deref(), Some(machine));
    }
    // One that is neither decides nothing.
    let refused = attach_to_node(["10.0.0.3", "10.0.0.3"], "evm-none").await.unwrap_err();
    assert!(matches!(refused, AttachError::AmbiguousNode { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_address_is_not_told_is_found_by_the_id_that_the_nodes_object_names() {
    let holder = attach_to_node(["", "10.0.0.4"], MACHINE).await.unwrap();
    assert_eq!(holder.as_deref(), Some(MACHINE));
    // One with another address, or in no list of the region, is not the node.
    for other in [OTHER_MACHINE, "evm-none"] {
        let refused = attach_to_node(["", "10.0.0.4"], other).await.unwrap_err();
        assert!(matches!(refused, AttachError::NoNode(_)), "{refused}");
    }
}
