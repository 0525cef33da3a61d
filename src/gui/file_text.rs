//! A file's bytes as lines of text in a chosen encoding: nothing in them steers, nothing is lost without a word.
pub use crate::base::encoding::Encoding;
use crate::base::inert::walk;
use encoding_rs::{Encoding as Table, GBK, UTF_16BE, UTF_16LE};

/// Text to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    pub lines: Vec<String>,
    /// Places that are no text in this encoding.
    pub wrong: usize,
    /// Lines that were cut as too long.
    pub cut: usize,
    /// Lines in which something had to be escaped.
    pub escaped: usize,
}

/// Characters of a line that are shown.
const LONGEST: usize = 2000;

/// The lines of these bytes.
pub fn text(bytes: &[u8], encoding: Encoding) -> Text {
    let mut out = Text::default();
    match encoding {
        Encoding::Utf8 => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            for line in bytes.split(|b| *b == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                let mut shown = Line::default();
                for chunk in line.utf8_chunks() {
                    shown.push(chunk.valid());
                    out.wrong = out.wrong.saturating_add(usize::from(!chunk.invalid().is_empty()));
                    chunk.invalid().iter().for_each(|b| shown.escape(&format!("\\x{b:02x}")));
                }
                out.take(shown);
            }
        }
        Encoding::Gbk => out.decoded(bytes, GBK),
        Encoding::Utf16Le => out.decoded(bytes.strip_prefix(b"\xff\xfe").unwrap_or(bytes), UTF_16LE),
        Encoding::Utf16Be => out.decoded(bytes.strip_prefix(b"\xfe\xff").unwrap_or(bytes), UTF_16BE),
    }
    // What ends a last line begins no further one.
    if out.lines.last().is_some_and(String::is_empty) {
        out.lines.pop();
    }
    out
}

impl Text {
    fn decoded(&mut self, bytes: &[u8], table: &'static Table) {
        let (decoded, _) = table.decode_without_bom_handling(bytes);
        for line in decoded.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            // The decoder puts this where nothing fits; GBK has no such character of its own.
            self.wrong = self.wrong.saturating_add(line.matches('\u{fffd}').count());
            let mut shown = Line::default();
            shown.push(line);
            self.take(shown);
        }
    }
    fn take(&mut self, line: Line) {
        self.cut = self.cut.saturating_add(usize::from(line.is_cut));
        self.escaped = self.escaped.saturating_add(usize::from(line.is_escaped));
        let mark = if line.is_cut { " … (the line is longer)" } else { "" };
        self.lines.push(line.text + mark);
    }
}

#[derive(Default)]
struct Line {
    text: String,
    len: usize,
    is_cut: bool,
    is_escaped: bool,
}
impl Line {
    fn push(&mut self, text: &str) {
        walk(text, |c, escaped| {
            if self.len >= LONGEST {
                self.is_cut = true;
            } else if c == '\t' {
                // As a terminal does.
                let to = self.len.saturating_add(8) / 8 * 8;
                while self.len < to {
                    self.text.push(' ');
                    self.len = self.len.saturating_add(1);
                }
            } else if escaped || !super::theme::is_drawn(c) {
                let escape: String = c.escape_unicode().collect();
                self.escape(&escape);
            } else {
                self.text.push(c);
                self.len = self.len.saturating_add(1);
            }
        });
    }
    fn escape(&mut self, text: &str) {
        if self.len >= LONGEST {
            self.is_cut = true;
            return;
        }
        self.is_escaped = true;
        self.text.push_str(text);
        self.len = self.len.saturating_add(text.len());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_same_words_in_every_encoding() {
        let words = "岸桥 config\r\n第二行\n";
        let utf16 = |big: bool| -> Vec<u8> {
            words.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
        };
        let gbk = GBK.encode(words).0.into_owned();
        for (encoding, bytes) in [
            (Encoding::Utf8, words.as_bytes().to_vec()),
            (Encoding::Gbk, gbk),
            (Encoding::Utf16Le, utf16(false)),
            (Encoding::Utf16Be, utf16(true)),
        ] {
            let shown = text(&bytes, encoding);
            assert_eq!(shown, Text { lines: vec!["岸桥 config".into(), "第二行".into()], ..Text::default() });
            if !matches!(encoding, Encoding::Utf16Be | Encoding::Utf16Le) {
                assert_eq!(Encoding::guess(&bytes), encoding);
            }
        }
        assert_eq!(Encoding::guess(b"\xff\xfea\0"), Encoding::Utf16Le);
        assert_eq!(Encoding::guess(b"\0a\0b\0c\0d"), Encoding::Utf16Be);
        assert_eq!(Encoding::guess(b"\xe5\xb2"), Encoding::Utf8);
    }
    #[test]
    fn what_does_not_show_is_escaped_and_counted() {
        let shown = text(b"a\x1b[2J\tb\xff\nc\xe2\x80\xae\n", Encoding::Utf8);
        assert_eq!(shown.lines, ["a\\u{1b}[2J      b\\xff", "c\\u{202e}"]);
        assert_eq!((shown.wrong, shown.escaped, shown.cut), (1, 2, 0));
        assert_eq!(text(b"\x81", Encoding::Gbk).wrong, 1);
        let long = text(&b"x".repeat(LONGEST + 1), Encoding::Utf8);
        assert_eq!((long.cut, long.lines.concat().len()), (1, LONGEST + " … (the line is longer)".len()));
    }
}
