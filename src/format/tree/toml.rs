//! TOML and INI: headings and `key = value` lines.
use super::{Leaf, MAX_DEPTH, Tree, flow};
use crate::format::lines::{lines, unquote};
use std::collections::HashMap;

pub(super) fn document(bytes: &[u8], tree: &mut Tree) {
    let mut section: Vec<String> = Vec::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    // Bytes before this position belong to a value that has been read already.
    let mut taken = 0_usize;
    // End mark of a text of several lines.
    let mut open: Option<&str> = None;
    for line in lines(bytes) {
        let start = usize::try_from(line.run.offset).unwrap_or(usize::MAX);
        if start < taken {
            continue;
        }
        let text = line.text.trim();
        if let Some(end) = open {
            if text.contains(end) {
                open = None;
            }
            continue;
        }
        if line.cut {
            tree.problem(line.number, "longer than 64 KiB; only its beginning was read");
        }
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(heading) = text.strip_prefix('[')
            && !text.contains("=[")
        {
            section = match heading.strip_prefix('[') {
                Some(rest) => {
                    let mut path = keys(rest.split("]]").next().unwrap_or(rest), &counts);
                    let name = path.join(".");
                    let index = counts.entry(name).and_modify(|n| *n = n.saturating_add(1)).or_insert(0);
                    path.push(index.to_string());
                    path
                }
                None => keys(heading.split(']').next().unwrap_or(heading), &counts),
            };
            continue;
        }
        let Some((key, value)) = text.split_once('=') else {
            tree.problem(line.number, "neither a section nor a setting");
            continue;
        };
        let mut path = section.clone();
        path.extend(keys(key, &HashMap::new()));
        path.truncate(MAX_DEPTH);
        let value = value.trim();
        for mark in ["\"\"\"", "'''"] {
            if let Some(rest) = value.strip_prefix(mark)
                && !rest.contains(mark)
            {
                open = Some(mark);
            }
        }
        if value.starts_with(['[', '{']) {
            let raw = bytes.get(start..).unwrap_or_default();
            let offset = raw.iter().position(|b| *b == b'=').and_then(|e| {
                let after = e.checked_add(1)?;
                raw.get(after..)?.iter().position(|b| matches!(b, b'[' | b'{')).and_then(|v| after.checked_add(v))
            });
            if let Some(offset) = offset {
                taken = flow::inline(bytes, start.saturating_add(offset), line.number, line.run, &mut path, tree);
                // What follows on the last line of the value is a comment at most.
                taken = bytes
                    .get(taken..)
                    .and_then(|r| r.iter().position(|b| *b == b'\n'))
                    .map_or(bytes.len(), |n| taken.saturating_add(n));
                continue;
            }
        }
        let leaf = Leaf { path, value: scalar(value), line: line.number, run: line.run };
        if !tree.push(leaf) {
            return;
        }
    }
}

/// A quoted text, or a plain one without the comment behind it.
fn scalar(value: &str) -> String {
    let mut chars = value.chars();
    if let Some(quote @ ('"' | '\'')) = chars.next() {
        let mut out = String::new();
        let mut escaped = false;
        for c in chars {
            match c {
                c if escaped => {
                    if c == 'x' {
                        out.push('\\');
                    }
                    out.push(c);
                    escaped = false;
                }
                '\\' if quote == '"' => escaped = true,
                c if c == quote => return out,
                c => out.push(c),
            }
        }
        return unquote(value).to_owned();
    }
    value.split(" #").next().unwrap_or(value).split("\t#").next().unwrap_or(value).trim().to_owned()
}

/// A dotted key; quoted parts keep their dots. A part that names a list means its last element.
fn keys(text: &str, counts: &HashMap<String, usize>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut part = String::new();
    let mut quote = None;
    let done = |part: &mut String, out: &mut Vec<String>, last: bool| {
        out.push(std::mem::take(part).trim().to_owned());
        if !last && let Some(n) = counts.get(&out.join(".")) {
            out.push(n.to_string());
        }
    };
    for c in text.trim().chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '.') if out.len() < MAX_DEPTH => done(&mut part, &mut out, false),
            (_, c) => part.push(c),
        }
    }
    done(&mut part, &mut out, true);
    out
}
