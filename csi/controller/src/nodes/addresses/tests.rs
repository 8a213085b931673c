use super::*;
use ecx::api::Op;
use ecx_sim::config::InstanceConfig;
use ecx_sim::{Config, Effect, Fault, Sim};

const REGION: &str = "zj-shaoxing-2";

/// A region with 120 machines, 10.0.0.1 and on.
fn cloud() -> (Sim, Client, Region) {
    let machine = |n: u32| InstanceConfig { id: format!("evm-{n}"), ip: format!("10.0.0.{n}"), max_disks: 1 };
    let mut config = Config::default();
    config.regions.get_mut(REGION).unwrap().instances = (1..=120).map(machine).collect();
    let sim = Sim::start(config).unwrap();
    let client = Client::new(sim.profile(), sim.credentials(), &ecx::Connection::new(true)).unwrap();
    (sim, client, Region::parse("region", REGION).unwrap())
}

fn ids(found: Result<Vec<Candidate>, Error>) -> Vec<String> {
    found.unwrap().into_iter().map(|machine| machine.instance).collect()
}

fn ip(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, n)
}

#[tokio::test]
async fn many_wanted_at_once_are_few_calls_and_each_gets_its_own() {
    let (sim, client, region) = cloud();
    let addresses = Addresses::default();
    // Each twice; 10.0.0.200 does not exist.
    let wanted: Vec<u8> = (1..=100).chain(1..=100).chain([200, 200]).collect();
    let finds = wanted.iter().map(|n| addresses.find(&client, &region, ip(*n)));
    let found = futures::future::join_all(finds).await;
    for (n, found) in wanted.iter().zip(found) {
        assert_eq!(ids(found), if *n == 200 { vec![] } else { vec![format!("evm-{n}")] });
    }
    // The first for itself, in up to three pages since 10.0.0.1 is a part of many; the others in three pages together.
    assert!(sim.calls()[&Op::ListInstances] <= 6, "{:?}", sim.calls());
    let before = sim.calls();
    assert_eq!(ids(addresses.find(&client, &region, ip(7)).await), ["evm-7"]);
    assert_eq!(sim.calls(), before);
    addresses.forget("evm-7");
    assert_eq!(ids(addresses.find(&client, &region, ip(7)).await), ["evm-7"]);
}

#[tokio::test]
async fn what_was_read_for_some_is_known_for_the_others() {
    let (sim, client, region) = cloud();
    let addresses = Addresses::default();
    // The first for itself, the others together; evm-99 is the last of the last page.
    let finds = [97, 98, 99].map(|n| addresses.find(&client, &region, ip(n)));
    futures::future::join_all(finds).await.into_iter().for_each(|found| assert_eq!(found.unwrap().len(), 1));
    let before = sim.calls();
    for n in 1..=120 {
        let found = addresses.find(&client, &region, ip(n)).await;
        assert_eq!(ids(found), [format!("evm-{n}")]);
    }
    assert_eq!(sim.calls(), before);
}

#[tokio::test]
async fn a_failed_lookup_fails_one_and_the_others_ask_for_themselves() {
    let (sim, client, region) = cloud();
    let addresses = Addresses::default();
    let attempts = client.profile().attempts;
    let effect = Effect::Http { status: 500 };
    sim.fault(Fault { op: Some(Op::ListInstances), contains: None, skip: 0, count: attempts, effect });
    let finds = (1..=3).map(|n| addresses.find(&client, &region, ip(n)));
    let found = futures::future::join_all(finds).await;
    assert!(found[0].is_err());
    assert_eq!(found[1].as_ref().unwrap()[0].instance, "evm-2");
    assert_eq!(found[2].as_ref().unwrap()[0].instance, "evm-3");
}

#[tokio::test]
async fn two_machines_of_one_address_are_both_told() {
    let machine = |id: &str| InstanceConfig { id: id.into(), ip: "172.16.0.6".into(), max_disks: 1 };
    let mut config = Config::default();
    config.regions.get_mut(REGION).unwrap().instances = vec![machine("evm-mine"), machine("evm-other")];
    let sim = Sim::start(config).unwrap();
    let client = Client::new(sim.profile(), sim.credentials(), &ecx::Connection::new(true)).unwrap();
    let region = Region::parse("region", REGION).unwrap();
    let found = Addresses::default().find(&client, &region, Ipv4Addr::new(172, 16, 0, 6)).await;
    assert_eq!(ids(found), ["evm-mine", "evm-other"]);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_is_believed_for_a_minute() {
    let cloud = ecx_sim::Local::new(Config::default()).unwrap();
    cloud.begin();
    let profile = ecx::Profile { base_url: "http://ecx-sim".into(), ..ecx::Profile::default() };
    let client = Client::over(cloud.transport(1, Duration::from_secs(10)), profile, cloud.credentials());
    let (region, addresses) = (Region::parse("region", REGION).unwrap(), Addresses::default());
    let calls = || cloud.calls().get(&Op::ListInstances).copied().unwrap_or(0);
    let ip = cloud.look(|world| {
        let machine = world.machines.values().find(|machine| machine.region == REGION);
        machine.unwrap().ip.parse::<Ipv4Addr>().unwrap()
    });
    for (after, expected) in [(0, 1), (59, 1), (2, 2)] {
        tokio::time::advance(Duration::from_secs(after)).await;
        assert_eq!(addresses.find(&client, &region, ip).await.unwrap().len(), 1);
        assert_eq!(calls(), expected, "after {after} s more");
    }
}
