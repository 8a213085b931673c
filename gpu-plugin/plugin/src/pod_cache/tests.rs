use ideal_gpu::ask::{ContainerAsk, Phase, PodAsk, Share};
use ideal_gpu::plan::Plan;
use ideal_gpu::pod::Policies;

use super::*;

fn card(name: &str) -> CardId {
    CardId::parse(&format!("GPU-{name}")).unwrap()
}

fn pod(uid: &str, on: Option<&str>) -> Pod {
    let share = Share::Slice { core: 10, memory_mib: 100 };
    let ask =
        PodAsk { containers: vec![ContainerAsk { name: "c".into(), phase: Phase::App, cards: 1, share }] };
    let decision = on.map(|on| Decision::new(uid, &ask, &Plan::of(&ask), &[card(on)]).to_text());
    Pod {
        uid: uid.to_owned(),
        namespace: "ns".into(),
        name: "web-0".into(),
        created: uid.to_owned(),
        ask,
        decision,
        policies: Ok(Policies::default()),
        finished: false,
        init_done: BTreeSet::new(),
    }
}

fn decided(pod_cache: &PodCache, uid: &str) -> Option<CardId> {
    pod_cache.read(|pods| Some(pods.get(uid)?.record.as_ref()?.decision.charge()[0].0.clone()))
}

fn listed() -> Vec<Listed> {
    vec![Listed { namespace: "ns".into(), name: "web-0".into(), containers: Vec::new() }]
}

#[test]
fn a_decision_is_remembered_over_a_restart_and_the_first_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let pod_cache = PodCache::open(dir.path().to_owned()).unwrap();
    assert!(pod_cache.behind(&listed()));
    pod_cache.apply(pod("u1", None));
    assert_eq!((decided(&pod_cache, "u1"), pod_cache.behind(&listed())), (None, false));
    pod_cache.apply(pod("u1", Some("a")));
    pod_cache.apply(pod("u1", Some("b")));
    assert_eq!(decided(&pod_cache, "u1"), Some(card("a")));
    pod_cache.steered("u1", "c", ["3-GPU-a".to_owned()].into());
    let later = PodCache::open(dir.path().to_owned()).unwrap();
    assert_eq!(decided(&later, "u1"), Some(card("a")));
    later.read(|pods| assert!(pods["u1"].record.as_ref().unwrap().steered.contains_key("c")));
}

#[test]
fn a_forged_decision_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let pod_cache = PodCache::open(dir.path().to_owned()).unwrap();
    let mut forged = pod("u1", Some("a"));
    forged.decision = forged.decision.map(|text| text.replace("\"core\":10", "\"core\":99"));
    pod_cache.apply(forged);
    let mut stolen = pod("u2", Some("a"));
    stolen.decision = pod("u1", Some("a")).decision;
    pod_cache.apply(stolen);
    assert_eq!((decided(&pod_cache, "u1"), decided(&pod_cache, "u2")), (None, None));
}

#[test]
fn a_pod_is_forgotten_when_neither_side_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let pod_cache = PodCache::open(dir.path().to_owned()).unwrap();
    pod_cache.apply(pod("u1", Some("a")));
    pod_cache.sweep(&[]);
    assert_eq!(decided(&pod_cache, "u1"), Some(card("a")), "the API server has it");
    pod_cache.delete("u1");
    assert!(pod_cache.has_gone());
    pod_cache.sweep(&listed());
    assert_eq!(decided(&pod_cache, "u1"), Some(card("a")), "the kubelet still runs it");
    // Its successor of the same name is here: what the kubelet lists is that one.
    pod_cache.apply(pod("u2", Some("b")));
    pod_cache.sweep(&listed());
    assert_eq!((decided(&pod_cache, "u1"), decided(&pod_cache, "u2")), (None, Some(card("b"))));
    assert!(!dir.path().join("pods/u1.json").exists());
    pod_cache.keep(&HashSet::new());
    pod_cache.sweep(&[]);
    assert_eq!(decided(&pod_cache, "u2"), None);
}
