//! The compressors. Each block is a stream of its own, and its output is capped by the size of a block.
//! Format: RFC 1950 (gzip means zlib here), the LZMA SDK's `.lzma`, `.xz`, LZ4 blocks, LZO1X, RFC 8878.
use crate::image::{expand_lzo, expand_zstd};
use std::io::Read;

/// KiB of memory for the window of xz and lzma. A block has at most 1 MiB.
const MEMORY: u32 = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Lzma,
    Lzo,
    Xz,
    Lz4,
    Zstd,
    /// LZMA without the header of a file, as in the builds of some makers.
    Bare(Bare),
}

/// What stands in front of a bare LZMA stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bare {
    /// Properties and the size of the dictionary.
    Properties,
    /// Nothing: literal context of 3 bits, literal position of 0, position of 2.
    Nothing,
}
/// What a file system's blocks may be, where its header does not say.
pub(super) const UNTOLD: [Codec; 5] =
    [Codec::Gzip, Codec::Lzma, Codec::Xz, Codec::Bare(Bare::Properties), Codec::Bare(Bare::Nothing)];

impl Codec {
    pub(super) fn of(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
            Self::Bare(Bare::Properties) => "lzma with short headers",
            Self::Bare(Bare::Nothing) => "lzma without headers",
        }
    }
    /// The decoded block, at most `cap` bytes. An error where the data contradicts the format or gives more.
    pub(super) fn decode(self, packed: &[u8], cap: usize) -> Result<Vec<u8>, String> {
        let said = |what: &dyn std::fmt::Display| format!("{}: {what}", self.name());
        match self {
            Self::Gzip => read(flate2::read::ZlibDecoder::new(packed), cap),
            Self::Lzma => match lzma_rust2::LzmaReader::new_mem_limit(packed, MEMORY, None) {
                Ok(reader) => read(reader, cap),
                Err(e) => Err(e.to_string()),
            },
            Self::Xz => read(lzma_rust2::XzReader::new_mem_limit(packed, false, MEMORY), cap),
            Self::Zstd => expand_zstd(packed, cap.saturating_add(1)).and_then(|out| within(out, cap)),
            Self::Lz4 => {
                let mut out = vec![0; cap];
                match lz4_flex::block::decompress_into(packed, &mut out) {
                    Ok(n) => {
                        out.truncate(n);
                        Ok(out)
                    }
                    Err(e) => Err(e.to_string()),
                }
            }
            Self::Bare(form) => bare(form, packed, cap),
            Self::Lzo => expand_lzo(packed, cap).ok_or_else(|| "contradicts its format".to_owned()),
        }
        .map_err(|e| said(&e))
    }
}

/// A stream whose length nothing tells: it ends with its input, at a mark, or when a block is full.
fn bare(form: Bare, packed: &[u8], cap: usize) -> Result<Vec<u8>, String> {
    const WHOLE: u32 = 1 << 20;
    let (properties, dictionary, rest) = match form {
        Bare::Nothing => (2 * 45 + 3, WHOLE, packed),
        Bare::Properties => {
            let (head, rest) = packed.split_first_chunk::<5>().ok_or("shorter than its header")?;
            let [first, size @ ..] = head;
            (*first, u32::from_le_bytes(size.to_owned()).clamp(4096, WHOLE), rest)
        }
    };
    let reader = lzma_rust2::LzmaReader::new_with_props(rest, u64::MAX, properties, dictionary, None);
    let mut reader = reader.map_err(|e| e.to_string())?;
    let mut out = vec![0; cap];
    let mut done = 0_usize;
    while let Some(to) = out.get_mut(done..).filter(|to| !to.is_empty()) {
        match reader.read(to) {
            Ok(0) => break,
            Ok(n) => done = done.saturating_add(n),
            // Without a mark the end of the input is the end.
            Err(e) if done > 0 && e.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Err(e) => return Err(e.to_string()),
        }
    }
    out.truncate(done);
    Ok(out)
}

fn read(reader: impl Read, cap: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    reader.take((cap as u64).saturating_add(1)).read_to_end(&mut out).map_err(|e| e.to_string())?;
    within(out, cap)
}

fn within(out: Vec<u8>, cap: usize) -> Result<Vec<u8>, String> {
    if out.len() > cap { Err("gives more than a block".to_owned()) } else { Ok(out) }
}
