//! Evidence that changes or cannot be read while it is examined: told, with the place, and everything else is there.
#![cfg(target_os = "linux")]
mod changed;
mod unreadable;

use cranescope::session::{Plan, Stage, Watch};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};

fn plan(at: &Path, case: &str) -> Plan {
    Plan { overwrite: true, ..crate::common::plan(at, case) }
}

/// A watch that does something once, when a stage begins.
fn at_stage(stage: Stage, act: impl FnOnce() + Send + 'static) -> Arc<Watch> {
    let own: Arc<OnceLock<Arc<Watch>>> = Arc::default();
    let inside = own.clone();
    let act = Mutex::new(Some(act));
    let watch = Arc::new(Watch::new(move || {
        if inside.get().is_some_and(|w| w.status().stage >= stage)
            && let Some(act) = act.lock().unwrap().take()
        {
            act();
        }
    }));
    own.set(watch.clone()).ok().unwrap();
    watch
}
