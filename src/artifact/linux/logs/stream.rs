//! A log's bytes in windows of whole lines, decoded on the way, in bounded memory.
use crate::format::decompress::Compression;
use crate::image::{Cursor, ReadAt};
use std::io::{ErrorKind, Read};

/// Bytes held at a time.
const WINDOW: usize = 1 << 20;
/// A longer line is cut here.
pub(super) const LINE: usize = 64 << 10;
/// Decoded bytes of one file.
pub(super) const FILE_BUDGET: u64 = 512 << 20;
/// More output than this per input byte is no log.
const RATIO: u64 = 1000;
const FREE: u64 = 16 << 20;
/// Memory that a decoder may ask for.
const DICTIONARY: u32 = 64 << 20;

/// What was not read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Decoded bytes handed on.
    pub(super) read: u64,
    /// Lines that were cut, and the bytes cut off.
    pub(super) cut: (u64, u64),
    pub(super) over_budget: bool,
    pub(super) error: Option<String>,
}

/// Hands over the text of a source: `each(window, offset in the decoded text)`. A window ends with a
/// line's end, with a cut, or with the file.
pub(super) fn windows(source: &dyn ReadAt, each: &mut dyn FnMut(&[u8], u64)) -> Left {
    let mut head = [0; 8];
    let n = match source.read_at(0, &mut head) {
        Ok(n) => n,
        Err(e) => return Left { error: Some(e.to_string()), ..Left::default() },
    };
    let cursor = Cursor::new(source);
    let head = head.get(..n).unwrap_or_default();
    let Some(kind) = Compression::recognise(head) else {
        if head.starts_with(b"BZh") {
            return Left { error: Some("bzip2 is not supported".to_owned()), ..Left::default() };
        }
        return split(cursor, FILE_BUDGET, each);
    };
    let budget = FILE_BUDGET.min(source.len().saturating_mul(RATIO).max(FREE));
    match kind {
        Compression::Gzip => split(flate2::read::MultiGzDecoder::new(Buffered::new(cursor)), budget, each),
        Compression::Xz => {
            let reader = lzma_rust2::XzReader::new_mem_limit(Buffered::new(cursor), true, DICTIONARY >> 10);
            split(reader, budget, each)
        }
        Compression::Zstd => {
            let input = Buffered::new(cursor);
            match ruzstd::decoding::StreamingDecoder::new_with_max_window_size(input, u64::from(DICTIONARY)) {
                Ok(reader) => split(reader, budget, each),
                Err(e) => Left { error: Some(format!("compressed data: {e}")), ..Left::default() },
            }
        }
    }
}

/// Decoders read byte by byte; the source is asked for 64 KiB at a time.
type Buffered<'a> = Chunks<Cursor<'a>>;
struct Chunks<R>(std::io::BufReader<R>);
impl<R: Read> Chunks<R> {
    fn new(inner: R) -> Self {
        Self(std::io::BufReader::with_capacity(64 << 10, inner))
    }
}
impl<R: Read> Read for Chunks<R> {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf)
    }
}

