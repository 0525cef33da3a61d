//! LVM's configuration text: `name = value`, lists, sections in braces, comments from `#`.
use std::collections::BTreeMap;

/// Sections within sections.
const MAX_DEPTH: u32 = 16;
/// Values of one text.
const MAX_VALUES: u32 = 2_000_000;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    List(Vec<Value>),
    Section(Section),
}

/// Names in order of the alphabet; of a name that stands twice the last counts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Section(BTreeMap<String, Value>);

impl Section {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.0.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
    /// A number that is not negative.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Number(n) => u64::try_from(*n).ok(),
            _ => None,
        }
    }
    pub(super) fn list(&self, name: &str) -> &[Value] {
        match self.0.get(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        match self.0.get(name)? {
            Value::Section(section) => Some(section),
            _ => None,
        }
    }
    pub(super) fn sections(&self) -> impl Iterator<Item = (&String, &Section)> {
        self.0.iter().filter_map(|(name, value)| match value {
            Value::Section(section) => Some((name, section)),
            _ => None,
        })
    }
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    values: u32,
}

/// Reads a whole text.
pub(super) fn parse(bytes: &[u8]) -> Result<Section, String> {
    // The stored text ends with a zero.
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    let mut parser = Parser { bytes, at: 0, values: 0 };
    let section = parser.section(0)?;
    if parser.at < bytes.len() { Err(parser.wrong("a closing brace too many")) } else { Ok(section) }
}

impl Parser<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("{what} at byte {} of the text", self.at)
    }
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }
    fn blank(&mut self) {
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => {
                    while self.peek().is_some_and(|b| b != b'\n') {
                        self.step();
                    }
                }
                b if b.is_ascii_whitespace() => self.step(),
                _ => return,
            }
        }
    }
    fn word(&mut self) -> String {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_alphanumeric() || b"_-.+/@".contains(&b)) {
            self.step();
        }
        String::from_utf8_lossy(self.bytes.get(from..self.at).unwrap_or_default()).into_owned()
    }
    /// Up to a closing brace, which is left standing, or the end.
    fn section(&mut self, depth: u32) -> Result<Section, String> {
        if depth > MAX_DEPTH {
            return Err(self.wrong("budget: sections nest too deep"));
        }
        let mut section = Section::default();
        loop {
            self.blank();
            match self.peek() {
                None | Some(b'}') => return Ok(section),
                _ => {}
            }
            let name = self.word();
            if name.is_empty() {
                return Err(self.wrong("no name"));
            }
            self.blank();
            let value = match self.peek() {
                Some(b'{') => {
                    self.step();
                    let inner = self.section(depth.saturating_add(1))?;
                    if self.peek() != Some(b'}') {
                        return Err(self.wrong("a section is not closed"));
                    }
                    self.step();
                    Value::Section(inner)
                }
                Some(b'=') => {
                    self.step();
                    self.value()?
                }
                _ => return Err(self.wrong("neither = nor {")),
            };
            section.0.insert(name, value);
        }
    }
    fn value(&mut self) -> Result<Value, String> {
        self.values = self.values.saturating_add(1);
        if self.values > MAX_VALUES {
            return Err(self.wrong("budget: too many values"));
        }
        self.blank();
        match self.peek() {
            Some(b'"') => self.string().map(Value::Text),
            Some(b'[') => {
                self.step();
                let mut list = Vec::new();
                loop {
                    self.blank();
                    match self.peek() {
                        Some(b']') => {
                            self.step();
                            return Ok(Value::List(list));
                        }
                        Some(b',') => self.step(),
                        // A list does not hold lists.
                        Some(b'[') | None => return Err(self.wrong("a list is not closed")),
                        Some(_) => list.push(self.value()?),
                    }
                }
            }
            _ => {
                let word = self.word();
                if word.is_empty() {
                    return Err(self.wrong("no value"));
                }
                Ok(word.parse().map_or(Value::Text(word), Value::Number))
            }
        }
    }
    fn string(&mut self) -> Result<String, String> {
        self.step();
        let mut bytes = Vec::new();
        while let Some(byte) = self.peek() {
            self.step();
            match byte {
                b'"' => return Ok(String::from_utf8_lossy(&bytes).into_owned()),
                b'\\' => {
                    bytes.extend(self.peek());
                    self.step();
                }
                byte => bytes.push(byte),
            }
        }
        Err(self.wrong("a string is not closed"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_lvm_writes_and_refuses_the_rest() {
        let text = b"# made by hand\nvg {\nid = \"a-b\"\nseqno = 7\nstatus = [\"READ\", \"WRITE\"]\nempty = []\nlv { stripes = [\n\"pv0\", 3\n]\nname = \"say \\\"x\\\"\" }\n}\n\0";
        let parsed = parse(text).unwrap();
        let vg = parsed.section("vg").unwrap();
        assert_eq!((vg.text("id"), vg.number("seqno"), vg.list("status").len()), (Some("a-b"), Some(7), 2));
        let lv = vg.section("lv").unwrap();
        assert_eq!(lv.list("stripes"), [Value::Text("pv0".into()), Value::Number(3)]);
        assert_eq!(lv.text("name"), Some("say \"x\""));
        for broken in ["a", "a {", "a = ", "a = [1", "a = [[1]]", "}", "a = \"x", "= 3"] {
            assert!(parse(broken.as_bytes()).is_err(), "{broken}");
        }
        assert!(parse("a{".repeat(1000).as_bytes()).unwrap_err().contains("budget"));
    }
}
