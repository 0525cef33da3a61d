//! Decoding of small compressed files (kernel modules, logs, documentation) into memory, with limits.
//!
//! Formats: xz (`xz-file-format.txt`), Zstandard (RFC 8878), gzip (RFC 1952).
use std::fmt;
use std::io::Read;

/// Output beyond this many times the input is no file but a trap.
const RATIO: u64 = 1000;
/// Inputs this small may expand to this much whatever the ratio.
const FREE: u64 = 1 << 20;
/// Memory that a decoder may ask for its dictionary or window.
const WINDOW: u32 = 128 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    Xz,
    Zstd,
    Gzip,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// More output than allowed.
    Budget,
    Corrupt(String),
}
impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Budget => f.write_str("budget: decoded bytes"),
            Self::Corrupt(what) => write!(f, "compressed data: {what}"),
        }
    }
}

impl Compression {
    /// By the first bytes.
    pub fn recognise(head: &[u8]) -> Option<Self> {
        if head.starts_with(b"\xfd7zXZ\0") {
            Some(Self::Xz)
        } else if head.starts_with(b"\x28\xb5\x2f\xfd") {
            Some(Self::Zstd)
        } else if head.starts_with(b"\x1f\x8b\x08") {
            Some(Self::Gzip)
        } else {
            None
        }
    }
    /// The whole content, at most `cap` bytes and at most a thousand times the input. What was decoded
    /// before an error is lost on purpose: half a module is no module.
    pub fn decode(self, bytes: &[u8], cap: u64) -> Result<Vec<u8>, DecodeError> {
        let cap = cap.min((bytes.len() as u64).saturating_mul(RATIO).max(FREE));
        match self {
            Self::Xz => {
                let reader = lzma_rust2::XzReader::new_mem_limit(bytes, true, WINDOW >> 10);
                read(reader, cap)
            }
            Self::Zstd => {
                let mut rest = bytes;
                let mut out = Vec::new();
                // Frames may follow each other, as with gzip members.
                while !rest.is_empty() {
                    if skip_frame(&mut rest) {
                        continue;
                    }
                    let reader =
                        ruzstd::decoding::StreamingDecoder::new_with_max_window_size(&mut rest, u64::from(WINDOW))
                            .map_err(|e| DecodeError::Corrupt(e.to_string()))?;
                    let left = cap.saturating_sub(out.len() as u64);
                    out.append(&mut read(reader, left)?);
                }
                Ok(out)
            }
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(bytes), cap),
        }
    }
}

/// Steps over a skippable frame (magic 0x184D2A5?, length, content).
fn skip_frame(rest: &mut &[u8]) -> bool {
    let Some((head, tail)) = rest.split_first_chunk::<8>() else {
        return false;
    };
    let [low, middle @ .., l0, l1, l2, l3] = *head;
    if !(0x50..=0x5f).contains(&low) || middle != [0x2a, 0x4d, 0x18] {
        return false;
    }
    let len = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    *rest = tail.get(len..).unwrap_or_default();
    true
}

fn read(reader: impl Read, cap: u64) -> Result<Vec<u8>, DecodeError> {
    let mut out = Vec::new();
    reader.take(cap.saturating_add(1)).read_to_end(&mut out).map_err(|e| DecodeError::Corrupt(e.to_string()))?;
    if out.len() as u64 > cap { Err(DecodeError::Budget) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// What a tool of the machine makes of these bytes; `None` where there is no such tool.
    fn by_tool(tool: &str, input: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new(tool).arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let out = child.wait_with_output().ok()?;
        writer.join().unwrap().ok()?;
        out.status.success().then_some(out.stdout)
    }

    fn cases() -> Vec<(&'static str, Compression)> {
        vec![("xz", Compression::Xz), ("zstd", Compression::Zstd), ("gzip", Compression::Gzip)]
    }

    #[test]
    fn decodes_what_the_tools_wrote_and_refuses_bombs() {
        let plain: Vec<u8> = (0..400_000_u32).flat_map(|n| (n ^ (n >> 7)).to_le_bytes()).collect();
        let zeros = vec![0; 40 << 20];
        for (tool, format) in cases() {
            let Some(packed) = by_tool(tool, &plain) else {
                eprintln!("skipped: no {tool} on this machine");
                continue;
            };
            assert_eq!(Compression::recognise(&packed), Some(format), "{tool}");
            assert_eq!(format.decode(&packed, 64 << 20).unwrap(), plain, "{tool}");
            assert_eq!(format.decode(&packed, plain.len() as u64).unwrap(), plain, "{tool}");
            assert_eq!(format.decode(&packed, plain.len() as u64 - 1), Err(DecodeError::Budget), "{tool}");
            let twice = [packed.as_slice(), &packed].concat();
            assert_eq!(format.decode(&twice, 64 << 20).unwrap().len(), plain.len() * 2, "{tool}");
            let bomb = by_tool(tool, &zeros).unwrap();
            assert_eq!(format.decode(&bomb, 16 << 20), Err(DecodeError::Budget), "{tool}");
            let half = packed.get(..packed.len() / 2).unwrap();
            assert!(matches!(format.decode(half, 64 << 20), Err(DecodeError::Corrupt(_))), "{tool}");
        }
    }

    #[test]
    fn damaged_input_is_an_error_never_a_panic() {
        let plain: Vec<u8> = (0..20_000_u32).flat_map(|n| (n / 3).to_le_bytes()).collect();
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap()
        };
        for (tool, format) in cases() {
            let Some(packed) = by_tool(tool, &plain) else {
                eprintln!("skipped: no {tool} on this machine");
                continue;
            };
            for _ in 0..300 {
                let mut bad = packed.clone();
                for _ in 0..=next() % 4 {
                    let at = next() % if next() % 2 == 0 { 32 } else { bad.len() };
                    *bad.get_mut(at).unwrap() = u8::try_from(next() & 0xff).unwrap();
                }
                if let Ok(out) = format.decode(&bad, 1 << 20) {
                    assert!(out.len() <= 1 << 20);
                }
            }
        }
    }
}
