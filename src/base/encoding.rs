//! Encodings of text files as they are met on these computers: UTF-8, GBK, UTF-16 of both orders.
use super::Run;
use encoding_rs::{Encoding as Table, GBK, UTF_16BE, UTF_16LE};
use std::borrow::Cow;

/// How bytes become text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Encoding {
    #[default]
    Utf8,
    Gbk,
    Utf16Le,
    Utf16Be,
}
impl Encoding {
    pub const ALL: [Self; 4] = [Self::Utf8, Self::Gbk, Self::Utf16Le, Self::Utf16Be];
    pub fn title(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Gbk => "GBK",
            Self::Utf16Le => "UTF-16 LE",
            Self::Utf16Be => "UTF-16 BE",
        }
    }
    /// What these bytes most likely are: a guess to begin with.
    pub fn guess(bytes: &[u8]) -> Self {
        let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
        let zeros = |odd: usize| head.iter().enumerate().filter(|(n, b)| n % 2 == odd && **b == 0).count();
        let many = head.len() / 5;
        match head {
            [0xff, 0xfe, ..] => Self::Utf16Le,
            [0xfe, 0xff, ..] => Self::Utf16Be,
            _ if head.len() >= 4 && zeros(1) > many && zeros(0) <= many / 4 => Self::Utf16Le,
            _ if head.len() >= 4 && zeros(0) > many && zeros(1) <= many / 4 => Self::Utf16Be,
            _ => match std::str::from_utf8(head) {
                // A character may be cut by the end of what is looked at.
                Err(e) if e.error_len().is_some() && !GBK.decode_without_bom_handling(head).1 => Self::Gbk,
                _ => Self::Utf8,
            },
        }
    }
    /// The table that decodes it; none for UTF-8, of which every wrong byte is shown.
    fn table(self) -> Option<&'static Table> {
        match self {
            Self::Utf8 => None,
            Self::Gbk => Some(GBK),
            Self::Utf16Le => Some(UTF_16LE),
            Self::Utf16Be => Some(UTF_16BE),
        }
    }
    /// The lines of these bytes, each with its number from 1 and its bytes without the line end. What fits no
    /// character becomes U+FFFD; a mark of the byte order is no part of the first line.
    pub fn lines(self, bytes: &[u8]) -> impl Iterator<Item = (u32, Run, Cow<'_, str>)> {
        let mut at = 0_usize;
        let mut number = 0_u32;
        std::iter::from_fn(move || {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let (len, end) = self.line_end(rest);
            let raw = rest.get(..len).unwrap_or(rest);
            let start = at;
            at = at.saturating_add(len).saturating_add(end).max(start.saturating_add(1));
            number = number.saturating_add(1);
            let run = Run::new(start as u64, raw.len() as u64);
            let text = match self.table() {
                // GBK's second bytes are never those of a line end.
                Some(table) => table.decode_without_bom_handling(raw).0,
                None => String::from_utf8_lossy(raw),
            };
            let text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(trimmed(text, number)),
                Cow::Owned(text) => Cow::Owned(trimmed(&text, number).to_owned()),
            };
            Some((number, run, text))
        })
    }
    /// Length of the first line, and of its end.
    fn line_end(self, bytes: &[u8]) -> (usize, usize) {
        let pair = match self {
            Self::Utf8 | Self::Gbk => {
                let at = bytes.iter().position(|b| *b == b'\n');
                return at.map_or((bytes.len(), 0), |at| (at, 1));
            }
            Self::Utf16Le => [b'\n', 0],
            Self::Utf16Be => [0, b'\n'],
        };
        let unit = bytes.chunks_exact(2).position(|unit| unit == pair);
        unit.map_or((bytes.len(), 0), |at| (at.saturating_mul(2), 2))
    }
}

fn trimmed(line: &str, number: u32) -> &str {
    let line = line.strip_suffix('\r').unwrap_or(line);
    if number == 1 { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_every_encoding() {
        let text = "\u{feff}主机=10.0.0.1\r\n\n末";
        let wide = |big: bool| -> Vec<u8> {
            text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        };
        for (encoding, bytes) in [
            (Encoding::Utf8, text.as_bytes().to_vec()),
            (Encoding::Gbk, GBK.encode(text.trim_start_matches('\u{feff}')).0.into_owned()),
            (Encoding::Utf16Le, wide(false)),
            (Encoding::Utf16Be, wide(true)),
        ] {
            assert_eq!(Encoding::guess(&bytes), encoding);
            let lines: Vec<_> = encoding.lines(&bytes).collect();
            let shown: Vec<_> = lines.iter().map(|(n, _, t)| (*n, &**t)).collect();
            assert_eq!(shown, [(1, "主机=10.0.0.1"), (2, ""), (3, "末")], "{encoding:?}");
            let last = lines.last().map(|(_, run, _)| run.offset + run.len);
            assert_eq!(last, Some(bytes.len() as u64), "{encoding:?}");
        }
        assert_eq!(Encoding::Utf16Le.lines(b"a\0\n").map(|l| l.2.into_owned()).collect::<Vec<_>>(), ["a\u{fffd}"]);
    }
}
