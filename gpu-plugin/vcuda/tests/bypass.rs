//! Ways to have more of a card than the slice, each tried by a real program in a container; README.md has what comes of them. How
//! functions are looked up is tried in names.rs, and what is done to the files in damage.rs.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod rig;

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;

use rig::{Container, Machine, Program, compile, program};

const HARD: &str = "\"virtual_memory\":false,\"work_conserving\":false,";
const MIB: u64 = 1 << 20;

/// A slice of 200 MiB of a card of 4096.
fn slice(machine: &Machine) -> Container<'_> {
    machine.container(200, 100, HARD)
}

/// What a program says that was started by a shell in the container; `$0` is bypass.c's, and the others as given.
fn said(container: &Container<'_>, script: &str, others: &[&Path]) -> String {
    let mut shell = container.command(Path::new("sh"));
    let output = shell.args(["-c", script]).arg(program("bypass")).args(others).output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// What README.md says of a way.
fn readme(way: &str) -> String {
    let text = include_str!("../README.md");
    let row = text.lines().find(|line| line.starts_with(&format!("| {way} |")));
    let row = row.unwrap_or_else(|| panic!("README.md says nothing of: {way}"));
    row.split('|').nth(2).unwrap().trim().to_owned()
}

/// Each: as README.md calls it, the script, and what is said.
fn all_held(cases: &[(&str, &str, &str)], others: &[&Path]) {
    for (way, script, expected) in cases {
        let machine = Machine::new(1, 4096);
        let container = slice(&machine);
        assert_eq!(said(&container, script, others), format!("{expected}\n"), "{way}");
        assert!(machine.most(0) <= 200 * MIB, "{way}: {}", machine.most(0));
        assert_eq!(readme(way), "held", "{way}");
    }
}

#[test]
fn no_function_that_allocates_gives_more() {
    all_held(
        &[
            ("linear memory", "$0 linear", "200 2"),
            ("pitched memory", "$0 pitched", "200 2"),
            ("managed memory", "$0 managed", "200 2"),
            ("`cuMemAllocAsync`", "$0 async", "200 2"),
            ("a pool of its own", "$0 pool", "200 2"),
            ("arrays", "$0 array; $0 array3d; $0 mipmap", "200 2\n200 2\n200 2"),
            ("`cuMemCreate`, released while it is mapped", "$0 vmm", "200 2"),
            ("graphs that allocate", "$0 graph", "200 2"),
            ("the heap of kernels' `malloc`", "$0 heap", "0 2"),
            ("green contexts", "$0 green", "200 2"),
            ("several contexts", "$0 contexts", "then 200 2\nthen 0 2\nthen 0 2\n0 2"),
        ],
        &[],
    );
}

#[test]
fn no_environment_gives_more() {
    all_held(
        &[
            ("`env -i`", "exec env -i $0 linear", "200 2"),
            ("`LD_PRELOAD=`", "LD_PRELOAD= exec $0 linear", "200 2"),
            (
                "`LD_LIBRARY_PATH` with a copy first",
                "mkdir /etc/copy; cp /etc/driver/* /etc/copy; LD_LIBRARY_PATH=/etc/copy exec $0 linear",
                "200 2",
            ),
            ("the linker by hand", "exec /lib64/ld-linux-x86-64.so.2 --inhibit-cache $0 linear", "200 2"),
            (
                "MPS and other variables",
                "CUDA_MPS_PIPE_DIRECTORY=/tmp CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=100 CUDA_MPS_PINNED_DEVICE_MEM_LIMIT=0=4G \
                 CUDA_DISABLE_CONTROL=true CUDA_DEVICE_MEMORY_LIMIT=4g CUDA_VISIBLE_DEVICES=0 exec $0 linear",
                "200 2",
            ),
        ],
        &[],
    );
}

#[test]
fn no_process_of_another_kind_gives_more() {
    all_held(
        &[
            ("`fork` without `exec`", "$0 fork", "child 0 3\n100 2"),
            ("`fork` before CUDA", "$0 fork-first", "200 2\n0 2"),
            ("`exec` in place", "$0 exec", "200 2"),
            ("`fork` and `exec`", "$0 fork-exec", "100 2"),
            ("`vfork` and `exec`", "$0 vfork-exec", "100 2"),
            ("`posix_spawn` without an environment", "$0 spawn", "100 2"),
            (
                "a setuid program",
                "cp $0 /etc/setuid; chmod 4755 /etc/setuid; \
                 exec setpriv --reuid 65534 --clear-groups /etc/setuid linear",
                "200 2",
            ),
        ],
        &[],
    );
}

#[test]
fn no_other_library_gives_more() {
    let unlinked = compile("unlinked", "unlinked", &["-ldl"]);
    let open = "cp /etc/driver/libcuda.so.1 /etc/other.so; cp /etc/driver/libcuda.so.1.toml /etc/other.so.toml; exec $1";
    let deep = format!("{open} deep /etc/other.so");
    all_held(
        &[
            ("the driver by its path", "exec $1 name /etc/driver/libcuda.so.1", "200 2"),
            // CUDA_ERROR_INVALID_CONTEXT: ours asks the driver, and the others of the program ask the copy.
            ("a copy under another name, `RTLD_DEEPBIND`", &deep, "0 201"),
        ],
        &[&unlinked],
    );
}

#[test]
fn nothing_that_the_container_does_to_its_files_gives_more() {
    let machine = Machine::new(1, 4096);
    let container = slice(&machine);
    for file in ["ideal-gpu/limits.json", "ideal-gpu/libvcuda.so", "ideal-gpu/region", "ld.so.preload"] {
        let script = format!(
            "cd /etc; cp {file} /tmp/$$; rm -f {file}; mv {file} x; mv /tmp/$$ {file}; ln -sf /dev/null {file}; \
             [ {file} = ideal-gpu/region ] || {{ echo > {file}; truncate -s 0 {file}; chmod 777 {file}; }}; rm -rf ideal-gpu; \
             rm -f /tmp/$$"
        );
        said(&container, &script, &[]);
        assert_eq!(said(&container, "exec $0 linear", &[]), "200 2\n", "{file}");
    }
    for way in
        ["editing the limits, the library or what preloads it", "removing or replacing the accounting file"]
    {
        assert_eq!(readme(way), "held");
    }
    assert!(machine.most(0) <= 200 * MIB);
}

fn start(container: &Container<'_>, arguments: &[&str]) -> Program {
    let mut command = container.command(&program("bypass"));
    command.args(arguments);
    Program::start(command)
}

#[test]
fn what_another_process_lends_counts_for_the_borrower_too() {
    let machine = Machine::new(1, 4096);
    let container = slice(&machine);
    let mut lender = start(&container, &["lend", "hold"]);
    let handle = lender.answer();
    let mut borrower = start(&container, &["borrow", &handle, "hold"]);
    assert_eq!(borrower.answer(), "4711: 0 2", "100 MiB of each");
    let mut third = start(&container, &["borrow", &handle]);
    assert_eq!(third.answer(), "cuIpcOpenMemHandle 2");
    assert_eq!((container.accounted(0).used, machine.held(0)), (200 * MIB, 100 * MIB));
    // The lender ends first: what it lent is in the slice still.
    lender.end();
    assert_eq!(container.accounted(0).used, 200 * MIB);
    assert_eq!(start(&container, &["linear"]).answer(), "100 2");
    assert_eq!(readme("memory that another process lends (IPC)"), "held");
}

/// A child has its parent's files open, and while it has them the driver has its parent's memory.
#[test]
fn what_the_driver_has_for_the_child_of_one_that_is_gone_counts() {
    let machine = Machine::new(1, 4096);
    let container = slice(&machine);
    let mut parent = start(&container, &["orphan"]);
    assert_eq!(parent.answer(), "gone");
    assert_eq!(start(&container, &["linear"]).answer(), "100 2");
    parent.end();
    assert_eq!(start(&container, &["linear"]).answer(), "200 2");
    assert!(machine.most(0) <= 200 * MIB);
}

#[test]
fn one_that_is_stopped_keeps_what_it_has_and_keeps_nobody_waiting() {
    let machine = Machine::new(1, 4096);
    let container = slice(&machine);
    let mut stopped = start(&container, &["lend", "hold"]);
    stopped.answer();
    stopped.signal("STOP");
    let began = std::time::Instant::now();
    assert_eq!(start(&container, &["linear"]).answer(), "100 2");
    assert!(began.elapsed().as_secs() < 10);
    stopped.kill();
    assert_eq!(start(&container, &["linear"]).answer(), "200 2");
    assert_eq!(readme("`SIGSTOP`, also of one that has the lock"), "held");
}

#[test]
fn the_thread_that_runs_the_time_slices_ends_with_its_process_only() {
    let machine = Machine::new(1, 4096);
    let container = machine.container(200, 30, HARD);
    let run = |way: &str| container.command(&program("bypass")).arg(way).output().unwrap();
    assert_eq!(String::from_utf8(run("timeslices-usr1").stdout).unwrap(), "found goes on\n");
    let killed = run("timeslices-kill");
    assert_eq!(
        (String::from_utf8(killed.stdout).unwrap(), killed.status.signal()),
        ("found ".to_owned(), Some(9))
    );
    assert_eq!(readme("killing the thread that runs the time slices"), "held");
}

/// What no library of a container can hold: these are here so that README.md says no more than is true.
#[test]
fn what_is_not_held_is_named() {
    let unlinked = compile("unlinked", "unlinked", &["-ldl"]);
    let fixed = compile("unlinked", "static", &["-static", "-w"]);
    let audit = compile("unlinked", "audit.so", &["-shared", "-fPIC", "-DAUDIT", "-ldl"]);
    // The state of the driver is the card's: who gets there has the card.
    let cases = [
        ("the driver's symbol table, read by the program", "exec $1 table /etc/driver/libcuda.so.1"),
        (
            "`LD_PRELOAD` with the driver itself, of a program that is linked with it",
            "LD_PRELOAD=/etc/driver/libcuda.so.1 exec $0 linear",
        ),
        (
            "`LD_AUDIT` with a library that opens the driver",
            "AUDITED=/etc/driver/libcuda.so.1 LD_AUDIT=$2 exec true",
        ),
        (
            "a mount over the files, or a root without them",
            "exec unshare --mount sh -c 'mount --bind /dev/null /etc/ld.so.preload; exec $0 linear' $0",
        ),
    ];
    for (way, script) in cases {
        let machine = Machine::new(1, 4096);
        let container = slice(&machine);
        assert_eq!(said(&container, script, &[&unlinked, &audit]), "400 0\n", "{way}");
        assert_eq!(readme(way), "not held", "{way}");
    }
    // glibc crashes in a driver that a static program opens, the simulated one at least: that nobody stands before it is seen so.
    let machine = Machine::new(1, 4096);
    let container = slice(&machine);
    let has = |which: &str| said(&container, &format!("exec {which} has libvcuda"), &[&unlinked, &fixed]);
    assert_eq!((has("$1"), has("$2")), ("there\n".to_owned(), "not there\n".to_owned()));
    assert_eq!(readme("a program that is linked statically"), "not held");
}
