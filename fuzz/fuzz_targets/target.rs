//! One target; which one is the name of the binary, or for `any` the word in `CRANESCOPE_TARGET`.
#![no_main]
use cranescope_fuzz::kit::Reach;
use cranescope_fuzz::targets::{self, Target};
use std::sync::OnceLock;

fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let own = env!("CARGO_BIN_NAME").replace('_', "-");
        let name = if own == "any" { std::env::var("CRANESCOPE_TARGET").unwrap_or_default() } else { own };
        targets::find(&name).unwrap_or_else(|| panic!("no target {name}: set CRANESCOPE_TARGET"))
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| target().run(data, Reach::QUICK));

// Half of the disks are changed as the tests' mutants are, all else as libFuzzer does.
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let changed = if seed % 2 == 0 { target().mutant(&data[..size], max_size, u64::from(seed / 2)) } else { None };
    match changed {
        Some(changed) => {
            data[..changed.len()].copy_from_slice(&changed);
            changed.len()
        }
        None => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
});
