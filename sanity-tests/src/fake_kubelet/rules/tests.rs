use super::*;
use crate::fake_kubelet::pod::Container;

const GPU: &str = "ideal.com/gpu";
const WHOLE: &str = "nvidia.com/gpu";

/// Name, kind, limits.
type Spec<'a> = (&'a str, Kind, &'a [(&'a str, u64)]);

fn pod(uid: &str, containers: &[Spec<'_>]) -> Pod {
    let container = |(name, kind, limits): &Spec<'_>| Container {
        name: (*name).to_owned(),
        kind: *kind,
        limits: limits.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
    };
    let containers = containers.iter().map(container).collect();
    Pod { uid: uid.to_owned(), namespace: "n".into(), name: uid.to_owned(), containers }
}

fn rules(seed: u64, devices: usize) -> Rules {
    let mut rules = Rules::new(seed);
    rules.advertise(GPU, (0..devices).map(|n| (format!("d{n}"), true)));
    rules.advertise(WHOLE, (0..2).map(|n| (format!("w{n}"), true)));
    rules
}

/// Admits without a plugin's wish.
fn admit(rules: &mut Rules, pod: Pod) -> Result<(), Rejection> {
    let uid = pod.uid.clone();
    rules.add(pod);
    rules.predicates(&uid)?;
    for (container, resources) in rules.order(&uid) {
        for (resource, size) in resources {
            let ids = match rules.pick(&uid, &container, &resource, size)? {
                Pick::Has => continue,
                Pick::Given(ids) => ids,
                Pick::Prefer(request) => rules.choose(&request, &[]),
            };
            let held = Held { ids, response: ContainerAllocateResponse::default() };
            rules.record((uid.clone(), container.clone(), resource), held);
        }
        rules.container_done(&uid, &container);
    }
    rules.admit(&uid);
    Ok(())
}

fn ids(rules: &Rules, uid: &str, container: &str) -> Ids {
    rules.held(uid, container, GPU).unwrap().ids.clone()
}

#[test]
fn what_an_init_container_leaves_goes_to_the_next_at_random_and_a_sidecar_keeps_its_own() {
    let mut first = BTreeSet::new();
    for seed in 0..40 {
        let mut rules = rules(seed, 10);
        let containers: [Spec<'_>; 4] = [
            ("i", Kind::Init, &[(GPU, 2)]),
            ("s", Kind::Sidecar, &[(GPU, 1)]),
            ("a", Kind::App, &[(GPU, 1)]),
            ("b", Kind::App, &[(GPU, 1)]),
        ];
        admit(&mut rules, pod("p", &containers)).unwrap();
        let [init, sidecar, a, b] = ["i", "s", "a", "b"].map(|name| ids(&rules, "p", name));
        assert!(sidecar.is_subset(&init) && a.is_subset(&init) && a != sidecar);
        assert!(b.is_disjoint(&init), "nothing is left for it");
        first.insert(init.iter().position(|id| sidecar.contains(id)));
        rules.remove("p");
        assert!(rules.holders().is_empty());
    }
    assert_eq!(first.len(), 2, "either of the two may go to the sidecar");
}

#[test]
fn resources_of_one_container_come_in_any_order() {
    let mut orders = BTreeSet::new();
    for seed in 0..40 {
        let mut rules = rules(seed, 10);
        rules.add(pod("p", &[("c", Kind::App, &[(GPU, 1), (WHOLE, 1), ("ideal.com/vcuda-core", 9)])]));
        orders.insert(rules.order("p"));
    }
    assert_eq!(orders.len(), 2, "both orders, and nothing that no plugin registered: {orders:?}");
}

#[test]
fn the_plugins_wish_counts_as_far_as_it_is_free_and_chance_fills_up() {
    let mut rules = rules(7, 4);
    admit(&mut rules, pod("p", &[("c", Kind::App, &[(GPU, 1)])])).unwrap();
    let held = ids(&rules, "p", "c");
    rules.add(pod("q", &[("c", Kind::App, &[(GPU, 2)])]));
    let Ok(Pick::Prefer(request)) = rules.pick("q", "c", GPU, 2) else { panic!("three are free") };
    assert_eq!((request.available.len(), request.size), (3, 2));
    let free = request.available.first().unwrap().clone();
    let wish = [held.first().unwrap().clone(), "foreign".to_owned(), free.clone()];
    let chosen = rules.choose(&request, &wish);
    assert!(chosen.contains(&free) && chosen.is_disjoint(&held) && chosen.len() == 2, "{chosen:?}");
}

#[test]
fn devices_are_counted_and_what_the_node_does_not_know_is_not() {
    let mut rules = rules(1, 2);
    let unknown = ("ideal.com/vcuda-core", 9000);
    admit(&mut rules, pod("p", &[("c", Kind::App, &[(GPU, 1), unknown])])).unwrap();
    rules.patch("ideal.com/vcuda-core", 100);
    let why = admit(&mut rules, pod("q", &[("c", Kind::App, &[unknown])])).unwrap_err();
    assert!(matches!(why, Rejection::OutOf { capacity: 100, used: 9000, .. }), "{why}");
    let why = admit(&mut rules, pod("r", &[("c", Kind::App, &[(GPU, 2)])])).unwrap_err();
    assert!(matches!(why, Rejection::OutOf { capacity: 2, used: 1, requested: 2, .. }), "{why}");
}

#[test]
fn a_restart_keeps_what_is_held_and_forgets_the_plugins() {
    let mut rules = rules(1, 5);
    admit(&mut rules, pod("p", &[("c", Kind::App, &[(GPU, 2)])])).unwrap();
    let before = ids(&rules, "p", "c");
    rules.restart();
    assert_eq!(rules.allocatable(GPU), Some(0));
    assert_eq!(ids(&rules, "p", "c"), before);
    let why = admit(&mut rules, pod("q", &[("c", Kind::App, &[(GPU, 1)])])).unwrap_err();
    assert!(matches!(why, Rejection::OutOf { capacity: 0, .. }), "{why}");
    rules.advertise(GPU, (0..5).map(|n| (format!("d{n}"), true)));
    assert_eq!(rules.pick("p", "c", GPU, 2), Ok(Pick::Has));
    admit(&mut rules, pod("s", &[("c", Kind::App, &[(GPU, 3)])])).unwrap();
    assert!(ids(&rules, "s", "c").is_disjoint(&before));
}

#[test]
fn a_rejected_pod_frees_what_it_held_half() {
    let mut rules = rules(1, 5);
    rules.add(pod("p", &[("c", Kind::App, &[(GPU, 2)])]));
    let Ok(Pick::Prefer(request)) = rules.pick("p", "c", GPU, 2) else { panic!("five are free") };
    let ids = rules.choose(&request, &[]);
    rules.record(
        ("p".into(), "c".into(), GPU.into()),
        Held { ids, response: ContainerAllocateResponse::default() },
    );
    rules.reject("p", Rejection::Plugin("no".into()));
    admit(&mut rules, pod("q", &[("c", Kind::App, &[(GPU, 5)])])).unwrap();
    assert_eq!(rules.rejections().len(), 1);
    assert_eq!(rules.active().count(), 1);
}
