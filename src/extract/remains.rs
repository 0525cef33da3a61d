//! Space that no file has: the unallocated runs of every file system that knows them, swap, and areas of a disk that no
//! partition claims, searched for lines that tell of modems and tunnels (`artifact::remains`), by all threads. It comes last,
//! when all contents are read; zeros are stepped over. A line ends where its run does: what lies in two is not put together.
//! What belongs to a deleted file whose content was read is told there, and not here again.
use super::{Request, Sink, item_key};
use crate::artifact::{Out, remains};
use crate::base::parallel::{in_order, split};
use crate::base::{Cancelled, Evidence, FsId, Gap, ImageRun, PieceKind, Place, Progress, Run, Stage};
use crate::evidence::{System, Tree};
use crate::extract::Layout;
use crate::image::{Source, magic};
use crate::inventory::{Row, Trace};
use std::collections::BTreeMap;
use std::sync::Arc;

const BY: &str = "remains";
/// Bytes of one area that are read.
const MOST: u64 = 1 << 40;
/// Bytes read at once, and what of them is kept for the next ones: a line before and behind.
const WINDOW: usize = 1 << 20;
const KEPT: usize = 2 * remains::AROUND + 64;
/// Different lines of one kind, and of all kinds, of one area.
const MAX_KIND: usize = 200;
const MAX_ALL: usize = 2000;
/// Deleted files whose places are looked up.
const MAX_DELETED: usize = 200_000;
/// Bytes of a run whose places are looked up at once.
const SLICE: u64 = 1 << 30;
/// Bytes that one thread searches at a time, whatever their number, so that it does not show in the results: windows.
const PART: u64 = 4 * WINDOW as u64;
/// Parts and bytes that are searched before what they gave is put together.
const PARTS: usize = 4096;
const AT_ONCE: u64 = 32 << 20;
/// Blocks that are compared with zeros.
const BLOCK: usize = 4096;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Where nothing is that a file has.
struct Area {
    name: &'static str,
    source: Source,
    runs: Vec<Run>,
    filesystem: FsId,
    system: Option<u32>,
    volume: u32,
    /// Places in the images that deleted files have, sorted.
    told: Vec<(u32, Run)>,
}

/// Searches them all.
pub(super) fn run(
    layout: &Layout,
    trees: &[Arc<Tree>],
    systems: &[System],
    request: &Request,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    let areas = areas(layout, trees, systems, progress)?;
    let total = areas.iter().flat_map(|a| &a.runs).map(|r| r.len).fold(0, u64::saturating_add);
    progress.begin(total);
    sink.stage(Stage::Remains, total);
    if let Some(fault) = remains::fault() {
        let gap = Gap { at: Place::default(), by: BY.into(), what: format!("not searched: {fault}"), bytes: total };
        sink.commit(&[], Vec::new(), vec![gap]);
        return Ok(());
    }
    for area in &areas {
        let id = layout.scene.volumes.get(area.volume as usize).map(|v| v.id.clone()).unwrap_or_default();
        let key = item_key(&(BY, area.volume, area.name));
        if sink.is_done(key) || !sink.enter(key, &format!("{} space of {id}", area.name)) {
            continue;
        }
        let mut search = Search {
            area,
            id: &id,
            threads: request.threads.max(1),
            parts: Vec::new(),
            found: BTreeMap::new(),
            kinds: BTreeMap::new(),
            more: 0,
            unread: (0, None),
        };
        search.run(progress)?;
        let (rows, gaps) = search.rows(request.show_secrets);
        sink.commit(&[key], rows, gaps);
    }
    Ok(())
}

