//! YAML: block maps and lists by indentation; flow collections, quoted and block scalars in them.
use super::{Leaf, MAX_DEPTH, Tree, flow};
use crate::base::Run;
use crate::format::lines::lines;

/// An open level: its indentation and the part of the path it adds.
struct Level {
    indent: usize,
    key: String,
    /// Position, if the level is a list.
    item: Option<usize>,
}

/// A block scalar being read.
struct Block {
    /// Indentation of the key it belongs to; deeper lines are its text.
    indent: usize,
    leaf: Leaf,
}

pub(super) fn document(bytes: &[u8], tree: &mut Tree) {
    let mut levels: Vec<Level> = Vec::new();
    let mut block: Option<Block> = None;
    let mut taken = 0_usize;
    for line in lines(bytes) {
        let start = usize::try_from(line.run.offset).unwrap_or(usize::MAX);
        if start < taken {
            continue;
        }
        let text = line.text.trim_end();
        let indent = text.len().saturating_sub(text.trim_start().len());
        if let Some(b) = &mut block {
            if text.is_empty() || indent > b.indent {
                if b.leaf.value.len() < 4096 {
                    if !b.leaf.value.is_empty() {
                        b.leaf.value.push('\n');
                    }
                    b.leaf.value.push_str(text.trim_start());
                }
                continue;
            }
            if let Some(done) = block.take()
                && !tree.push(done.leaf)
            {
                return;
            }
        }
        if line.cut {
            tree.problem(line.number, "longer than 64 KiB; only its beginning was read");
        }
        let mut rest = text.trim_start();
        if rest.is_empty() || rest.starts_with('#') || rest.starts_with('%') {
            continue;
        }
        if rest == "---" || rest == "..." || rest.starts_with("--- ") {
            levels.clear();
            continue;
        }
        let mut indent = indent;
        let mut dash = None;
        // `- - key: value`: each dash opens a list level of its own.
        while rest == "-" || rest.starts_with("- ") {
            if levels.len() > MAX_DEPTH {
                tree.problem(line.number, "budget: depth; what lies deeper was not read");
                return;
            }
            item(&mut levels, indent);
            dash = Some(indent);
            let after = rest.get(1..).unwrap_or_default();
            let blank = after.len().saturating_sub(after.trim_start().len());
            indent = indent.saturating_add(1).saturating_add(blank.max(1));
            rest = after.trim_start();
            if rest.is_empty() {
                break;
            }
        }
        if rest.is_empty() || rest.starts_with('#') {
            continue;
        }
        // An item that is a text of its own: `- |`, `- &anchor |`.
        if let Some(indent) = dash.filter(|_| is_block(rest)) {
            let leaf = Leaf { path: path(&levels, None), value: String::new(), line: line.number, run: line.run };
            block = Some(Block { indent, leaf });
            continue;
        }
        let inside_list = levels.last().is_some_and(|l| l.item.is_some() && l.indent < indent);
        let (key, value) = match split(rest) {
            Some(pair) => pair,
            None if inside_list => {
                // A plain item.
                taken = put(bytes, rest, start, path(&levels, None), line.number, line.run, tree).unwrap_or(taken);
                continue;
            }
            None => {
                tree.problem(line.number, "neither a key nor a list item");
                continue;
            }
        };
        while levels.last().is_some_and(|l| l.indent > indent || (l.indent == indent && l.item.is_none())) {
            levels.pop();
        }
        // A list at the same indentation as this key belongs to the key before it.
        while levels.last().is_some_and(|l| l.indent == indent && l.item.is_some()) {
            levels.pop();
            while levels.last().is_some_and(|l| l.indent >= indent) {
                levels.pop();
            }
        }
        if levels.len() > MAX_DEPTH {
            tree.problem(line.number, "budget: depth; what lies deeper was not read");
            return;
        }
        let value = value.trim();
        let full = path(&levels, Some(key));
        if value.is_empty() || value.starts_with('#') || (value.starts_with(['&', '!']) && !value.contains(' ')) {
            levels.push(Level { indent, key: key.to_owned(), item: None });
        } else if is_block(value) {
            let leaf = Leaf { path: full, value: String::new(), line: line.number, run: line.run };
            block = Some(Block { indent, leaf });
            levels.push(Level { indent, key: key.to_owned(), item: None });
        } else {
            levels.push(Level { indent, key: key.to_owned(), item: None });
            taken = put(bytes, value, start, full, line.number, line.run, tree).unwrap_or(taken);
        }
        if tree.leaves.len() >= super::MAX_LEAVES {
            return;
        }
    }
    if let Some(done) = block {
        tree.push(done.leaf);
    }
}

