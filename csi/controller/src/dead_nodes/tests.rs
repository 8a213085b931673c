use super::simulation::{Outcome, Plant, in_virtual_time, run};
use super::*;

/// Schedules of every run of the tests; `ten_thousand_schedules` is the long one.
const SEEDS: u64 = 150;

/// Schedules in which a wrong decision must show.
const WRONG_SEEDS: u64 = 1500;

/// The longest from when the cloud says that the machine of a silent node is off to the taint: a look in vain just before, the gap, and
/// the calls.
const LATEST: Duration = Duration::from_secs(30);

fn plant() -> Plant {
    Plant::new(0, judge, GAP)
}

/// How the first node is tainted.
fn taint(plant: &Plant) -> OutOfService {
    plant.truth().nodes.values().next().unwrap().out_of_service
}

/// Seconds until the first node is tainted by us, from when it is not ready.
async fn seconds_to_taint(plant: &mut Plant) -> u32 {
    let is_ready = |plant: &Plant| plant.truth().nodes.values().next().unwrap().ready;
    while is_ready(plant) {
        plant.pass(1, false).await;
    }
    for seconds in 0..100 {
        if taint(plant) == OutOfService::ByUs {
            return seconds;
        }
        plant.pass(1, false).await;
    }
    panic!("it is never tainted")
}

#[test]
fn a_machine_that_stops_is_tainted_within_twenty_seconds_of_not_ready() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.change(0, |machine| {
            machine.turn_off();
            machine.word = "stopped";
        });
        let seconds = seconds_to_taint(&mut plant).await;
        println!("tainted {seconds} s after the node is not ready");
        assert!((15..=20).contains(&seconds), "{seconds}");
    });
}

#[test]
fn a_machine_that_is_released_is_tainted_as_soon() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.release(0);
        assert!(seconds_to_taint(&mut plant).await <= 20);
    });
}

#[test]
fn a_machine_that_is_cut_off_and_stopped_later_is_tainted_then() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.change(0, |machine| machine.connected = false);
        plant.pass(200, false).await;
        assert_eq!(taint(&plant), OutOfService::No);
        plant.change(0, |machine| {
            machine.turn_off();
            machine.word = "stopped";
        });
        assert!(seconds_to_taint(&mut plant).await <= 30);
    });
}

#[test]
fn the_taint_goes_when_the_node_is_ready_again() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.change(0, |machine| {
            machine.turn_off();
            machine.word = "stopped";
        });
        seconds_to_taint(&mut plant).await;
        plant.change(0, |machine| {
            machine.turn_on();
            machine.word = "running";
        });
        plant.pass(30, false).await;
        assert_eq!(taint(&plant), OutOfService::No);
    });
}

#[test]
fn what_may_run_is_never_tainted() {
    for word in ["running", "stopping", "starting", "restarting", "suspended", "paused", "error", ""] {
        in_virtual_time(async {
            let mut plant = plant();
            plant.change(0, |machine| (machine.connected, machine.word) = (false, word));
            plant.pass(200, false).await;
            assert_eq!(taint(&plant), OutOfService::No, "{word}");
        });
    }
}

#[test]
fn two_machines_with_one_address_are_never_tainted() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.change(0, |machine| (machine.connected, machine.word) = (false, "stopped"));
        plant.twin(0, "stopped");
        plant.pass(200, false).await;
        assert_eq!(taint(&plant), OutOfService::No);
    });
}

#[test]
fn a_node_that_uses_no_disk_of_ours_is_left_alone() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.truth().nodes.values_mut().for_each(|node| node.in_use.clear());
        plant.change(0, |machine| {
            machine.turn_off();
            machine.word = "stopped";
        });
        plant.pass(200, false).await;
        assert_eq!(plant.truth().taints, 0);
    });
}

#[test]
fn a_replica_that_does_not_lead_taints_nothing() {
    in_virtual_time(async {
        let mut plant = plant();
        plant.truth().leader = 2;
        plant.change(0, |machine| {
            machine.turn_off();
            machine.word = "stopped";
        });
        plant.pass(200, false).await;
        assert_eq!(taint(&plant), OutOfService::No);
        plant.truth().leader = 1;
        plant.pass(40, false).await;
        assert_eq!(taint(&plant), OutOfService::ByUs);
    });
}

/// Runs so many schedules, in each of which everything must hold; what they came to.
fn hold(seeds: u64) -> (usize, usize, Duration) {
    let (mut taints, mut untaints, mut latest) = (0, 0, Duration::ZERO);
    for seed in 0..seeds {
        let outcome = run(seed, judge, GAP);
        assert!(outcome.violations.is_empty(), "seed {seed}: {:#?}", outcome.violations);
        assert!(outcome.latest <= LATEST, "seed {seed}: a node waited {:?}", outcome.latest);
        if seed % 1000 == 999 {
            println!("{} schedules", seed + 1);
        }
        taints += outcome.taints;
        untaints += outcome.untaints;
        latest = latest.max(outcome.latest);
    }
    println!("{seeds} schedules: {taints} taints, {untaints} taken away, the latest after {latest:?}");
    (taints, untaints, latest)
}

#[test]
fn in_no_schedule_is_a_machine_tainted_that_runs_and_the_dead_are_in_time() {
    let (taints, untaints, _) = hold(SEEDS);
    // The schedules do test something.
    assert!(taints as u64 > SEEDS / 2 && untaints as u64 > SEEDS / 4, "{taints} {untaints}");
}

/// `cargo test --release -p eck-csi-controller --lib ten_thousand -- --ignored --nocapture`
#[test]
#[ignore = "minutes: the same over ten thousand schedules"]
fn ten_thousand_schedules() {
    hold(10_000);
}

#[test]
fn a_seed_gives_the_same_schedule_again() {
    for seed in 0..5 {
        assert_eq!(run(seed, judge, GAP), run(seed, judge, GAP));
    }
}

/// The schedules find a decision that is wrong.
fn is_found(what: &str, wrong: Judge, gap: Duration) {
    let mut outcomes = (0..WRONG_SEEDS).map(|seed| (seed, run(seed, wrong, gap)));
    let found: Option<(u64, Outcome)> = outcomes.find(|(_, outcome)| !outcome.violations.is_empty());
    let (seed, outcome) = found.unwrap_or_else(|| panic!("{what}: not found in {WRONG_SEEDS} schedules"));
    println!("{what}: seed {seed}: {}", outcome.violations[0]);
}

#[test]
fn that_every_word_but_running_is_off_is_found() {
    let wrong: Judge = |evidence| match judge(evidence) {
        MachineState::On(word) if word != "running" => MachineState::Off,
        state => state,
    };
    is_found("every word but running is off", wrong, GAP);
}

#[test]
fn that_a_list_alone_proves_absence_is_found() {
    let wrong: Judge = |evidence| judge(&Evidence { holders: BTreeSet::new(), witnesses: 1, ..*evidence });
    is_found("a list alone proves absence", wrong, GAP);
}

#[test]
fn that_an_address_alone_is_a_name_is_found() {
    let wrong: Judge = |evidence| {
        let address = evidence.node.to_string();
        let has = |machine: &&ecx::api::Instance| {
            machine.private_addresses().iter().any(|ip| address.ends_with(&format!(".{ip}")))
        };
        let off = evidence.machines.iter().filter(has).any(ecx::api::Instance::is_off);
        if off { MachineState::Off } else { MachineState::Unclear("") }
    };
    is_found("an address alone is a name", wrong, GAP);
}

#[test]
fn that_one_answer_is_enough_is_found() {
    is_found("one answer is enough", judge, Duration::ZERO);
}
