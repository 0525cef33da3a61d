//! The elements of a small XML file, one after another: names, attributes and the text behind them.
//! No entity but the five of XML 1.0 is resolved and no document type is read, so nothing can expand.
use super::lines::decode;
use crate::base::Run;

/// One start or end tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tag {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    /// An end tag.
    pub closes: bool,
    /// The text up to the next tag.
    pub text: String,
    pub line: u32,
    /// Its bytes, from `<` to `>`.
    pub run: Run,
}
impl Tag {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(k, _)| k == name).map(|(_, v)| v.as_str())
    }
}

const MAX_TAGS: usize = 50_000;

/// All tags in order; `true` if there were more than are kept.
pub fn tags(bytes: &[u8]) -> (Vec<Tag>, bool) {
    let mut out: Vec<Tag> = Vec::new();
    let mut at = 0_usize;
    let mut line = 1_u32;
    while let Some(open) = find(bytes, at, b"<") {
        if let Some(last) = out.last_mut() {
            last.text = unescape(&decode(bytes.get(at..open).unwrap_or_default()));
        }
        line = line.saturating_add(newlines(bytes, at, open));
        let rest = bytes.get(open..).unwrap_or_default();
        let (end, tag) = if rest.starts_with(b"<!--") {
            (find(bytes, open, b"-->").map(|e| e.saturating_add(3)), false)
        } else if rest.starts_with(b"<?") || rest.starts_with(b"<!") {
            (find(bytes, open, b">").map(|e| e.saturating_add(1)), false)
        } else {
            (find(bytes, open, b">").map(|e| e.saturating_add(1)), true)
        };
        let Some(end) = end else { break };
        if tag {
            if out.len() >= MAX_TAGS {
                return (out, true);
            }
            let inner =
                decode(bytes.get(open.saturating_add(1)..end.saturating_sub(1)).unwrap_or_default()).into_owned();
            let run = Run::new(open as u64, end.saturating_sub(open) as u64);
            out.push(parse(&inner, line, run));
        }
        line = line.saturating_add(newlines(bytes, open, end));
        at = end;
    }
    (out, false)
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes.get(from..)?, what)?.checked_add(from)
}

fn newlines(bytes: &[u8], from: usize, to: usize) -> u32 {
    u32::try_from(memchr::memchr_iter(b'\n', bytes.get(from..to).unwrap_or_default()).count()).unwrap_or(u32::MAX)
}

fn parse(inner: &str, line: u32, run: Run) -> Tag {
    let closes = inner.starts_with('/');
    let inner = inner.trim_start_matches('/').trim_end_matches('/');
    let (name, mut rest) = inner.split_once(char::is_whitespace).unwrap_or((inner, ""));
    let mut attributes = Vec::new();
    while let Some((key, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let Some(quote) = after.chars().next().filter(|c| matches!(c, '"' | '\'')) else { break };
        let Some((value, next)) = after.get(1..).and_then(|a| a.split_once(quote)) else { break };
        if attributes.len() < 100 {
            attributes.push((key.trim().to_owned(), unescape(value)));
        }
        rest = next;
    }
    Tag { name: name.trim().to_owned(), attributes, closes, text: String::new(), line, run }
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn tags_and_bombs() {
        let (all, _) = tags(b"<?xml version=\"1.0\"?>\n<!-- <x/> -->\n<zone target=\"DROP\">\n  <port protocol='tcp' port=\"22\"/>\n  <rule>-j &amp;x</rule>\n</zone>");
        assert_eq!(
            all.iter().map(|t| (t.line, t.name.as_str(), t.closes)).collect::<Vec<_>>(),
            [(3, "zone", false), (4, "port", false), (5, "rule", false), (5, "rule", true), (6, "zone", true)]
        );
        assert_eq!(all[1].get("port"), Some("22"));
        assert_eq!(all[2].text, "-j &x");
        let bomb = b"<!DOCTYPE lolz [<!ENTITY a \"&b;&b;\">]><zone>&a;</zone>";
        assert!(tags(bomb).0.iter().all(|t| t.text.len() < 60));
        assert!(tags("<".repeat(1_000_000).as_bytes()).0.is_empty());
        assert!(tags("<a ".repeat(100_000).as_bytes()).0.is_empty());
        assert!(tags("<a>".repeat(100_000).as_bytes()).1);
    }
}
