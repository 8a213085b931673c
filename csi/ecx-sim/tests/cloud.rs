//! The simulator through the real client: states, refusals, tokens, lost replies, restarts, and real loop devices.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::time::Duration;

use ecx::api::*;
use ecx::{Client, Connection, Credentials, Error};
use ecx_sim::config::{Latency, PlaneKind};
use ecx_sim::{Config, Effect, Fault, Sim};

const REGION: &str = "zj-shaoxing-2";
const VM: &str = "evm-zjshaoxing21";

fn stepped() -> Config {
    Config { stepped: true, latency: Latency { reply: 0, ..Latency::default() }, ..Config::default() }
}

fn client(sim: &Sim) -> Client {
    Client::new(sim.profile(), sim.credentials(), &Connection::new(true)).unwrap()
}

fn order(name: &str, gib: u64) -> CreateDisk {
    CreateDisk {
        client_token: format!("token-{name}"),
        region_id: REGION.into(),
        disk_name: name.into(),
        disk_mode: "VBD".into(),
        disk_type: Some("SAS".into()),
        disk_size: gib,
        on_demand: true,
        labels: vec![],
        snapshot_id: None,
    }
}

/// Orders a disk and lets it become available; gives its id.
async fn disk(sim: &Sim, client: &Client, name: &str) -> String {
    assert!(matches!(client.create_disk(&order(name, 20)).await, Err(Error::InProgress(_))));
    sim.advance(Duration::from_secs(1));
    let done = client.create_disk(&order(name, 20)).await.unwrap();
    done.resources.unwrap()[0].disk_id.clone().unwrap()
}

fn on(disk: &str, vm: &str) -> AttachDisk {
    AttachDisk { region_id: REGION.into(), disk_id: disk.into(), instance_id: Some(vm.into()) }
}

async fn get(client: &Client, disk: &str) -> Disk {
    client.get_disk(&GetDisk { region_id: REGION.into(), disk_id: disk.into() }).await.unwrap()
}

#[tokio::test]
async fn a_disk_goes_through_its_states_when_the_clock_moves() {
    let sim = Sim::start(stepped()).unwrap();
    let client = client(&sim);
    let id = disk(&sim, &client, "pvc-1").await;
    assert!(id.starts_with("cd-") && id.len() == 23, "{id}");
    client.attach_disk(&on(&id, VM)).await.unwrap();
    assert_eq!(get(&client, &id).await.disk_status, DiskState::Attaching);
    sim.advance(Duration::from_secs(1));
    let attached = get(&client, &id).await;
    assert_eq!((attached.disk_status.clone(), attached.holders()), (DiskState::InUse, vec![VM]));
    let elsewhere = client.attach_disk(&on(&id, "evm-zjshaoxing22")).await;
    assert!(matches!(elsewhere, Err(Error::AttachedElsewhere(_))), "{elsewhere:?}");
    let far = client.attach_disk(&on(&id, "evm-fjxiamen41")).await;
    assert!(matches!(far, Err(Error::RegionMismatch(_))), "{far:?}");
    client.detach_disk(&on(&id, VM)).await.unwrap();
    sim.advance(Duration::from_secs(1));
    assert_eq!(get(&client, &id).await.disk_status, DiskState::Available);
    let refund = DeleteDisk { client_token: "del".into(), region_id: REGION.into(), disk_id: id.clone() };
    client.delete_disk(&refund).await.unwrap();
    sim.advance(Duration::from_secs(1));
    let gone = client.get_disk(&GetDisk { region_id: REGION.into(), disk_id: id }).await;
    assert!(matches!(gone, Err(Error::DiskNotFound(_))), "{gone:?}");
}

