//! Which compressions are read, by their first bytes, and one step of each.
use super::bzip2::Bzip2;
use super::framed::{Lz4Frame, Lz4Legacy, Lzop};
use crate::image::{Source, read_exact};
use flate2::{Decompress, FlushDecompress, Status};
use lzma_rust2::{Action, LzmaStream, XzStream};
use miniz_oxide::inflate::stream::InflateState;
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};
use std::io;
use zstd::stream::raw::Operation;

/// Memory that a decoder may ask for its dictionary or window, as a power of two: what `zstd --long` and
/// `xz -9e` need at most.
const WINDOW_LOG: u32 = 27;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Gzip,
    Xz,
    Zstd,
    Bzip2,
    Lzma,
    Lz4,
    Lz4Legacy,
    Lzop,
    /// Without any header (RFC 1951): members of zip archives.
    Deflate,
}

/// What one call of a decoder did.
pub(super) struct Step {
    pub read: usize,
    pub wrote: usize,
    /// The stream is over.
    pub end: bool,
}

/// A decoder that is given input and room for output.
pub(super) trait Steps: Send {
    /// `last`: no further input exists. A step that neither reads nor writes waits for more of either.
    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, String>;
    /// A decoder that goes on from here on its own, where the format and the decoder allow it at this moment. It costs
    /// [`SAVED`] bytes at most.
    fn save(&self) -> Option<Box<dyn Steps>> {
        None
    }
    /// Bytes that it takes when it is saved.
    fn size(&self) -> u64 {
        SAVED
    }
}

/// Bytes that a saved decoder takes: the window of deflate, and its tables.
pub(super) const SAVED: u64 = 64 << 10;

impl Codec {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Lz4 => "lz4",
            Self::Lz4Legacy => "lz4-legacy",
            Self::Lzop => "lzop",
            Self::Deflate => "deflate",
        }
    }
    /// Whether decoding can begin at other places than where members begin.
    pub(super) fn can_be_saved(self) -> bool {
        !matches!(self, Self::Xz | Self::Zstd | Self::Lzma | Self::Deflate)
    }
    pub(crate) fn recognise(head: &[u8]) -> Option<Self> {
        Some(match head {
            // The three highest flags are reserved.
            [0x1f, 0x8b, 8, flags, ..] if *flags < 0x20 => Self::Gzip,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Self::Bzip2,
            [0x04, 0x22, 0x4d, 0x18, ..] => Self::Lz4,
            [0x02, 0x21, 0x4c, 0x18, ..] => Self::Lz4Legacy,
            [0x89, b'L', b'Z', b'O', 0, 0x0d, 0x0a, 0x1a, 0x0a, ..] => Self::Lzop,
            _ if is_lzma(head) => Self::Lzma,
            _ => return None,
        })
    }
    /// The compression that begins at a byte of a source.
    pub(crate) fn at(source: &Source, at: u64) -> Option<Self> {
        let len = usize::try_from(source.len().saturating_sub(at).min(16)).unwrap_or(0);
        Self::recognise(&read_exact(&**source, at, len).ok()??)
    }
    pub(super) fn steps(self) -> Result<Box<dyn Steps>, String> {
        Ok(match self {
            Self::Gzip => Box::new(Gzip::default()),
            Self::Deflate => Box::new(Deflate(Decompress::new(false))),
            Self::Xz => Box::new(Xz(xz())),
            Self::Lzma => Box::new(Lzma(LzmaStream::new_mem_limit(1 << (WINDOW_LOG + 1 - 10), None))),
            Self::Bzip2 => Box::new(Bzip2::default()),
            Self::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new().map_err(|e| e.to_string())?;
                decoder
                    .set_parameter(zstd::stream::raw::DParameter::WindowLogMax(WINDOW_LOG))
                    .map_err(|e| e.to_string())?;
                Box::new(Zstd(decoder))
            }
            Self::Lz4 => Box::new(Lz4Frame::default()),
            Self::Lz4Legacy => Box::new(Lz4Legacy::default()),
            Self::Lzop => Box::new(Lzop::default()),
        })
    }
}

