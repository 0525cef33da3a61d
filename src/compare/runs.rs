//! When packages changed on a machine: by the log of its package manager, and by the times at which the manager wrote what
//! it keeps of each package. What a package's change leaves is written in such a run; what is written at another time is not.
use crate::inventory::{File, Inventory};
use std::collections::BTreeMap;

/// Seconds after a log's last line in which maintainer scripts and triggers still write.
const AFTER: i64 = 180;
/// Seconds from the moment at which a package was unpacked to the end of the run, where no log tells.
const UNPACKED: i64 = 1800;

/// Runs of the package managers of one machine, by system: sorted, joined, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs(BTreeMap<Option<u32>, Vec<(i64, i64)>>);

impl Runs {
    pub(super) fn of(inventory: &Inventory) -> Self {
        let mut runs: BTreeMap<Option<u32>, Vec<(i64, i64)>> = BTreeMap::new();
        let logged = inventory.events.iter().filter(|e| &*e.class == "package");
        for event in logged.filter(|e| e.fields.iter().any(|f| f.starts_with("changed="))) {
            let Some(start) = event.time else { continue };
            let end = event.last.unwrap_or(start);
            runs.entry(event.system).or_default().push((start.seconds, end.seconds.saturating_add(AFTER)));
        }
        // dpkg's time of a package is that of its list, which anyone can set; when the list's metadata changed is not.
        let of_dpkg = |f: &&File| !f.deleted && f.covered.is_empty() && is_list(f.path.bytes());
        let unpacked = inventory.files.iter().filter(of_dpkg).map(|f| (f.system, f.changed));
        let others = inventory.packages.iter().filter(|p| &*p.manager != "dpkg").map(|p| (p.system, p.installed));
        for (system, at) in unpacked.chain(others) {
            let Some(at) = at else { continue };
            runs.entry(system).or_default().push((at.seconds, at.seconds.saturating_add(UNPACKED)));
        }
        for all in runs.values_mut() {
            all.sort_unstable();
            let mut joined: Vec<(i64, i64)> = Vec::new();
            for (start, end) in all.drain(..) {
                match joined.last_mut().filter(|last| start <= last.1) {
                    Some(last) => last.1 = last.1.max(end),
                    None => joined.push((start, end)),
                }
            }
            *all = joined;
        }
        Self(runs)
    }
    /// Whether a file was last changed in one of them. Where nothing tells when packages changed there is nothing to hold
    /// it against; a file without a time is not taken for one.
    pub(super) fn hold(&self, file: &File) -> bool {
        let Some(runs) = self.0.get(&file.system).filter(|r| !r.is_empty()) else { return true };
        let Some(at) = file.changed.or(file.modified) else { return false };
        let next = runs.partition_point(|(start, _)| *start <= at.seconds);
        next.checked_sub(1).and_then(|last| runs.get(last)).is_some_and(|(_, end)| at.seconds <= *end)
    }
}

fn is_list(path: &[u8]) -> bool {
    path.strip_prefix(b"/var/lib/dpkg/info/").is_some_and(|name| name.ends_with(b".list"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Time;
    use crate::inventory::{Event, Package};

    #[test]
    fn a_file_is_of_a_run_where_log_or_lists_say_that_packages_changed() {
        let time = |s| Some(Time::seconds(s));
        let file = |path: &str, at: i64| File { path: path.into(), changed: time(at), ..File::default() };
        let day = Event {
            class: "package".into(),
            time: time(10_000),
            last: time(20_000),
            fields: vec!["changed=x 1".into()],
            ..Event::default()
        };
        let asked = Event { class: "package".into(), time: time(500_000), ..Event::default() };
        let inventory = Inventory {
            files: vec![file("/var/lib/dpkg/info/x.list", 100_000), file("/srv/x.list", 900_000)].into(),
            events: vec![day, asked].into(),
            packages: vec![
                Package { manager: "dpkg".into(), installed: time(700_000), ..Package::default() },
                Package { manager: "rpm".into(), installed: time(800_000), ..Package::default() },
            ]
            .into(),
            ..Inventory::default()
        };
        let runs = Runs::of(&inventory);
        let of_run = |at: i64| runs.hold(&file("/usr/share/mime/x", at));
        for at in [10_000, 15_000, 20_000 + AFTER, 100_000, 100_000 + UNPACKED, 800_100] {
            assert!(of_run(at), "{at}");
        }
        for at in [0, 9_999, 20_001 + AFTER, 99_999, 100_001 + UNPACKED, 500_000, 700_000, 900_000] {
            assert!(!of_run(at), "{at}");
        }
        assert!(!runs.hold(&File::default()));
        // Of another system nothing is known.
        assert!(runs.hold(&File { system: Some(7), changed: time(0), ..File::default() }));
    }
}
