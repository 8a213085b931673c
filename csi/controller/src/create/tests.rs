use super::*;
use eck_csi::driver::DISK_LABEL;
use eck_csi::volume::SizeRange;
use ecx::api::Label;
use proptest::prelude::*;

use crate::local_cloud::{CLUSTER, region};
use crate::parameters::Parameters;

mod clones;
mod endings;
mod orders;
mod refusals;
mod snapshots;

/// A volume of 20 to 30 GiB.
fn ask(requisite: &[&str], preferred: &[&str], class: &[&str]) -> CreateRequest {
    let list = |codes: &[&str]| codes.iter().map(|c| region(c)).collect::<Vec<_>>();
    CreateRequest {
        name: "pvc-1".into(),
        size: SizeRange { min_gib: 20, max_gib: 30 },
        parameters: Parameters { regions: list(class), ..Parameters::default() },
        fs: None,
        requisite: list(requisite),
        preferred: list(preferred),
        source: None,
        mutable: Mutable::default(),
    }
}

fn disk(id: &str, gib: u64, labelled: bool) -> Disk {
    let label = Label { key: DISK_LABEL.into(), value: CLUSTER.into() };
    Disk {
        disk_id: id.into(),
        disk_size: gib,
        disk_type: "SAS".into(),
        labels: if labelled { vec![label] } else { vec![] },
        ..Disk::default()
    }
}

fn step(
    request: &CreateRequest,
    allowed: &[&str],
    found: &[(&str, Disk)],
) -> Result<CreateStep, CreateError> {
    let found: Vec<_> = found.iter().map(|(r, d)| (region(r), d.clone())).collect();
    let allowed = allowed.iter().map(|r| region(r)).collect();
    let wanted = DiskSpec {
        name: request.name.clone(),
        allowed,
        disk_type: Some("SAS"),
        size: request.size,
        content: None,
    };
    decide(request, &wanted, &ClusterIdentity::of(CLUSTER), &found)
}

#[test]
fn one_fitting_disk_is_the_volume_whatever_region_was_tried_first() {
    let request = ask(&[], &[], &[]);
    assert_eq!(
        step(&request, &["a-1", "b-1"], &[]).unwrap(),
        CreateStep::Order(vec![region("a-1"), region("b-1")])
    );
    let there = step(&request, &["a-1", "b-1"], &[("b-1", disk("cd-1", 20, true))]).unwrap();
    assert_eq!(there, CreateStep::Use(region("b-1"), "cd-1".into()));
}

#[test]
fn a_disk_that_does_not_fit_is_never_replaced_by_a_second_one() {
    let request = ask(&[], &[], &[]);
    for (allowed, found, word) in [
        (["a-1"], disk("cd-1", 40, true), "GiB"),
        (["a-1"], Disk { disk_type: "SSD".into(), ..disk("cd-1", 20, true) }, "type"),
        (["a-1"], Disk { volume_source_id: Some("cs-1".into()), ..disk("cd-1", 20, true) }, "made from"),
        (["b-1"], disk("cd-1", 20, true), "will do"),
    ] {
        let error = step(&request, &allowed, &[("a-1", found)]).unwrap_err();
        assert!(matches!(&error, CreateError::Incompatible { what, .. } if what.contains(word)), "{error}");
    }
    let deleting = Disk { disk_status: DiskState::Deleting, ..disk("cd-1", 20, true) };
    assert!(matches!(step(&request, &["a-1"], &[("a-1", deleting)]), Err(CreateError::Deleting { .. })));
}

#[test]
fn of_two_disks_of_one_name_only_our_labelled_one_counts() {
    let request = ask(&[], &[], &[]);
    let two = [("a-1", disk("cd-1", 20, false)), ("a-1", disk("cd-2", 20, true))];
    assert_eq!(step(&request, &["a-1"], &two).unwrap(), CreateStep::Use(region("a-1"), "cd-2".into()));
    let both = [("a-1", disk("cd-1", 20, true)), ("a-1", disk("cd-2", 20, true))];
    assert!(matches!(step(&request, &["a-1"], &both), Err(CreateError::Ambiguous { count: 2, .. })));
}

