//! Known programs by the strings that their files carry, whatever they are named
//! (`assets/knowledge/program-traces.toml`), and the marks of Go and Rust programs, in one pass.
use super::search::Search;
use super::{gobuild, rustcrates};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::sync::LazyLock;

const KNOWLEDGE: &str = include_str!("../../assets/knowledge/program-traces.toml");

/// How much one string proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// Carried by this program and, as far as measured, by no other.
    Definite,
    /// Names the program; others may carry it too.
    Support,
}

/// A telling string of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub tool: String,
    /// tunnel, vpn, overlay, proxy, remote-desktop, remote-shell, implant …
    pub class: String,
    pub string: String,
    pub strength: Strength,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: u32,
    tool: Vec<Tool>,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tool {
    id: String,
    class: String,
    #[serde(default)]
    definite: Vec<String>,
    #[serde(default)]
    support: Vec<String>,
}

fn read(text: &str) -> Result<Vec<Trace>, String> {
    let file: File = toml::from_str(text).map_err(|e| e.to_string())?;
    if file.schema != 1 {
        return Err(format!("schema {} is not known", file.schema));
    }
    let mut all = Vec::new();
    for tool in file.tool {
        let with = |strength, list: Vec<String>| {
            let (id, class) = (tool.id.clone(), tool.class.clone());
            list.into_iter().map(move |string| Trace { tool: id.clone(), class: class.clone(), string, strength })
        };
        all.extend(with(Strength::Definite, tool.definite));
        all.extend(with(Strength::Support, tool.support));
    }
    Ok(all)
}

/// Every string that is looked for. The file is part of the program, and a test reads it.
pub fn all() -> &'static [Trace] {
    &COMPILED.traces
}

struct Compiled {
    traces: Vec<Trace>,
    /// Of what a hit's index means: traces first, then Go's marks, then Rust's.
    go_from: usize,
    rust_from: usize,
    search: Search,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    let traces = read(KNOWLEDGE).unwrap_or_default();
    let (go, rust) = (gobuild::MARKS.map(<[u8]>::to_vec), rustcrates::MARKS);
    let go_from = traces.len();
    let rust_from = go_from.saturating_add(go.len());
    let strings = traces.iter().map(|t| t.string.as_bytes().to_vec());
    let patterns = strings.chain(go).chain(rust.iter().map(|m| m.as_bytes().to_vec())).collect();
    match Search::new(patterns) {
        Ok(search) => Compiled { traces, go_from, rust_from, search },
        Err(_) => Compiled { traces: Vec::new(), go_from: 0, rust_from: 0, search: Search::none() },
    }
});

/// What one pass over a file found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// `tool: string`, sorted.
    pub traces: Vec<String>,
    pub go: bool,
    pub rust: bool,
}

/// Looks through a whole file once.
pub fn scan(bytes: &[u8]) -> Seen {
    let compiled = &*COMPILED;
    let mut hits = BTreeSet::new();
    compiled.search.scan(bytes, |index, _| {
        hits.insert(index);
    });
    let mut seen = Seen::default();
    for index in hits {
        if let Some(trace) = compiled.traces.get(index) {
            seen.traces.push(format!("{}: {}", trace.tool, trace.string));
        } else if index >= compiled.rust_from {
            seen.rust = true;
        } else if index >= compiled.go_from {
            seen.go = true;
        }
    }
    seen.traces.sort();
    seen
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_knowledge_reads_and_every_string_can_be_searched() {
        let traces = read(KNOWLEDGE).unwrap();
        assert!(traces.len() > 250, "{}", traces.len());
        let mut keys: Vec<(&str, &str)> = traces.iter().map(|t| (t.tool.as_str(), t.string.as_str())).collect();
        keys.sort_unstable();
        let count = keys.len();
        keys.dedup();
        assert_eq!(keys.len(), count, "a string stands twice under one tool");
        for trace in &traces {
            assert!(trace.string.len() >= super::super::search::SHORTEST, "{trace:?}");
        }
        assert_eq!(all(), traces.as_slice());
    }

    #[test]
    fn names_a_tool_by_any_of_its_strings() {
        for trace in all() {
            let file = format!("\0\0padding{}\0tail", trace.string);
            let line = format!("{}: {}", trace.tool, trace.string);
            assert!(scan(file.as_bytes()).traces.contains(&line), "{line}");
        }
        assert_eq!(scan(b"an ordinary text, with nothing in it"), Seen::default());
    }

    #[test]
    fn a_rust_program_is_known_by_its_panic_paths() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let seen = scan(&own);
        assert!(seen.rust);
    }
}
