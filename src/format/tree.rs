//! Nested settings flattened to leaves with their line: TOML and INI, YAML and JSON by one model.
//!
//! Not validators: the part of each language that programs write in configuration files is read
//! tolerantly, and what is not understood is a problem with its line. Specifications: TOML 1.0,
//! YAML 1.2 (block and flow collections, plain, quoted and block scalars; anchors and tags are kept as
//! text), RFC 8259 with comments and trailing commas.
mod flow;
mod toml;
mod yaml;

use crate::base::Run;
use std::collections::HashMap;

/// One value, with the way to it; positions in lists are numbers from 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    pub path: Vec<String>,
    pub value: String,
    pub line: u32,
    /// Its bytes in the file: the line, or key and value where a line holds several.
    pub run: Run,
}
impl Leaf {
    pub fn key(&self) -> &str {
        self.path.last().map_or("", String::as_str)
    }
    /// `a.b.0.c`
    pub fn dotted(&self) -> String {
        self.path.join(".")
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    pub leaves: Vec<Leaf>,
    /// `(line, what)`
    pub problems: Vec<(u32, String)>,
}

/// More leaves than this are not kept.
const MAX_LEAVES: usize = 100_000;
/// Deeper nesting than this is no configuration.
const MAX_DEPTH: usize = 48;

impl Tree {
    pub fn json(bytes: &[u8]) -> Self {
        let mut tree = Self::default();
        flow::document(bytes, &mut tree);
        tree
    }
    pub fn toml(bytes: &[u8]) -> Self {
        let mut tree = Self::default();
        toml::document(bytes, &mut tree);
        tree
    }
    pub fn yaml(bytes: &[u8]) -> Self {
        let mut tree = Self::default();
        yaml::document(bytes, &mut tree);
        tree
    }
    /// By the name's ending, and where that says nothing by the content.
    pub fn guess(name: &[u8], bytes: &[u8]) -> Self {
        let lower = name.to_ascii_lowercase();
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
        if first == Some(&b'{') {
            Self::json(bytes)
        } else if lower.ends_with(b".yaml") || lower.ends_with(b".yml") {
            Self::yaml(bytes)
        } else if lower.ends_with(b".toml") || lower.ends_with(b".ini") {
            Self::toml(bytes)
        } else {
            let toml = Self::toml(bytes);
            let yaml = Self::yaml(bytes);
            if yaml.leaves.len() > toml.leaves.len() { yaml } else { toml }
        }
    }
    fn push(&mut self, leaf: Leaf) -> bool {
        if self.leaves.len() >= MAX_LEAVES {
            self.problem(leaf.line, "budget: settings; the rest was not read");
            return false;
        }
        self.leaves.push(leaf);
        true
    }
    fn problem(&mut self, line: u32, what: &str) {
        if self.problems.len() < 50 {
            self.problems.push((line, what.to_owned()));
        }
    }
    /// The last leaf at this dotted path; letters of either case.
    pub fn leaf(&self, path: &str) -> Option<&Leaf> {
        self.leaves.iter().rev().find(|l| is_at(&l.path, path))
    }
    pub fn get(&self, path: &str) -> Option<&str> {
        self.leaf(path).map(|l| l.value.as_str())
    }
    /// The first leaf at any of the paths.
    pub fn any(&self, paths: &[&str]) -> Option<&Leaf> {
        paths.iter().find_map(|p| self.leaf(p))
    }
    /// The first leaf with this last name, wherever it stands.
    pub fn named(&self, key: &str) -> Option<&Leaf> {
        self.leaves.iter().find(|l| l.key().eq_ignore_ascii_case(key))
    }
    /// All leaves below a dotted path.
    pub fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Leaf> {
        let depth = path.split('.').count();
        self.leaves.iter().filter(move |l| l.path.len() > depth && l.path.get(..depth).is_some_and(|p| is_at(p, path)))
    }
    /// Whether anything stands at or below a dotted path.
    pub fn has(&self, path: &str) -> bool {
        self.leaf(path).is_some() || self.below(path).next().is_some()
    }
    /// What stands below a dotted path (everything for an empty one), by the name directly below it:
    /// each name once, in order, with its leaves.
    pub fn groups(&self, path: &str) -> Vec<(&str, Group<'_>)> {
        let depth = if path.is_empty() { 0 } else { path.split('.').count() };
        let mut at: HashMap<&str, usize> = HashMap::new();
        let mut all: Vec<(&str, Group<'_>)> = Vec::new();
        for leaf in &self.leaves {
            if leaf.path.get(..depth).is_some_and(|p| depth == 0 || is_at(p, path))
                && let Some(name) = leaf.path.get(depth)
            {
                let index = *at.entry(name).or_insert_with(|| {
                    all.push((name, Group { depth: depth.saturating_add(1), leaves: Vec::new() }));
                    all.len().saturating_sub(1)
                });
                if let Some((_, group)) = all.get_mut(index) {
                    group.leaves.push(leaf);
                }
            }
        }
        all
    }
}

/// The leaves below one name.
#[derive(Debug)]
pub struct Group<'a> {
    depth: usize,
    leaves: Vec<&'a Leaf>,
}
impl Group<'_> {
    /// The value at a dotted path below the name; the first of several.
    pub fn get(&self, path: &str) -> Option<&str> {
        let found = self.leaves.iter().find(|l| l.path.get(self.depth..).is_some_and(|p| is_at(p, path)));
        found.map(|l| l.value.as_str())
    }
}