/// lzma-file-format.txt, "File Format": properties below 225, a dictionary of 2^n or 2^n + 2^(n-1) bytes, and a
/// size that is unknown or below 256 GiB.
fn is_lzma(head: &[u8]) -> bool {
    let Some(([properties], rest)) = head.split_first_chunk::<1>() else { return false };
    let (Some(dictionary), Some(size)) = (rest.first_chunk::<4>(), rest.get(4..).and_then(<[u8]>::first_chunk::<8>))
    else {
        return false;
    };
    let (dictionary, size) = (u32::from_le_bytes(*dictionary), u64::from_le_bytes(*size));
    let is_size =
        dictionary >= 1 << 12 && dictionary.count_ones() <= 2 && (dictionary >> dictionary.trailing_zeros()) <= 3;
    *properties < 225 && is_size && (size == u64::MAX || size < 1 << 38)
}

/// Name and time that a gzip header keeps of the file that was packed (RFC 1952, 2.3).
pub(super) fn details(source: &Source, codec: Codec) -> Vec<(String, String)> {
    let mut head = vec![0; 4096];
    let n = source.read_at(0, &mut head).unwrap_or(0);
    head.truncate(n);
    let mut found = Vec::new();
    if codec != Codec::Gzip {
        return found;
    }
    let (Some(flags), Some(time)) = (head.get(3), head.get(4..).and_then(<[u8]>::first_chunk::<4>)) else {
        return found;
    };
    let time = u32::from_le_bytes(*time);
    if time != 0 {
        found.push(("packed".to_owned(), crate::base::Time::seconds(i64::from(time)).to_string()));
    }
    let extra = head.get(10..).and_then(<[u8]>::first_chunk::<2>).filter(|_| flags & 4 != 0);
    let at = 10_usize.saturating_add(extra.map_or(0, |len| usize::from(u16::from_le_bytes(*len)).saturating_add(2)));
    let name = head.get(at..).filter(|_| flags & 8 != 0).and_then(|h| h.split(|b| *b == 0).next());
    if let Some(name) = name.filter(|n| !n.is_empty()) {
        found.push(("packed name".to_owned(), crate::base::Name::new(name).display()));
    }
    found
}

fn told(e: &io::Error) -> String {
    format!("damaged: {e}")
}

fn inflate(decoder: &mut Decompress, input: &[u8], out: &mut [u8]) -> Result<Step, String> {
    let (read, wrote) = (decoder.total_in(), decoder.total_out());
    let status = decoder.decompress(input, out, FlushDecompress::None).map_err(|e| format!("damaged: {e}"))?;
    let moved = |now: u64, before: u64| usize::try_from(now.saturating_sub(before)).unwrap_or(0);
    Ok(Step {
        read: moved(decoder.total_in(), read),
        wrote: moved(decoder.total_out(), wrote),
        end: status == Status::StreamEnd,
    })
}

struct Deflate(Decompress);
impl Steps for Deflate {
    fn step(&mut self, input: &[u8], out: &mut [u8], _last: bool) -> Result<Step, String> {
        inflate(&mut self.0, input, out)
    }
}

/// A member of a gzip file: header, deflated bytes, their CRC-32 and length.
#[derive(Clone)]
struct Gzip {
    part: GzipPart,
    /// Of another crate than elsewhere: its state can be copied, so that decoding can begin within a member.
    decoder: Box<InflateState>,
    sum: crc32fast::Hasher,
    len: u32,
}
#[derive(Clone)]
enum GzipPart {
    /// Bytes of the header so far.
    Header(Vec<u8>),
    Body,
    Trailer(Vec<u8>),
}
impl Default for Gzip {
    fn default() -> Self {
        let decoder = InflateState::new_boxed(DataFormat::Raw);
        Self { part: GzipPart::Header(Vec::new()), decoder, sum: crc32fast::Hasher::new(), len: 0 }
    }
}
/// Longest header that is believed: names and comments have no length of their own.
const MAX_HEADER: usize = 1 << 17;

/// Bytes of a gzip header; `None` where it is not whole yet.
fn header_len(head: &[u8]) -> Option<usize> {
    let flags = *head.get(3)?;
    let mut at = 10_usize;
    if flags & 4 != 0 {
        let len = u16::from_le_bytes(*head.get(at..)?.first_chunk()?);
        at = at.checked_add(2)?.checked_add(usize::from(len))?;
    }
    for _ in 0..(flags >> 3 & 1).saturating_add(flags >> 4 & 1) {
        at = at.checked_add(head.get(at..)?.iter().position(|b| *b == 0)?)?.checked_add(1)?;
    }
    if flags & 2 != 0 {
        at = at.checked_add(2)?;
    }
    (head.len() >= at).then_some(at)
}

