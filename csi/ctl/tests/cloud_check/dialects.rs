//! A second cloud, in dialects: what one says otherwise is named, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use eckctl::args::Format;
use ecx::api::{AttachDisk, CreateDisk, Label};
use ecx::transport::{Exchange, Incoming, NoReply, Outgoing, Transport};
use ecx::{Client, Credentials, Profile};
use second_cloud::{Cloud, DIALECTS, Dialect, HOME, REGIONS};
use tokio::time::{Instant, sleep};

use crate::rig::{Outcome, run};

/// When the cloud began: `words.rs` of `second-cloud` has the same instant.
const BEGAN: Duration = Duration::from_millis(1_767_225_600_000);

/// A way to the cloud.
struct Wire {
    cloud: Arc<Cloud>,
    start: Instant,
    chance: AtomicU64,
}

impl Wire {
    async fn send(&self, request: Outgoing) -> Result<Incoming, NoReply> {
        let no_reply = |code, message: &str| NoReply { code, message: message.to_owned() };
        let target = request.url.splitn(4, '/').last().unwrap_or_default();
        let method = if request.body.is_some() { "POST" } else { "GET" };
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = request.body.as_deref().unwrap_or_default();
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        let reply = self.cloud.answer(method, &format!("/{target}"), &headers, body, now);
        let (delay, timeout) = (Duration::from_millis(reply.delay), Duration::from_secs(10));
        sleep(delay.min(timeout)).await;
        if delay > timeout {
            return Err(no_reply("timeout", "operation timed out"));
        }
        if reply.lost {
            return Err(no_reply("connection", "connection closed before message completed"));
        }
        Ok(Incoming { http: reply.status, retry_after: None, body: reply.body })
    }
}

impl Transport for Wire {
    fn exchange(&self, request: Outgoing) -> Exchange<'_> {
        Box::pin(self.send(request))
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + BEGAN + self.start.elapsed()
    }

    fn random(&self) -> u128 {
        u128::from(self.chance.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed)) << 64
    }
}

/// A client of the cloud, whose time began at `start`.
pub(crate) fn client(cloud: &Arc<Cloud>, start: Instant) -> Client {
    let wire = Wire { cloud: Arc::clone(cloud), start, chance: AtomicU64::new(0) };
    Client::over(Arc::new(wire), Profile::default(), Credentials::new(&cloud.key(), "sk"))
}

async fn buy(client: &Client, name: &str) {
    let body = CreateDisk {
        client_token: name.into(),
        region_id: HOME.into(),
        disk_name: name.into(),
        disk_mode: "VBD".into(),
        disk_type: Some("SAS".into()),
        disk_size: 20,
        on_demand: true,
        labels: vec![Label { key: "eck-csi".into(), value: "test".into() }],
        snapshot_id: None,
    };
    let _in_progress = client.create_disk(&body).await;
}

/// What is said of a cloud that speaks the dialect, in which one disk was bought a minute ago and one ten seconds ago; both were
/// attached just now.
pub(crate) async fn checked(dialect: Dialect) -> Outcome {
    let (cloud, start) = (Arc::new(Cloud::new(&dialect)), Instant::now());
    let client = client(&cloud, start);
    sleep(Duration::from_secs(60)).await;
    buy(&client, "pvc-old").await;
    sleep(Duration::from_secs(60)).await;
    buy(&client, "pvc-new").await;
    sleep(Duration::from_secs(5)).await;
    let truth = cloud.truth(u64::try_from(start.elapsed().as_millis()).unwrap());
    for disk in truth.disks.iter().filter(|disk| disk.bought) {
        let (disk_id, instance_id) = (disk.id.clone(), Some(format!("evm-ours-{HOME}-6")));
        client.attach_disk(&AttachDisk { region_id: HOME.into(), disk_id, instance_id }).await.unwrap();
    }
    sleep(Duration::from_secs(5)).await;
    cloud.speak(dialect, &[]);
    run(client, &REGIONS, Format::Json).await
}

