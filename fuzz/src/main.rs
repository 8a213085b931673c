//! One target under libFuzzer: `FUZZ_TARGET=<name> fuzz [libFuzzer's arguments]`, as `hack/fuzz` calls it.
#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

/// Not one of the targets: only `hack/fuzz` asks for it, and wants it to fail.
const PLANTED: Target = Target { name: "planted", run: fuzz::planted::run };

static TARGET: OnceLock<&'static Target> = OnceLock::new();

/// The target that the environment names: libFuzzer has the command line to itself.
fn chosen() -> &'static Target {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    match fuzz::target(&name).or((name == PLANTED.name).then_some(&PLANTED)) {
        Some(target) => target,
        None => panic!("FUZZ_TARGET: {name:?} is not allowed; allowed: a folder of fuzz/corpus"),
    }
}

libfuzzer_sys::fuzz_target!(
    init: { TARGET.get_or_init(chosen); },
    |input: &[u8]| (TARGET.get_or_init(chosen).run)(input)
);