fn areas(
    layout: &Layout,
    trees: &[Arc<Tree>],
    systems: &[System],
    progress: &Progress,
) -> Result<Vec<Area>, Cancelled> {
    let mut all = Vec::new();
    let scene = &layout.scene;
    for tree in trees {
        let at = tree.id.0 as usize;
        let Some(info) = scene.filesystems.get(at).filter(|_| !layout.archived.contains(&at)) else { continue };
        // What lies in a file was read as that file.
        let Some(source) = layout.sources.get(info.volume as usize) else { continue };
        let runs = tree.fs.unallocated();
        if runs.is_empty() || layout.files.contains_key(&info.volume) {
            continue;
        }
        let system = systems.iter().find(|s| s.trees().iter().any(|t| t.id == tree.id)).map(|s| s.index);
        let mut told = Vec::new();
        for entry in tree.entries.iter().filter(|e| e.deleted && e.is_file()).take(MAX_DELETED) {
            progress.step(0)?;
            let Ok(Ok(file)) = super::flight::guard(|| tree.open(entry)) else { continue };
            let pieces = file.locate(Run::new(0, file.len()));
            let stored = pieces.iter().filter(|p| p.kind == PieceKind::Stored);
            told.extend(stored.map(|p| (p.image, Run::new(p.offset, p.len))));
        }
        told.sort_unstable();
        let source = source.clone();
        all.push(Area { name: "unallocated", source, runs, filesystem: tree.id, system, volume: info.volume, told });
    }
    for (number, (info, source)) in scene.volumes.iter().zip(&layout.sources).enumerate() {
        let is_swap = info.filesystem.is_none() && magic::name(&**source).is_some_and(|m| m.name == "Linux swap");
        let name = match info.type_name.as_str() {
            _ if is_swap => "swap",
            "unallocated" if info.filesystem.is_none() => "unclaimed",
            _ => continue,
        };
        let volume = u32::try_from(number).unwrap_or(u32::MAX);
        // A row names a file system: the first of the same image.
        let same = |f: &&crate::inventory::FilesystemInfo| {
            scene.volumes.get(f.volume as usize).is_some_and(|v| v.image == info.image)
        };
        let filesystem = scene.filesystems.iter().position(|f| same(&f)).and_then(|n| u32::try_from(n).ok());
        let Some(filesystem) = filesystem.map(FsId) else { continue };
        let system = systems.iter().find(|s| s.trees().iter().any(|t| t.id == filesystem)).map(|s| s.index);
        let runs = vec![Run::new(0, source.len())];
        all.push(Area { name, source: source.clone(), runs, filesystem, system, volume, told: Vec::new() });
    }
    Ok(all)
}

/// Kind, value, text.
type Key = (Arc<str>, String, String);

/// One line as a part of a run shows it.
struct Line {
    trace: remains::Trace,
    /// Where it is first that no deleted file has it; `None` where all places are such.
    at: Option<u64>,
    /// Times, before that place and from it on.
    before: u32,
    count: u32,
    /// Bytes of those that no deleted file has.
    bytes: u64,
}

/// What one part of a run gave.
#[derive(Default)]
struct Part {
    /// In the order in which they stand there.
    lines: Vec<Line>,
    index: BTreeMap<Key, usize>,
    more: u64,
    unread: (u64, Option<u64>),
}

/// The search of one area.
struct Search<'a> {
    area: &'a Area,
    id: &'a str,
    threads: usize,
    /// That wait: the run, and the part of it.
    parts: Vec<(Run, Run)>,
    found: BTreeMap<Key, (remains::Trace, u64, u32)>,
    kinds: BTreeMap<Arc<str>, usize>,
    more: u64,
    /// Bytes that could not be read, and the first place.
    unread: (u64, Option<u64>),
}

