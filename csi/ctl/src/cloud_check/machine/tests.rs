//! Machines as they may be listed.

use serde_json::json;

use super::*;
use crate::cloud_check::line::Verdict::{self, *};

fn machine(number: u8) -> Value {
    json!({"instanceID": format!("evm-{number}"), "privateIP": format!("10.0.0.{number}"), "vpcID": "vpc-1"})
}

fn page(numbers: &[u8]) -> Page {
    let machines: Vec<Value> = numbers.iter().map(|number| machine(*number)).collect();
    Page::of(&json!({"results": machines, "totalCount": 4}), "results")
}

fn whole() -> Reading {
    Reading {
        pages: vec![page(&[1, 2, 3, 4])],
        halves: Some(Ok([page(&[1, 2]), page(&[3, 4])])),
        keyword: Some(("10.0.0.1".to_owned(), Ok(page(&[1])))),
    }
}

/// The assumptions from which it differs.
fn differs(reading: &Reading) -> Vec<&'static str> {
    let lines = judge(reading);
    lines.iter().filter(|line| line.verdict == Differs).map(|line| line.assumption).collect()
}

fn verdicts(reading: &Reading) -> Vec<Verdict> {
    judge(reading).iter().map(|line| line.verdict).collect()
}

#[test]
fn a_whole_list_fits_throughout() {
    assert_eq!(verdicts(&whole()), [Fits; 7]);
}

#[test]
fn of_a_region_without_machines_only_the_list_is_known() {
    let page = Page::of(&json!({"results": [], "totalCount": 0}), "results");
    let reading = Reading { pages: vec![page], halves: None, keyword: None };
    assert_eq!(verdicts(&reading), [Fits, Unknown, Fits, Unknown, Unknown, Unknown, Unknown]);
}

#[test]
fn a_page_number_that_is_ignored_differs() {
    let reading = Reading { halves: Some(Ok([page(&[1, 2]), page(&[1, 2])])), ..whole() };
    assert_eq!(differs(&reading), [PAGES]);
}

#[test]
fn pages_that_are_counted_from_0_differ() {
    let nothing = Page::of(&json!({"results": [], "totalCount": 4}), "results");
    let reading = Reading { pages: vec![nothing], halves: None, keyword: None };
    assert_eq!(differs(&reading), [PAGES, TOTAL]);
    let reading =
        Reading { pages: vec![page(&[3, 4])], halves: Some(Ok([page(&[4]), page(&[])])), ..whole() };
    assert_eq!(differs(&reading)[..2], [PAGES, TOTAL]);
}

#[test]
fn a_list_under_another_key_is_told_by_the_keys_that_there_are() {
    let page = Page::of(&json!({"items": [machine(1)], "totalCount": 1}), "results");
    let reading = Reading { pages: vec![page], halves: None, keyword: None };
    assert_eq!(judge(&reading)[0].seen, "no such key in the reply; there is: items, totalCount");
    assert_eq!(differs(&reading), [KEY]);
}

#[test]
fn a_machine_without_its_address_is_named() {
    let mut reading = whole();
    reading.pages[0].records[2]["privateIP"] = Value::Null;
    assert_eq!(differs(&reading), [ADDRESS]);
    assert_eq!(judge(&reading)[3].seen, "privateIP null, of evm-3");
}

#[test]
fn two_machines_with_one_address_are_both_named() {
    let mut reading = whole();
    reading.pages[0].records[3]["privateIP"] = json!("10.0.0.3");
    assert_eq!(differs(&reading), [TWINS]);
    assert_eq!(judge(&reading)[4].seen, "10.0.0.3 is of evm-3 and evm-4");
}

#[test]
fn a_vpc_that_is_told_by_some_only_differs() {
    let mut reading = whole();
    reading.pages[0].records[3]["vpcID"] = Value::Null;
    assert_eq!(differs(&reading), [VPC]);
}

#[test]
fn a_vpc_that_nobody_tells_is_missed_only_where_two_have_one_address() {
    let mut reading = whole();
    reading.pages[0].records.iter_mut().for_each(|one| one["vpcID"] = Value::Null);
    assert_eq!(judge(&reading)[5].verdict, Unknown);
    reading.pages[0].records[3]["privateIP"] = json!("10.0.0.3");
    assert_eq!(differs(&reading), [TWINS, VPC]);
}

#[test]
fn a_keyword_that_is_ignored_or_finds_nothing_differs() {
    for found in [&[1, 2, 3, 4][..], &[]] {
        let reading = Reading { keyword: Some(("10.0.0.1".to_owned(), Ok(page(found)))), ..whole() };
        assert_eq!(differs(&reading), [KEYWORD], "{found:?}");
    }
}
