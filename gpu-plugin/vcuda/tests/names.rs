//! Which functions a program gets that looks for them itself, and that a program which never does sees nothing of the library.
//! Real programs with the real linker; the driver is a stand-in. The last test needs root, as mounts do.

// A test from its first line to its last: what cannot be unwrapped has failed.
#![allow(clippy::unwrap_used)]

#[allow(dead_code, reason = "each test uses a part of it")]
mod rig;

use std::fs;
use std::path::Path;
use std::process::Command;

use ideal_gpu::accounting::layout::FILE_BYTES;
use rig::built;
use tempfile::TempDir;

/// Compiles a file of tests/names.
fn gcc(folder: &Path, source: &str, out: &str, options: &[&str]) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/names").join(source);
    let mut gcc = Command::new("gcc");
    gcc.current_dir(folder).args(["-O1", "-w", "-o", out]).arg(source).args(options);
    assert!(gcc.status().unwrap().success(), "{out} does not compile");
}

#[test]
fn every_way_to_look_a_function_up_leads_to_ours() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    fs::create_dir(at.join("own")).unwrap();
    gcc(at, "driver.c", "libcuda.so.1", &["-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-Wl,-Bsymbolic"]);
    gcc(at, "beside.c", "own/libbeside.so", &["-shared", "-fPIC"]);
    let beside =
        ["-shared", "-fPIC", "-Wl,--enable-new-dtags", "-Wl,-rpath,$ORIGIN/own", "-Wl,--no-as-needed"];
    gcc(at, "linked.c", "liblinked.so", &[&["libcuda.so.1"], &beside[..]].concat());
    // The program has the two that are stacked one on the other, and no path of its own to the second.
    gcc(
        at,
        "linked.c",
        "libfirst.so",
        &[&beside[..], &["own/libbeside.so", "-Wl,-soname,libfirst.so"]].concat(),
    );
    let linked = ["-Wl,--no-as-needed", "libfirst.so", "-Wl,--unresolved-symbols=ignore-all", "-ldl"];
    gcc(at, "program.c", "program", &linked);
    let output = Command::new(at.join("program"))
        .current_dir(at)
        .env("LD_LIBRARY_PATH", at)
        .env("LD_PRELOAD", built("vcuda", "libvcuda.so"))
        .output()
        .unwrap();
    let (said, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert_eq!(said, EXPECTED, "{errors}");
    assert_eq!(errors.matches("CUDA is refused in this program").count(), 1, "said once a process: {errors}");
}

/// 800: reached ours, which has no limits here. 77 would be the driver.
const EXPECTED: &str = "\
before: nobody's
before: error
dlsym cuInit: libvcuda.so
dlvsym cuInit: nobody's
dlsym cuDriverGetVersion: libcuda.so.1
dlsym cuMemAllocManaged: nobody's
error: as usual
default cuInit: libvcuda.so
dlsym dlsym: libvcuda.so
dlvsym dlsym: libvcuda.so
dlsym puts: libc.so.6
error: as usual
cuGetProcAddress cuInit 12000: 0 0 libvcuda.so
cuGetProcAddress cuMemAlloc 12000: 0 0 libvcuda.so
cuGetProcAddress cuMemAlloc 14000: 500 2 nobody's
cuGetProcAddress cuCtxGetDevice 12000: 0 0 libcuda.so.1
cuGetProcAddress cuGetProcAddress 12000: 0 0 libvcuda.so
cuGetProcAddress cuNothing 12000: 500 0 nobody's
caller: 2
beside: found, lost
deep: 800 800
namespace libm: opened, no error
namespace driver: refused, error
base driver: opened
";

/// A folder that lies over /etc, with the library and what tells the linker of it.
fn etc(folder: &Path) {
    fs::create_dir_all(folder.join("etc/ideal-gpu/turn")).unwrap();
    fs::create_dir(folder.join("work")).unwrap();
    fs::copy(built("vcuda", "libvcuda.so"), folder.join("etc/ideal-gpu/libvcuda.so")).unwrap();
    fs::write(folder.join("etc/ld.so.preload"), "/etc/ideal-gpu/libvcuda.so\n").unwrap();
}

const MOUNTS: &str = "mount -t overlay overlay -o \"lowerdir=/etc,upperdir=$1/etc,workdir=$1/work\" /etc;";

/// Runs a script in a mount namespace of its own; `$1` is the folder.
fn unshared(folder: &Path, script: &str) -> Command {
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(folder);
    // Cargo's, in which every library would be looked for first.
    unshare.env_remove("LD_LIBRARY_PATH");
    unshare
}

