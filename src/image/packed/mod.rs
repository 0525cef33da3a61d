//! Compressed streams as containers: what lies in one is decoded once from its start to its end, and read like any
//! disk from then on; on that way the places are noted at which decoding can begin.
//!
//! Formats: gzip (RFC 1952), xz (xz-file-format.txt), lzma (lzma-file-format.txt), Zstandard (RFC 8878), bzip2, LZ4
//! (lz4_Frame_format.md, with the legacy frame of Linux), lzop.
mod bzip2;
mod codec;
mod decoder;
mod frame;
mod framed;
mod lzo;
mod marks;
mod scratch;
mod store;
mod stream;
#[cfg(test)]
mod tests;
mod xz;

use super::{Container, Format, OpenError, Opening, Source};
use crate::base::Gaps;
pub(crate) use codec::Codec;
pub(crate) use decoder::{Forward, peek};
pub(crate) use frame::{expand as expand_zstd, expand_into as expand_zstd_into};
pub(crate) use lzo::expand as expand_lzo;
pub use scratch::Scratch;
pub use store::Store;
pub(crate) use stream::{Opened, Unpacked};

/// Decoded bytes that tell what a stream holds: enough for the first superblock of any file system.
const PEEK: usize = 128 << 10;
/// Magic of the archives that Linux boots from.
const CPIO: [&[u8]; 2] = [b"070701", b"070702"];
const LIMITS: &str = "decoded once when it is opened; up to 192 MiB of all streams together stay decoded in memory, of longer ones the rest is decoded again as it is read, from the nearest member, block or saved state before it; where there is none (one frame of Zstandard, one block of xz, lzma) it is kept in a temporary file without a name, as long as its disk has room (--scratch); more than a thousand times its own size is not decoded (budget)";

macro_rules! formats {
    ($($constant:ident $codec:ident $name:literal $about:literal;)*) => {$(
        pub(super) const $constant: Format = Format {
            name: $name,
            about: $about,
            limits: LIMITS,
            probe: |source| probe(source, Codec::$codec),
            open: |opening| open(opening, Codec::$codec),
        };
    )*};
}
formats! {
    GZIP Gzip "gzip" "gzip stream (.gz), one or several members";
    XZ Xz "xz" "xz stream (.xz)";
    ZSTD Zstd "zstd" "Zstandard stream (.zst)";
    BZIP2 Bzip2 "bzip2" "bzip2 stream (.bz2)";
    LZ4 Lz4 "lz4" "LZ4 frame (.lz4)";
    LZ4_LEGACY Lz4Legacy "lz4-legacy" "LZ4 in the legacy frame, as Linux kernels and initramfs have it";
    LZOP Lzop "lzop" "lzop stream (.lzo)";
    LZMA Lzma "lzma" "lzma alone stream (.lzma)";
}

/// Names of the formats above.
pub(super) const ALL: &[&str] = &["gzip", "xz", "zstd", "bzip2", "lz4", "lz4-legacy", "lzop", "lzma"];

/// A stream whose content is not the archive that a kernel unpacks: such streams may stand one behind another,
/// packed in different ways, and the reader of cpio takes them all.
fn probe(source: &Source, codec: Codec) -> bool {
    if Codec::at(source, 0) != Some(codec) {
        return false;
    }
    // The magic of gzip is two bytes, that of lzma none at all: the stream must begin to decode.
    let Some(head) = peek(source, 0, codec, 512) else { return false };
    let is_sure = codec != Codec::Lzma || head.len() == 512;
    is_sure && !CPIO.iter().any(|magic| head.starts_with(magic))
}

/// The first bytes of what a stream holds, where `source` is a compressed stream.
pub(crate) fn first_bytes(source: &Source) -> Option<Vec<u8>> {
    peek(source, 0, Codec::at(source, 0)?, PEEK)
}

fn open(opening: &Opening<'_>, codec: Codec) -> Result<Container, OpenError> {
    let source = &opening.source;
    let opened = Unpacked::open(source, 0, codec, opening.budget.bytes, &opening.store);
    if opened.stream.is_nothing() {
        let what = opened.stopped.map_or_else(|| "it holds nothing".to_owned(), |s| s.1);
        return Err(OpenError::Corrupt { at: 0, what });
    }
    tell(&opened, source.len(), codec, opening.gaps);
    let decoded = crate::image::ReadAt::len(&opened.stream).to_string();
    let mut details = vec![("compression".to_owned(), codec.name().to_owned()), ("decoded bytes".to_owned(), decoded)];
    details.extend(codec::details(source, codec));
    Ok(Container { disk: std::sync::Arc::new(opened.stream), stored_hashes: Vec::new(), details })
}

/// What of a stream was not read: its rest, where it is cut, damaged or beyond the budget; other bytes behind it.
pub(crate) fn tell(opened: &Opened, len: u64, codec: Codec, gaps: &Gaps) {
    if let Some((at, what)) = &opened.stopped {
        let decoded = crate::image::ReadAt::len(&opened.stream);
        let what = format!("{what}; what it holds is read to byte {decoded}");
        gaps.add_at(codec.name(), "file_offset", *at, what, len.saturating_sub(*at));
    }
    if let Some(at) = opened.behind {
        let rest = len.saturating_sub(at);
        let what = format!("{rest} bytes of something else behind the end of the stream; not read");
        gaps.add_at(codec.name(), "file_offset", at, what, rest);
    }
}
