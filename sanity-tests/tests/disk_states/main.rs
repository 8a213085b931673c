//! Is any disk with data ever formatted? Every content of the table meets every fault, through the real NodeStageVolume on
//! real loop devices with the real mkfs and real mounts; after each refusal every byte of the disk is what it was.
//!
//! ```text
//! real, craft   what a disk may hold            fault    what may go wrong, and what must come of it
//! lab           images, loop devices, serials   faulty   the machine with one thing wrong at one moment
//!                                               case     one content meets one fault
//! ```

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use eck_csi_node::fsid;

mod bench;
mod case;
mod craft;
mod fault;
mod faulty;
mod lab;
mod real;

use case::{Disk, VOLUME, volume};
use fault::{ALL, Fault, Outcome};
use real::{Content, Ids};

/// Cases that run at once: more than processors, since most of a case is waiting for a program.
const WORKERS: usize = 3;

/// The real programs' contents and the crafted ones.
fn contents() -> Vec<Content> {
    let another = volume("cd-anotherdisk000000001");
    let ids = Ids { ours: fsid::of(&volume(VOLUME)).to_string(), others: fsid::of(&another).to_string() };
    let mut contents = real::contents(Box::leak(Box::new(ids)));
    contents.extend(craft::contents());
    contents
}

/// One line of the table: the outcome of each fault, what is wrong with it if anything, and why it was refused if it was.
struct Line {
    name: String,
    outcomes: Vec<Outcome>,
    wrong: Vec<String>,
    why: String,
}

fn line(content: &Content, folder: &Path) -> Line {
    let disk = Disk::prepare(content, folder);
    let (mut outcomes, mut wrong, mut why) = (Vec::new(), Vec::new(), String::new());
    for fault in ALL {
        let seen = case::run(&disk, fault);
        let wanted = fault.outcome(disk.content.truth, disk.mountable);
        if seen.outcome != wanted {
            wrong.push(format!(
                "{}: {:?} instead of {wanted:?}: {}",
                fault.words(),
                seen.outcome,
                seen.words
            ));
        }
        let meant = matches!(
            Fault::None.outcome(disk.content.truth, disk.mountable),
            Outcome::Formatted | Outcome::Mounted
        );
        if meant && wanted == Outcome::Refused && !fault.reason().split('|').any(|r| seen.words.contains(r)) {
            wrong.push(format!("{}: refused, but for another reason: {}", fault.words(), seen.words));
        }
        wrong.extend(seen.wrong.into_iter().map(|w| format!("{}: {w}", fault.words())));
        outcomes.push(seen.outcome);
        if fault == Fault::None {
            why = seen.words;
        }
    }
    Line { name: content.name.clone(), outcomes, wrong, why }
}

/// Runs all contents, a few at once, in the table's order.
fn lines(contents: &[Content]) -> Vec<Line> {
    let folder = tempfile::tempdir().unwrap();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(content) =
                    contents.get(next.fetch_add(1, Ordering::SeqCst)).map(|c| (c, c.name.as_str()))
                {
                    let own = tempfile::tempdir_in(folder.path()).unwrap();
                    done.lock().unwrap().insert(content.1, line(content.0, own.path()));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    contents.iter().map(|c| done.remove(c.name.as_str()).unwrap()).collect()
}

fn print(lines: &[Line]) {
    println!("F formatted   M mounted   B handed over as a block device   - refused, every byte as before\n");
    for (column, fault) in ALL.iter().enumerate() {
        println!("{:>2}  {}", column + 1, fault.words());
    }
    let header: String = (1..=ALL.len()).map(|n| format!("{n:>3}")).collect();
    println!("\n{:44}{header}", "");
    for line in lines {
        let letters: String = line.outcomes.iter().map(|o| format!("{:>3}", o.letter())).collect();
        println!("{:44}{letters}   {}", line.name, line.why);
        line.wrong.iter().for_each(|wrong| println!("{:44}WRONG {wrong}", ""));
    }
}

#[test]
fn disk_states_only_blank_disks_are_formatted_and_a_refused_disk_is_untouched() {
    let (contents, started) = (contents(), Instant::now());
    let lines = lines(&contents);
    print(&lines);
    let count = |wanted: Outcome| lines.iter().flat_map(|l| &l.outcomes).filter(|o| **o == wanted).count();
    let wrong: usize = lines.iter().map(|l| l.wrong.len()).sum();
    println!(
        "\n{} contents x {} faults and ways = {} cases: {} formatted, {} mounted, {} as block devices, {} refused; {wrong} wrong; {} s",
        lines.len(),
        ALL.len(),
        lines.len() * ALL.len(),
        count(Outcome::Formatted),
        count(Outcome::Mounted),
        count(Outcome::Block),
        count(Outcome::Refused),
        started.elapsed().as_secs()
    );
    assert!(lines.len() >= 40 && wrong == 0, "{wrong} cases went wrong, see the table");
}
