//! LZ4 and LZO streams: frames of blocks, each decoded whole.
//! Formats: lz4_Frame_format.md (with its legacy frame), and the header of lzop as lzop's own documentation and
//! the Linux kernel's lib/decompress_unlzo.c describe it.
use super::codec::{Step, Steps};
use super::lzo;

/// Most bytes that one block may hold: lzop's limit for what any decoder must take is smaller.
const MAX_BLOCK: usize = 64 << 20;
/// Block of the legacy frame.
const LEGACY: usize = 8 << 20;
/// Bytes that a linked block may refer back to.
const REACH: usize = 64 << 10;
/// Magic of the legacy frame; a further one may follow any block.
const LEGACY_MAGIC: u32 = 0x184c_2102;

/// What was read of the next structure, and what was decoded and not handed out yet.
#[derive(Clone, Default)]
struct Pending {
    input: Vec<u8>,
    out: Vec<u8>,
    given: usize,
}
impl Pending {
    /// Gathers input until `want` bytes are there; how many were taken.
    fn gather(&mut self, input: &[u8], want: usize) -> usize {
        let n = want.saturating_sub(self.input.len()).min(input.len());
        self.input.extend_from_slice(input.get(..n).unwrap_or_default());
        n
    }
    /// Hands out decoded bytes; how many.
    fn give(&mut self, out: &mut [u8]) -> usize {
        let from = self.out.get(self.given..).unwrap_or_default();
        let n = from.len().min(out.len());
        if let (Some(to), Some(from)) = (out.get_mut(..n), from.get(..n)) {
            to.copy_from_slice(from);
        }
        self.given = self.given.saturating_add(n);
        n
    }
    fn is_given(&self) -> bool {
        self.given >= self.out.len()
    }
    fn set(&mut self, out: Vec<u8>) {
        (self.out, self.given) = (out, 0);
    }
}

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_le_bytes(*b))
}
fn big(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
fn to_size(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
fn damaged(what: &str) -> String {
    format!("damaged: {what}")
}

#[derive(PartialEq, Eq)]
enum Flow {
    On,
    End,
    /// The frame ended before what was gathered.
    Before,
}

/// Structures up to this size are only taken whole, so that they can be given back.
const SHORT: usize = 64;

/// The way through a frame: gather a head of known length, learn what follows, gather that.
trait Blocks: Clone + Send + 'static {
    fn pending(&mut self) -> &mut Pending;
    fn pending_now(&self) -> &Pending;
    /// Bytes that are needed before [`Self::take`] can go on.
    fn want(&self) -> usize;
    /// Uses what was gathered.
    fn take(&mut self) -> Result<Flow, String>;
    /// Whether the frame may end here for want of input.
    fn may_end(&self) -> bool {
        false
    }
}
impl<B: Blocks> Steps for B {
    fn step(&mut self, input: &[u8], out: &mut [u8], last: bool) -> Result<Step, String> {
        if !self.pending().is_given() {
            let wrote = self.pending().give(out);
            return Ok(Step { read: 0, wrote, end: false });
        }
        let want = self.want();
        if want <= SHORT && input.len() < want {
            let end = last && self.may_end();
            return Ok(Step { read: 0, wrote: 0, end });
        }
        let read = self.pending().gather(input, want);
        if self.pending().input.len() < want {
            return Ok(Step { read, wrote: 0, end: false });
        }
        let flow = self.take()?;
        let wrote = self.pending().give(out);
        Ok(Step { read: if flow == Flow::Before { 0 } else { read }, wrote, end: flow != Flow::On })
    }
    fn save(&self) -> Option<Box<dyn Steps>> {
        // Between blocks there is little to be kept.
        let pending = self.pending_now();
        (pending.is_given() && pending.input.is_empty()).then(|| {
            let mut saved = self.clone();
            saved.pending().set(Vec::new());
            Box::new(saved) as Box<dyn Steps>
        })
    }
}

/// Magic, then blocks of a length and its bytes, without an end mark.
#[derive(Clone, Default)]
pub(super) struct Lz4Legacy {
    pending: Pending,
    block: Option<usize>,
    /// A length that is none: the frame ended before it.
    begun: bool,
}
impl Blocks for Lz4Legacy {
    fn pending(&mut self) -> &mut Pending {
        &mut self.pending
    }
    fn pending_now(&self) -> &Pending {
        &self.pending
    }
    fn want(&self) -> usize {
        self.block.unwrap_or(4)
    }
    fn may_end(&self) -> bool {
        self.begun && self.block.is_none()
    }
    fn take(&mut self) -> Result<Flow, String> {
        let input = std::mem::take(&mut self.pending.input);
        if self.block.take().is_some() {
            let out = lz4_flex::block::decompress(&input, LEGACY).map_err(|e| damaged(&e.to_string()))?;
            self.pending.set(out);
            return Ok(Flow::On);
        }
        match little(&input, 0) {
            Some(LEGACY_MAGIC) => {
                self.begun = true;
                Ok(Flow::On)
            }
            // Linux fills the stream up, and puts the length of the unpacked kernel behind it.
            Some(0) => Ok(Flow::End),
            Some(len) if to_size(len) <= LEGACY.saturating_add(LEGACY / 128) => {
                self.block = Some(to_size(len));
                Ok(Flow::On)
            }
            _ => Ok(Flow::Before),
        }
    }
}

#[derive(Clone, Default)]
enum FramePart {
    #[default]
    Magic,
    Flags,
    Rest,
    Length,
    Block {
        stored: bool,
    },
    Sum,
}
/// The frame of `lz4`. Its checksums are xxHash and are not compared.
#[derive(Clone, Default)]
pub(super) struct Lz4Frame {
    pending: Pending,
    part: FramePart,
    flags: u8,
    most: usize,
    block: usize,
    /// The last bytes that were decoded, for blocks that refer to them.
    reach: Vec<u8>,
}
impl Blocks for Lz4Frame {
    fn pending(&mut self) -> &mut Pending {
        &mut self.pending
    }
    fn pending_now(&self) -> &Pending {
        &self.pending
    }
    fn want(&self) -> usize {
        let sum = |bit: u8| usize::from(self.flags >> bit & 1).saturating_mul(4);
        match self.part {
            FramePart::Magic | FramePart::Length => 4,
            FramePart::Flags => 2,
            // Content size, dictionary id, and the header's own checksum.
            FramePart::Rest => sum(3).saturating_mul(2).saturating_add(sum(0)).saturating_add(1),
            FramePart::Block { .. } => self.block.saturating_add(sum(4)),
            FramePart::Sum => sum(2),
        }
    }
    fn take(&mut self) -> Result<Flow, String> {
        let input = std::mem::take(&mut self.pending.input);
        self.part = match self.part {
            FramePart::Magic => FramePart::Flags,
            FramePart::Flags => {
                let (Some(flags), Some(size)) = (input.first(), input.get(1)) else { return Ok(Flow::End) };
                if flags >> 6 != 1 {
                    return Err(damaged("version of the LZ4 frame"));
                }
                self.flags = *flags;
                self.most = match size >> 4 & 7 {
                    4 => 64 << 10,
                    5 => 256 << 10,
                    6 => 1 << 20,
                    7 => 4 << 20,
                    _ => return Err(damaged("block size of the LZ4 frame")),
                };
                FramePart::Rest
            }
            FramePart::Rest if self.flags & 1 != 0 => return Err("it needs a dictionary of its own".into()),
            FramePart::Sum => return Ok(Flow::End),
            FramePart::Rest => FramePart::Length,
            FramePart::Length => match little(&input, 0).unwrap_or(0) {
                0 if self.flags & 4 != 0 => FramePart::Sum,
                0 => return Ok(Flow::End),
                word => {
                    self.block = to_size(word & 0x7fff_ffff);
                    if self.block > self.most {
                        return Err(damaged("an LZ4 block longer than its frame allows"));
                    }
                    FramePart::Block { stored: word >> 31 == 1 }
                }
            },
            FramePart::Block { stored } => {
                let block = input.get(..self.block).unwrap_or_default();
                let out = if stored {
                    block.to_vec()
                } else {
                    let mut out = vec![0; self.most];
                    let n = lz4_flex::block::decompress_into_with_dict(block, &mut out, &self.reach);
                    out.truncate(n.map_err(|e| damaged(&e.to_string()))?);
                    out
                };
                // Bit 5 says that blocks stand for themselves.
                if self.flags & 0x20 == 0 {
                    self.reach.extend_from_slice(out.get(out.len().saturating_sub(REACH)..).unwrap_or_default());
                    let over = self.reach.len().saturating_sub(REACH);
                    self.reach.drain(..over);
                }
                self.pending.set(out);
                FramePart::Length
            }
        };
        Ok(Flow::On)
    }
}

#[derive(Clone, Default)]
enum LzopPart {
    #[default]
    Head,
    /// Length of the name.
    Name(usize),
    Extra,
    ExtraBody(usize),
    Length,
    Lengths(usize),
    Block(usize, usize),
}
/// The file of `lzop`. Its checksums are not compared.
#[derive(Clone, Default)]
pub(super) struct Lzop {
    pending: Pending,
    part: LzopPart,
    flags: u32,
}
impl Lzop {
    /// Bytes of checksums before a block: of its content, and of its packed form where that is one.
    fn sums(&self, packed: bool) -> usize {
        let bits = if packed { self.flags & 0x303 } else { self.flags & 0x101 };
        to_size(bits.count_ones()).saturating_mul(4)
    }
}
impl Blocks for Lzop {
    fn pending(&mut self) -> &mut Pending {
        &mut self.pending
    }
    fn pending_now(&self) -> &Pending {
        &self.pending
    }
    fn want(&self) -> usize {
        match self.part {
            // Magic, versions, method, level, flags, mode, two times, and the length of the name; a filter more.
            LzopPart::Head => 34,
            LzopPart::Name(len) | LzopPart::ExtraBody(len) => len.saturating_add(4),
            LzopPart::Extra | LzopPart::Length | LzopPart::Lengths(_) => 4,
            LzopPart::Block(packed, plain) => packed.saturating_add(self.sums(packed < plain)),
        }
    }
    fn take(&mut self) -> Result<Flow, String> {
        let input = std::mem::take(&mut self.pending.input);
        let word = |at: usize| big(&input, at).unwrap_or(0);
        self.part = match self.part {
            LzopPart::Head => {
                let version = input.get(9..11).map_or(0, |v| v.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b)));
                self.flags = word(17);
                // Versions before 0.940 have no level, and filters move all that follows.
                if version < 0x0940 || self.flags & 0x800 != 0 {
                    return Err("an lzop header with a filter, or older than version 0.940, is not read".into());
                }
                LzopPart::Name(usize::from(input.get(33).copied().unwrap_or(0)))
            }
            LzopPart::Name(_) if self.flags & 0x40 != 0 => LzopPart::Extra,
            LzopPart::Extra => LzopPart::ExtraBody(to_size(word(0)).min(1 << 20)),
            LzopPart::Name(_) | LzopPart::ExtraBody(_) => LzopPart::Length,
            LzopPart::Length => match to_size(word(0)) {
                0 => return Ok(Flow::End),
                plain if plain > MAX_BLOCK => return Err(damaged("length of an lzop block")),
                plain => LzopPart::Lengths(plain),
            },
            LzopPart::Lengths(plain) => match to_size(word(0)) {
                packed if packed > plain || packed == 0 => return Err(damaged("length of an lzop block")),
                packed => LzopPart::Block(packed, plain),
            },
            LzopPart::Block(packed, plain) => {
                let block = input.get(self.sums(packed < plain)..).unwrap_or_default();
                let out = if packed < plain { lzo::expand(block, plain) } else { Some(block.to_vec()) };
                let out = out.filter(|o| o.len() == plain).ok_or_else(|| damaged("an LZO block"))?;
                self.pending.set(out);
                LzopPart::Length
            }
        };
        Ok(Flow::On)
    }
}
