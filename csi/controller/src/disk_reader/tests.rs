use super::*;
use ecx::api::{DiskState, Op};
use ecx_sim::world::DiskRecord;
use ecx_sim::{Config, Sim};

const REGION: &str = "zj-shaoxing-2";

/// A region with so many disks, `cd-0` and on.
fn cloud(disks: usize) -> (Sim, DiskReader, Region) {
    let sim = Sim::start(Config::default()).unwrap();
    sim.change(|world| world.disks.extend((0..disks).map(disk)));
    let client = Client::new(sim.profile(), sim.credentials(), &ecx::Connection::new(true)).unwrap();
    (sim, DiskReader::new(Arc::new(client)), Region::parse("region", REGION).unwrap())
}

fn disk(n: usize) -> (String, DiskRecord) {
    let disk = Disk {
        disk_id: format!("cd-{n}"),
        disk_name: format!("pvc-{n}"),
        disk_status: DiskState::Available,
        region_id: REGION.into(),
        ..Disk::default()
    };
    (disk.disk_id.clone(), DiskRecord { disk, holder: None, pending: None, history: Vec::new() })
}

/// Asks for `cd-0`, … at once; gives the calls that it took.
async fn ask_for(sim: &Sim, reader: &DiskReader, region: &Region, disks: usize) -> Vec<Op> {
    let before = sim.log().len();
    let ids: Vec<String> = (0..disks).map(|n| format!("cd-{n}")).collect();
    let found = join_all(ids.iter().map(|id| reader.disk(region, id))).await;
    for (id, found) in ids.iter().zip(found) {
        assert_eq!(found.unwrap().unwrap().disk_id, *id);
    }
    sim.log()[before..].iter().map(|entry| entry.op).collect()
}

#[tokio::test]
async fn one_question_is_one_read_and_any_number_at_once_is_one_list() {
    let (sim, reader, region) = cloud(60);
    assert_eq!(ask_for(&sim, &reader, &region, 1).await, [Op::GetDisk]);
    for questions in [2, 60] {
        assert_eq!(ask_for(&sim, &reader, &region, questions).await, [Op::ListDisks]);
    }
    assert!(reader.disk(&region, "cd-60").await.unwrap().is_none());
}

#[tokio::test]
async fn a_list_of_many_pages_is_only_taken_for_more_questions_than_it_has_pages() {
    let (sim, reader, region) = cloud(2500);
    // That it has three pages is learnt from the first list.
    assert_eq!(ask_for(&sim, &reader, &region, 4).await, [Op::ListDisks; 3]);
    assert_eq!(ask_for(&sim, &reader, &region, 3).await, [Op::GetDisk; 3]);
    assert_eq!(ask_for(&sim, &reader, &region, 4).await, [Op::ListDisks; 3]);
}

#[tokio::test]
async fn disks_that_the_list_does_not_show_are_each_asked_for_by_themselves() {
    let (sim, reader, region) = cloud(1);
    let ids = ["cd-0", "cd-7", "cd-8"];
    let found = join_all(ids.map(|id| reader.disk(&region, id))).await;
    let found: Vec<bool> = found.into_iter().map(|disk| disk.unwrap().is_some()).collect();
    assert_eq!(found, [true, false, false]);
    assert_eq!((sim.calls()[&Op::ListDisks], sim.calls()[&Op::GetDisk]), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn while_others_stand_in_line_a_read_takes_along_what_is_asked_later() {
    let cloud = ecx_sim::Local::new(Config::default()).unwrap();
    cloud.begin();
    cloud.change(|world| world.disks.extend([0, 1, 1000, 2000].map(disk)));
    let profile = ecx::Profile {
        base_url: "http://ecx-sim".into(),
        burst: 1.0,
        max_rate_per_second: 10.0,
        ..ecx::Profile::default()
    };
    let transport = cloud.transport(1, Duration::from_secs(10));
    let client = Arc::new(Client::over(transport, profile, cloud.credentials()));
    let (reader, region) = (DiskReader::new(Arc::clone(&client)), Region::parse("region", REGION).unwrap());
    let ask = async |after: u64| {
        tokio::time::sleep(Duration::from_millis(after)).await;
        assert!(reader.disk(&region, &format!("cd-{after}")).await.unwrap().is_some());
    };
    let lists = |cloud: &ecx_sim::Local| cloud.calls().get(&Op::ListDisks).copied().unwrap_or(0);
    // Nobody in line: each is read by itself.
    futures::join!(ask(0), ask(1000), ask(2000));
    assert_eq!((cloud.calls()[&Op::GetDisk], lists(&cloud)), (3, 0));
    // 40 others: four seconds.
    let query = GetDisk { region_id: REGION.into(), disk_id: "cd-1".into() };
    let others = join_all((0..40).map(|_| client.get_disk(&query)));
    futures::join!(others, ask(1), ask(1000), ask(2000));
    assert_eq!((cloud.calls()[&Op::GetDisk], lists(&cloud)), (43, 1));
}

#[test]
fn the_more_regions_gather_the_longer_they_wait_and_none_longer_than_the_line_is() {
    assert_eq!([1, 2, 5, 100].map(|regions| patience(regions).as_secs()), [3, 6, 6, 6]);
}