fn is_at(path: &[String], dotted: &str) -> bool {
    let mut parts = dotted.split('.');
    path.iter().all(|p| parts.next().is_some_and(|d| d.eq_ignore_ascii_case(p))) && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn shown(tree: &Tree) -> Vec<String> {
        tree.leaves.iter().map(|l| format!("{}:{}={}", l.line, l.dotted(), l.value)).collect()
    }

    /// As cloud-init's own `05_logging.cfg` on Ubuntu has them.
    #[test]
    fn texts_as_items_of_a_list() {
        let yaml = b"_log:\n - &base |\n   [loggers]\n   keys=root: x\n\n   - no item\n - >-2\n   folded\n - plain | text\nlog_cfgs:\n - [ *base, x ]\nanchored: &a |\n  text\n  key: v\nafter: 1\n";
        let tree = Tree::yaml(yaml);
        assert!(tree.problems.is_empty(), "{:?}", tree.problems);
        assert_eq!(
            shown(&tree).iter().filter(|l| !l.contains("log_cfgs")).collect::<Vec<_>>(),
            [
                "2:_log.0=[loggers]\nkeys=root: x\n\n- no item",
                "7:_log.1=folded",
                "9:_log.2=plain | text",
                "12:anchored=text\nkey: v",
                "15:after=1"
            ]
        );
    }

    #[test]
    fn one_model_for_three_languages() {
        let toml = b"serverAddr = \"h\" # x\nauth.token=\"t\"\n[[proxies]]\nname = 'a'\nports = [1,\n 2]\n[[proxies]]\nname = \"b\"\ntransport = { kind = \"kcp\", n = 1 }\n";
        assert_eq!(
            shown(&Tree::toml(toml)),
            [
                "1:serverAddr=h",
                "2:auth.token=t",
                "4:proxies.0.name=a",
                "5:proxies.0.ports.0=1",
                "5:proxies.0.ports.1=2",
                "8:proxies.1.name=b",
                "9:proxies.1.transport.kind=kcp",
                "9:proxies.1.transport.n=1"
            ]
        );
        let yaml = b"---\nserverAddr: h # x\nauth:\n  token: \"t\"\nproxies:\n- name: a\n  ports: [1, 2]\n- name: 'b'\n  text: |\n    k: v\n  last: {x: 1, y: \"2\"}\nlist:\n  - one\n  - - deep\n";
        assert_eq!(
            shown(&Tree::yaml(yaml)),
            [
                "2:serverAddr=h",
                "4:auth.token=t",
                "6:proxies.0.name=a",
                "7:proxies.0.ports.0=1",
                "7:proxies.0.ports.1=2",
                "8:proxies.1.name=b",
                "9:proxies.1.text=k: v",
                "11:proxies.1.last.x=1",
                "11:proxies.1.last.y=2",
                "13:list.0=one",
                "14:list.1.0=deep"
            ]
        );
        let json = b"{ // c\n \"serverAddr\": \"h\\u0041\",\n \"proxies\": [{\"name\":\"a\",\"n\":1},],\n}";
        let tree = Tree::json(json);
        assert_eq!(shown(&tree), ["2:serverAddr=hA", "3:proxies.0.name=a", "3:proxies.0.n=1"]);
        let run = tree.leaf("proxies.0.name").unwrap().run;
        assert_eq!(&json[run.offset as usize..run.end() as usize], b"\"name\":\"a\"");
        let groups = tree.groups("proxies");
        assert_eq!((groups[0].0, groups[0].1.get("NAME"), groups.len()), ("0", Some("a"), 1));
    }

    #[test]
    fn hostile_text_ends() {
        for junk in [
            "[".repeat(100_000),
            "{\"a\":".repeat(100_000),
            "- ".repeat(60_000),
            "a = [".repeat(50_000),
            "x: {".repeat(50_000),
            "\"\\".into(),
            "a = \"\"\"\n".repeat(2000),
            "k: |\n".repeat(2000),
            "'".repeat(100_000),
        ] {
            for read in [Tree::json, Tree::toml, Tree::yaml] {
                let tree = read(junk.as_bytes());
                assert!(tree.leaves.len() <= MAX_LEAVES);
                assert!(tree.leaves.iter().all(|l| l.path.len() <= MAX_DEPTH + 2));
            }
        }
    }
}
