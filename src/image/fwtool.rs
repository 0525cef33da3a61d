//! What OpenWrt's build appends to a firmware image: a signature, and a text that names the devices and the version.
//! Each piece ends with a trailer that tells its length; they are read from the end of the image.
//! Format: `fwimage.h` of OpenWrt's fwtool.
use super::{ReadAt, read_exact};
use crate::base::{Gaps, Name, Run};

const MAGIC: &[u8] = b"FWx0";
const TRAILER: u64 = 16;
/// Version and flags in front of the text.
const HEADER: u64 = 8;
/// Pieces of one image, and the longest text.
const MOST: usize = 8;
const LONGEST: u64 = 64 << 10;
/// Longest image whose checksum is computed.
const CHECKED: u64 = 256 << 20;
/// Longest value that is told.
const TOLD: usize = 2000;

/// What the end of an image says of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Firmware {
    /// Field and value.
    pub details: Vec<(String, String)>,
    /// The devices that it is for, the first of them and how many; empty where none is named.
    pub device: String,
    /// The bytes of it all.
    pub run: Run,
}

/// Whether anything is appended.
pub fn is_there(source: &dyn ReadAt) -> bool {
    let at = source.len().checked_sub(TRAILER);
    at.is_some_and(|at| matches!(read_exact(source, at, MAGIC.len()), Ok(Some(b)) if b == MAGIC))
}

/// Reads what is appended; `None` where nothing is.
pub fn read(source: &dyn ReadAt, gaps: &Gaps) -> Option<Firmware> {
    let mut end = source.len();
    let mut found = Firmware { details: Vec::new(), device: String::new(), run: Run::new(end, 0) };
    for _ in 0..MOST {
        let Some(at) = end.checked_sub(TRAILER) else { break };
        let Ok(Some(trailer)) = read_exact(source, at, 16) else { break };
        if !trailer.starts_with(MAGIC) {
            break;
        }
        let word = |at: usize| trailer.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b));
        let (Some(stored), Some(size)) = (word(4), word(12).map(u64::from)) else { break };
        let Some(start) = end.checked_sub(size).filter(|_| size >= TRAILER) else {
            let what = format!("its metadata claim {size} bytes, which the image does not have");
            gaps.add_at("firmware", "image_offset", at, what, TRAILER);
            break;
        };
        let len = size.saturating_sub(TRAILER);
        match trailer.get(8) {
            Some(0) => found.tell("firmware signature", format!("{len} bytes at {start}; not checked")),
            Some(1) => found.text(source, start, len, gaps),
            other => {
                let what = format!("metadata of an unknown kind ({})", other.copied().unwrap_or(0));
                gaps.add_at("firmware", "image_offset", start, what, len);
            }
        }
        found.check(source, at, stored, gaps);
        end = start;
    }
    found.run = Run::new(end, source.len().saturating_sub(end));
    (found.run.len > 0).then_some(found)
}

impl Firmware {
    fn tell(&mut self, field: &str, value: String) {
        self.details.push((field.to_owned(), value));
    }
    /// The checksum covers everything before the trailer; the tool does not invert it at the end.
    fn check(&mut self, source: &dyn ReadAt, at: u64, stored: u32, gaps: &Gaps) {
        if at > CHECKED {
            gaps.add_at("firmware", "image_offset", at, "checksum of the firmware not computed: too long", 0);
            return;
        }
        match sum(source, at) {
            Ok(sum) if !sum == stored => self.tell("firmware checksum", format!("{stored:08x}, fits")),
            Ok(sum) => {
                self.tell("firmware checksum", format!("{stored:08x}, computed {:08x}", !sum));
                gaps.add_at("firmware", "image_offset", at, "the firmware does not fit its checksum", at);
            }
            Err(e) => gaps.add_at("firmware", "image_offset", e.offset, format!("checksum not computed: {e}"), at),
        }
    }
    fn text(&mut self, source: &dyn ReadAt, start: u64, len: u64, gaps: &Gaps) {
        let gap = |what: String| gaps.add_at("firmware", "image_offset", start, what, len);
        let Some(inner) = len.checked_sub(HEADER).filter(|inner| *inner <= LONGEST) else {
            gap(format!("metadata of {len} bytes: not read"));
            return;
        };
        let at = start.saturating_add(HEADER);
        let bytes = match read_exact(source, at, usize::try_from(inner).unwrap_or(0)) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(e) => {
                gap(format!("metadata not read: {e}"));
                return;
            }
        };
        let end = bytes.iter().rposition(|b| !matches!(b, 0 | b'\n')).map_or(0, |n| n.saturating_add(1));
        let bytes = bytes.get(..end).unwrap_or_default();
        let Ok(value) = serde_json::from_slice::<serde_json::Value>(bytes) else {
            gap("its metadata are no JSON".to_owned());
            self.tell("firmware metadata", shown(&Name::new(bytes).display()));
            return;
        };
        let text = |value: &serde_json::Value| match value {
            serde_json::Value::String(text) => shown(text),
            other => shown(&other.to_string()),
        };
        for key in ["new_supported_devices", "supported_devices"] {
            let devices: Vec<String> =
                value.get(key).and_then(|v| v.as_array()).into_iter().flatten().map(text).collect();
            if let Some(first) = devices.first() {
                if self.device.is_empty() {
                    let more = devices.len().saturating_sub(1);
                    self.device = if more == 0 { first.clone() } else { format!("{first} and {more} more names") };
                }
                let field = if key == "supported_devices" { "firmware for" } else { "firmware for (newer names)" };
                self.tell(field, shown(&devices.join(", ")));
            }
        }
        for (key, value) in value.get("version").and_then(|v| v.as_object()).into_iter().flatten() {
            self.tell(&format!("firmware {}", shown(key)), text(value));
        }
        for key in ["metadata_version", "compat_version", "compat_message"] {
            if let Some(value) = value.get(key) {
                self.tell(&format!("firmware {key}"), text(value));
            }
        }
    }
}