/// The head of a block scalar: `|`, `>-`, `|2`, with an anchor or a tag before it.
fn is_block(value: &str) -> bool {
    let mut words = value.split_whitespace().skip_while(|w| w.starts_with(['&', '!']));
    let head = words.next().unwrap_or_default();
    let rest = head.strip_prefix(['|', '>']).is_some_and(|r| r.chars().all(|c| matches!(c, '+' | '-' | '0'..='9')));
    rest && words.next().is_none_or(|w| w.starts_with('#'))
}

/// Opens the next item of the list at this indentation.
fn item(levels: &mut Vec<Level>, indent: usize) {
    while levels.last().is_some_and(|l| l.indent > indent) {
        levels.pop();
    }
    match levels.last_mut() {
        Some(Level { indent: at, item: Some(n), .. }) if *at == indent => *n = n.saturating_add(1),
        _ => levels.push(Level { indent, key: String::new(), item: Some(0) }),
    }
}

fn path(levels: &[Level], key: Option<&str>) -> Vec<String> {
    let mut path: Vec<String> =
        levels.iter().map(|l| l.item.map_or_else(|| l.key.clone(), |n| n.to_string())).collect();
    path.extend(key.map(str::to_owned));
    path
}

/// Splits `key: value`; `None` if the line is no key.
fn split(text: &str) -> Option<(&str, &str)> {
    if let Some(quote @ ('"' | '\'')) = text.chars().next() {
        let (key, after) = text.get(1..)?.split_once(quote)?;
        let value = after.trim_start().strip_prefix(':')?;
        return Some((key, value));
    }
    if text.starts_with(['{', '[']) {
        return None;
    }
    match text.split_once(": ") {
        Some((key, value)) => Some((key.trim(), value)),
        None => text.strip_suffix(':').map(|key| (key.trim(), "")),
    }
}

/// Stores a scalar or a flow collection; for the latter, returns the position behind it.
fn put(
    bytes: &[u8],
    value: &str,
    start: usize,
    mut path: Vec<String>,
    line: u32,
    run: Run,
    tree: &mut Tree,
) -> Option<usize> {
    if value.starts_with(['{', '[']) {
        let raw = bytes.get(start..)?;
        // The value is the end of the line as it stands: find it from behind, ends of lines apart.
        let line_len = raw.iter().position(|b| *b == b'\n').unwrap_or(raw.len());
        let open = value.bytes().next()?;
        let at = raw.get(..line_len)?.iter().position(|b| *b == open)?;
        let end = flow::inline(bytes, start.checked_add(at)?, line, run, &mut path, tree);
        let rest = bytes.get(end..).unwrap_or_default();
        return Some(rest.iter().position(|b| *b == b'\n').map_or(bytes.len(), |n| end.saturating_add(n)));
    }
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = value.get(1..).unwrap_or_default();
            inner.rfind(quote).and_then(|end| inner.get(..end)).unwrap_or(inner).to_owned()
        }
        _ => value.split(" #").next().unwrap_or(value).trim_end().to_owned(),
    };
    tree.push(Leaf { path, value, line, run });
    None
}
