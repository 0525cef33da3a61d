//! Files of the evidence with all that is known of them, for an export: metadata, contents, and where they lie.
use super::link::Link;
use super::look::{Quiet, Told, find};
use super::protocol::{Exported, Report};
use crate::base::{Name, Progress, Run};
use crate::evidence::Entry;
use crate::extract::{self, Indexed, Input, Request, Sink};
use crate::fs::{NodeKind, is_told};
use crate::image::Source;

const PIECE: usize = 1 << 20;
const SECTOR: usize = 512;
/// Longer files than any disk of today are holes, or damage.
const MAX_FILE: u64 = 64 << 40;
/// Unreadable places of a file that are told one by one.
const MAX_UNREAD: usize = 10_000;

/// Tells every entry at and below the places, in order, but the first `skip`.
pub(super) fn export(
    inputs: Vec<Input>,
    places: &[String],
    skip: u64,
    request: &Request,
    link: &Link,
    progress: &Progress,
) -> Told<()> {
    let quiet = Quiet::new(link);
    let indexed = extract::index(inputs, request, &quiet, progress)?;
    let mut number = 0_u64;
    link.scene(&indexed.layout.scene);
    for place in places {
        let (tree, found) = match find(&indexed, place, &quiet) {
            Ok(found) => found,
            Err(what) => return Ok(Err(what)),
        };
        let in_tree = place.split_once(':').is_some_and(|(n, _)| n.parse::<u32>().is_ok());
        let mut prefix = found.path.bytes().to_vec();
        if prefix != b"/" {
            prefix.push(b'/');
        }
        let all = match indexed.systems.first() {
            Some(system) if !in_tree => system.entries(),
            _ => tree.entries.as_slice(),
        };
        let below: &[Entry] = if found.is_dir() { all } else { &[] };
        let below = below.iter().filter(|e| e.path.bytes().starts_with(&prefix) && e.path.bytes() != b"/");
        for entry in std::iter::once(&found).chain(below) {
            progress.step(1)?;
            number = number.saturating_add(1);
            if number > skip {
                tell(&indexed, entry, !in_tree, link, progress)?;
            }
        }
    }
    Ok(Ok(()))
}

fn tell(
    indexed: &Indexed,
    entry: &Entry,
    in_system: bool,
    link: &Link,
    progress: &Progress,
) -> Result<(), crate::base::Cancelled> {
    let tree = indexed.trees.iter().find(|t| t.id == entry.fs);
    let mut gaps = Vec::new();
    let source = match (entry.is_file(), indexed.systems.first().filter(|_| in_system), tree) {
        (true, Some(system), _) => Some(system.open(entry)),
        (true, None, Some(tree)) => Some(tree.open(entry)),
        _ => None,
    };
    let source = source.and_then(|s| s.map_err(|e| gaps.push((0, entry.len(), e.to_string()))).ok());
    let source = source.filter(|s| {
        let fits = s.len() <= MAX_FILE;
        if !fits {
            gaps.push((0, s.len(), "longer than a file that is exported".to_owned()));
        }
        fits
    });
    let target = match (entry.kind(), tree) {
        (NodeKind::Symlink, Some(tree)) => match tree.fs.read_link(entry.node) {
            Ok(target) => Some(Name::from(target)),
            Err(e) => {
                gaps.push((0, entry.len(), e.to_string()));
                None
            }
        },
        _ => None,
    };
    if entry.stat.is_none() {
        gaps.push((0, 0, "the inode could not be read".to_owned()));
    }
    link.send(&Report::Entry(Box::new(described(entry, source.as_ref(), target))));
    if let Some(source) = &source {
        contents(source, link, progress, &mut gaps)?;
    }
    link.send(&Report::EntryEnd { gaps });
    link.flush();
    Ok(())
}

fn described(entry: &Entry, source: Option<&Source>, target: Option<Name>) -> Exported {
    let stat = entry.stat.as_deref();
    let times = stat.map(|s| s.times).unwrap_or_default();
    let located = source.map(|s| s.locate(Run::new(0, s.len()))).unwrap_or_default();
    let mut at = 0_u64;
    let run = |p: crate::base::Piece| {
        let run = crate::base::ImageRun { image: p.image, file_offset: at, offset: p.offset, len: p.len, kind: p.kind };
        at = at.saturating_add(p.len);
        run
    };
    Exported {
        path: entry.path.clone(),
        filesystem: entry.fs,
        node: entry.node,
        deleted: entry.deleted,
        kind: entry.kind().as_str().to_owned(),
        has_content: source.is_some(),
        size: entry.len(),
        mode: stat.map_or(0, |s| s.mode),
        uid: stat.map_or(0, |s| s.uid),
        gid: stat.map_or(0, |s| s.gid),
        links: stat.map_or(0, |s| s.links),
        modified: times.modified,
        accessed: times.accessed,
        changed: times.changed,
        created: times.created,
        device: stat.and_then(|s| s.device),
        target,
        xattrs: stat
            .map(|s| s.xattrs.iter().filter(|(n, _)| !is_told(n.bytes())).cloned().collect())
            .unwrap_or_default(),
        image_runs: located.into_iter().map(run).collect(),
    }
}

/// Sends the bytes; what cannot be read is sent as zeros, and told.
fn contents(
    source: &Source,
    link: &Link,
    progress: &Progress,
    gaps: &mut Vec<(u64, u64, String)>,
) -> Result<(), crate::base::Cancelled> {
    let mut at = 0_u64;
    while at < source.len() {
        progress.step(1)?;
        let mut buf = vec![0; PIECE];
        let n = match source.read_at(at, &mut buf) {
            Ok(n) => n,
            Err(_) => by_sectors(source, at, &mut buf, gaps),
        };
        if n == 0 {
            gaps.push((at, source.len().saturating_sub(at), "the content ends before the file".to_owned()));
            return Ok(());
        }
        buf.truncate(n);
        at = at.saturating_add(n as u64);
        link.send(&Report::Bytes(buf));
    }
    Ok(())
}

/// Reads what can be read of a piece; the rest stays zero and is a gap.
fn by_sectors(source: &Source, from: u64, buf: &mut [u8], gaps: &mut Vec<(u64, u64, String)>) -> usize {
    let mut done = 0_usize;
    for sector in buf.chunks_mut(SECTOR) {
        let at = from.saturating_add(done as u64);
        let len = usize::try_from(source.len().saturating_sub(at)).unwrap_or(SECTOR).min(sector.len());
        let Some(sector) = sector.get_mut(..len).filter(|s| !s.is_empty()) else { break };
        if let Err(e) = source.read_at(at, sector) {
            sector.fill(0);
            let is_full = gaps.len() >= MAX_UNREAD;
            match gaps.last_mut() {
                Some((start, run, what)) if start.saturating_add(*run) == at && *what == e.what => {
                    *run = run.saturating_add(len as u64);
                }
                // The last one then reaches over what could be read between.
                Some((start, run, _)) if is_full => *run = at.saturating_add(len as u64).saturating_sub(*start),
                _ => gaps.push((at, len as u64, e.what)),
            }
        }
        done = done.saturating_add(len);
    }
    done
}
