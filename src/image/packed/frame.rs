//! One frame of Zstandard (RFC 8878) that is held in memory: a block of a file system, a cluster of a disk image.
use std::cell::RefCell;
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Largest window, 8 MiB: no block of a file system, and no cluster, has more.
const WINDOW_LOG: u32 = 23;

thread_local! {
    /// A decoder has some 150 KiB of tables; thousands of blocks use one.
    static DECODER: RefCell<Option<Decoder<'static>>> = const { RefCell::new(None) };
}

/// The first bytes of a frame, `most` at most; fewer where the frame has no more. What stands behind the frame is not
/// looked at. An error where the data contradicts the format, is cut off, or wants a larger window.
pub(crate) fn expand(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut out = vec![0; most];
    let len = expand_into(packed, &mut out)?;
    out.truncate(len);
    Ok(out)
}

/// [`expand`] into `out`: how many bytes that gave.
pub(crate) fn expand_into(packed: &[u8], out: &mut [u8]) -> Result<usize, String> {
    DECODER.with_borrow_mut(|kept| {
        let decoder = match kept {
            Some(decoder) => decoder,
            None => kept.insert(fresh().map_err(|e| e.to_string())?),
        };
        decoder.reinit().map_err(|e| e.to_string())?;
        let (mut read, mut wrote) = (0_usize, 0_usize);
        loop {
            let (from, to) = (packed.get(read..).unwrap_or_default(), out.get_mut(wrote..).unwrap_or_default());
            let done = decoder.run_on_buffers(from, to).map_err(|e| e.to_string())?;
            read = read.saturating_add(done.bytes_read);
            wrote = wrote.saturating_add(done.bytes_written);
            if done.remaining == 0 || wrote >= out.len() {
                return Ok(wrote);
            }
            if done.bytes_read == 0 && done.bytes_written == 0 {
                return Err("the frame is cut off".to_owned());
            }
        }
    })
}

fn fresh() -> std::io::Result<Decoder<'static>> {
    let mut decoder = Decoder::new()?;
    decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG))?;
    Ok(decoder)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// RFC 8878: a frame with one block of a repeated byte, whose window is given by its descriptor.
    fn frame(window: u8, len: u32) -> Vec<u8> {
        let block = (len << 3) | (1 << 1) | 1;
        let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
        out.extend(&block.to_le_bytes()[..3]);
        out.push(b'A');
        out
    }

    #[test]
    fn one_frame_is_read_and_what_follows_is_left() {
        let mut packed = frame(0x58, 70_000);
        packed.extend([0; 500]);
        assert_eq!(expand(&packed, 100_000).unwrap(), vec![b'A'; 70_000]);
        assert_eq!(expand(&packed, 70_000).unwrap().len(), 70_000);
        assert_eq!(expand(&packed, 500).unwrap(), vec![b'A'; 500]);
    }
    #[test]
    fn a_cut_frame_a_broken_one_and_a_large_window_are_errors_and_cost_nothing_later() {
        let packed = frame(0x58, 70_000);
        for cut in 0..packed.len() {
            assert!(expand(&packed[..cut], 100_000).is_err(), "cut to {cut} bytes");
        }
        let mut broken = packed.clone();
        broken[0] = 0;
        assert!(expand(&broken, 100_000).is_err());
        // 2^24 bytes of window.
        assert!(expand(&frame(0x70, 70_000), 100_000).is_err());
        assert_eq!(expand(&packed, 100_000).unwrap().len(), 70_000);
    }
}
