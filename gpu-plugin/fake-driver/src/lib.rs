//! A simulated `libnvidia-ml.so.1`: NVML for machines without a card, loaded by `nvml-wrapper` like the real one.
//!
//! It is built as `libfake_driver.so` (`cargo build -p fake-driver`); tests give its path to `cards::Nvml::new`, or copy it to a
//! directory as `libnvidia-ml.so.1` and put that into `LD_LIBRARY_PATH`.
//!
//! Its cards come from a TOML file: the one that the environment's `FAKE_NVML_CONFIG` names, or else the one beside the library
//! with `.toml` after its name (`/tmp/x/libnvidia-ml.so.1.toml`), so that one process can load several copies, each with its
//! own machine. Without a file the driver is not loaded. The file is read again when it changed; replace it by rename, so that no half of it is ever read.
//! A file that cannot be read as TOML is reported on standard error and changes nothing.
//!
//! ```toml
//! driver = "580.82.07"              # or "not_loaded": then every call says so
//! state = "/tmp/x/state"            # folder of what CUDA's programs share; default: the file's own path with `.state` after it
//! look_ms = 2                       # a call that waits for an event looks here so often: the real one sleeps in the kernel,
//!                                   # so whoever measures an idle program sets this high
//!
//! [[cards]]                         # any number; NVML's order. A card that is taken out of the file is lost.
//! uuid = "GPU-8f3a0c1e-0000-1111-2222-333344445555"
//! model = "NVIDIA H100 80GB HBM3"
//! memory_mib = 81559                # all of it
//! reserved_mib = 569                # of it, what the driver keeps; default 0
//! context_mib = 0                   # what each CUDA context takes of it
//! pci = "00000000:3B:00.0"          # default: made from the card's place
//! minor = 0                         # default: the card's place
//! numa = 0                          # default: none
//! mig = false                       # default: a card that cannot be cut
//! lost = false                      # true: it has fallen off the bus, and NVML says so to every question
//! hang = false                      # true: a question about it is not answered until this is false again
//! error = 0                         # an nvmlReturn_t that every question about it is answered with
//! recovery = 0                      # nvmlDeviceGpuRecoveryAction_t: 1 reset, 2 reboot, 3 drain P2P, 4 drain and reset
//! temperature = 40
//! utilization = 0
//! power_milliwatts = 70000
//! used_mib = 0                      # default: what the processes hold
//! processes = [{ pid = 4711, used_mib = 1024, graphics = false }]
//!
//! [[events]]                        # each id is delivered once to each set of events that its card was registered in,
//! id = 1                            # and not to sets that were made after it was delivered
//! card = "GPU-8f3a0c1e-0000-1111-2222-333344445555"
//! xid = 79                          # or: mig = true, for a card that was cut anew
//! ```
//!
//! Like the real one it lists the cards that were there when it was initialised: a new card needs `nvmlInit` again.

mod config;
mod cuda;
mod nvml;
