//! Stanzas of `Field: value` lines, as dpkg and apt keep their databases (deb822(5)).
//!
//! Stanzas are parted by empty lines; a line that begins with a space or a tab continues the field
//! above it; `#` begins a comment line. Field names are compared without regard to case.
use crate::base::Run;

/// One stanza. Values are the raw bytes between the colon and the next field.
#[derive(Clone, Debug, Default)]
pub struct Stanza<'a> {
    /// 1-based line of its first field.
    pub line: u32,
    /// Its bytes in the file, without the empty line that ends it.
    pub run: Run,
    /// First line (1-based) that is neither a field, a continuation nor a comment.
    pub malformed: Option<u32>,
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Stanza<'a> {
    /// The value of a field, trimmed; the first one if it stands there twice.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.raw(name).map(<[u8]>::trim_ascii)
    }
    /// [`Self::get`] as text; bytes that are no UTF-8 are replaced. Empty where there is no such field.
    pub fn text(&self, name: &str) -> String {
        self.get(name).map(|v| String::from_utf8_lossy(v).into_owned()).unwrap_or_default()
    }
    /// The non-empty lines of a field, each trimmed, comments left out.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let value = self.raw(name).unwrap_or_default();
        value.split(|b| *b == b'\n').filter(|l| !l.starts_with(b"#")).map(<[u8]>::trim_ascii).filter(|l| !l.is_empty())
    }
    /// No field at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
    fn raw(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).map(|(_, v)| *v)
    }
}

/// The stanzas of a file, in order.
pub fn stanzas(bytes: &[u8]) -> Stanzas<'_> {
    Stanzas { bytes, at: 0, line: 0 }
}

pub struct Stanzas<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Iterator for Stanzas<'a> {
    type Item = Stanza<'a>;

    fn next(&mut self) -> Option<Stanza<'a>> {
        let mut stanza = Stanza::default();
        let mut start = self.at;
        let mut end = self.at;
        // Name, and where its value begins and ends.
        let mut open: Option<(&'a [u8], usize, usize)> = None;
        while let Some(rest) = self.bytes.get(self.at..).filter(|r| !r.is_empty()) {
            let from = self.at;
            let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest.get(..len).unwrap_or_default();
            self.at = from.saturating_add(len).saturating_add(1);
            self.line = self.line.saturating_add(1);
            let stop = from.saturating_add(len);
            if line.trim_ascii().is_empty() {
                if stanza.is_empty() && open.is_none() && stanza.malformed.is_none() {
                    continue;
                }
                break;
            }
            let first = stanza.is_empty() && open.is_none() && stanza.malformed.is_none();
            match line.first() {
                Some(b'#') => continue,
                Some(b' ' | b'\t') if open.is_some() => {
                    open = open.map(|(n, a, _)| (n, a, stop));
                }
                _ => match line.iter().position(|b| *b == b':').filter(|c| *c > 0) {
                    Some(colon) if !matches!(line.first(), Some(b' ' | b'\t')) => {
                        self.close(&mut stanza, open.take());
                        let name = line.get(..colon).unwrap_or_default();
                        open = Some((name, from.saturating_add(colon).saturating_add(1), stop));
                    }
                    _ => {
                        self.close(&mut stanza, open.take());
                        stanza.malformed = stanza.malformed.or(Some(self.line));
                    }
                },
            }
            if first {
                (start, stanza.line) = (from, self.line);
            }
            end = stop;
        }
        self.close(&mut stanza, open);
        stanza.run = Run::new(start as u64, end.saturating_sub(start) as u64);
        (!stanza.is_empty() || stanza.malformed.is_some()).then_some(stanza)
    }
}
impl<'a> Stanzas<'a> {
    fn close(&self, stanza: &mut Stanza<'a>, field: Option<(&'a [u8], usize, usize)>) {
        if let Some((name, from, to)) = field {
            stanza.fields.push((name, self.bytes.get(from..to).unwrap_or_default()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn fields_continuations_and_comments() {
        let text = b"\n\nPackage: a\nConffiles:\n /etc/a 0123\n# a comment\n /etc/b 4567 obsolete\nversion:1.0\n\n \nPackage: b\n\n\n";
        let all: Vec<_> = stanzas(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].line, all[1].line), (3, 11));
        assert_eq!(all[0].text("version"), "1.0");
        assert_eq!(all[0].text("Version"), "1.0");
        assert_eq!(all[0].text("Nothing"), "");
        let conffiles: Vec<_> = all[0].lines("Conffiles").collect();
        assert_eq!(conffiles, [b"/etc/a 0123".as_slice(), b"/etc/b 4567 obsolete"]);
        let run = all[1].run;
        assert_eq!(
            &text[usize::try_from(run.offset).unwrap_or(0)..usize::try_from(run.end()).unwrap_or(0)],
            b"Package: b"
        );
    }

    #[test]
    fn garbage_is_named_and_does_not_stop_it() {
        let all: Vec<_> = stanzas(b"\xff\xfe\x00no field\n\nPackage: a\n:odd\n orphan\n\n orphan\n").collect();
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].malformed, all[1].malformed, all[2].malformed), (Some(1), Some(4), Some(7)));
        assert_eq!(all[1].text("package"), "a");
        assert_eq!(stanzas(b"").count(), 0);
        assert_eq!(stanzas(&[b'\n'; 100]).count(), 0);
        assert_eq!(stanzas(&[0; 100]).count(), 1);
    }
}