#[tokio::test]
async fn a_reply_lost_after_success_and_the_same_token_make_one_disk() {
    let sim = Sim::start(stepped()).unwrap();
    let client = client(&sim);
    let effect = Effect::DropAfter;
    sim.fault(Fault { op: Some(Op::CreateDisk), contains: None, skip: 0, count: 2, effect });
    // An order is not sent again by itself.
    for _ in 0..2 {
        assert!(matches!(client.create_disk(&order("pvc-1", 20)).await, Err(Error::NoReply(_))));
    }
    assert!(matches!(client.create_disk(&order("pvc-1", 20)).await, Err(Error::InProgress(_))));
    assert_eq!(sim.look(|w| (w.bought, w.disks.len())), (1, 1));
    assert_eq!(client.calls()[&Op::CreateDisk], 3);
    let other = CreateDisk { disk_size: 30, ..order("pvc-1", 20) };
    assert!(matches!(client.create_disk(&other).await, Err(Error::TokenConflict(_))));
}

#[tokio::test]
async fn wrong_keys_old_dates_and_bad_parameters_are_refused_by_name() {
    let sim = Sim::start(stepped()).unwrap();
    let stranger =
        Client::new(sim.profile(), Credentials::new("nobody", "x"), &Connection::new(true)).unwrap();
    let list = ListDisks { region_id: REGION.into(), max_results: 10, next_token: None };
    let Err(Error::Auth(said)) = stranger.list_disks(&list).await else { panic!() };
    assert!(said.message.contains("AK nobody is not known"), "{said}");
    // A clock eight hours behind: T1's date read as UTC.
    sim.advance(Duration::from_secs(8 * 3600));
    let Err(Error::Auth(said)) = client(&sim).list_disks(&list).await else { panic!() };
    assert!(said.message.contains("outside 15 minutes"), "{said}");
    let sim = Sim::start(stepped()).unwrap();
    let Err(Error::Parameter(said)) = client(&sim).create_disk(&order("pvc-1", 1)).await else { panic!() };
    assert!(said.code.eq_ignore_ascii_case("openapi.parameter.diskSize"), "{said}");
    let mut sold_out = stepped();
    sold_out.regions.get_mut(REGION).unwrap().stock.insert("SAS".into(), 10);
    let sim = Sim::start(sold_out).unwrap();
    assert!(matches!(client(&sim).create_disk(&order("pvc-1", 20)).await, Err(Error::SoldOut(_))));
    assert_eq!(sim.look(|w| w.disks.len()), 0);
}

#[tokio::test]
async fn aliases_and_other_envelopes_are_understood() {
    let sim = Sim::start(Config { alias_states: true, ..stepped() }).unwrap();
    let client = client(&sim);
    let id = disk(&sim, &client, "pvc-1").await;
    for effect in [Effect::CoreOk, Effect::StringCodes] {
        sim.fault(Fault { op: Some(Op::GetDisk), contains: None, skip: 0, count: 1, effect });
        assert_eq!(get(&client, &id).await.disk_status, DiskState::Detached);
    }
}

#[tokio::test]
async fn the_state_survives_a_restart_with_what_was_going_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { state_dir: Some(dir.path().into()), ..Config::default() };
    let sim = Sim::start(config.clone()).unwrap();
    assert!(matches!(client(&sim).create_disk(&order("pvc-1", 20)).await, Err(Error::InProgress(_))));
    drop(sim);
    let sim = Sim::start(config).unwrap();
    let client = client(&sim);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
    let done = loop {
        match client.create_disk(&order("pvc-1", 20)).await {
            Err(Error::InProgress(_)) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => break other.unwrap(),
        }
    };
    assert_eq!(done.resources.unwrap().len(), 1);
    assert_eq!(sim.look(|w| w.bought), 1);
}

