//! The driver's libraries and tools that programs in a container need. They belong to the kernel driver of the machine and
//! cannot come with an image, so a container is created with those of its node.
//!
//! They are mounted one by one, under the names by which programs load them, where every C library looks by itself: no hook
//! runs in the container's root, no `ldconfig`, no `LD_LIBRARY_PATH` that an image could overwrite.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Libraries by the first part of their names. The roles `compute`, `utility` and `video` of NVIDIA's container toolkit
/// (`nvidia-container-cli list`, 1.17), less what only X servers and debuggers of the driver load.
const LIBRARIES: [&str; 13] = [
    "libcuda",
    "libcudadebugger",
    "libnvcuvid",
    "libnvidia-allocator",
    "libnvidia-cfg",
    "libnvidia-encode",
    "libnvidia-gpucomp",
    "libnvidia-ml",
    "libnvidia-nvvm",
    "libnvidia-opencl",
    "libnvidia-opticalflow",
    "libnvidia-pkcs11-openssl3",
    "libnvidia-ptxjitcompiler",
];

/// By this one the folder of the libraries is known.
const FIRST: &str = "libcuda.so.1";

/// Tools.
const TOOLS: [&str; 1] = ["usr/bin/nvidia-smi"];

/// Debian's name for this kind of machine; NVIDIA has drivers for these two.
const MULTIARCH: &str = if cfg!(target_arch = "aarch64") { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };

/// Where drivers put their libraries, below the root: Debian's and Ubuntu's folder, Debian's alternatives, that of Red Hat
/// and of NVIDIA's installer, and the rest.
fn folders() -> [String; 4] {
    let multiarch = format!("usr/lib/{MULTIARCH}");
    [multiarch.clone(), format!("{multiarch}/nvidia/current"), "usr/lib64".to_owned(), "usr/lib".to_owned()]
}

/// Where C libraries look by themselves: glibc of Debian's family, and of all others.
fn targets() -> [String; 2] {
    [format!("/usr/lib/{MULTIARCH}"), "/usr/lib64".to_owned()]
}

/// What is mounted: path in the container, and on the host below `driver_root`, all of it there. `seen` tells where this
/// program sees a path of the host.
pub(crate) fn mounts(driver_root: &Path, seen: impl Fn(&Path) -> PathBuf) -> Vec<(String, PathBuf)> {
    let folders = folders().map(|folder| driver_root.join(folder));
    let Some(folder) = folders.iter().find(|folder| there(&seen(&folder.join(FIRST)))) else {
        return Vec::new();
    };
    let mut mounts = Vec::new();
    for name in names(&seen(folder)) {
        let host = folder.join(&name);
        mounts.extend(targets().map(|target| (format!("{target}/{name}"), host.clone())));
    }
    // Programs that are built without the driver at hand load it by this name.
    mounts.extend(targets().map(|target| (format!("{target}/libcuda.so"), folder.join(FIRST))));
    let tools = TOOLS.iter().filter(|tool| there(&seen(&driver_root.join(tool))));
    mounts.extend(tools.map(|tool| (format!("/{tool}"), driver_root.join(tool))));
    mounts
}

/// A link counts by itself: where it leads only the host knows.
fn there(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// The names in the folder by which the libraries are loaded: `lib….so.<number>`, and for those that have none the one with
/// the driver's version.
fn names(folder: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files: Vec<String> = files.filter_map(|file| file.file_name().into_string().ok()).collect();
    let versions = |library: &str| {
        let of = |file: &String| {
            Some((file.strip_prefix(library)?.strip_prefix(".so.")?.to_owned(), file.clone()))
        };
        files.iter().filter_map(of).collect::<Vec<_>>()
    };
    let mut names = BTreeSet::new();
    for library in LIBRARIES {
        let versions = versions(library);
        let is_number = |version: &str| version.bytes().all(|byte| byte.is_ascii_digit());
        let numbered = versions.iter().any(|(version, _)| is_number(version));
        let wanted = versions.into_iter().filter(|(version, _)| is_number(version) == numbered);
        names.extend(wanted.map(|(_, file)| file));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(folder: &str, files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        for file in files {
            std::fs::write(dir.path().join(folder).join(file), "").unwrap();
        }
        dir
    }

    #[test]
    fn each_library_is_mounted_by_the_name_that_programs_load_it_by() {
        let files = [
            "libcuda.so",
            "libcuda.so.1",
            "libcuda.so.580.82.07",
            "libnvidia-gpucomp.so.580.82.07",
            "libnvidia-nvvm.so.4",
            "libnvidia-nvvm.so.580.82.07",
            "libcudart.so.12",
            "libnvidia-glcore.so.580.82.07",
        ];
        let host = machine("run/driver/usr/lib64", &files);
        let mounts =
            mounts(Path::new("/run/driver"), |path| host.path().join(path.strip_prefix("/").unwrap()));
        let there: Vec<&str> =
            mounts.iter().filter_map(|(path, _)| path.strip_prefix("/usr/lib64/")).collect();
        assert_eq!(
            there,
            ["libcuda.so.1", "libnvidia-gpucomp.so.580.82.07", "libnvidia-nvvm.so.4", "libcuda.so"]
        );
        let (_, cuda) = mounts.iter().find(|(path, _)| path == "/usr/lib64/libcuda.so").unwrap();
        assert_eq!(cuda, Path::new("/run/driver/usr/lib64/libcuda.so.1"));
        let other = format!("/usr/lib/{MULTIARCH}/libcuda.so.1");
        assert!(mounts.iter().any(|(path, _)| *path == other), "{mounts:?}");
        assert!(mounts.iter().all(|(path, _)| !path.contains("nvidia-smi")), "it is not there");
    }

    #[test]
    fn tools_are_mounted_where_they_are_and_a_machine_without_a_driver_has_nothing() {
        let host = machine("usr/bin", &["nvidia-smi"]);
        let seen = |path: &Path| host.path().join(path.strip_prefix("/").unwrap());
        assert!(mounts(Path::new("/"), seen).is_empty());
        let folder = host.path().join(&folders()[0]);
        std::fs::create_dir_all(&folder).unwrap();
        // Debian's link leads out of what this program sees.
        std::os::unix::fs::symlink("/etc/alternatives/libcuda.so.1", folder.join(FIRST)).unwrap();
        let mounts = mounts(Path::new("/"), seen);
        assert!(mounts.contains(&("/usr/bin/nvidia-smi".to_owned(), PathBuf::from("/usr/bin/nvidia-smi"))));
        assert_eq!(mounts.len(), 5);
    }
}
