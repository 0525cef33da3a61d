//! JSON that no terminal and no reader's eye stumbles over: characters that hide, move or imitate are written as
//! JSON escapes (RFC 8259, section 7). The values stay what they are; whoever parses the JSON gets the raw text.
use crate::base::inert::{is_plain, walk};
use std::io::{self, Write};

/// Writes JSON on. Beyond ASCII, JSON has characters in strings only, so nothing else is touched.
pub(super) struct Inert<'a> {
    pub to: &'a mut dyn Write,
    /// The first bytes of a character whose rest is still to come.
    pub begun: Vec<u8>,
}

impl Write for Inert<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty() && bytes.is_ascii() && memchr::memchr(0x7f, bytes).is_none() {
            self.to.write_all(bytes)?;
            return Ok(bytes.len());
        }
        let mut all = std::mem::take(&mut self.begun);
        all.extend_from_slice(bytes);
        for chunk in all.utf8_chunks() {
            // Line by line: few of many lines hold anything to look at.
            for line in chunk.valid().split_inclusive('\n') {
                self.line(line)?;
            }
            self.begun.extend_from_slice(chunk.invalid());
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&std::mem::take(&mut self.begun))?;
        self.to.flush()
    }
}
impl Inert<'_> {
    fn line(&mut self, line: &str) -> io::Result<()> {
        if is_plain(line.trim_end_matches('\n')) {
            return self.to.write_all(line.as_bytes());
        }
        let mut out = String::with_capacity(line.len().saturating_add(16));
        walk(line, |c, escaped| {
            // A control character below a blank is no part of a string here, but the end of a line.
            if escaped && c >= '\u{7f}' {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                out.push(c);
            }
        });
        self.to.write_all(out.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_and_bytes_are_inert() {
        let text = "岸桥 \u{202e}gpj \u{7f} \u{9b} s\u{455}hd \u{e0001} \u{1b} \"\\";
        let json = serde_json::to_string(&[text, "plain"]).unwrap() + "\n";
        let mut out = Vec::new();
        let mut to = Inert { to: &mut out, begun: Vec::new() };
        // However it comes in pieces.
        json.as_bytes().chunks(3).for_each(|c| to.write_all(c).unwrap());
        to.flush().unwrap();
        let written = String::from_utf8(out).unwrap();
        assert_eq!(serde_json::from_str::<Vec<String>>(&written).unwrap(), [text, "plain"]);
        assert!(is_plain(written.trim_end()) && written.contains("岸桥"), "{written}");
    }
}
