//! The simulator is what the client was written for.

use std::time::Duration;

use eckctl::Ended;
use eckctl::args::Format;
use eckctl::cloud_check::CloudCheckError;
use ecx::api::{AttachDisk, CreateDisk, Label, ListDisks};
use ecx::{Client, Credentials, Profile};
use ecx_sim::{Config, Local};

use crate::rig::run;

const HOME: &str = "zj-shaoxing-2";

const REGIONS: [&str; 3] = [HOME, "fj-xiamen-4", "hi-haikou-6"];

/// A cloud that runs in this runtime.
fn cloud() -> Local {
    let cloud = Local::new(Config::default()).unwrap();
    cloud.begin();
    cloud
}

fn client(cloud: &Local, credentials: Credentials) -> Client {
    Client::over(cloud.transport(1, Duration::from_secs(10)), Profile::default(), credentials)
}

/// Three disks, one of them attached.
async fn disks(client: &Client) {
    for number in 1..=3 {
        let body = CreateDisk {
            client_token: format!("0f3f1d9e-0acf-4a0e-a5d4-8fb1f43e62e{number}"),
            region_id: HOME.into(),
            disk_name: format!("pvc-{number}"),
            disk_mode: "VBD".into(),
            disk_type: Some("SAS".into()),
            disk_size: 20,
            on_demand: true,
            labels: vec![Label { key: "eck-csi".into(), value: "test".into() }],
            snapshot_id: None,
        };
        let _in_progress = client.create_disk(&body).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let list = ListDisks { region_id: HOME.into(), max_results: 10, next_token: None };
    let list = client.list_disks(&list).await.unwrap();
    let (disk_id, instance_id) = (list.disk_list[0].disk_id.clone(), Some("evm-zjshaoxing21".to_owned()));
    client.attach_disk(&AttachDisk { region_id: HOME.into(), disk_id, instance_id }).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn the_simulator_fits_throughout() {
    let cloud = cloud();
    let client = client(&cloud, cloud.credentials());
    disks(&client).await;
    let began = tokio::time::Instant::now();
    let outcome = run(client, &REGIONS, Format::Json).await;
    assert_eq!(outcome.with("differs"), [""; 0]);
    let unknown = outcome.with("unknown");
    // The simulator's machines tell no VPC, and none of its disks was made of a snapshot.
    assert!(
        unknown.len() == 2 && unknown[0].contains("volumeSourceID") && unknown[1].contains("VPC"),
        "{unknown:?}"
    );
    assert!(matches!(outcome.result, Ok(Ended::Well)));
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_empty_account_is_unknown_and_not_fitting() {
    let cloud = cloud();
    let client = client(&cloud, cloud.credentials());
    let outcome = run(client, &REGIONS, Format::Text).await;
    assert!(outcome.text.contains(
        "unknown  a disk's size is a number of GiB (`diskSize`)  zj-shaoxing-2: no disk in the region"
    ));
    assert!(!outcome.text.contains("lists_are_proof"), "{}", outcome.text);
    assert!(matches!(outcome.result, Ok(Ended::Well)));
}

#[tokio::test(start_paused = true)]
async fn it_only_reads() {
    let cloud = cloud();
    let client = client(&cloud, cloud.credentials());
    disks(&client).await;
    let before = cloud.log_from(0).len();
    run(client, &REGIONS, Format::Text).await;
    let calls = cloud.log_from(before);
    assert!(calls.len() > 20);
    let writes: Vec<_> = calls.iter().filter(|call| !call.op.reads()).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn the_text_ends_with_a_profile_and_a_count() {
    let cloud = cloud();
    let client = client(&cloud, cloud.credentials());
    disks(&client).await;
    let text = run(client, &REGIONS, Format::Text).await.text;
    assert!(text.contains("\n# lists_are_proof = true\n"), "{text}");
    let last = text.lines().last().unwrap();
    let fits = text.lines().filter(|line| line.starts_with("fits ")).count();
    assert_eq!(last, format!("{fits} fit, 0 differ, 2 unknown"));
}

#[tokio::test(start_paused = true)]
async fn with_keys_that_are_refused_nothing_is_known() {
    let cloud = cloud();
    let outcome = run(client(&cloud, Credentials::new("other", "keys")), &REGIONS, Format::Text).await;
    let Err(CloudCheckError::Nothing(why)) = outcome.result else { panic!("{}", outcome.text) };
    assert!(why.contains("zj-shaoxing-2: authentication refused"), "{why}");
}
