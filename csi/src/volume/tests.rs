use super::*;

#[test]
fn the_guides_disk_id_has_three_possible_serials() {
    let disk = VolumeId::parse("cd-cfebko79upsq2iuo7lkg".into()).unwrap().disk().unwrap();
    assert_eq!(disk.serials(), ["cfebko79upsq2iuo7lkg", "cd-cfebko79upsq2iuo7", "cd-cfebko79upsq2iuo7lkg"]);
}

#[test]
fn a_disk_id_is_the_clouds_own_text() {
    for id in ["cd-1", "ecd-abc1", "cd-AbC1", "cd-0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e5", "18228", "vol_1.2"] {
        assert_eq!(VolumeId::parse(id.into()).unwrap().disk().unwrap().as_str(), id);
    }
}

#[test]
fn an_id_of_another_form_is_looked_for_with_and_without_its_prefix_cut_and_whole() {
    let serials = |id: &str| DiskId::parse(id).unwrap().serials();
    let uuid = "0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e5";
    assert_eq!(serials(uuid), ["0f3f1d9e-0acf-4a0e-a", uuid]);
    let prefixed = format!("cd-{uuid}");
    assert_eq!(serials(&prefixed), ["0f3f1d9e-0acf-4a0e-a", "cd-0f3f1d9e-0acf-4a0", uuid, &prefixed]);
    assert_eq!(serials("18228"), ["18228"]);
}

#[test]
fn text_that_no_url_or_file_name_can_have_is_a_volume_id_but_no_disk() {
    for id in ["../etc", "cd-../etc", ".hidden", "-flag", "cd-盘", "cd-a b", "cd-a%2f"] {
        assert!(VolumeId::parse(id.into()).unwrap().disk().is_none(), "{id}");
    }
    assert!(VolumeId::parse(String::new()).is_err());
    assert!(VolumeId::parse("v".repeat(129)).is_err());
}

#[test]
fn node_ids_survive_the_wire() {
    for (text, region) in [
        ("zj-shaoxing-2/evm-0001", Some("zj-shaoxing-2")),
        ("fj-xiamen-4.172.16.0.6", Some("fj-xiamen-4")),
        ("worker2", None),
        ("fake-node-id-77", None),
        ("zj-shaoxing-2.not.an.ip", None),
        ("a/b/c", None),
    ] {
        let id = NodeId::parse(text.into()).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(id.region().map(Region::as_str), region, "{text}");
    }
}

#[test]
fn sizes_are_rounded_up_and_bounded() {
    let gib = |n: u64| i64::try_from(n * GIB).unwrap();
    assert_eq!(SizeRange::parse(0, 0), Ok(SizeRange { min_gib: 20, max_gib: 32_768 }));
    assert_eq!(SizeRange::parse(gib(20) + 1, 0).unwrap().min_gib, 21);
    assert_eq!(SizeRange::parse(1, gib(20)), Ok(SizeRange { min_gib: 20, max_gib: 20 }));
    assert!(matches!(SizeRange::parse(-1, 0), Err(BadSize::Field(_))));
    assert!(matches!(SizeRange::parse(gib(30), gib(20)), Err(BadSize::Field(_))));
    assert!(matches!(SizeRange::parse(0, gib(19)), Err(BadSize::OutOfRange(_))));
    assert!(matches!(SizeRange::parse(gib(40_000), 0), Err(BadSize::OutOfRange(_))));
    assert!(matches!(SizeRange::parse(gib(20) + 1, gib(20) + 2), Err(BadSize::OutOfRange(_))));
}

#[test]
fn regions_of_the_guide_parse_and_paths_do_not() {
    for good in ["zj-shaoxing-2", "fj-xiamen-4", "nm-huhehaote-6", "fuzhou-6", "beibei-hpc-xinan-3"] {
        assert_eq!(Region::parse("region", good).unwrap().as_str(), good);
    }
    for bad in ["", "zj_shaoxing", "zj--2", "../x", "Zj-2", "-a", "a-"] {
        assert!(Region::parse("region", bad).is_err(), "{bad}");
    }
}
