//! Real sockets; how time is shared is tested in `turns`.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream as Client;

use ideal_gpu::card::CardId;

use super::*;

struct Node {
    folder: tempfile::TempDir,
    arbiter: Arbiter,
}

fn shares(percent: u32) -> Shares {
    let cards = vec![(CardId::parse("GPU-0").unwrap(), percent)];
    Shares { cards, work_conserving: false, latency: false, burst_ns: 0 }
}

impl Node {
    /// With containers of so many percent, `0`, `1`, ….
    fn new(percents: &[u32]) -> Self {
        let node = Self { folder: tempfile::tempdir().unwrap(), arbiter: Arbiter::start().unwrap() };
        for (number, percent) in percents.iter().enumerate() {
            node.arbiter.serve(&number.to_string(), &node.folder(number), shares(*percent)).unwrap();
        }
        node
    }

    fn folder(&self, container: usize) -> std::path::PathBuf {
        self.folder.path().join(container.to_string())
    }

    fn connect(&self, container: usize) -> Process {
        let client = Client::connect(self.folder(container).join(ARBITER_SOCKET)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut process = Process(client);
        process.say(Request::Join { version: VERSION, card: 0 });
        process
    }
}

struct Process(Client);

impl Process {
    fn say(&mut self, request: Request) {
        self.0.write_all(&request.to_frame()).unwrap();
    }

    fn granted(&mut self) -> Grant {
        let mut frame = [0; FRAME];
        self.0.read_exact(&mut frame).unwrap();
        Grant::from_frame(&frame).unwrap()
    }

    fn is_closed(&mut self) -> bool {
        !matches!(self.0.read(&mut [0; FRAME]), Ok(1..))
    }
}

#[test]
fn who_wants_a_free_card_is_granted_it_and_the_next_one_when_it_is_done() {
    let node = Node::new(&[50, 50]);
    let (mut one, mut other) = (node.connect(0), node.connect(1));
    one.say(Request::Want);
    let grant = one.granted();
    assert_eq!((grant.grant, grant.launches), (1, 0));
    other.say(Request::Want);
    one.say(Request::Done { grant: 1, wants: false });
    assert_eq!(other.granted().grant, 1);
}

#[test]
fn the_clock_grants_what_a_share_allows_later() {
    let node = Node::new(&[50]);
    let mut process = node.connect(0);
    process.say(Request::Want);
    let grant = process.granted().grant;
    process.say(Request::Done { grant, wants: true });
    assert_eq!(process.granted().grant, 2);
}

#[test]
fn a_process_that_ends_gives_its_turn_away() {
    let node = Node::new(&[50, 50]);
    let (mut one, mut other) = (node.connect(0), node.connect(1));
    one.say(Request::Want);
    one.granted();
    other.say(Request::Want);
    drop(one);
    other.granted();
}

#[test]
fn a_container_that_is_forgotten_in_its_turn_gives_it_away() {
    let node = Node::new(&[50, 50]);
    let (mut one, mut other) = (node.connect(0), node.connect(1));
    one.say(Request::Want);
    one.granted();
    other.say(Request::Want);
    node.arbiter.forget("0");
    other.granted();
}

#[test]
fn who_says_what_is_none_of_ours_is_cut_off() {
    let node = Node::new(&[50]);
    for said in [
        Request::Want,
        Request::Join { version: VERSION + 1, card: 0 },
        Request::Join { version: VERSION, card: 1 },
    ] {
        let mut process = Process(Client::connect(node.folder(0).join(ARBITER_SOCKET)).unwrap());
        process.say(said);
        assert!(process.is_closed(), "{said:?}");
    }
    let mut twice = node.connect(0);
    twice.say(Request::Join { version: VERSION, card: 0 });
    assert!(twice.is_closed());
}

#[test]
fn a_container_that_begins_anew_has_a_new_socket_and_none_of_its_old_processes() {
    let node = Node::new(&[50]);
    let mut old = node.connect(0);
    old.say(Request::Want);
    old.granted();
    node.arbiter.serve("0", &node.folder(0), shares(50)).unwrap();
    assert!(old.is_closed());
    let mut new = node.connect(0);
    new.say(Request::Want);
    new.granted();
    node.arbiter.forget("0");
    assert!(new.is_closed());
}

#[test]
fn a_folder_whose_path_is_longer_than_a_sockets_may_be_is_served() {
    let node = Node::new(&[]);
    let folder = node.folder.path().join("x".repeat(200));
    node.arbiter.serve("long", &folder, shares(50)).unwrap();
    let short = node.folder.path().join("short");
    std::os::unix::fs::symlink(&folder, &short).unwrap();
    let mut process = Process(Client::connect(short.join(ARBITER_SOCKET)).unwrap());
    process.say(Request::Join { version: VERSION, card: 0 });
    process.say(Request::Want);
    process.granted();
}