/// The text as it can be shown, cut.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(TOLD).collect();
    Name::from(cut.as_str()).display()
}

fn sum(source: &dyn ReadAt, len: u64) -> Result<u32, super::ReadError> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buf = vec![0; 1 << 20];
    let mut at = 0;
    while at < len {
        let want = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX).min(buf.len());
        let n = source.read_at(at, buf.get_mut(..want).unwrap_or_default())?;
        if n == 0 {
            break;
        }
        hasher.update(buf.get(..n).unwrap_or_default());
        at = at.saturating_add(n as u64);
    }
    Ok(hasher.finalize())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// Appends as fwtool does: the table-driven sum of its source, bit by bit.
    fn append(image: &mut Vec<u8>, kind: u8, data: &[u8]) {
        image.extend_from_slice(data);
        let mut sum = u32::MAX;
        for byte in image.iter() {
            sum ^= u32::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
            }
        }
        image.extend(b"FWx0");
        image.extend(sum.to_be_bytes());
        image.extend([kind, 0, 0, 0]);
        image.extend(u32::try_from(data.len() + 16).unwrap().to_be_bytes());
    }
    const JSON: &str = r#"{ "metadata_version": "1.1", "compat_version": "1.0", "supported_devices":["crane,gw7", "old\u001bname"], "version": { "dist": "OpenWrt", "version": "23.05.3", "board": "gw7" } }"#;

    fn made() -> Vec<u8> {
        let mut image = vec![7; 5000];
        append(&mut image, 1, &[&[0; 8], JSON.as_bytes(), b"\n"].concat());
        append(&mut image, 0, b"untrusted comment: signature");
        image
    }

    #[test]
    fn trailers_are_read_from_the_end() {
        let (image, gaps) = (made(), Gaps::default());
        let found = read(&image, &gaps).unwrap();
        assert!(gaps.take().is_empty());
        let told: Vec<String> = found.details.iter().map(|(a, b)| format!("{a}: {b}")).collect();
        let fits = told.iter().filter(|t| t.ends_with(", fits")).count();
        assert_eq!((fits, found.device.as_str()), (2, "crane,gw7 and 1 more names"));
        for wanted in ["firmware version: 23.05.3", "firmware dist: OpenWrt", "firmware board: gw7"] {
            assert!(told.iter().any(|t| t == wanted), "{wanted}: {told:?}");
        }
        let devices = &found.details.iter().find(|(f, _)| f == "firmware for").unwrap().1;
        assert!(devices.starts_with("crane,gw7, old") && !devices.contains('\x1b'), "{devices}");
        assert_eq!((found.run.offset, found.run.end()), (5000, image.len() as u64));
    }

    #[test]
    fn damage_is_told() {
        let mut image = made();
        image[100] ^= 1;
        let gaps = Gaps::default();
        read(&image, &gaps).unwrap();
        assert_eq!(gaps.take().iter().filter(|g| g.what.contains("does not fit")).count(), 2);
        let mut lying = b"FWx0\0\0\0\0\x01\0\0\0\xff\xff\xff\xff".to_vec();
        assert_eq!(read(&lying, &gaps), None);
        assert_eq!(gaps.take().len(), 1);
        lying[12..].copy_from_slice(&16_u32.to_be_bytes());
        // Shorter than its own header: told, and nothing is read in front of it.
        assert!(read(&lying, &gaps).is_some());
        assert!(gaps.take().iter().any(|g| g.what.contains("not read")));
    }

    #[test]
    fn every_cut_is_survived() {
        let image = made();
        for len in 0..image.len() {
            let gaps = Gaps::default();
            assert_eq!(
                read(&image[..len].to_vec(), &gaps).is_some(),
                image[..len].len() >= 16 && {
                    let at = len - 16;
                    image[at..].starts_with(b"FWx0")
                }
            );
        }
    }
}
