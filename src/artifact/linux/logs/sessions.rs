//! Periods of use as rows: what each file tells is put beside what the other files of its log tell.
use super::clock::Resolver;
use super::machines::Verdict;
use super::periods::{self, Told};
use super::scan::Scan;
use super::{File, Gathered, Source, talk};
use crate::artifact::Out;
use crate::base::{Evidence, Name, Time};
use crate::inventory::Session;
use std::collections::BTreeMap;

/// Order of the files of one log.
type Order = (std::cmp::Reverse<u64>, Option<Time>, usize);
/// By the files that are one log (the journals of users have their own order): what each tells.
pub(super) type Logs = BTreeMap<(Name, bool), Vec<(Order, Vec<Told>)>>;

/// Lines of all files that are kept to make periods of.
const MAX_TOLD: usize = 200_000;

/// Puts what a file tells of periods of use beside what the other files of its log tell.
pub(super) fn talks(
    scan: &mut Scan<'_>,
    resolver: &Resolver<'_>,
    at: usize,
    file: &File<'_>,
    gathered: &mut Gathered,
    out: &Out,
) {
    let room = MAX_TOLD.saturating_sub(gathered.marks);
    let mut marks = std::mem::take(&mut scan.talk.marks);
    let dropped = scan.talk.dropped.saturating_add(marks.len().saturating_sub(room) as u64);
    marks.truncate(room);
    if dropped > 0 {
        out.gap_bytes(file.entry, format!("budget: periods of use; {dropped} lines about them were not used"), 0);
    }
    gathered.marks = gathered.marks.saturating_add(marks.len());
    let base = gathered.bases.get(&at).copied().unwrap_or_default();
    let told = |mark: talk::Mark| Told {
        time: resolver.time(mark.when),
        source: Source { file: at, spot: mark.at },
        segment: base.saturating_add(mark.machine),
        mark,
    };
    let told: Vec<Told> = marks.into_iter().map(told).collect();
    let Some(first) = told.first() else { return };
    let order = (std::cmp::Reverse(file.age), first.time, at);
    gathered.told.entry((file.family.clone(), is_of_user(file))).or_default().push((order, told));
}

/// The journals of users have their own order.
pub(super) fn is_of_user(file: &File<'_>) -> bool {
    let name = file.entry.path.file_name();
    name.starts_with(b"user-") && name.windows(8).any(|w| w == b".journal")
}

/// The rows of all periods.
pub(super) fn sessions(
    files: &[File<'_>],
    told: Logs,
    verdict: &Verdict,
    evidence: &dyn Fn(Source, &str) -> Evidence,
    out: &Out,
) {
    let lines = talk::lines().unwrap_or_default();
    let mut all = Vec::new();
    for mut parts in told.into_values() {
        parts.sort_by_key(|p| p.0);
        let mut told: Vec<Told> = parts.into_iter().flat_map(|(_, told)| told).collect();
        for one in &mut told {
            let label = verdict.label(one.segment, one.time, one.time);
            let known = &mut one.mark.recorded_as;
            if !label.is_empty() && !known.contains(label) {
                *known = if known.is_empty() { label.to_owned() } else { format!("{known}, {label}") };
            }
        }
        all.extend(periods::periods(lines, &told));
    }
    let (all, more) = periods::bounded(periods::joined(all));
    if let (true, Some(file)) = (more > 0, files.first()) {
        out.gap_bytes(file.entry, format!("budget: periods of use; {more} of them were not listed"), 0);
    }
    let place = |source: Source| {
        let path = files.get(source.file).map(|f| f.entry.path.display()).unwrap_or_default();
        match (source.spot.line, source.spot.seqnum) {
            (0, seqnum) => format!("{path}:__SEQNUM={seqnum}"),
            (line, _) => format!("{path}:{line}"),
        }
    };
    for period in all {
        let evidence = period.evidence().map(|(source, text)| evidence(source, text)).unwrap_or_default();
        out.push(Session { evidence, ..period.row(&place) });
    }
}