pub(crate) fn named(name: &str) -> Dialect {
    let all = DIALECTS.iter().flat_map(|family| family.iter());
    all.clone().find(|(known, _)| *known == name).unwrap().1()
}

/// A dialect, and for each line that differs words of it.
pub(crate) type Row = (&'static str, &'static [&'static str]);

const ROWS: &[Row] = &[
    ("base", &[]),
    ("envelope-text-800", &["statusCode 800"]),
    ("envelope-text-200", &["statusCode 800"]),
    ("envelope-core-ok", &["statusCode 800"]),
    ("one-region-hangs", &["fj-xiamen-4: no reply"]),
    ("one-region-fails", &["fj-xiamen-4: the cloud failed"]),
    ("list-under-another-key", &["no such key in the reply; there is: currentCount, disks"]),
    ("list-is-an-empty-object", &["listed under `diskList`"]),
    ("list-is-an-empty-array", &["listed under `diskList`"]),
    ("list-has-no-payload", &["listed under `diskList`"]),
    ("list-is-null", &["`diskList` is null"]),
    (
        "list-of-ten-whatever-is-asked",
        &["10 disks where 2", "totalCount 16, 10 shown", "exists (op 4) and is not in the list"],
    ),
    ("list-in-pages-of-ten", &["10 disks where 2"]),
    ("list-with-one-token-again-and-again", &["\"again\" comes again"]),
    ("list-omits-one-that-it-counts", &["totalCount 16, 15 shown", "exists (op 4) and is not in the list"]),
    ("list-omits-one-and-does-not-count-it", &["exists (op 4) and is not in the list"]),
    ("list-without-a-total", &["no totalCount"]),
    ("list-lags-20-s", &["the list says", "exists (op 4) and is not in the list"]),
    ("by-name-lags-20-s", &["is not among the 0 of the name"]),
    ("by-name-under-another-key", &["found by its name", "no disk has"]),
    ("machines-under-another-key", &["no such key in the reply; there is: currentCount, items"]),
    ("machine-pages-from-zero", &["counted from 0", "totalCount 58, 8 shown", "172.16.9.51: 0 of 8"]),
    ("machine-page-number-ignored", &["page 1 once more", "totalCount 58, 50 shown"]),
    ("id-with-another-prefix", &["another form"]),
    ("id-in-upper-case", &["another form"]),
    ("id-is-a-uuid", &["another form"]),
    ("name-not-told-by-name", &["its name is told as null"]),
    ("holder-not-told", &["neither is told", "attachments not told"]),
    ("attachments-not-told", &["attachments not told"]),
    ("size-not-told", &["GiB"]),
    ("type-not-told", &["diskType"]),
    ("one-disk-with-a-null-size", &["not told, of", "the list says"]),
    ("machine-not-listed", &["evm-ours-zj-shaoxing-2-6 holds"]),
    ("two-vpcs-with-one-address", &["172.16.0.6 is of evm-ours-zj-shaoxing-2-6 and evm-twin"]),
    ("machine-address-null", &["privateIP null"]),
];

/// What is wrong with what is said of a dialect.
pub(crate) fn fault(differs: &[String], expected: &[&str]) -> bool {
    differs.len() != expected.len() || differs.iter().zip(expected).any(|(line, words)| !line.contains(words))
}

#[tokio::test(start_paused = true)]
async fn what_each_dialect_says_otherwise_is_named_and_nothing_else() {
    let mut wrong = Vec::new();
    for (name, expected) in ROWS {
        let differs = checked(named(name)).await.with("differs");
        if fault(&differs, expected) {
            wrong.push(format!("{name}: expected {expected:?}, said\n    {}", differs.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn two_vpcs_are_named_as_a_choice_in_the_profile() {
    let outcome = checked(named("two-vpcs-with-one-address")).await;
    assert!(outcome.text.contains(r#"# choose: vpc = \"vpc-other\" or \"vpc-ours\""#), "{}", outcome.text);
}
