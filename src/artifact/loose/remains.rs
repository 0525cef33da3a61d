//! Content of deleted files, as far as the file system still leads to it: what tells of modems, tunnels and logins. How
//! it is recognised: [`crate::artifact::remains`].
use super::super::{Content, Out, Sight, remains};
use crate::base::{Evidence, PieceKind, Run};
use crate::evidence::Entry;
use crate::inventory::Trace;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Different lines of one kind of one file.
const MAX_KIND: usize = 50;

pub(crate) const CONTENT: Content = Content {
    name: "loose.remains",
    about: "deleted files: lines of settings, logs and histories that tell of modems and tunnels; IMEI and ICCID by name and check digit, IMSI by name and known network",
    wants,
    consume,
};

fn wants(entry: &Entry, head: &[u8]) -> bool {
    entry.deleted && entry.is_file() && !head.is_empty()
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let mut all: BTreeMap<(Arc<str>, String, String), (remains::Trace, u32)> = BTreeMap::new();
    let mut kinds: BTreeMap<Arc<str>, usize> = BTreeMap::new();
    let mut more = 0_u64;
    remains::scan(content, (0, content.len()), &mut |trace| {
        let key = (trace.kind.clone(), trace.value.clone(), trace.text.clone());
        if let Some((_, count)) = all.get_mut(&key) {
            *count = count.saturating_add(1);
            return;
        }
        let known = kinds.entry(trace.kind.clone()).or_default();
        if *known >= MAX_KIND {
            more = more.saturating_add(1);
            return;
        }
        *known = known.saturating_add(1);
        all.insert(key, (trace, 1));
    });
    if more > 0 {
        out.gap_bytes(
            sight.entry,
            format!("budget: traces; {more} further lines of the same kinds were not listed"),
            0,
        );
    }
    for (trace, count) in all.into_values() {
        let range = Run::new(trace.offset as u64, trace.len as u64);
        let part = sight.part(range);
        let first = part.image_runs.first().filter(|r| r.kind == PieceKind::Stored);
        out.push(Trace {
            kind: trace.kind,
            class: trace.class,
            value: trace.value,
            operator: trace.operator,
            area: "deleted-file".into(),
            path: sight.entry.path.clone(),
            image_offset: first.map(|r| r.offset),
            count,
            evidence: Evidence { excerpt: Some(trace.text.clone()), ..part },
            text: trace.text,
            ..Trace::default()
        });
    }
}
