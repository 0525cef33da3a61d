//! The temporary file for what is decoded, as a worker has it: asked of the parent when it is first wanted, and the
//! only thing that a worker can write to. It has no name and is gone with the last process that has it open.
use super::link::Wire;
use super::protocol::Report;
use crate::base::{Progress, Wanted};
use crate::image::Scratch;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often it is told that decoding goes on.
const TICK: Duration = Duration::from_secs(1);

pub(super) struct TemporaryFile {
    wire: Arc<Wire>,
    progress: Arc<Progress>,
    /// And how many bytes it may have; `None` if it was refused.
    given: OnceLock<Option<(File, u64)>>,
    /// Bytes decoded so far, and when that was told.
    decoded: Mutex<(u64, Instant)>,
}

impl TemporaryFile {
    pub(super) fn new(wire: Arc<Wire>, progress: Arc<Progress>) -> Self {
        Self { wire, progress, given: OnceLock::new(), decoded: Mutex::new((0, Instant::now())) }
    }
    fn given(&self) -> Option<&(File, u64)> {
        let ask = || {
            // A broken link means that the parent is gone, and so is the reason to go on.
            let given = self.wire.ask(0, &Wanted::Scratch { is_full: false });
            given.unwrap_or_else(|_| std::process::exit(1)).map(|(spec, file)| (file, spec.len)).ok()
        };
        self.given.get_or_init(ask).as_ref()
    }
}

impl Scratch for TemporaryFile {
    fn room(&self) -> u64 {
        self.given().map_or(0, |(_, room)| *room)
    }
    fn write(&self, offset: u64, bytes: &[u8]) -> bool {
        let Some((file, room)) = self.given() else { return false };
        let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= *room);
        fits && file.write_all_at(bytes, offset).is_ok()
    }
    fn is_over(&self) {
        // The parent tells the examiner; there is nothing that it could give.
        drop(self.wire.ask(0, &Wanted::Scratch { is_full: true }));
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> bool {
        self.given().is_some_and(|(file, _)| file.read_exact_at(out, offset).is_ok())
    }
    fn goes_on(&self, bytes: u64) {
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        decoded.0 = decoded.0.saturating_add(bytes);
        // Later stages have a progress of their own.
        if self.progress.fraction().1 == 0 && decoded.1.elapsed() >= TICK {
            decoded.1 = Instant::now();
            self.wire.send(&Report::Advance { done: decoded.0 });
            self.wire.flush();
        }
    }
}
