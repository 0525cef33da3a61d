//! How long a worker waited for the processor. A machine that is busy with other work gives it little time, and what it
//! was not given is not held against it: silence counts only while it could have spoken.
//!
//! Linux tells it for each thread (`/proc/PID/task/TID/schedstat`, its second number, in nanoseconds); elsewhere nothing
//! is known of it, and silence is what the clock says.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// However busy the machine is: a worker that lets many threads wait for one another is ended after so many times the
/// silence that it may keep.
const AT_MOST: u32 = 10;
/// Processes of one worker that are looked at. It cannot start any; a test's may.
const PROCESSES: usize = 64;

/// A silence that goes on.
pub(super) struct Silence {
    since: Instant,
    worker: Option<u32>,
    /// What each thread had waited by then.
    before: BTreeMap<u64, u64>,
}

impl Silence {
    /// Begins now.
    pub(super) fn new(worker: Option<u32>) -> Self {
        Self { since: Instant::now(), worker, before: BTreeMap::new() }
    }
    /// To be called before the limit is reached, once at least: notes what was waited so far.
    pub(super) fn note(&mut self) {
        if self.before.is_empty() {
            self.before = waited(self.worker);
        }
    }
    /// Whether it took longer than this, what was waited for the processor left out.
    pub(super) fn is_over(&self, limit: Duration) -> bool {
        let all = self.since.elapsed();
        all > limit
            && (all > limit.saturating_mul(AT_MOST)
                || all.saturating_sub(longest(&self.before, &waited(self.worker))) > limit)
    }
}

/// The longest that one thread waited in between.
fn longest(before: &BTreeMap<u64, u64>, now: &BTreeMap<u64, u64>) -> Duration {
    let more = now.iter().map(|(thread, ns)| ns.saturating_sub(before.get(thread).copied().unwrap_or(0)));
    Duration::from_nanos(more.max().unwrap_or(0))
}

/// Nanoseconds that each thread of this process, of the worker and of what that started has waited.
fn waited(worker: Option<u32>) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    let mut processes: Vec<u64> = worker.into_iter().map(u64::from).collect();
    let mut at = 0;
    while let Some(process) = processes.get(at).copied() {
        at = at.saturating_add(1);
        for task in tasks(&process.to_string()) {
            let place = format!("/proc/{process}/task/{task}");
            found.extend(delay(&place).map(|ns| (task, ns)));
            // What cannot be looked at any more has ended.
            let children = std::fs::read_to_string(format!("{place}/children")).unwrap_or_default();
            let room = PROCESSES.saturating_sub(processes.len());
            processes.extend(children.split_ascii_whitespace().filter_map(|c| c.parse::<u64>().ok()).take(room));
        }
    }
    // The parent may be late in taking what was said.
    for task in tasks("self") {
        found.extend(delay(&format!("/proc/self/task/{task}")).map(|ns| (task, ns)));
    }
    found
}

fn tasks(process: &str) -> Vec<u64> {
    let Ok(list) = std::fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn delay(place: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("{place}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_thread_waited_most_counts() {
        let map = |list: &[(u64, u64)]| list.iter().copied().collect::<BTreeMap<u64, u64>>();
        let before = map(&[(1, 100), (2, 5)]);
        assert_eq!(longest(&before, &map(&[(1, 130), (2, 5), (3, 20)])), Duration::from_nanos(30));
        assert_eq!(longest(&before, &map(&[(1, 100), (3, 20)])), Duration::from_nanos(20));
        assert_eq!(longest(&before, &map(&[])), Duration::ZERO);
    }
    /// A silence in which nobody waits for the processor is as long as the clock says.
    #[test]
    fn silence_ends() {
        let mut silence = Silence::new(None);
        silence.note();
        assert!(!silence.is_over(Duration::from_hours(1)));
        std::thread::sleep(Duration::from_millis(30));
        // Ten times a millisecond have passed, however long this thread waited.
        assert!(silence.is_over(Duration::from_millis(1)));
    }
    #[cfg(target_os = "linux")]
    #[test]
    fn threads_that_wait_are_seen() {
        let before = waited(None);
        assert!(!before.is_empty());
        let busy = || {
            let until = Instant::now() + Duration::from_millis(150);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        // Twice as many as there are processors: somebody waits.
        let count = 2 * std::thread::available_parallelism().map_or(8, usize::from);
        let waited = std::thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(busy);
            }
            std::thread::sleep(Duration::from_millis(120));
            longest(&before, &waited(None))
        });
        assert!(waited > Duration::from_millis(5), "{waited:?}");
    }
}