impl Search<'_> {
    fn run(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let mut left = MOST;
        let mut runs: Vec<Run> = self.area.runs.clone();
        runs.sort_unstable();
        for run in runs {
            let len = run.len.min(left);
            left = left.saturating_sub(len);
            if len < run.len {
                self.more = self.more.saturating_add(run.len.saturating_sub(len));
            }
            // A slice at a time: a run of terabytes may lie in very many pieces, or be nothing but holes.
            let (mut at, mut open): (u64, Option<Run>) = (run.offset, None);
            let end = run.offset.saturating_add(len);
            while at < end {
                progress.step(0)?;
                let slice = Run::new(at, SLICE.min(end.saturating_sub(at)));
                for stored in self.stored(slice) {
                    match &mut open {
                        Some(open) if open.end() == stored.offset => open.len = open.len.saturating_add(stored.len),
                        _ => {
                            if let Some(whole) = open.replace(stored) {
                                self.take(whole, progress)?;
                            }
                        }
                    }
                }
                at = slice.end();
            }
            if let Some(whole) = open {
                self.take(whole, progress)?;
            }
        }
        self.search(progress)
    }
    /// Parts of a run for which there are bytes, those side by side together.
    fn stored(&self, run: Run) -> Vec<Run> {
        let mut at = run.offset;
        let mut all: Vec<Run> = Vec::new();
        for piece in self.area.source.locate(run) {
            if piece.kind.has_place() {
                match all.last_mut() {
                    Some(last) if last.end() == at => last.len = last.len.saturating_add(piece.len),
                    _ => all.push(Run::new(at, piece.len)),
                }
            }
            at = at.saturating_add(piece.len);
        }
        all
    }
    /// Puts a run's parts beside those that wait, and searches them when they are enough for all threads.
    fn take(&mut self, run: Run, progress: &Progress) -> Result<(), Cancelled> {
        let most = AT_ONCE.saturating_mul(self.threads as u64);
        let mut waiting = self.parts.iter().map(|(_, part)| part.len).fold(0, u64::saturating_add);
        let mut at = run.offset;
        while at < run.end() {
            let part = Run::new(at, PART.min(run.end().saturating_sub(at)));
            self.parts.push((run, part));
            waiting = waiting.saturating_add(part.len);
            at = part.end();
            if waiting >= most || self.parts.len() >= PARTS {
                self.search(progress)?;
                waiting = 0;
            }
        }
        Ok(())
    }
    /// Searches what waits, side by side, and puts together what it gave in the order of the places.
    fn search(&mut self, progress: &Progress) -> Result<(), Cancelled> {
        let parts = std::mem::take(&mut self.parts);
        // Shares of the same bytes, whatever is fragments and whatever is whole.
        let ranges = split(parts.len(), self.threads.saturating_mul(4));
        let shared: &Self = self;
        let work = |range: std::ops::Range<usize>| -> Result<Vec<Part>, Cancelled> {
            let mut buffer = vec![0; WINDOW.saturating_add(KEPT)];
            let some = parts.get(range).unwrap_or_default();
            some.iter().map(|(run, part)| shared.part(*run, *part, &mut buffer, progress)).collect()
        };
        let mut given = Vec::new();
        for turn in ranges.chunks(self.threads) {
            given.extend(in_order("remains", turn, &work));
        }
        for some in given {
            some?.into_iter().for_each(|part| self.note(part));
        }
        Ok(())
    }
    /// Reads a part of a run window by window. `kept` bytes before a window are those of the window before it.
    fn part(&self, run: Run, part: Run, buffer: &mut [u8], progress: &Progress) -> Result<Part, Cancelled> {
        let mut given = Part::default();
        let mut at = part.offset;
        // A line that began in the part before, and goes on, is this part's.
        let before = usize::try_from(at.saturating_sub(run.offset)).unwrap_or(usize::MAX).min(KEPT);
        let room = buffer.get_mut(..before).unwrap_or_default();
        let is_read = matches!(self.area.source.read_at(at.saturating_sub(before as u64), room), Ok(n) if n == before);
        let mut kept = if is_read { before } else { 0 };
        // Up to here literals were looked for.
        let mut looked = if kept > 0 { at.saturating_sub(remains::AROUND as u64) } else { at };
        while at < part.end() {
            let want = usize::try_from(part.end().saturating_sub(at)).unwrap_or(usize::MAX).min(WINDOW);
            let room = buffer.get_mut(kept..kept.saturating_add(want)).unwrap_or_default();
            let n = match self.area.source.read_at(at, room) {
                Ok(n) if n > 0 => n,
                _ => {
                    given.unread = (given.unread.0.saturating_add(want as u64), given.unread.1.or(Some(at)));
                    at = at.saturating_add(want as u64);
                    (kept, looked) = (0, at);
                    progress.step(want as u64)?;
                    continue;
                }
            };
            progress.step(n as u64)?;
            let filled = kept.saturating_add(n);
            let base = at.saturating_sub(kept as u64);
            let is_last = at.saturating_add(n as u64) >= run.end();
            let bytes = buffer.get(..filled).unwrap_or_default();
            if bytes.chunks(BLOCK).all(|b| ZEROS.get(..b.len()) == Some(b)) {
                looked = base.saturating_add(filled as u64);
                (at, kept) = (looked, 0);
                continue;
            }
            let from = usize::try_from(looked.saturating_sub(base)).unwrap_or(0);
            // A line that may go on is looked at with the next window.
            let to = if is_last { filled } else { filled.saturating_sub(remains::AROUND) };
            remains::scan(bytes, (from, to), &mut |trace| self.line(trace, base, &mut given));
            looked = base.saturating_add(to as u64);
            let keep = filled.min(KEPT);
            buffer.copy_within(filled.saturating_sub(keep)..filled, 0);
            (at, kept) = (at.saturating_add(n as u64), keep);
        }
        given.index.clear();
        Ok(given)
    }
    /// A line of a part.
    fn line(&self, trace: remains::Trace, base: u64, part: &mut Part) {
        let at = base.saturating_add(trace.offset as u64);
        let is_told = self.is_told(Run::new(at, trace.len as u64));
        let len = trace.len as u64;
        let key = (trace.kind.clone(), trace.value.clone(), trace.text.clone());
        let number = match part.index.get(&key).copied() {
            Some(number) => number,
            // Of very many only as many are kept as can be listed.
            None if part.lines.len() >= MAX_ALL.saturating_mul(2) => {
                part.more = part.more.saturating_add(if is_told { 0 } else { len });
                return;
            }
            None => {
                part.index.insert(key, part.lines.len());
                part.lines.push(Line { trace: trace.clone(), at: None, before: 0, count: 0, bytes: 0 });
                part.lines.len().saturating_sub(1)
            }
        };
        let Some(line) = part.lines.get_mut(number) else { return };
        if !is_told {
            line.bytes = line.bytes.saturating_add(len);
            if line.at.is_none() {
                (line.at, line.trace) = (Some(at), trace);
            }
        }
        let times = if line.at.is_some() { &mut line.count } else { &mut line.before };
        *times = times.saturating_add(1);
    }
    fn note(&mut self, part: Part) {
        self.more = self.more.saturating_add(part.more);
        self.unread = (self.unread.0.saturating_add(part.unread.0), self.unread.1.or(part.unread.1));
        for line in part.lines {
            let key = (line.trace.kind.clone(), line.trace.value.clone(), line.trace.text.clone());
            if let Some((_, _, count)) = self.found.get_mut(&key) {
                *count = count.saturating_add(line.before).saturating_add(line.count);
                continue;
            }
            let Some(at) = line.at else { continue };
            let known = self.kinds.entry(line.trace.kind.clone()).or_default();
            if *known >= MAX_KIND || self.found.len() >= MAX_ALL {
                self.more = self.more.saturating_add(line.bytes);
                continue;
            }
            *known = known.saturating_add(1);
            self.found.insert(key, (line.trace, at, line.count));
        }
    }
    /// Whether a deleted file that was read has these bytes.
    fn is_told(&self, run: Run) -> bool {
        let Some(first) = self.area.source.locate(Run::new(run.offset, 1)).first().copied() else { return false };
        let behind = self.area.told.partition_point(|(image, r)| (*image, r.offset) <= (first.image, first.offset));
        // Deleted files may claim the same blocks: a few before it are looked at.
        let before = self.area.told.get(behind.saturating_sub(8)..behind).unwrap_or_default();
        before.iter().any(|(image, r)| *image == first.image && r.end() > first.offset)
    }
    fn rows(self, show_secrets: bool) -> (Vec<Row>, Vec<Gap>) {
        let out = Out::new(self.area.system, BY).showing_secrets(show_secrets);
        for (trace, at, count) in self.found.into_values() {
            let run = Run::new(at, trace.len as u64);
            let image_runs: Vec<ImageRun> = crate::evidence::image_runs(&self.area.source, Some(run))
                .into_iter()
                .map(|r| ImageRun { file_offset: r.file_offset.saturating_sub(at), ..r })
                .collect();
            let first = image_runs.first().filter(|r| r.kind == PieceKind::Stored);
            out.push(Trace {
                kind: trace.kind,
                class: trace.class,
                value: trace.value,
                operator: trace.operator,
                area: self.area.name.into(),
                image_offset: first.map(|r| r.offset),
                count,
                evidence: Evidence {
                    filesystem: self.area.filesystem,
                    deleted: true,
                    key: Some(format!("{} space of {}, volume_offset {at}", self.area.name, self.id)),
                    excerpt: Some(trace.text.clone()),
                    image_runs,
                    ..Evidence::default()
                },
                text: trace.text,
                ..Trace::default()
            });
        }
        let place = |offset: Option<u64>| Place {
            volume: Some(self.area.volume),
            offset: offset.map(|o| ("volume_offset".to_owned(), o)),
            ..Place::default()
        };
        let (rows, mut gaps) = out.take();
        let mut gap =
            |at: Place, what: &str, bytes: u64| gaps.push(Gap { at, by: BY.into(), what: what.to_owned(), bytes });
        if self.more > 0 {
            gap(
                place(None),
                "budget: traces; further lines of the same kinds, or further bytes, in space that no file has were not listed",
                self.more,
            );
        }
        if self.unread.0 > 0 {
            gap(
                place(self.unread.1),
                "space that no file has could not be read here, and maybe further on",
                self.unread.0,
            );
        }
        (rows, gaps)
    }
}