#[tokio::test]
async fn growth_comes_from_the_stock_and_a_refund_gives_all_of_it_back() {
    let mut scarce = stepped();
    scarce.regions.get_mut(REGION).unwrap().stock.insert("SAS".into(), 30);
    let sim = Sim::start(scarce).unwrap();
    let client = client(&sim);
    let id = disk(&sim, &client, "pvc-1").await;
    let grow = |token: &str, disk_size| ResizeDisk {
        client_token: token.into(),
        region_id: REGION.into(),
        disk_id: id.clone(),
        disk_size,
    };
    assert!(matches!(client.resize_disk(&grow("g1", 31)).await, Err(Error::SoldOut(_))));
    client.resize_disk(&grow("g2", 30)).await.unwrap();
    sim.advance(Duration::from_secs(1));
    let left = || sim.look(|world| world.regions[REGION].stock["SAS"]);
    assert_eq!(left(), 0);
    let refund = DeleteDisk { client_token: "del".into(), region_id: REGION.into(), disk_id: id.clone() };
    client.delete_disk(&refund).await.unwrap();
    sim.advance(Duration::from_secs(1));
    assert_eq!(left(), 30);
}

#[tokio::test]
async fn pages_join_to_the_whole_list() {
    let sim = Sim::start(stepped()).unwrap();
    let client = client(&sim);
    for n in 0..7 {
        let _ = client.create_disk(&order(&format!("pvc-{n}"), 20)).await;
    }
    let (mut seen, mut next_token) = (Vec::new(), None);
    loop {
        let page = client
            .list_disks(&ListDisks { region_id: REGION.into(), max_results: 3, next_token })
            .await
            .unwrap();
        seen.extend(page.disk_list.into_iter().map(|d| d.disk_name));
        next_token = page.next_token;
        if next_token.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 7);
    let unknown = ListDisks { region_id: REGION.into(), max_results: 3, next_token: Some("x".into()) };
    assert!(matches!(client.list_disks(&unknown).await, Err(Error::Parameter(_))));
}

#[tokio::test]
async fn an_attach_is_a_loop_device_with_the_serial_and_a_busy_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let nodes = dir.path().join("nodes");
    let config = Config {
        state_dir: Some(dir.path().join("state")),
        nodes_dir: Some(nodes.clone()),
        data_plane: PlaneKind::Loop,
        unit_bytes: 1 << 20,
        ..stepped()
    };
    let sim = Sim::start(config).unwrap();
    let client = client(&sim);
    let id = disk(&sim, &client, "pvc-1").await;
    client.attach_disk(&on(&id, VM)).await.unwrap();
    sim.advance(Duration::from_secs(1));
    let block = nodes.join(VM).join("sys/block");
    let entry = std::fs::read_dir(&block).unwrap().next().unwrap().unwrap().path();
    assert_eq!(std::fs::read_to_string(entry.join("serial")).unwrap().trim(), id.trim_start_matches("cd-"));
    assert_eq!(std::fs::read_to_string(entry.join("size")).unwrap().trim(), (20 * 2048).to_string());

    use std::os::unix::fs::OpenOptionsExt as _;
    let device = std::path::Path::new("/dev").join(entry.file_name().unwrap());
    let busy = std::fs::File::options().read(true).custom_flags(0o200).open(&device).unwrap();
    let job = client.detach_disk(&on(&id, VM)).await.unwrap();
    sim.advance(Duration::from_secs(1));
    let job = GetJob { region_id: REGION.into(), job_id: job.disk_request_id.unwrap() };
    assert_eq!(client.get_job(&job).await.unwrap().status, 2);
    assert_eq!(get(&client, &id).await.disk_status, DiskState::InUse);
    drop(busy);

    let grow =
        ResizeDisk { client_token: "g".into(), region_id: REGION.into(), disk_id: id.clone(), disk_size: 30 };
    client.resize_disk(&grow).await.unwrap();
    sim.advance(Duration::from_secs(1));
    assert_eq!(std::fs::read_to_string(entry.join("size")).unwrap().trim(), (30 * 2048).to_string());

    client.detach_disk(&on(&id, VM)).await.unwrap();
    sim.advance(Duration::from_secs(1));
    assert_eq!(get(&client, &id).await.disk_status, DiskState::Available);
    assert_eq!(std::fs::read_dir(&block).unwrap().count(), 0);
    sim.clean().unwrap();
}
