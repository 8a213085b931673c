//! The client against a few lines of raw HTTP on loopback; its behaviour against a whole cloud is `ecx-sim`'s to test.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Answers each connection with the next reply of the script (`None`: closes without one) and keeps the requests.
async fn cloud(script: Vec<Option<&'static str>>) -> (Client, Arc<Mutex<Vec<String>>>) {
    cloud_of(Profile::default(), script).await
}

/// The same, for a client of this profile.
async fn cloud_of(profile: Profile, script: Vec<Option<&'static str>>) -> (Client, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    tokio::spawn(async move {
        for reply in script {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 16_384];
            let n = stream.read(&mut head).await.unwrap();
            requests.lock().unwrap().push(String::from_utf8_lossy(&head[..n]).into_owned());
            if let Some(reply) = reply {
                stream.write_all(reply.as_bytes()).await.unwrap();
            }
        }
    });
    let profile = Profile { base_url, ..profile };
    (Client::new(profile, Credentials::new("ak", "sk"), &Connection::new(true)).unwrap(), seen)
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 35\r\nconnection: close\r\n\r\n{\"statusCode\":800,\"returnObj\":null}\n";
const FAULT: &str = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const SLOW: &str = "HTTP/1.1 429 Slow\r\nretry-after: 0.3\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

const SOLD_OUT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 55\r\nconnection: close\r\n\r\n{\"statusCode\":900,\"errorCode\":\"ebs.resource.soldOut\"}\n\n";

fn attach() -> AttachDisk {
    AttachDisk { region_id: "r-1".into(), disk_id: "cd-1".into(), instance_id: Some("evm-1".into()) }
}

#[tokio::test]
async fn a_token_makes_a_lost_reply_safe_to_repeat() {
    let (client, seen) = cloud(vec![None, Some(FAULT), Some(OK)]).await;
    let body = DeleteDisk { client_token: "t".into(), region_id: "r-1".into(), disk_id: "cd-1".into() };
    client.delete_disk(&body).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 3);
    assert_eq!(client.calls()[&Op::DeleteDisk], 3);
    let id = |text: &str| text.lines().find(|l| l.starts_with("ctyun-eop-request-id")).unwrap().to_owned();
    assert_ne!(id(&seen[0]), id(&seen[1]), "a fresh request id for each attempt");
    assert!(seen[0].contains("user-agent: eck-csi/"));
}

#[tokio::test]
async fn an_attach_without_reply_is_never_sent_again() {
    let (client, seen) = cloud(vec![None, Some(OK)]).await;
    let error = client.attach_disk(&attach()).await.unwrap_err();
    assert!(matches!(error, Error::NoReply(_)) && error.outcome_unknown(), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

fn resize() -> ResizeDisk {
    ResizeDisk { client_token: "t".into(), region_id: "r-1".into(), disk_id: "cd-1".into(), disk_size: 30 }
}

#[tokio::test]
async fn an_order_is_not_sold_out_while_an_earlier_attempt_may_have_bought_the_last() {
    let (client, _) = cloud(vec![Some(SOLD_OUT)]).await;
    let error = client.resize_disk(&resize()).await.unwrap_err();
    assert!(matches!(error, Error::SoldOut(_)), "{error}");
    for lost in [None, Some(FAULT)] {
        let (client, seen) = cloud(vec![lost, Some(SOLD_OUT)]).await;
        let error = client.resize_disk(&resize()).await.unwrap_err();
        assert!(error.outcome_unknown() && error.retryable(), "{error}");
        assert_eq!(seen.lock().unwrap().len(), 2);
    }
}

fn order() -> CreateDisk {
    CreateDisk {
        client_token: "t".into(),
        region_id: "r-1".into(),
        disk_name: "pvc-1".into(),
        disk_mode: "VBD".into(),
        disk_type: None,
        disk_size: 20,
        on_demand: true,
        labels: vec![],
        snapshot_id: None,
    }
}

/// What each of these sends: an order, a restore, an attach, a detach.
async fn bodies(profile: Profile) -> Vec<String> {
    let (client, seen) = cloud_of(profile, vec![Some(OK); 4]).await;
    let restore = CreateDisk { snapshot_id: Some("cs-1".into()), ..order() };
    drop(client.create_disk(&order()).await);
    drop(client.create_disk(&restore).await);
    drop(client.attach_disk(&attach()).await);
    drop(client.detach_disk(&attach()).await);
    let seen = seen.lock().unwrap();
    seen.iter().map(|request| request.rsplit("\r\n").next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn u1_no_disk_goes_with_its_machine() {
    let kept = r#""deleteDiskWithInstance":false"#;
    let told: Vec<bool> = bodies(Profile::default()).await.iter().map(|body| body.contains(kept)).collect();
    assert_eq!(told, [true, true, true, false]);
}

#[tokio::test]
async fn a_pool_that_does_not_know_the_field_is_not_sent_it() {
    let profile = Profile { send_delete_disk_with_instance: false, ..Profile::default() };
    let bodies = bodies(profile).await;
    assert_eq!(bodies.len(), 4);
    assert!(bodies.iter().all(|body| body.contains("diskID") || body.contains("diskName")), "{bodies:?}");
    assert!(!bodies.iter().any(|body| body.contains("deleteDiskWithInstance")), "{bodies:?}");
}

#[tokio::test]
async fn a_disk_whose_order_got_no_reply_is_not_ordered_again_by_itself() {
    let (client, seen) = cloud(vec![None, Some(OK)]).await;
    let error = client.create_disk(&order()).await.unwrap_err();
    assert!(error.outcome_unknown(), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

const REFUSALS: [&str; 3] = [
    "HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
    "HTTP/1.1 400 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
];

#[tokio::test]
async fn an_order_whose_outcome_is_open_stays_so_whatever_refuses_the_next_attempt() {
    let body = DeleteDisk { client_token: "t".into(), region_id: "r-1".into(), disk_id: "cd-1".into() };
    for refusal in REFUSALS {
        // A key is asked with twice: the clock may have jumped.
        let (client, _) = cloud(vec![None, Some(refusal), Some(refusal)]).await;
        let error = client.delete_disk(&body).await.unwrap_err();
        assert!(error.outcome_unknown() && error.retryable(), "{refusal}: {error}");
    }
}

#[tokio::test]
async fn keys_that_are_refused_are_read_anew() {
    let (client, seen) = cloud(vec![Some(REFUSALS[0]), Some(OK)]).await;
    let client = client.with_keys(|| Some(Credentials::new("ak-2", "sk-2")));
    client.resize_disk(&resize()).await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen[0].contains("ak Headers") && seen[1].contains("ak-2 Headers"), "{seen:?}");
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_kept() {
    let (client, seen) = cloud(vec![Some(OK)]).await;
    let client = client.with_keys(|| None);
    client.read_keys();
    client.resize_disk(&resize()).await.unwrap();
    assert!(seen.lock().unwrap()[0].contains("ak Headers"));
}

#[tokio::test]
async fn a_read_that_is_refused_after_a_lost_reply_is_refused() {
    let (client, _) = cloud(vec![None, Some(REFUSALS[1])]).await;
    let query = GetDisk { region_id: "r-1".into(), disk_id: "cd-1".into() };
    assert!(matches!(client.get_disk(&query).await, Err(Error::Denied(_))));
}

#[test]
fn no_server_holds_everybody_for_longer_than_a_minute() {
    for (header, seconds) in [("3", 3), (" 60 ", 60), ("61", 60), ("3000", 60), ("1e300", 60), ("inf", 60)] {
        assert_eq!(pause_asked_for(header), Some(Duration::from_secs(seconds)), "{header}");
    }
    for other in ["", "-1", "NaN", "soon", "Wed, 21 Oct 2026 07:28:00 GMT"] {
        assert_eq!(pause_asked_for(other), None, "{other}");
    }
}

#[tokio::test]
async fn a_throttled_attach_waits_as_long_as_it_is_told() {
    let (client, seen) = cloud(vec![Some(SLOW), Some(OK)]).await;
    let start = tokio::time::Instant::now();
    client.attach_disk(&attach()).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(300));
    assert_eq!((seen.lock().unwrap().len(), client.throttling().0), (2, 1));
}

#[tokio::test]
async fn the_query_is_signed_as_it_is_sent() {
    let (client, seen) = cloud(vec![Some(OK)]).await;
    let query = GetDisk { region_id: "zj-shaoxing-2".into(), disk_id: "cd-1".into() };
    let _ = client.get_disk(&query).await;
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].starts_with("GET /v4/ebs/info-ebs?diskID=cd-1&regionID=zj-shaoxing-2 HTTP/1.1"),
        "{}",
        seen[0]
    );
}

#[tokio::test]
async fn each_attempt_is_counted_by_what_it_came_to_and_by_how_long_it_took() {
    let (client, _) = cloud(vec![None, Some(FAULT), Some(SLOW), Some(OK)]).await;
    client.resize_disk(&resize()).await.unwrap();
    let figures = client.call_figures();
    let resized = &figures[&Op::ResizeDisk];
    let expected = [("no_reply", 1), ("ok", 1), ("server", 1), ("throttled", 1)];
    assert_eq!(resized.codes, BTreeMap::from(expected));
    assert_eq!((resized.buckets.iter().sum::<u64>(), figures.len()), (4, 1));
}
