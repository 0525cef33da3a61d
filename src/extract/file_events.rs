//! The change journals of NTFS volumes (`$Extend/$UsnJrnl:$J`) as rows: what was done to which file, and when. The
//! journal's head is a hole that grows; only what is stored is read, and of a very long one the newest part.
use super::{Sink, item_key};
use crate::base::{Cancelled, Evidence, Gaps, Name, NodeId, PieceKind, Progress, Run, Time};
use crate::evidence::{Entry, System, Tree, image_runs};
use crate::format::usn::{self, Found, PAGE, Record, Reference};
use crate::fs::attribute_names;
use crate::image::Source;
use crate::inventory::{FileEvent, Row, Scene};
use std::collections::HashMap;
use std::sync::Arc;

const BY: &str = "file-events";
const JOURNAL: &[u8] = b"/$Extend/$UsnJrnl:$J";
/// The stream that tells since when the journal exists.
const ABOUT: &[u8] = b"/$Extend/$UsnJrnl:$Max";
/// Bytes of a journal that are read, its newest; Windows keeps 32 MiB unless it is told otherwise.
const MOST: u64 = 64 << 20;
/// Bytes read at once, whose rows are one item.
const PART: u64 = 1 << 20;
/// Folders above a file that are looked up in the journal itself.
const MAX_DEPTH: usize = 64;
/// Attribute of a folder.
const FOLDER: u32 = 0x10;

/// Reads the journals of all NTFS volumes, and enters what they are into the scene.
pub(super) fn run(
    scene: &mut Scene,
    trees: &[Arc<Tree>],
    systems: &[System],
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    for tree in trees {
        let Some(info) = scene.filesystems.get_mut(tree.id.0 as usize).filter(|f| f.kind == "ntfs") else {
            continue;
        };
        let live = tree.get(JOURNAL);
        info.details.push(("change journal".to_owned(), if live.is_some() { "yes" } else { "none" }.to_owned()));
        if let Some((since, most)) = tree.get(ABOUT).and_then(|e| about(tree, e)) {
            info.details.push(("change journal since".to_owned(), since.map_or(String::new(), |t| t.to_string())));
            info.details.push(("change journal size limit".to_owned(), most.to_string()));
        }
        // One that was deleted may still lie there.
        let gone = tree.entries.iter().filter(|e| e.deleted && e.path.bytes().ends_with(b"/$UsnJrnl:$J"));
        for entry in live.into_iter().chain(gone) {
            if !sink
                .enter(item_key(&(BY, tree.id, entry.node)), &format!("change journal of file system {}", tree.id.0))
            {
                continue;
            }
            let gaps = Gaps::default().at(|p| {
                p.filesystem = Some(tree.id);
                p.path = Some(entry.path.clone());
                p.inode = Some(entry.node.number);
            });
            match tree.open(entry) {
                Ok(source) => Journal { tree, entry, source, gaps: gaps.clone() }.read(systems, sink, progress)?,
                Err(e) => gaps.add(BY, format!("change journal not read: {e}"), entry.len()),
            }
            sink.commit(&[item_key(&(BY, "end", tree.id, entry.node))], Vec::new(), gaps.take());
        }
    }
    Ok(())
}

/// When the journal was made, and how many bytes it may have; `None` if that cannot be read.
fn about(tree: &Tree, entry: &Entry) -> Option<(Option<Time>, u64)> {
    let bytes = crate::image::read_exact(&*tree.open(entry).ok()?, 0, 24).ok().flatten()?;
    let field = |at: usize| bytes.get(at..)?.first_chunk().map(|b| u64::from_le_bytes(*b));
    // The journal's number is the time at which it was made.
    Some((Time::from_filetime(field(16)?), field(0)?))
}

/// A system that holds the volume, or none, and the paths of its folders there.
struct View {
    system: Option<u32>,
    path: Name,
    folders: HashMap<NodeId, Name>,
}

/// What the journal's records tell of folders: name and parent.
type Told = HashMap<Reference, (Name, Reference)>;