#[test]
fn a_label_of_another_key_is_not_ours() {
    let labels = vec![Label { key: "cluster".into(), value: CLUSTER.into() }];
    let two = [("a-1", Disk { labels, ..disk("cd-1", 20, false) }), ("a-1", disk("cd-2", 20, true))];
    let found = step(&ask(&[], &[], &[]), &["a-1"], &two).unwrap();
    assert_eq!(found, CreateStep::Use(region("a-1"), "cd-2".into()));
}

#[test]
fn another_clusters_disk_is_refused_whatever_else_is_there() {
    let labels = vec![Label { key: DISK_LABEL.into(), value: "c2".into() }];
    let two = [("a-1", disk("cd-1", 20, true)), ("a-1", Disk { labels, ..disk("cd-2", 20, false) })];
    let error = step(&ask(&[], &[], &[]), &["a-1"], &two).unwrap_err();
    let CreateError::OtherCluster { name, disk, other } = &error else { panic!("{error}") };
    assert_eq!([name, disk].map(String::as_str), ["pvc-1", "cd-2"]);
    assert!(other.to_string().contains("the mark of cluster c2"), "{other}");
}

#[test]
fn what_the_cloud_does_not_tell_of_a_disk_fits() {
    let untold = Disk { disk_type: String::new(), ..disk("cd-1", 0, true) };
    let found = step(&ask(&[], &[], &[]), &["a-1"], &[("a-1", untold)]).unwrap();
    assert_eq!(found, CreateStep::Use(region("a-1"), "cd-1".into()));
}

#[test]
fn a_type_that_a_class_of_attributes_has_given_since_fits_too() {
    let changed = [("a-1", Disk { disk_type: "SSD".into(), ..disk("cd-1", 20, true) })];
    let mutable = Mutable { disk_type: Some("SSD".into()), ..Mutable::default() };
    let request = CreateRequest { mutable, ..ask(&[], &[], &[]) };
    assert_eq!(step(&request, &["a-1"], &changed).unwrap(), CreateStep::Use(region("a-1"), "cd-1".into()));
}

#[test]
fn a_class_and_a_topology_that_contradict_are_refused_with_both() {
    let all = [region("a-1"), region("b-1")];
    let error = allowed(&ask(&["a-1"], &[], &["b-1"]), &all).unwrap_err();
    assert!(error.to_string().contains("b-1") && error.allowed.contains("a-1"), "{error}");
    assert!(allowed(&ask(&["c-1"], &[], &[]), &all).unwrap_err().allowed.contains("a-1, b-1"));
}

#[test]
fn the_cloud_is_asked_for_other_regions_only_where_none_of_the_settings_will_do() {
    let configured = [region("a-1"), region("b-1")];
    let asked = |requisite: &[&str], class: &[&str]| beyond(&ask(requisite, &[], class), &configured);
    for (requisite, class) in
        [(&[] as &[&str], &[] as &[&str]), (&["a-1"], &[]), (&["n-1", "a-1"], &[]), (&[], &["n-1", "b-1"])]
    {
        assert_eq!(asked(requisite, class), [], "{requisite:?} {class:?}");
    }
    assert_eq!(asked(&["n-1"], &[]), [region("n-1")]);
    assert_eq!(asked(&[], &["n-1"]), [region("n-1")]);
    assert_eq!(asked(&["a-1", "n-1", "n-2"], &["n-1"]), [region("n-1")]);
}

const CODES: [&str; 4] = ["a-1", "b-1", "c-1", "d-1"];

fn some() -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(CODES.to_vec(), 0..=4).prop_shuffle()
}

proptest! {
    /// R8: whatever the topology says, an allowed region is one that requisite and class both admit, a preferred one
    /// comes first, and none is named twice.
    #[test]
    fn allowed_regions_satisfy_every_side(requisite in some(), preferred in some(), class in some()) {
        let request = ask(&requisite, &preferred, &class);
        let admits = |r: &str| (requisite.is_empty() || requisite.contains(&r)) && (class.is_empty() || class.contains(&r));
        let expected: Vec<&str> = CODES.into_iter().filter(|r| admits(r)).collect();
        match allowed(&request, &CODES.map(region)) {
            Err(_) => prop_assert!(expected.is_empty()),
            Ok(found) => {
                let mut names: Vec<&str> = found.iter().map(Region::as_str).collect();
                let first = preferred.iter().find(|r| admits(r));
                prop_assert!(first.is_none() || first == names.first());
                names.sort_unstable();
                prop_assert_eq!(names, expected);
            }
        }
    }
}
