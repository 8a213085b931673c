//! The library and its files, on a real file system.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::*;

fn isolation(library: PathBuf) -> Isolation {
    Isolation { library: Some(library), ..Isolation::default() }
}

#[test]
fn the_library_is_named_by_its_content_and_a_running_container_keeps_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (source, state) = (dir.path().join("source.so"), dir.path().join("state"));
    let folder = state.join("containers/u/c");
    fs::create_dir_all(&folder).unwrap();
    let at = folder.join(LIBRARY_NAME);
    fs::write(&source, "one").unwrap();
    let first = install(&source, &state).unwrap();
    // sha256("one"), by sha256sum.
    assert_eq!(first, state.join("lib/libvcuda-7692c3ad3540bb80.so"));
    assert_eq!(fs::read_to_string(state.join("preload")).unwrap(), "/etc/ideal-gpu/libvcuda.so\n");
    let inode = fs::metadata(&first).unwrap().ino();
    assert_eq!(install(&source, &state).unwrap(), first);
    assert_eq!(fs::metadata(&first).unwrap().ino(), inode, "never rewritten");
    for _twice in 0..2 {
        isolation(first.clone()).prepare(&folder).unwrap();
        assert_eq!(fs::metadata(&at).unwrap().ino(), inode);
    }
    fs::write(&source, "two").unwrap();
    let second = install(&source, &state).unwrap();
    assert!(!first.exists() && second.exists());
    assert_eq!(fs::read_to_string(&at).unwrap(), "one", "until it starts again");
    isolation(second).prepare(&folder).unwrap();
    assert_eq!(fs::read_to_string(&at).unwrap(), "two");
    assert_eq!(fs::metadata(&at).unwrap().permissions().mode() & 0o777, 0o555);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 3, "nothing half made is left");
    let missing = install(&dir.path().join("none.so"), &state).unwrap_err().to_string();
    assert!(missing.contains("none.so"), "{missing}");
}

#[test]
fn the_region_is_anew_at_each_start_and_the_arbiters_folder_stays() {
    let dir = tempfile::tempdir().unwrap();
    let library = dir.path().join("lib.so");
    fs::write(&library, "x").unwrap();
    let region = dir.path().join(REGION_NAME);
    let arbiter = dir.path().join(ARBITER_NAME);
    let start = || {
        isolation(library.clone()).prepare(dir.path()).unwrap();
        // Held open: a number is given again when its file is gone.
        (fs::File::open(&region).unwrap(), fs::metadata(&arbiter).unwrap().ino())
    };
    let (first, inode) = start();
    fs::write(&region, "used").unwrap();
    let (second, again) = start();
    assert_ne!(first.metadata().unwrap().ino(), second.metadata().unwrap().ino());
    assert_eq!(again, inode);
    assert_eq!(fs::read(&region).unwrap(), vec![0; FILE_BYTES]);
    assert_eq!(fs::metadata(&region).unwrap().permissions().mode() & 0o777, 0o666);
}

#[test]
fn without_a_library_there_are_limits_and_no_more() {
    let state = Path::new("/state");
    let slots = ["0-GPU-a"];
    let paths = |isolation: &Isolation| {
        let mounts = isolation.mounts(state, &slots);
        mounts.into_iter().map(|mount| mount.path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&Isolation::default()), [LIMITS]);
    let all = paths(&isolation("/state/lib/x.so".into()));
    assert_eq!(all, [LIMITS, ACCOUNTING, ARBITER, LIBRARY, PRELOAD]);
    assert!(Isolation::default().mounts(state, &[]).is_empty());
}