struct Journal<'a> {
    tree: &'a Tree,
    entry: &'a Entry,
    source: Source,
    gaps: Gaps,
}

/// What was met that is no record.
#[derive(Default)]
struct Bad {
    bytes: u64,
    first: Option<u64>,
    /// Pages that could not be read.
    unread: u64,
    first_unread: Option<u64>,
    /// Records whose number is not their place.
    moved: u64,
}

impl Journal<'_> {
    fn read(&self, systems: &[System], sink: &dyn Sink, progress: &Progress) -> Result<(), Cancelled> {
        let runs = self.runs();
        let views = self.views(systems);
        let mut told = Told::new();
        self.each(&runs, progress, &mut Bad::default(), &mut |_, record| {
            if record.attributes & FOLDER != 0 {
                told.insert(record.file, (record.name.clone(), record.parent));
            }
        })?;
        let mut known: Vec<HashMap<Reference, Name>> = views.iter().map(|_| HashMap::new()).collect();
        let mut part = (0_u64, Vec::new());
        let commit = |part: &mut (u64, Vec<Row>)| {
            let key = item_key(&(BY, self.tree.id, self.entry.node, part.0));
            let rows = std::mem::take(&mut part.1);
            if !rows.is_empty() && !sink.is_done(key) {
                sink.commit(&[key], rows, Vec::new());
            }
        };
        let mut bad = Bad::default();
        self.each(&runs, progress, &mut bad, &mut |at, record| {
            if at / PART != part.0 {
                commit(&mut part);
                part.0 = at / PART;
            }
            for (view, known) in views.iter().zip(&mut known) {
                let parent = known.entry(record.parent).or_insert_with(|| folder(view, &told, record.parent));
                part.1.push(self.row(view, parent, at, record).into());
            }
        })?;
        commit(&mut part);
        self.tell(&bad);
        Ok(())
    }
    fn tell(&self, bad: &Bad) {
        let at = |place: u64| self.gaps.at(|p| p.offset = Some(("file_offset".to_owned(), place)));
        if let Some(first) = bad.first {
            at(first).add(
                BY,
                "what stands here and in other places of the change journal is no record of it",
                bad.bytes,
            );
        }
        if let Some(first) = bad.first_unread {
            at(first).add(BY, "parts of the change journal could not be read; the first lies here", bad.unread);
        }
        if bad.moved > 0 {
            let what = format!("{} records of the change journal stand elsewhere than their number says", bad.moved);
            self.gaps.add(BY, what, 0);
        }
    }
    /// What of the journal is stored, in whole pages, without the oldest of a very long one.
    fn runs(&self) -> Vec<Run> {
        let page = PAGE as u64;
        let (mut at, mut runs) = (0_u64, Vec::<Run>::new());
        for piece in self.source.locate(Run::new(0, self.source.len())) {
            let end = at.saturating_add(piece.len);
            if !matches!(piece.kind, PieceKind::Hole) {
                let from = at.saturating_sub(at % page);
                let to = end.checked_next_multiple_of(page).unwrap_or(end).min(self.source.len());
                match runs.last_mut() {
                    Some(last) if last.end() >= from => last.len = to.max(last.end()).saturating_sub(last.offset),
                    _ => runs.push(Run::new(from, to.saturating_sub(from))),
                }
            }
            at = end;
        }
        let stored = runs.iter().map(|r| r.len).fold(0, u64::saturating_add);
        let mut extra = stored.saturating_sub(MOST).next_multiple_of(page);
        if stored > MOST {
            self.gaps.add(BY, "budget: a long change journal; its oldest records were not read", extra);
        }
        for run in &mut runs {
            let cut = extra.min(run.len);
            *run = Run::new(run.offset.saturating_add(cut), run.len.saturating_sub(cut));
            extra = extra.saturating_sub(cut);
        }
        runs.retain(|r| r.len > 0);
        runs
    }
    /// Calls `each` for every record, with its place.
    fn each(
        &self,
        runs: &[Run],
        progress: &Progress,
        bad: &mut Bad,
        each: &mut dyn FnMut(u64, &Record),
    ) -> Result<(), Cancelled> {
        let mut buffer = Vec::new();
        for run in runs {
            let mut at = run.offset;
            while at < run.end() {
                progress.step(0)?;
                let want = PART.min(run.end().saturating_sub(at));
                buffer.resize(usize::try_from(want).unwrap_or(0), 0);
                let whole = self.source.read_at(at, &mut buffer).is_ok_and(|n| n == buffer.len());
                let mut place = at;
                for page in buffer.chunks_mut(PAGE) {
                    let readable = whole || self.source.read_at(place, page).is_ok_and(|n| n == page.len());
                    if readable {
                        records(page, place, bad, each);
                    } else {
                        bad.unread = bad.unread.saturating_add(page.len() as u64);
                        bad.first_unread = bad.first_unread.or(Some(place));
                    }
                    place = place.saturating_add(page.len() as u64);
                }
                at = at.saturating_add(want);
            }
        }
        Ok(())
    }
    fn views(&self, systems: &[System]) -> Vec<View> {
        let folders = |entries: &[Entry]| {
            let of = entries.iter().filter(|e| e.fs == self.tree.id && e.is_dir() && !e.deleted);
            of.map(|e| (e.node, e.path.clone())).collect()
        };
        let holding = systems.iter().filter_map(|s| {
            let shown = s.deleted(self.entry)?;
            Some(View { system: Some(s.index), path: shown.path, folders: folders(s.entries()) })
        });
        let mut views: Vec<View> = holding.collect();
        if views.is_empty() {
            let folders = folders(&self.tree.entries);
            views.push(View { system: None, path: self.entry.path.clone(), folders });
        }
        views
    }
    fn row(&self, view: &View, folder: &Name, at: u64, record: &Record) -> FileEvent {
        let range = Run::new(at, record.len as u64);
        let path = if folder.is_empty() { Name::default() } else { folder.join(record.name.bytes()) };
        FileEvent {
            system: view.system,
            usn: record.usn,
            time: record.time,
            name: record.name.clone(),
            path,
            reasons: usn::reasons(record.reason),
            file: record.file.number,
            file_sequence: record.file.sequence.into(),
            parent: record.parent.number,
            parent_sequence: record.parent.sequence.into(),
            attributes: attribute_names(record.attributes),
            source: usn::sources(record.source),
            version: record.version.into(),
            evidence: Evidence {
                filesystem: self.tree.id,
                path: view.path.clone(),
                node: self.entry.node,
                deleted: self.entry.deleted,
                range: Some(range),
                image_runs: image_runs(&self.source, Some(range)),
                ..Evidence::default()
            },
        }
    }
}