#[test]
fn nvml_tells_the_slice_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    gcc(at, "nvml.c", "libnvidia-ml.so.1", &["-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]);
    gcc(at, "card.c", "card", &["-ldl"]);
    etc(at);
    let ask = || {
        let output = unshared(at, &format!("{MOUNTS} LD_LIBRARY_PATH=$1 exec $1/card")).output().unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    // Limits that cannot be read: no size is told, neither the slice's nor the card's.
    let unknown = "memory: 4 0 0 0\nmemory_v2: 4 0 0 0 0\nmode: 4\ncount: 0 1\n";
    assert_eq!(ask().0, unknown);
    let uuid = "GPU-11111111-1111-1111-1111-111111111111";
    let limits = format!(
        "{{\"version\":1,\"pod_uid\":\"u\",\"pod_namespace\":\"n\",\"pod_name\":\"p\",\"container\":\"c\",\
         \"virtual_memory\":false,\"work_conserving\":false,\"cards\":[{{\"index\":0,\"uuid\":\"{uuid}\",\
         \"core_percent\":30,\"memory_mib\":2000,\"context_mib\":0}}]}}"
    );
    fs::write(at.join("etc/ideal-gpu/limits.json"), limits).unwrap();
    fs::write(at.join("etc/ideal-gpu/region"), vec![0; FILE_BYTES]).unwrap();
    fs::write(at.join("etc/ideal-gpu/turn").join(uuid), "").unwrap();
    let (said, errors) = ask();
    assert_eq!(said, "memory: 0 2000 2000 0\nmemory_v2: 0 2000 0 2000 0\nmode: 4\ncount: 0 1\n", "{errors}");
}

/// System calls of a program.
fn calls(folder: &Path, name: &str, mounts: &str, program: &str) -> Vec<String> {
    let log = folder.join(name);
    let script = format!("{mounts} exec strace -o \"$2\" {program}");
    assert!(unshared(folder, &script).arg(&log).status().unwrap().success(), "{program}");
    fs::read_to_string(log).unwrap().lines().map(str::to_owned).collect()
}

/// A call without what differs from run to run: addresses, numbers, and what is random.
fn without_numbers(line: &str) -> String {
    if line.starts_with("getrandom(") {
        return "getrandom".to_owned();
    }
    let mut text = String::new();
    for part in line.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        text.push_str(if part.starts_with(|first: char| first.is_ascii_digit()) { "@" } else { part });
        text.push(' ');
    }
    text
}

/// How a heap grows differs from run to run: Python hashes with a random seed.
fn is_heap(call: &str) -> bool {
    call.starts_with("brk(") || call.starts_with("munmap(") || call.contains("MAP_ANONYMOUS")
}

/// Splits after the loader has closed its cache: what follows is the program's own.
fn split(calls: &[String]) -> (&[String], &[String]) {
    let opened = calls.iter().position(|call| call.contains("ld.so.cache")).unwrap();
    let closed = calls[opened..].iter().position(|call| call.starts_with("munmap(")).unwrap();
    calls.split_at(opened + closed)
}

fn opened(calls: &[String]) -> Vec<&str> {
    let opens = calls.iter().filter(|call| call.starts_with("openat(") && !call.contains("ENOENT"));
    opens.filter_map(|call| call.split('"').nth(1)).collect()
}

#[test]
fn a_program_without_cuda_sees_nothing() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    etc(at);
    // The interpreter itself: what is called python3 may be a script.
    let python = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    let python = String::from_utf8(python.stdout).unwrap();
    for program in ["true", &format!("{} -I -c pass", python.trim())] {
        let (without, with) = (calls(at, "without", "", program), calls(at, "with", MOUNTS, program));
        let ((loaded_without, own_without), (loaded_with, own_with)) = (split(&without), split(&with));
        let own = |calls: &[String]| {
            calls.iter().filter(|call| !is_heap(call)).map(|call| without_numbers(call)).collect::<Vec<_>>()
        };
        let (own_without, own_with) = (own(own_without), own(own_with));
        for (without, with) in own_without.iter().zip(&own_with) {
            assert_eq!(without, with, "{program}");
        }
        assert_eq!(own_without.len(), own_with.len(), "{program}");
        let before = opened(loaded_without);
        let more: Vec<&str> = opened(loaded_with).into_iter().filter(|file| !before.contains(file)).collect();
        let ours = ["/etc/ld.so.preload", "/etc/ideal-gpu/libvcuda.so"];
        // Parts of glibc that libvcuda is linked with and the program is not.
        let glibc = |file: &&str| {
            ["libdl.so.2", "libpthread.so.0", "libgcc_s.so.1"].iter().any(|name| file.ends_with(name))
        };
        let others: Vec<&str> = more.iter().filter(|file| !glibc(file)).copied().collect();
        assert_eq!(others, ours, "{program}");
    }
}
