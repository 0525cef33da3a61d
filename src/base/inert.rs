//! Which characters of a text can be shown as they are. The one decision behind every place where a name or a text
//! of the evidence is shown: window, terminal, CSV, JSON and HTML differ in how they write an escape, not in when.
//!
//! Escaped are controls, characters that hide, move or take no room, and look-alikes: characters that imitate a
//! blank, a dot or a slash, and letters of other scripts in a word with Latin ones (after Unicode Technical
//! Standard 39, section 5, "mixed scripts"). Chinese beside Latin letters is ordinary and stays.
use super::Name;
use std::io::{self, Write};

/// Calls `each` for every character, with whether it must be escaped.
pub fn walk(text: &str, mut each: impl FnMut(char, bool)) {
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_alphabetic() || is_foreign(c))).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let imitates = imitates(word);
        word.chars().for_each(|c| each(c, is_unshown(c) || imitates && is_foreign(c)));
        let mut after = after.chars();
        after.by_ref().take(1).for_each(|c| each(c, is_unshown(c)));
        rest = after.as_str();
    }
}

/// Whether nothing of it must be escaped.
pub fn is_plain(text: &str) -> bool {
    // Nearly all names are printable ASCII, which no character test needs to look at.
    if text.bytes().fold(true, |all, b| all & matches!(b, b' '..=b'~')) {
        return true;
    }
    let mut plain = true;
    walk(text, |_, escaped| plain &= !escaped);
    plain
}

/// Text of several lines: each line escaped, the line ends kept.
pub fn lines(text: &str) -> String {
    let lines = text.lines().map(|l| Name::from(l).display_text());
    lines.collect::<Vec<_>>().join("\n")
}

/// Letters of scripts that have twins of Latin letters, and Latin letters in disguise.
fn is_foreign(c: char) -> bool {
    matches!(c,
        // dotless i, long s, letters of phonetic alphabets
        '\u{131}' | '\u{17f}' | '\u{250}'..='\u{2af}' | '\u{1d00}'..='\u{1dbf}'
        // Greek, Coptic, Cyrillic, Armenian, Georgian capitals, Cherokee, Lisu
        | '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' | '\u{2c80}'..='\u{2cff}'
        | '\u{400}'..='\u{52f}' | '\u{1c80}'..='\u{1c8f}' | '\u{a640}'..='\u{a69f}'
        | '\u{531}'..='\u{588}' | '\u{10a0}'..='\u{10ff}'
        | '\u{13a0}'..='\u{13ff}' | '\u{ab70}'..='\u{abbf}' | '\u{a4d0}'..='\u{a4ff}'
        // letter-like symbols, Roman numerals, full-width and mathematical letters and digits
        | '\u{2100}'..='\u{214f}' | '\u{2160}'..='\u{2188}'
        | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}'
        | '\u{1d400}'..='\u{1d7ff}')
}

/// Cyrillic and Greek letters that nobody tells from a Latin one.
const TWINS: &str = "асеорхуѕіјԁһԛԝӏАВЕКМНОРСТХУЅІЈΑΒΕΖΗΙΚΜΝΟΡΤΥΧονρ";

/// A word of letters of which some stand in for Latin ones: mixed with them, or all of them twins.
fn imitates(word: &str) -> bool {
    if word.is_ascii() {
        return false;
    }
    let mixed = word.contains(|c: char| c.is_ascii_alphabetic()) && word.contains(is_foreign);
    mixed || word.chars().nth(1).is_some() && word.chars().all(|c| TWINS.contains(c))
}

/// Characters that hide, move or imitate wherever they stand: controls, bidi marks and overrides, zero-width and
/// invisible characters, private use and unassigned planes, and what looks like a blank, a dot or a slash.
fn is_unshown(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e000}'..='\u{f8ff}'
            | '\u{e0000}'..='\u{10ffff}'
            // blanks of other widths, the empty Braille cell
            | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{2800}' | '\u{3000}'
            // slashes, backslashes, dots and hyphens that are none
            | '\u{2044}' | '\u{2215}' | '\u{29f8}' | '\u{ff0f}' | '\u{2216}' | '\u{29f5}' | '\u{fe68}' | '\u{ff3c}'
            | '\u{2024}' | '\u{fe52}' | '\u{ff0e}' | '\u{2010}' | '\u{2011}')
}

/// A way to a terminal: lines, tabs and plain text pass, everything else is escaped, whatever was forgotten before.
/// Bytes of a line that did not end are kept until [`Write::flush`].
pub struct Terminal<W: Write> {
    to: W,
    line: Vec<u8>,
}
/// Longer lines are written in parts.
const MAX_LINE: usize = 1 << 16;

impl<W: Write> Terminal<W> {
    pub fn new(to: W) -> Self {
        Self { to, line: Vec::new() }
    }
    fn put(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        let (body, end) = match line.as_slice() {
            [body @ .., b'\r', b'\n'] => (body, "\r\n"),
            [body @ .., b'\n'] => (body, "\n"),
            body => (body, ""),
        };
        for (n, part) in body.split(|b| *b == b'\t').enumerate() {
            self.to.write_all(if n > 0 { b"\t" } else { b"" })?;
            match std::str::from_utf8(part) {
                Ok(text) if is_plain(text) => self.to.write_all(part)?,
                _ => self.to.write_all(Name::new(part).display_text().as_bytes())?,
            }
        }
        self.to.write_all(end.as_bytes())
    }
}
impl<W: Write> Write for Terminal<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            self.line.extend_from_slice(part);
            // Not within a character.
            let whole = self.line.last().is_none_or(u8::is_ascii);
            if part.ends_with(b"\n") || self.line.len() > MAX_LINE && whole || self.line.len() > 2 * MAX_LINE {
                self.put()?;
            }
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        self.put()?;
        self.to.flush()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn look_alikes_are_told_from_ordinary_words_of_other_scripts() {
        for plain in [
            "岸桥PLC程序",
            "ＵＳＢ驱动",
            "说明（新）.txt",
            "Журнал событий",
            "отчёт.txt",
            "naïve café",
            "Ελλάδα",
            "0.5",
        ] {
            assert!(is_plain(plain), "{plain}");
        }
        for imitation in
            ["sshd\u{430}", "р\u{430}sswd", "ѕѕһԁ", "ｓshd", "etc\u{2215}passwd", "a\u{2024}so", "a\u{a0}b", "lıb"]
        {
            assert!(!is_plain(imitation), "{imitation}");
            let mut kept = String::new();
            walk(imitation, |c, escaped| kept.extend((!escaped).then_some(c)));
            assert!(kept.is_ascii(), "{imitation}: {kept}");
        }
    }

    #[test]
    fn what_reaches_a_terminal_cannot_steer_it() {
        let mut out = Vec::new();
        let mut to = Terminal::new(&mut out);
        for part in ["a\tb\r\nx\x1b[2J", "y\u{202e}\nlast \u{9b}1m"] {
            to.write_all(part.as_bytes()).unwrap();
        }
        to.write_all(b"\xff\rz").unwrap();
        to.flush().unwrap();
        drop(to);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "a\tb\r\nx\\u{1b}[2Jy\\u{202e}\nlast \\u{9b}1m\\xff\\u{d}z");
    }
}