impl Steps for Gzip {
    fn step(&mut self, input: &[u8], out: &mut [u8], _last: bool) -> Result<Step, String> {
        match &mut self.part {
            GzipPart::Header(head) => {
                let before = head.len();
                head.extend_from_slice(input);
                let Some(len) = header_len(head) else {
                    if head.len() > MAX_HEADER {
                        return Err("damaged: its header has no end".into());
                    }
                    return Ok(Step { read: input.len(), wrote: 0, end: false });
                };
                self.part = GzipPart::Body;
                Ok(Step { read: len.saturating_sub(before), wrote: 0, end: false })
            }
            GzipPart::Body => {
                let done = miniz_oxide::inflate::stream::inflate(&mut self.decoder, input, out, MZFlush::None);
                let end = match done.status {
                    Ok(status) => status == MZStatus::StreamEnd,
                    // It can do nothing with what it was given.
                    Err(MZError::Buf) => false,
                    Err(_) => return Err("damaged: its compressed data are none".into()),
                };
                let mut step = Step { read: done.bytes_consumed, wrote: done.bytes_written, end };
                let got = out.get(..step.wrote).unwrap_or_default();
                self.sum.update(got);
                self.len = self.len.wrapping_add(u32::try_from(got.len()).unwrap_or(0));
                if step.end {
                    self.part = GzipPart::Trailer(Vec::new());
                    step.end = false;
                }
                Ok(step)
            }
            GzipPart::Trailer(bytes) => {
                let want = 8_usize.saturating_sub(bytes.len()).min(input.len());
                bytes.extend_from_slice(input.get(..want).unwrap_or_default());
                let Some((sum, len)) = bytes.split_first_chunk::<4>().filter(|_| bytes.len() == 8) else {
                    return Ok(Step { read: want, wrote: 0, end: false });
                };
                let len = len.first_chunk().map_or(0, |l| u32::from_le_bytes(*l));
                if u32::from_le_bytes(*sum) != self.sum.clone().finalize() || len != self.len {
                    return Err("damaged: its content does not match its checksum".into());
                }
                Ok(Step { read: want, wrote: 0, end: true })
            }
        }
    }
    fn save(&self) -> Option<Box<dyn Steps>> {
        // Within a header there is nothing to be gained.
        matches!(self.part, GzipPart::Body).then(|| Box::new(self.clone()) as Box<dyn Steps>)
    }
}

/// A decoder of one xz stream.
pub(super) fn xz() -> XzStream {
    XzStream::new_mem_limit(false, 1 << (WINDOW_LOG + 1 - 10))
}
struct Xz(XzStream);
impl Steps for Xz {
    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, String> {
        let action = if last { Action::Finish } else { Action::Run };
        let done = self.0.process(input, out, action).map_err(|e| told(&e))?;
        let end = done.status == lzma_rust2::Status::StreamEnd;
        Ok(Step { read: done.bytes_consumed, wrote: done.bytes_produced, end })
    }
}

struct Lzma(LzmaStream);
impl Steps for Lzma {
    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, String> {
        let action = if last { Action::Finish } else { Action::Run };
        let done = self.0.process(input, out, action).map_err(|e| told(&e))?;
        let end = done.status == lzma_rust2::Status::StreamEnd;
        // It takes all of its input and gives back what stands behind its end.
        let unused = if end { self.0.unused_input().len() } else { 0 };
        Ok(Step { read: done.bytes_consumed.saturating_sub(unused), wrote: done.bytes_produced, end })
    }
}

struct Zstd(zstd::stream::raw::Decoder<'static>);
impl Steps for Zstd {
    fn step(&mut self, input: &[u8], out: &mut [u8], _last: bool) -> Result<Step, String> {
        let done = self.0.run_on_buffers(input, out).map_err(|e| told(&e))?;
        Ok(Step { read: done.bytes_read, wrote: done.bytes_written, end: done.remaining == 0 })
    }
}