fn split(mut reader: impl Read, budget: u64, each: &mut dyn FnMut(&[u8], u64)) -> Left {
    let mut left = Left::default();
    let mut buf = vec![0; WINDOW];
    let mut filled = 0_usize;
    // Offset of buf[0] in the text.
    let mut base = 0_u64;
    // The rest of a cut line is being skipped.
    let mut skipping = false;
    loop {
        let room = buf.get_mut(filled..).unwrap_or_default();
        let want = usize::try_from(budget.saturating_sub(left.read)).unwrap_or(usize::MAX).min(room.len());
        if want == 0 {
            // Whether there is more is only known by asking.
            left.over_budget = matches!(reader.read(&mut [0; 1]), Ok(1));
            break;
        }
        let n = match reader.read(room.get_mut(..want).unwrap_or_default()) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => {
                left.error = Some(e.to_string());
                break;
            }
        };
        left.read = left.read.saturating_add(n as u64);
        filled = filled.saturating_add(n);
        let mut start = 0;
        if skipping {
            let fresh = buf.get(..filled).unwrap_or_default();
            let Some(end) = memchr::memchr(b'\n', fresh) else {
                left.cut.1 = left.cut.1.saturating_add(filled as u64);
                base = base.saturating_add(filled as u64);
                filled = 0;
                continue;
            };
            left.cut.1 = left.cut.1.saturating_add(end as u64);
            // The line end itself closes the cut line, which was handed over without one.
            start = end;
            skipping = false;
        }
        let text = buf.get(start..filled).unwrap_or_default();
        let mut used = memchr::memrchr(b'\n', text).map_or(0, |at| at.saturating_add(1));
        if used > 0 {
            each(text.get(..used).unwrap_or_default(), base.saturating_add(start as u64));
        }
        let tail = text.get(used..).unwrap_or_default();
        if tail.len() > LINE {
            each(tail.get(..LINE).unwrap_or_default(), base.saturating_add(start as u64).saturating_add(used as u64));
            left.cut.0 = left.cut.0.saturating_add(1);
            left.cut.1 = left.cut.1.saturating_add(tail.len().saturating_sub(LINE) as u64);
            used = text.len();
            skipping = true;
        }
        let consumed = start.saturating_add(used);
        buf.copy_within(consumed..filled, 0);
        filled = filled.saturating_sub(consumed);
        base = base.saturating_add(consumed as u64);
    }
    if filled > 0 && !skipping {
        each(buf.get(..filled).unwrap_or_default(), base);
    }
    left
}

#[cfg(test)]
mod tests {
    #![allow(clippy::needless_pass_by_value, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;
    use std::io::Write;

    fn run(bytes: Vec<u8>) -> (Vec<u8>, Left) {
        let mut all = Vec::new();
        let mut next = None;
        let left = windows(&bytes, &mut |text, at| {
            assert!(next.is_none_or(|n| at >= n), "windows go forward");
            next = Some(at + text.len() as u64);
            all.extend_from_slice(text);
        });
        (all, left)
    }
    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(bytes).unwrap();
        e.finish().unwrap()
    }

    #[test]
    fn text_comes_whole() {
        let mut text = Vec::new();
        for i in 0..200_000 {
            text.extend_from_slice(format!("line {i} {}\n", "x".repeat(i % 300)).as_bytes());
        }
        text.extend_from_slice(b"no line end");
        let (all, left) = run(text.clone());
        assert!(all == text && left.cut == (0, 0) && left.error.is_none());
        assert_eq!(left.read, text.len() as u64);
        let (all, _) = run(gzip(&text));
        assert!(all == text);
    }

    #[test]
    fn long_lines_are_cut_and_counted() {
        let mut text = b"first\n".to_vec();
        text.extend(vec![b'a'; 5 << 20]);
        text.extend_from_slice(b"\nlast\n");
        let (all, left) = run(text.clone());
        assert!(all.starts_with(b"first\naaa") && all.ends_with(b"a\nlast\n"));
        assert_eq!(left.cut, (1, ((5 << 20) - LINE) as u64));
        assert_eq!(all.len() as u64 + left.cut.1, text.len() as u64);
        assert_eq!(all.split(|b| *b == b'\n').count(), 4);
    }

    #[test]
    fn bombs_and_damage_end() {
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        e.write_all(&vec![0; 64 << 20]).unwrap();
        let bomb = e.finish().unwrap();
        let (_, left) = run(bomb.clone());
        assert!(left.over_budget && left.read == bomb.len() as u64 * RATIO, "{left:?}");
        let endless = split(std::io::repeat(b'x').take(1 << 40), 20 << 20, &mut |_, _| {});
        assert!(endless.over_budget && endless.read == 20 << 20);
        let mut cut = gzip(&b"some lines of a log\n".repeat(1000));
        cut.truncate(cut.len() / 2);
        assert!(run(cut).1.error.is_some());
        assert!(run(b"\x28\xb5\x2f\xfdxxxxxxxx".to_vec()).1.error.is_some());
        assert_eq!(run(b"BZh9xxxx".to_vec()).1.error.unwrap(), "bzip2 is not supported");
    }
}
