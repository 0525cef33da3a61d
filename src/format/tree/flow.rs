//! Brackets: JSON documents, YAML flow collections, TOML arrays and inline tables.
use super::{Leaf, MAX_DEPTH, Tree};
use crate::base::Run;
use crate::format::lines::decode;

/// A JSON document.
pub(super) fn document(bytes: &[u8], tree: &mut Tree) {
    let skip = if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    let mut flow = Flow { bytes, at: skip, line: 1, stopped: false };
    let mut path = Vec::new();
    flow.blank();
    if !matches!(flow.peek(), Some(b'{' | b'[')) {
        tree.problem(1, "does not begin as JSON does");
        return;
    }
    flow.value(&mut path, None, tree, MAX_DEPTH);
}

/// One collection that begins at `at`, on line `line`; returns where it ends. Leaves get the line on
/// which the collection begins and the run given, if one is given.
pub(super) fn inline(bytes: &[u8], at: usize, line: u32, run: Run, path: &mut Vec<String>, tree: &mut Tree) -> usize {
    let mut flow = Flow { bytes, at, line, stopped: false };
    flow.value(path, Some((line, run)), tree, MAX_DEPTH);
    flow.at
}

struct Flow<'a> {
    bytes: &'a [u8],
    at: usize,
    line: u32,
    stopped: bool,
}
impl Flow<'_> {
    fn peek(&self) -> Option<u8> {
        if self.stopped { None } else { self.bytes.get(self.at).copied() }
    }
    fn bump(&mut self) {
        if self.bytes.get(self.at) == Some(&b'\n') {
            self.line = self.line.saturating_add(1);
        }
        self.at = self.at.saturating_add(1);
    }
    /// Passes over blanks and comments.
    fn blank(&mut self) {
        while let Some(b) = self.peek() {
            let next = self.bytes.get(self.at.saturating_add(1));
            match b {
                b if b.is_ascii_whitespace() => self.bump(),
                b'#' => self.rest_of_line(),
                b'/' if next == Some(&b'/') => self.rest_of_line(),
                b'/' if next == Some(&b'*') => {
                    while self.peek().is_some() && self.bytes.get(self.at..).is_some_and(|r| !r.starts_with(b"*/")) {
                        self.bump();
                    }
                    self.at = self.at.saturating_add(2).min(self.bytes.len());
                }
                _ => return,
            }
        }
    }
    fn rest_of_line(&mut self) {
        while self.peek().is_some_and(|b| b != b'\n') {
            self.bump();
        }
    }
    /// A quoted text, or bytes up to one that ends it.
    fn scalar(&mut self, ends: &[u8]) -> String {
        let Some(quote @ (b'"' | b'\'')) = self.peek() else {
            let start = self.at;
            while self.peek().is_some_and(|b| !ends.contains(&b) && b != b'\n') {
                self.bump();
            }
            return decode(self.bytes.get(start..self.at).unwrap_or_default()).trim().to_owned();
        };
        self.bump();
        let start = self.at;
        let mut escapes = false;
        while let Some(b) = self.peek() {
            if b == quote {
                break;
            }
            if b == b'\\' && quote == b'"' {
                escapes = true;
                self.bump();
            }
            self.bump();
        }
        let end = self.at.min(self.bytes.len());
        let raw = decode(self.bytes.get(start..end).unwrap_or_default());
        self.bump();
        if escapes { unescape(&raw) } else { raw.into_owned() }
    }
    fn value(&mut self, path: &mut Vec<String>, fixed: Option<(u32, Run)>, tree: &mut Tree, depth: usize) {
        let start = self.at;
        let line = self.line;
        self.entry(path, fixed, tree, depth, start, line);
    }
    fn entry(
        &mut self,
        path: &mut Vec<String>,
        fixed: Option<(u32, Run)>,
        tree: &mut Tree,
        depth: usize,
        start: usize,
        line: u32,
    ) {
        self.blank();
        let Some(depth) = depth.checked_sub(1) else {
            tree.problem(line, "budget: depth; what lies deeper was not read");
            self.stopped = true;
            return;
        };
        match self.peek() {
            Some(b'{') => {
                self.bump();
                loop {
                    self.blank();
                    match self.peek() {
                        None => return,
                        Some(b'}') => return self.bump(),
                        Some(b',' | b':' | b'=' | b']') => self.bump(),
                        Some(_) => {
                            let (start, line) = (self.at, self.line);
                            let key = self.scalar(b":=,}");
                            self.blank();
                            if matches!(self.peek(), Some(b':' | b'=')) {
                                self.bump();
                            }
                            self.blank();
                            path.push(key);
                            if matches!(self.peek(), Some(b',' | b'}')) {
                                self.leaf(path, String::new(), fixed, tree, start, line);
                            } else {
                                self.entry(path, fixed, tree, depth, start, line);
                            }
                            path.pop();
                        }
                    }
                }
            }
            Some(b'[') => {
                self.bump();
                let mut index = 0_usize;
                loop {
                    self.blank();
                    match self.peek() {
                        None => return,
                        Some(b']') => return self.bump(),
                        Some(b',' | b'}' | b':') => self.bump(),
                        Some(_) => {
                            let (start, line) = (self.at, self.line);
                            path.push(index.to_string());
                            self.entry(path, fixed, tree, depth, start, line);
                            path.pop();
                            index = index.saturating_add(1);
                        }
                    }
                }
            }
            Some(_) => {
                let before = self.at;
                let value = self.scalar(b",}]");
                if self.at == before {
                    self.bump();
                }
                self.leaf(path, value, fixed, tree, start, line);
            }
            None => {}
        }
    }
    fn leaf(
        &mut self,
        path: &[String],
        value: String,
        fixed: Option<(u32, Run)>,
        tree: &mut Tree,
        start: usize,
        line: u32,
    ) {
        let own = Run::new(start as u64, self.at.min(self.bytes.len()).saturating_sub(start) as u64);
        let (line, run) = fixed.unwrap_or((line, own));
        if !tree.push(Leaf { path: path.to_vec(), value, line, run }) {
            self.stopped = true;
        }
    }
}

fn unescape(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('t') => out.push('\t'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                out.push(u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32).unwrap_or('\u{fffd}'));
            }
            // `\xNN` is how a byte that is no UTF-8 is shown.
            Some('x') => out.push_str("\\x"),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}
