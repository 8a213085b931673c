use std::collections::BTreeSet;

use super::*;

const NOW: Millis = 1_700_000_000_000;

const POLICIES: [DetachPolicy; 2] = [DetachPolicy::Never, DetachPolicy::AfterTaint];

pub(crate) fn node(
    ready: bool,
    since: Option<Millis>,
    in_use: &[&str],
    out_of_service: OutOfService,
) -> Node {
    Node {
        name: "n".into(),
        uid: "u".into(),
        version: "1".into(),
        id: None,
        boot: "b".into(),
        ready,
        since,
        in_use: in_use.iter().map(|disk| (*disk).to_owned()).collect::<BTreeSet<_>>(),
        out_of_service,
        instance: None,
        taints: Vec::new(),
    }
}

fn kubelet(ready: bool, since: Option<Millis>, in_use: &[&str]) -> Kubelet {
    Kubelet::of(&node(ready, since, in_use, OutOfService::No), "cd-1", NOW)
}

#[test]
fn a_kubelet_is_what_its_node_says() {
    assert_eq!(kubelet(false, None, &["cd-2"]), Kubelet::LetGo);
    assert_eq!(kubelet(true, None, &["cd-1"]), Kubelet::Ready);
    assert_eq!(kubelet(true, Some(NOW - COMES_BACK), &["cd-1"]), Kubelet::Ready);
    for since in [NOW - COMES_BACK + 1, NOW, NOW + 1000] {
        assert_eq!(kubelet(true, Some(since), &["cd-1"]), Kubelet::JustBack);
    }
    assert_eq!(kubelet(false, Some(NOW), &["cd-1"]), Kubelet::Silent(OutOfService::No));
}

#[test]
fn what_a_kubelet_has_let_go_of_may_go_and_so_may_what_a_ready_one_lists() {
    for policy in POLICIES {
        assert_eq!(rule(policy, Kubelet::LetGo), Ruling::Detach);
        assert_eq!(rule(policy, Kubelet::Ready), Ruling::Detach);
        assert_eq!(rule(policy, Kubelet::JustBack), Ruling::Wait);
    }
}

#[test]
fn a_silent_kubelet_keeps_its_disk_until_the_machine_is_off_or_somebody_answers_for_it() {
    use OutOfService::{ByOthers, ByUs, No};
    for (policy, taint, ruling) in [
        (DetachPolicy::Never, No, Ruling::IfOff),
        (DetachPolicy::Never, ByUs, Ruling::IfOff),
        (DetachPolicy::Never, ByOthers, Ruling::IfOff),
        (DetachPolicy::AfterTaint, No, Ruling::IfOff),
        (DetachPolicy::AfterTaint, ByUs, Ruling::IfOff),
        (DetachPolicy::AfterTaint, ByOthers, Ruling::Detach),
    ] {
        assert_eq!(rule(policy, Kubelet::Silent(taint)), ruling, "{policy:?} {taint:?}");
    }
    for policy in POLICIES {
        assert_eq!(rule(policy, Kubelet::Gone), Ruling::IfOff);
    }
}

#[test]
fn only_a_machine_that_is_off_or_gone_is_dead() {
    assert!(is_dead(&MachineState::Off) && is_dead(&MachineState::Absent));
    assert!(!is_dead(&MachineState::On("stopping".into())) && !is_dead(&MachineState::Unclear("")));
}

#[test]
fn the_taint_is_named_only_where_it_helps() {
    let named = |policy, kubelet| remedy(policy, kubelet).contains("out-of-service");
    assert!(named(DetachPolicy::AfterTaint, Kubelet::Silent(OutOfService::No)));
    assert!(!named(DetachPolicy::Never, Kubelet::Silent(OutOfService::No)));
    assert!(!named(DetachPolicy::AfterTaint, Kubelet::Gone));
}
