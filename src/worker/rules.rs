//! The examiner's rules over contents: each file that was asked for is read whole and given to all rules.
//!
//! The parent measures the time from `Enter` to `Matched` and ends this process if that is too long.
use super::link::Link;
use super::look::{Quiet, Told};
use super::protocol::{Report, RuledFile};
use crate::base::yara::{self, LONGEST, RuleText, Scanned};
use crate::base::{Cancelled, Progress};
use crate::evidence::{Entry, Tree};
use crate::extract::{self, Input, Request};
use std::collections::HashMap;

/// Bytes of a file that are read at once.
const PIECE: usize = 1 << 20;

pub(super) fn run(
    inputs: Vec<Input>,
    rules: &[RuleText],
    files: &[RuledFile],
    request: &Request,
    link: &Link,
    progress: &Progress,
) -> Told<()> {
    let compiled = match yara::compile(rules) {
        Ok(compiled) => compiled,
        Err(faults) => {
            let what = faults.first().map(|f| format!("{}:{}: {}", f.file, f.line, f.what)).unwrap_or_default();
            return Ok(Err(what));
        }
    };
    let indexed = extract::index(inputs, request, &Quiet::new(link), progress)?;
    let mut places: HashMap<RuledFile, Option<(&Tree, &Entry)>> = files.iter().map(|f| (*f, None)).collect();
    for tree in &indexed.trees {
        for entry in &tree.entries {
            let file = RuledFile { filesystem: entry.fs, node: entry.node, deleted: entry.deleted };
            if let Some(place) = places.get_mut(&file).filter(|p| p.is_none()) {
                *place = Some((tree, entry));
            }
        }
    }
    for (at, file) in (0_u32..).zip(files) {
        link.send(&Report::Take { items: vec![at.into()], names: Vec::new() });
        link.flush();
        let content = match places.get(file).copied().flatten() {
            Some((tree, entry)) => read(tree, entry, progress)?,
            None => Err("it is not where it was".to_owned()),
        };
        let (Scanned { matches, cut }, unread) = match content {
            Ok(content) => {
                link.send(&Report::Enter { item: at.into(), name: String::new() });
                link.flush();
                (compiled.scan(&content), String::new())
            }
            Err(what) => (Scanned::default(), what),
        };
        link.send(&Report::Matched { file: at, matches, cut, unread });
        link.flush();
    }
    Ok(Ok(()))
}

/// The whole content, or why there is none.
fn read(tree: &Tree, entry: &Entry, progress: &Progress) -> Result<Result<Vec<u8>, String>, Cancelled> {
    let len = entry.len();
    if len > LONGEST {
        return Ok(Err(format!("budget: longer than {LONGEST} bytes")));
    }
    let source = match tree.open(entry) {
        Ok(source) => source,
        Err(e) => return Ok(Err(e.to_string())),
    };
    let mut content = Vec::new();
    let want = usize::try_from(len).unwrap_or(usize::MAX);
    if content.try_reserve_exact(want).is_err() {
        return Ok(Err("no memory for the whole content".to_owned()));
    }
    while content.len() < want {
        let start = content.len();
        content.resize(start.saturating_add(PIECE).min(want), 0);
        let piece = content.get_mut(start..).unwrap_or_default();
        let n = match source.read_at(start as u64, piece) {
            Ok(n) => n,
            Err(e) => return Ok(Err(format!("at file offset {}: {}", e.offset, e.what))),
        };
        if n == 0 {
            return Ok(Err(format!("it ends before its size, at file offset {start}")));
        }
        content.truncate(start.saturating_add(n));
        progress.step(n as u64)?;
    }
    Ok(Ok(content))
}
