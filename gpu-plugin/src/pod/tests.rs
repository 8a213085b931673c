use super::*;
use crate::ask::Share;

fn limits<'a>(gpu: &'a str, core: &'a str, memory: &'a str) -> BTreeMap<&'static str, &'a str> {
    BTreeMap::from([(GPU, gpu), (CORE, core), (MEMORY, memory)])
}

fn read(
    limits: &BTreeMap<&'static str, &str>,
    requests: &BTreeMap<&'static str, &str>,
) -> Result<Option<PodRequest>, PodSpecError> {
    let named = |resource| Quantities {
        limit: limits.get(resource).copied(),
        request: requests.get(resource).copied(),
    };
    PodRequest::parse([ContainerSpec::new("c", Phase::App, named)].into_iter(), None)
}

#[test]
fn a_container_is_read_in_any_spelling_of_its_amounts() {
    let request = read(&limits("2", "1e1", "1.5k"), &limits("2", "10", "1500")).unwrap().unwrap();
    let [container] = request.ask.containers.as_slice() else { panic!("{request:?}") };
    assert_eq!((container.name.as_str(), container.phase, container.cards), ("c", Phase::App, 2));
    assert_eq!(container.share, Share::Slice { core: 10, memory_mib: 1500 });
    assert_eq!(read(&BTreeMap::new(), &BTreeMap::new()), Ok(None));
    assert_eq!(read(&BTreeMap::from([(GPU, "0")]), &BTreeMap::new()), Ok(None));
}

#[test]
fn an_amount_that_cannot_be_read_is_an_error_and_never_as_one_not_named() {
    for (limits, resource, value) in [
        (limits("one", "10", "5"), GPU, "one"),
        (limits("1", "0.5", "5"), CORE, "0.5"),
        (limits("1", "10", "-5"), MEMORY, "-5"),
        (BTreeMap::from([(WHOLE, "1x")]), WHOLE, "1x"),
    ] {
        let wanted = PodSpecError::Quantity { container: "c".to_owned(), resource, value: value.to_owned() };
        assert_eq!(read(&limits, &BTreeMap::new()), Err(wanted));
    }
    let wanted = PodSpecError::Quantity { container: "c".to_owned(), resource: GPU, value: "one".to_owned() };
    assert_eq!(read(&BTreeMap::new(), &BTreeMap::from([(GPU, "one")])), Err(wanted), "as a request alone");
}

#[test]
fn a_request_must_be_the_limit() {
    let error = read(&limits("1", "10", "5"), &BTreeMap::from([(GPU, "2")])).unwrap_err();
    assert!(error.to_string().contains("ideal.com/gpu: a request of 2 beside a limit of 1"), "{error}");
    let error = read(&BTreeMap::new(), &limits("1", "10", "5")).unwrap_err();
    assert!(error.to_string().contains("a limit of nothing"), "{error}");
}

#[test]
fn policies_are_read_beside_the_request_and_say_which_annotation_is_wrong() {
    let spec = |resource| Quantities { limit: limits("1", "10", "5").get(resource).copied(), request: None };
    let read = |annotation: &str, value: &str| {
        let annotations = BTreeMap::from([(annotation.to_owned(), value.to_owned())]);
        let containers = [ContainerSpec::new("c", Phase::App, spec)].into_iter();
        PodRequest::parse(containers, Some(&annotations)).unwrap().unwrap().policies
    };
    let card = Policies { node: None, card: Some(Policy::Spread) };
    assert_eq!(read(CARD_POLICY, "spread"), Ok(card));
    assert_eq!(read(NODE_POLICY, "binpack"), Ok(Policies { node: Some(Policy::Binpack), card: None }));
    assert_eq!(read("other", "random"), Ok(Policies::default()));
    let wanted = PodSpecError::Policy { annotation: CARD_POLICY, value: "random".to_owned() };
    assert_eq!(read(CARD_POLICY, "random"), Err(wanted));
}

#[test]
fn what_is_named_is_seen_even_where_the_request_cannot_be_read() {
    let all = limits("3", "x", "5");
    let named = |resource| Quantities { limit: all.get(resource).copied(), request: None };
    let spec = ContainerSpec::new("c", Phase::App, named);
    assert!(spec.names_ours());
    assert_eq!(spec.device_limits(), (3, 0));
    assert!(!ContainerSpec::new("d", Phase::App, |_| Quantities::default()).names_ours());
}
