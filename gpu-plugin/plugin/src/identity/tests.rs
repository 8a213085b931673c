use ideal_gpu::ask::{PodAsk, Share};
use ideal_gpu::decision::Decision;
use ideal_gpu::pod::Policies;

use super::*;
use crate::checkpoint::Record;
use crate::pod::Pod;

fn card(name: &str) -> CardId {
    CardId::parse(&format!("GPU-{name}")).unwrap()
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// A pod of slices, `(name, phase, cards, core)`, decided on `cards` if there are any.
fn pod(uid: &str, created: &str, containers: &[(&str, Phase, u32, u32)], cards: &[&str]) -> (String, Entry) {
    let one = |(name, phase, cards, core): &(&str, Phase, u32, u32)| ContainerAsk {
        name: (*name).to_owned(),
        phase: *phase,
        cards: *cards,
        share: Share::Slice { core: *core, memory_mib: 100 },
    };
    let ask = PodAsk { containers: containers.iter().map(one).collect() };
    let pod = Pod {
        uid: uid.to_owned(),
        namespace: "ns".into(),
        name: format!("pod-{uid}"),
        created: created.to_owned(),
        ask: ask.clone(),
        decision: None,
        policies: Ok(Policies::default()),
        finished: false,
        init_done: BTreeSet::new(),
    };
    let cards: Vec<CardId> = cards.iter().map(|name| card(name)).collect();
    let record = (!cards.is_empty()).then(|| Record {
        uid: pod.uid.clone(),
        namespace: pod.namespace.clone(),
        name: pod.name.clone(),
        created: pod.created.clone(),
        decision: Decision::new(uid, &ask, &Plan::of(&ask), &cards),
        ask,
        own: false,
        steered: BTreeMap::new(),
        started: BTreeMap::new(),
    });
    (uid.to_owned(), Entry { pod, record, gone: false })
}

fn listed(uid: &str, containers: &[(&str, &[&str])]) -> Listed {
    let one = |(name, held): &(&str, &[&str])| {
        let held = if held.is_empty() { BTreeMap::new() } else { [(Resource::Slices, ids(held))].into() };
        ((*name).to_owned(), held)
    };
    Listed {
        namespace: "ns".into(),
        name: format!("pod-{uid}"),
        containers: containers.iter().map(one).collect(),
    }
}

fn next_of(pods: &Pods, listed: &[Listed], size: usize, must: &[CardId]) -> Vec<(String, String)> {
    let found = next(pods, listed, Resource::Slices, size, must, false);
    found.into_iter().map(|container| (container.uid, container.name)).collect()
}

fn is(uid: &str, name: &str) -> Vec<(String, String)> {
    vec![(uid.to_owned(), name.to_owned())]
}

const APP: Phase = Phase::App;

#[test]
fn the_next_container_is_the_first_without_devices() {
    let two = [("a", APP, 1, 10), ("b", APP, 2, 20)];
    let pods: Pods = [pod("u1", "1", &two, &["a", "b", "c"])].into();
    let none = [listed("u1", &[("a", &[]), ("b", &[])])];
    assert_eq!(next_of(&pods, &none, 1, &[]), is("u1", "a"));
    assert_eq!(next_of(&pods, &none, 2, &[]), [], "`a` comes first");
    let first = [listed("u1", &[("a", &["0-GPU-a"]), ("b", &[])])];
    assert_eq!(next_of(&pods, &first, 2, &[]), is("u1", "b"));
    assert_eq!(next(&pods, &first, Resource::Whole, 2, &[], false), []);
    let both = [listed("u1", &[("a", &["0-GPU-a"]), ("b", &["0-GPU-b", "0-GPU-c"])])];
    assert_eq!(next_of(&pods, &both, 2, &[]), []);
}

#[test]
fn of_several_pods_the_decided_and_newest_comes_first_and_finished_ones_never() {
    let one = [("c", APP, 1, 10)];
    let mut pods: Pods =
        [pod("u1", "1", &one, &["a"]), pod("u2", "2", &one, &["a"]), pod("u3", "3", &one, &[])].into();
    let all = ["u1", "u2", "u3"].map(|uid| listed(uid, &[("c", &[])]));
    let order: Vec<String> = next_of(&pods, &all, 1, &[]).into_iter().map(|(uid, _)| uid).collect();
    assert_eq!(order, ["u2", "u1", "u3"]);
    pods.get_mut("u2").unwrap().pod.finished = true;
    assert_eq!(next_of(&pods, &all, 1, &[])[0].0, "u1");
}

#[test]
fn a_pod_without_the_devices_that_it_was_given_is_another_of_that_name_or_late_itself() {
    let (uid, mut entry) = pod("u", "1", &[("i", Phase::Init, 1, 10), ("c", APP, 2, 10)], &["x", "y"]);
    let steered = &mut entry.record.as_mut().unwrap().steered;
    steered.insert("i".to_owned(), ids(&["0-GPU-x"]));
    let mut pods = Pods::from([(uid, entry)]);
    let shown = [listed("u", &[("c", &[])])];
    assert_eq!(next_of(&pods, &shown, 2, &[]), is("u", "c"), "init containers are not listed");
    let steered = &mut pods.get_mut("u").unwrap().record.as_mut().unwrap().steered;
    steered.insert("c".to_owned(), ids(&["0-GPU-x", "0-GPU-y"]));
    assert_eq!(next_of(&pods, &shown, 2, &[]), []);
    // Nothing newer was told: the kubelet has lost what it had recorded.
    assert_eq!(next(&pods, &shown, Resource::Slices, 2, &[], true).len(), 1);
}

#[test]
fn init_containers_that_the_kubelet_does_not_list_are_told_by_what_they_were_steered_to() {
    let containers = [("i", Phase::Init, 1, 10), ("j", Phase::Init, 1, 10), ("a", APP, 3, 20)];
    let mut pods: Pods = [pod("u1", "1", &containers, &["a", "b", "c"])].into();
    let none = [listed("u1", &[("a", &[])])];
    assert_eq!(next_of(&pods, &none, 1, &[]), is("u1", "i"));
    let record = pods.get_mut("u1").unwrap().record.as_mut().unwrap();
    record.steered.insert("i".into(), ids(&["2-GPU-a"]));
    // The kubelet never asks for `j`: what `i` left suffices.
    assert_eq!(next_of(&pods, &none, 3, &[card("a")]), is("u1", "a"));
    assert_eq!(next_of(&pods, &none, 3, &[card("z")]), [], "another pod's device must be there");
}

#[test]
fn ids_are_held_by_the_container_that_has_exactly_them() {
    let two = [("a", APP, 1, 10), ("b", APP, 2, 20)];
    let pods: Pods = [pod("u1", "1", &two, &["a", "b", "c"])].into();
    let both = [
        listed("u1", &[("a", &["0-GPU-a"]), ("b", &["0-GPU-b", "0-GPU-c"])]),
        listed("u9", &[("x", &["0-GPU-d"])]),
    ];
    let of = |ids: &BTreeSet<String>| holder(&pods, &both, Resource::Slices, ids);
    let found = |container: &str| Holder::Pod { uid: "u1".into(), containers: vec![container.to_owned()] };
    assert_eq!(of(&ids(&["0-GPU-c", "0-GPU-b"])), found("b"));
    assert_eq!(of(&ids(&["0-GPU-a"])), found("a"));
    assert_eq!(of(&ids(&["0-GPU-b"])), Holder::Nobody);
    assert_eq!(of(&ids(&["0-GPU-d"])), Holder::UnknownPod { namespace: "ns".into(), name: "pod-u9".into() });
}

#[test]
fn an_init_containers_ids_are_found_though_only_the_heir_is_listed() {
    let containers = [("i", Phase::Init, 2, 10), ("a", APP, 1, 20)];
    let mut pods: Pods = [pod("u1", "1", &containers, &["a", "b"])].into();
    let record = pods.get_mut("u1").unwrap().record.as_mut().unwrap();
    record.steered.insert("i".into(), ids(&["0-GPU-a", "0-GPU-b"]));
    let heir = [listed("u1", &[("a", &["0-GPU-b"])])];
    let of = |ids: &BTreeSet<String>| holder(&pods, &heir, Resource::Slices, ids);
    let found = |container: &str| Holder::Pod { uid: "u1".into(), containers: vec![container.to_owned()] };
    assert_eq!(of(&ids(&["0-GPU-a", "0-GPU-b"])), found("i"));
    assert_eq!(of(&ids(&["0-GPU-b"])), found("a"));
    assert_eq!(of(&ids(&["1-GPU-b"])), Holder::Nobody);
}

#[test]
fn which_of_two_that_hold_the_same_starts_follows_from_their_order() {
    let containers = [("i", Phase::Init, 1, 10), ("a", APP, 1, 20)];
    let (_, mut entry) = pod("u1", "1", &containers, &["a"]);
    let both = ["i".to_owned(), "a".to_owned()];
    assert_eq!(starting(&entry, &both), Ok("i"), "the first start of all");
    entry.record.as_mut().unwrap().started.insert("i".into(), vec![card("a")]);
    assert_eq!(starting(&entry, &both), Err(vec!["i", "a"]), "`i` again, or `a`");
    entry.pod.init_done.insert("i".into());
    assert_eq!(starting(&entry, &both), Ok("a"));
    assert_eq!(starting(&entry, &both[..1]), Ok("i"), "the node was restarted");
}

#[test]
fn what_a_container_got_anew_was_never_an_init_containers() {
    // `a` has what `i` has left and another card; `b` has a card of its own, as many as `i` had.
    let containers = [("i", Phase::Init, 1, 10), ("a", APP, 2, 20), ("b", APP, 1, 30)];
    let (uid, mut entry) = pod("u", "1", &containers, &["x", "y", "z"]);
    let record = entry.record.as_mut().unwrap();
    record.steered.insert("i".to_owned(), ids(&["0-GPU-x"]));
    record.started.insert("i".to_owned(), vec![card("x")]);
    let shown = [listed("u", &[("a", &["0-GPU-x", "0-GPU-y"]), ("b", &["0-GPU-z"])])];
    let pods = Pods::from([(uid, entry)]);
    let found = holder(&pods, &shown, Resource::Slices, &ids(&["0-GPU-z"]));
    assert_eq!(found, Holder::Pod { uid: "u".to_owned(), containers: vec!["b".to_owned()] });
}

#[test]
fn a_sidecar_that_restarts_is_not_taken_for_a_later_init_container() {
    let (_, entry) = pod(
        "a",
        "1",
        &[("s", Phase::Sidecar, 1, 1), ("i", Phase::Init, 1, 14), ("app", Phase::App, 1, 5)],
        &["X", "Y"],
    );
    let listed = listed("a", &[("s", &["0-GPU-X"]), ("app", &["0-GPU-Y"])]);
    let holders = |id: &str| candidates(&entry, &listed, Resource::Slices, &ids(&[id]));
    assert_eq!(holders("0-GPU-X"), ["s"]);
    assert_eq!(holders("0-GPU-Y"), ["i", "app"]);
}
