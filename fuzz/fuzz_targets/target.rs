//! One target; which one is the name of the binary, or for `any` the word in `CRANESCOPE_TARGET`.
#![no_main]
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

libfuzzer_sys::fuzz_target!(|data: &[u8]| target().run(data));
