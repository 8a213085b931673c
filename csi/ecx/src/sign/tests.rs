use std::time::{Duration, UNIX_EPOCH};

use serde::Deserialize;

use super::*;

/// ecx/API.md §1.3, T0 to T6.
const VECTORS: &str = include_str!("../../tests/eop-vectors.json");

#[derive(Deserialize)]
struct Vector {
    name: String,
    ak: String,
    sk: String,
    eop_date: String,
    request_id: String,
    query: String,
    body: String,
    body_sha256: String,
    string_to_sign: String,
    ktime: String,
    kak: String,
    kdate: String,
    signature: String,
    authorization: String,
    #[serde(default)]
    extra_signed_headers: std::collections::BTreeMap<String, String>,
}

fn vectors() -> Vec<Vector> {
    serde_json::from_str(VECTORS).unwrap()
}

fn signed(v: &Vector) -> Signed<'_> {
    let mut headers = vec![(DATE, v.eop_date.as_str()), (REQUEST_ID, v.request_id.as_str())];
    headers.extend(v.extra_signed_headers.iter().map(|(k, v)| (k.as_str(), v.as_str())));
    Signed { headers, query: &v.query, body: v.body.as_bytes() }
}

#[test]
fn all_seven_vectors_come_out() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 7);
    for v in &vectors {
        let credentials = Credentials::new(&v.ak, &v.sk);
        assert_eq!(format!("{:x}", Sha256::digest(v.body.as_bytes())), v.body_sha256, "{}", v.name);
        assert_eq!(signed(v).string_to_sign(), v.string_to_sign, "{}", v.name);
        let chain = keys(&credentials, &v.eop_date).map(|key| format!("{key:x}"));
        assert_eq!(chain, [v.ktime.clone(), v.kak.clone(), v.kdate.clone()], "{}", v.name);
        assert_eq!(signed(v).signature(&credentials, &v.eop_date), v.signature, "{}", v.name);
        assert_eq!(signed(v).authorization(&credentials, &v.eop_date), v.authorization, "{}", v.name);
    }
}

#[test]
fn t4s_query_is_sorted_and_encoded() {
    let pairs = [
        ("regionID", "zj-shaoxing-2"),
        ("pageSize", "50"),
        ("pageNo", "1"),
        ("queryContent", "a b+c/d=盘~:x"),
    ];
    let pairs = pairs.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(query(&pairs), vectors()[4].query);
}

#[test]
fn a_reserialised_body_or_a_header_left_out_changes_the_signature() {
    let vectors = vectors();
    let t3 = &vectors[3];
    let credentials = Credentials::new(&t3.ak, &t3.sk);
    let spaced = t3.body.replace(':', ": ");
    let other = Signed { body: spaced.as_bytes(), ..signed(t3) };
    assert_ne!(other.signature(&credentials, &t3.eop_date), t3.signature);
    let t5 = &vectors[5];
    let mut fewer = signed(t5);
    fewer.headers.retain(|(name, _)| *name != "host");
    assert_ne!(fewer.signature(&credentials, &t5.eop_date), t5.signature);
}

#[test]
fn the_date_is_beijing_wall_time() {
    // T3: the instant 2023-11-12T16:36:16Z is already the 13th in Beijing.
    let instant = UNIX_EPOCH + Duration::from_secs(1_699_806_976);
    assert_eq!(eop_date(instant), "20231113T003616Z");
    assert_eq!(parse_date("20231113T003616Z"), Some(instant));
    for days in (0..60_000).step_by(17) {
        let time = UNIX_EPOCH + Duration::from_secs(days * 86_400 + 12_345);
        assert_eq!(parse_date(&eop_date(time)), Some(time), "{}", eop_date(time));
    }
    for bad in [
        "",
        "20231113T003616",
        "20231313T003616Z",
        "20230230T003616Z",
        "2023111３T00361Z",
        "20231113T253616Z",
        "20231113T003660Z",
        "+2023111T003616Z",
        "2023 113T003616Z",
        "20231113T 03616Z",
    ] {
        assert_eq!(parse_date(bad), None, "{bad}");
    }
}
