use super::*;

use crate::local_cloud::{REGION, region};

fn machine(id: &str, ip: &str, status: &str) -> Instance {
    Instance {
        instance_id: id.into(),
        instance_status: status.into(),
        private_ip: Some(ip.into()),
        ..Instance::default()
    }
}

/// What is judged of the node 10.0.0.3 whose disks are on `holders`.
fn judged(machines: &[Instance], holders: &[&str]) -> MachineState {
    let (node, region) = (NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap(), region(REGION));
    let holders = holders.iter().map(|holder| (*holder).to_owned()).collect();
    judge(&Evidence { node: &node, region: &region, holders, witnesses: 1, machines, vpc: "" })
}

fn is_unclear(state: &MachineState) -> bool {
    matches!(state, MachineState::Unclear(_))
}

#[test]
fn a_machine_is_off_when_its_name_its_disks_and_its_state_agree() {
    let other = machine("evm-2", "10.0.0.4", "running");
    let of = |status: &str| [machine("evm-1", "10.0.0.3", status), other.clone()];
    assert_eq!(judged(&of("stopped"), &["evm-1"]), MachineState::Off);
    for word in ["running", "stopping", "restarting", "suspended", "error", ""] {
        assert_eq!(judged(&of(word), &["evm-1"]), MachineState::On(word.into()));
    }
}

#[test]
fn a_machine_is_gone_when_the_list_and_its_disks_agree() {
    let other = [machine("evm-2", "10.0.0.4", "running")];
    assert_eq!(judged(&other, &[]), MachineState::Absent);
    assert!(is_unclear(&judged(&other, &["evm-1"])));
    assert!(is_unclear(&judged(&[], &[])));
}

#[test]
fn two_machines_with_one_address_decide_nothing() {
    let both = [machine("evm-1", "10.0.0.3", "stopped"), machine("evm-2", "10.0.0.3", "stopped")];
    assert!(is_unclear(&judged(&both, &["evm-1"])));
}

#[test]
fn an_address_that_has_moved_decides_nothing() {
    let moved = [machine("evm-1", "10.0.0.9", "running"), machine("evm-2", "10.0.0.3", "stopped")];
    assert!(is_unclear(&judged(&moved, &["evm-1"])));
    assert!(is_unclear(&judged(&moved, &[])));
    assert!(is_unclear(&judged(&moved[1..], &["evm-1", "evm-2"])));
}

#[test]
fn disks_that_do_not_tell_decide_nothing() {
    let (node, region) = (NodeId::parse(format!("{REGION}.10.0.0.3")).unwrap(), region(REGION));
    let machines = [machine("evm-2", "10.0.0.4", "running")];
    let (holders, node, region) = (BTreeSet::new(), &node, &region);
    let evidence = Evidence { node, region, holders, witnesses: 0, machines: &machines, vpc: "" };
    assert!(is_unclear(&judge(&evidence)));
}