/// The records of one page.
fn records(page: &[u8], place: u64, bad: &mut Bad, each: &mut dyn FnMut(u64, &Record)) {
    let mut at = 0_usize;
    while let Some(rest) = page.get(at..).filter(|rest| !rest.is_empty()) {
        let here = place.saturating_add(at as u64);
        let step = match usn::look(rest) {
            Found::Record(record) => {
                bad.moved = bad.moved.saturating_add(u64::from(record.usn != here));
                each(here, &record);
                record.len
            }
            Found::Nothing => 8,
            Found::Damaged => {
                bad.bytes = bad.bytes.saturating_add(8);
                bad.first = bad.first.or(Some(here));
                8
            }
        };
        at = at.saturating_add(step);
    }
}

/// The path of a folder: where it now stands, or by what the journal tells of folders that are gone; empty where
/// neither tells.
fn folder(view: &View, told: &Told, wanted: Reference) -> Name {
    let (mut below, mut next) = (Vec::new(), wanted);
    for _ in 0..MAX_DEPTH {
        let node = NodeId { number: next.number, generation: next.sequence.into() };
        if let Some(path) = view.folders.get(&node) {
            return below.iter().rev().fold(path.clone(), |path, name: &&Name| path.join(name.bytes()));
        }
        let Some((name, parent)) = told.get(&next) else { break };
        below.push(name);
        next = *parent;
    }
    Name::default()
}
