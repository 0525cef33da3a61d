//! The disk of an EWF set, decoded chunk by chunk as it is read, by any number of threads at once.
use super::table::{Form, Table};
use crate::base::{Piece, PieceKind, Run};
use crate::image::cache::Cache;
use crate::image::inflate::{adler32, zlib};
use crate::image::{ReadAt, ReadError, Segment, pieces};
use std::cell::RefCell;
use std::io::Read as _;
use std::sync::Arc;

/// Bytes of decoded chunks that are kept.
const KEPT: u64 = 32 << 20;
/// Pages of tables that are kept.
const PAGES: usize = 64;
/// Stored bytes of neighboring chunks that are read in one go.
const AT_ONCE: u64 = 512 << 10;

thread_local! {
    /// Stored bytes on their way to the decoder.
    static STORED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Disk {
    segments: Vec<Segment>,
    /// In the order of their first chunks.
    tables: Vec<Table>,
    /// Bytes of a chunk.
    chunk: usize,
    len: u64,
    pages: Cache<Vec<u32>>,
    /// Those that do not decode as well, with the reason: a chunk may have 32 MiB, and is asked for piece by piece.
    chunks: Cache<Result<Vec<u8>, String>>,
}

/// Where a chunk lies.
#[derive(Clone, Copy)]
struct At {
    segment: usize,
    offset: u64,
    len: u64,
    form: Form,
}

/// Bytes between chunks that lie together: version 2 aligns them.
const ALIGNED: u64 = 16;

impl Disk {
    pub(super) fn new(segments: Vec<Segment>, tables: Vec<Table>, chunk: usize, len: u64) -> Self {
        let chunks = Cache::of_bytes(KEPT, chunk as u64);
        Self { segments, tables, chunk, len, pages: Cache::new(PAGES), chunks }
    }

    /// The same chunks, of another size.
    pub(super) fn resized(self, chunk: usize, len: u64) -> Self {
        Self::new(self.segments, self.tables, chunk, len)
    }

    /// Bytes that a chunk decodes to, `most` of them at most; `None` if it does not decode.
    pub(super) fn decoded_len(&self, chunk: u64, most: u64) -> Option<usize> {
        let most = usize::try_from(most).ok()?;
        let at = self.place(chunk).ok()?;
        if at.form != Form::Zlib {
            return usize::try_from(at.len).ok()?.checked_sub(4).filter(|n| *n <= most);
        }
        let mut size = self.chunk.min(most);
        loop {
            let mut out = vec![0; size];
            match self.with_stored(at.segment, Run::new(at.offset, at.len), |stored| zlib(stored, &mut out)) {
                Ok(n) => return Some(n),
                // It may hold more than was thought.
                Err(_) if size < most => size = size.saturating_mul(4).min(most),
                Err(_) => return None,
            }
        }
    }

    /// With the bytes that the last chunk holds behind the whole sectors that are counted, and how many these are: what
    /// was acquired was no whole number of sectors. 0 for all others, also where a writer filled the chunk up.
    pub(super) fn with_behind(self, sector: u64) -> (Self, u64) {
        let (chunk, len) = (self.chunk, self.len);
        let last = len.checked_div(chunk as u64).unwrap_or(0);
        let counted = len.checked_rem(chunk as u64).unwrap_or(0);
        let held = self.decoded_len(last, chunk as u64).map_or(0, |n| n as u64);
        let behind = held.checked_sub(counted).filter(|n| *n > 0 && *n < sector);
        let Some(behind) = behind else { return (self, 0) };
        let larger = self.resized(chunk, len.saturating_add(behind));
        // Of what is kept as it is, the checksum alone tells where it ends.
        if larger.cached(last).is_ok_and(|chunk| chunk.is_ok()) {
            (larger, behind)
        } else {
            (larger.resized(chunk, len), 0)
        }
    }

    /// Runs of the disk that no chunk is there for.
    pub(super) fn holes(&self) -> Vec<Run> {
        let mut holes = Vec::new();
        let mut next = 0_u64;
        let mut add = |from: u64, to: u64| {
            let [from, to] = [from, to].map(|n| n.saturating_mul(self.chunk as u64).min(self.len));
            if from < to {
                holes.push(Run::new(from, to.saturating_sub(from)));
            }
        };
        for table in &self.tables {
            add(next, table.first);
            next = table.first.saturating_add(u64::from(table.count));
        }
        add(next, u64::MAX);
        holes
    }

    /// Decoded bytes of a chunk; only the last is shorter.
    fn size(&self, chunk: u64) -> usize {
        let start = chunk.saturating_mul(self.chunk as u64);
        usize::try_from(self.len.saturating_sub(start)).unwrap_or(usize::MAX).min(self.chunk)
    }

    fn place(&self, chunk: u64) -> Result<At, String> {
        let absent = || "no segment that is there stores it".to_owned();
        let at = self.tables.partition_point(|t| t.first <= chunk).checked_sub(1).ok_or_else(absent)?;
        let table = self.tables.get(at).ok_or_else(absent)?;
        let number = chunk.saturating_sub(table.first);
        let number = u32::try_from(number).ok().filter(|n| *n < table.count).ok_or_else(absent)?;
        let segment = self.segments.get(table.segment).ok_or_else(absent)?;
        let stored = table.place(number, |page, entries| {
            let key = (at as u64) << 32 | u64::from(page);
            self.pages.get(key, || table.page(segment, page, entries))
        })?;
        let left = segment.source.len().saturating_sub(stored.offset);
        let is_packed = matches!(stored.form, Form::Zlib | Form::Bzip2);
        let is_beyond = stored.offset >= segment.source.len() && !matches!(stored.form, Form::Fill(_));
        if stored.len > left && is_packed || is_beyond {
            return Err(format!("{} ends at byte {}, before it", segment.name, segment.source.len()));
        }
        Ok(At {
            segment: table.segment,
            offset: stored.offset,
            // The last chunk of a table reaches to the end of its section by the format's own rule.
            len: stored.len.min(left).min((self.chunk as u64).saturating_mul(2).saturating_add(4096)),
            form: stored.form,
        })
    }

    /// Decodes a chunk's stored bytes into `out`, which is as long as the chunk.
    fn decode(&self, stored: &[u8], form: Form, out: &mut [u8]) -> Result<(), String> {
        let whole = out.len();
        let unpack = match form {
            Form::Zlib => zlib,
            Form::Bzip2 => bunzip,
            Form::Fill(pattern) => {
                out.iter_mut().zip(pattern.iter().cycle()).for_each(|(to, from)| *to = *from);
                return Ok(());
            }
            Form::Plain => {
                out.copy_from_slice(stored.get(..whole).ok_or("fewer bytes are stored than it has")?);
                return Ok(());
            }
            Form::Summed => return summed(stored, self.chunk, out),
        };
        if whole == self.chunk {
            return match unpack(stored, out)? {
                n if n == whole => Ok(()),
                n => Err(format!("it decodes to {n} bytes only")),
            };
        }
        // The last one; some writers fill it up.
        let mut full = vec![0; self.chunk];
        let n = unpack(stored, &mut full)?;
        out.copy_from_slice(full.get(..whole).filter(|_| n >= whole).ok_or("it decodes to fewer bytes")?);
        Ok(())
    }

    fn failed(&self, chunk: u64, what: &str) -> ReadError {
        let offset = chunk.saturating_mul(self.chunk as u64);
        let end = offset.saturating_add(self.size(chunk) as u64);
        let place = match self.place(chunk) {
            Ok(at) => {
                let name = self.segments.get(at.segment).map_or("", |s| s.name.as_str());
                format!(" (byte {} of {name})", at.offset)
            }
            Err(_) => String::new(),
        };
        let last = end.saturating_sub(1);
        ReadError { offset, what: format!("chunk {chunk}, bytes {offset} to {last} of the disk{place}: {what}") }
    }

    /// A chunk by itself, from the cache or into it, or why it does not decode. What could not be read is tried again.
    fn cached(&self, chunk: u64) -> Result<Arc<Result<Vec<u8>, String>>, String> {
        self.chunks.get(chunk, || {
            let at = self.place(chunk)?;
            let mut out = vec![0; self.size(chunk)];
            self.with_stored(at.segment, Run::new(at.offset, at.len), |stored| {
                Ok(self.decode(stored, at.form, &mut out).map(|()| out))
            })
        })
    }

    /// Calls `f` with the bytes of a run of a segment.
    fn with_stored<T>(
        &self,
        segment: usize,
        run: Run,
        f: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<T, String> {
        let segment = self.segments.get(segment).ok_or("its segment is missing")?;
        let len = usize::try_from(run.len).map_err(|e| e.to_string())?;
        STORED.with_borrow_mut(|buf| {
            if buf.len() < len {
                buf.resize(len, 0);
            }
            let buf = buf.get_mut(..len).unwrap_or_default();
            let n = segment.source.read_at(run.offset, buf).map_err(|e| e.to_string())?;
            f(buf.get(..n).unwrap_or_default())
        })
    }

    /// Decodes whole chunks straight into `out`: as many from `chunk` on as fit and lie together, at least
    /// one. How many bytes that gave.
    fn direct(&self, chunk: u64, out: &mut [u8]) -> Result<usize, ReadError> {
        let first = self.place(chunk).map_err(|e| self.failed(chunk, &e))?;
        let mut places = vec![first];
        let mut run = Run::new(first.offset, first.len);
        let mut bytes = self.size(chunk);
        let mut next = chunk.saturating_add(1);
        while let size @ 1.. = self.size(next) {
            let Ok(at) = self.place(next) else { break };
            let after = bytes.saturating_add(size);
            let between = at.offset.checked_sub(run.end()).filter(|n| *n < ALIGNED);
            let together = at.offset.saturating_add(at.len).saturating_sub(run.offset);
            let is_fill = [at.form, first.form].iter().any(|f| matches!(f, Form::Fill(_)));
            let is_apart = is_fill || between.is_none() || at.segment != first.segment;
            if is_apart || together > AT_ONCE || after > out.len() {
                break;
            }
            places.push(at);
            (run.len, bytes, next) = (together, after, next.saturating_add(1));
        }
        let mut rest = out.get_mut(..bytes).unwrap_or_default();
        let mut bad = chunk;
        self.with_stored(first.segment, run, |stored| {
            for at in &places {
                let (part, after) = rest.split_at_mut(self.size(bad).min(rest.len()));
                let from = usize::try_from(at.offset.saturating_sub(run.offset)).unwrap_or(usize::MAX);
                let to = from.saturating_add(usize::try_from(at.len).unwrap_or(usize::MAX)).min(stored.len());
                self.decode(stored.get(from..to).unwrap_or_default(), at.form, part)?;
                rest = after;
                bad = bad.saturating_add(1);
            }
            Ok(())
        })
        .map_err(|e| self.failed(bad, &e))?;
        Ok(bytes)
    }
}

/// Bytes kept as they are, with a checksum behind them; where the last chunk was filled up, behind its filling.
fn summed(stored: &[u8], chunk: usize, out: &mut [u8]) -> Result<(), String> {
    let fits = |len: usize| {
        let sum = stored.get(len..len.saturating_add(4)).and_then(|s| s.try_into().ok()).map(u32::from_le_bytes);
        sum.is_some_and(|sum| stored.get(..len).map(adler32) == Some(sum))
    };
    let data = stored.get(..out.len()).ok_or("fewer bytes are stored than it has")?;
    if !fits(out.len()) && !fits(chunk) {
        return Err("its checksum does not fit".into());
    }
    out.copy_from_slice(data);
    Ok(())
}

/// Decodes a bzip2 stream; EnCase leaves out what stands before its first block and behind the last.
fn bunzip(stored: &[u8], out: &mut [u8]) -> Result<usize, String> {
    let head: &[u8] = if stored.starts_with(b"BZh") { b"" } else { b"BZh9" };
    let mut decoder = bzip2::read::BzDecoder::new(head.chain(stored));
    let mut done = 0_usize;
    while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match decoder.read(rest) {
            Ok(0) => break,
            Ok(n) => done = done.saturating_add(n),
            Err(e) => return Err(e.to_string()),
        }
    }
    // The checksum is looked at behind the last byte.
    match decoder.read(&mut [0]) {
        Ok(0) => Ok(done),
        Ok(_) => Err("it holds more bytes than a chunk may".into()),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof && !head.is_empty() => Ok(done),
        Err(e) => Err(e.to_string()),
    }
}

impl ReadAt for Disk {
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let left = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = left.min(buf.len());
        let mut done = 0_usize;
        while done < wanted {
            let at = offset.saturating_add(done as u64);
            let chunk = at.checked_div(self.chunk as u64).unwrap_or(0);
            let inside = usize::try_from(at.checked_rem(self.chunk as u64).unwrap_or(0)).unwrap_or(0);
            let Some(out) = buf.get_mut(done..wanted) else { break };
            if inside == 0 && out.len() >= self.size(chunk) {
                done = done.saturating_add(self.direct(chunk, out)?);
                continue;
            }
            let failed = |e: &str| ReadError { offset: at, ..self.failed(chunk, e) };
            let kept = self.cached(chunk).map_err(|e| failed(&e))?;
            let block = (*kept).as_ref().map_err(|e| failed(e))?;
            let from = block.get(inside..).unwrap_or_default();
            let n = from.len().min(out.len());
            match (out.get_mut(..n), from.get(..n)) {
                (Some(to), Some(from)) if n > 0 => to.copy_from_slice(from),
                _ => break,
            }
            done = done.saturating_add(n);
        }
        Ok(done)
    }
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let end = bytes.end().min(self.len);
        let mut at = bytes.offset;
        let mut found = Vec::new();
        while at < end {
            let chunk = at.checked_div(self.chunk as u64).unwrap_or(0);
            let start = chunk.saturating_mul(self.chunk as u64);
            let len = start.saturating_add(self.chunk as u64).min(end).saturating_sub(at);
            let place = self.place(chunk).ok();
            let source = place.and_then(|p| Some((p, self.segments.get(p.segment)?)));
            match source {
                Some((p, _)) if matches!(p.form, Form::Fill(_)) => {
                    found.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Decoded });
                }
                Some((p, segment)) if matches!(p.form, Form::Summed | Form::Plain) => {
                    let inside = at.saturating_sub(start);
                    // A chunk that its segment ends within is not all there.
                    found.extend(pieces(&*segment.source, Run::new(p.offset.saturating_add(inside), len)));
                }
                Some((p, segment)) => {
                    let input = segment.source.locate(Run::new(p.offset, p.len));
                    let (image, offset) = input.first().map_or((0, 0), |i| (i.image, i.offset));
                    found.push(Piece { image, offset, len, kind: PieceKind::Decoded });
                }
                None => found.push(Piece { image: 0, offset: 0, len, kind: PieceKind::Absent }),
            }
            at = at.saturating_add(len.max(1));
        }
        found
    }
}
