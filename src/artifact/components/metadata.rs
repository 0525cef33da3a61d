//! What the metadata of components says, wherever it lies: one row for each name and version.
use super::python::Said;
use crate::artifact::{Content, Out, Sight};
use crate::base::{Evidence, Name, Run};
use crate::evidence::Entry;
use crate::format::jar;
use crate::format::tree::{Leaf, Tree};
use crate::inventory::Component;
use std::collections::BTreeMap;

pub(in crate::artifact) const CONTENT: Content = Content {
    name: "components",
    about: "Metadata of Python, Node, PHP, Ruby and Java: name and version of what is installed or listed",
    wants,
    consume,
};

/// Components of one file.
const MAX: usize = 20_000;
/// Longer metadata is none.
const MAX_LEN: u64 = 64 << 20;

/// Which metadata a file is, by its path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Python,
    Node,
    NodeLock,
    Composer,
    Gem,
    Jar,
}

fn kind(path: &[u8], head: &[u8]) -> Option<Kind> {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let parent = path.get(..path.len().saturating_sub(name.len()).saturating_sub(1)).unwrap_or_default();
    let within = |part: &[u8]| memchr::memmem::find(path, part).is_some();
    match name {
        b"METADATA" if parent.ends_with(b".dist-info") => Some(Kind::Python),
        b"PKG-INFO" if parent.ends_with(b".egg-info") => Some(Kind::Python),
        _ if name.ends_with(b".egg-info") => Some(Kind::Python),
        b"package.json" if within(b"/node_modules/") || within(b"/share/nodejs/") => Some(Kind::Node),
        // Of an application: what it needs is installed beside it, or locked.
        b"package-lock.json" | b"npm-shrinkwrap.json" => Some(Kind::NodeLock),
        b"installed.json" if parent.ends_with(b"/composer") => Some(Kind::Composer),
        _ if name.ends_with(b".gemspec") && parent.ends_with(b"/specifications") => Some(Kind::Gem),
        _ if name.ends_with(b".gemspec") && parent.ends_with(b"/specifications/default") => Some(Kind::Gem),
        _ if head.starts_with(b"PK\x03\x04")
            && [".jar", ".war", ".ear"].iter().any(|e| name.ends_with(e.as_bytes())) =>
        {
            Some(Kind::Jar)
        }
        _ => None,
    }
}

fn wants(entry: &Entry, head: &[u8]) -> bool {
    entry.is_file() && !entry.is_empty() && entry.len() <= MAX_LEN && kind(entry.path.bytes(), head).is_some()
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let path = sight.entry.path.bytes();
    match kind(path, content) {
        Some(Kind::Python) => python(sight, content, out),
        Some(Kind::Node) => node(sight, content, out),
        Some(Kind::NodeLock) => node_lock(sight, content, out),
        Some(Kind::Composer) => composer(sight, content, out),
        Some(Kind::Gem) => gem(sight, content, out),
        Some(Kind::Jar) => java(sight, content, out),
        None => {}
    }
}

fn row(sight: &Sight<'_>, ecosystem: &str, name: &str, version: &str) -> Component {
    Component {
        name: name.to_owned(),
        version: version.to_owned(),
        ecosystem: ecosystem.into(),
        how: "installed".into(),
        path: sight.entry.path.clone(),
        covered: sight.entry.covered.as_str().into(),
        evidence: sight.evidence.clone(),
        ..Component::default()
    }
}

fn at_line(sight: &Sight<'_>, content: &[u8], line: u32, run: Run) -> Evidence {
    let bytes = usize::try_from(run.offset).ok().zip(usize::try_from(run.end()).ok());
    let text = bytes.and_then(|(a, b)| content.get(a..b)).map(String::from_utf8_lossy);
    let excerpt = text.map(|t| t.trim().chars().take(200).collect());
    Evidence { line: Some(line), excerpt, ..sight.part(run) }
}

fn at_leaf(sight: &Sight<'_>, content: &[u8], leaf: &Leaf) -> Evidence {
    Evidence { key: Some(leaf.dotted()), ..at_line(sight, content, leaf.line, leaf.run) }
}

/// `Name:` and `Version:` before the first empty line (core metadata).
pub(super) fn headers(content: &[u8]) -> Option<Said> {
    let mut at = 0_u64;
    let mut found = Said { name: String::new(), version: String::new(), line: 0, run: Run::default() };
    for (number, line) in (1_u32..).zip(content.split(|b| *b == b'\n')) {
        let run = Run::new(at, line.len() as u64);
        at = run.end().saturating_add(1);
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if text.is_empty() {
            break;
        }
        let Some((key, value)) = text.split_once(':') else { continue };
        if key.eq_ignore_ascii_case("name") && found.name.is_empty() {
            found = Said { name: value.trim().to_owned(), line: number, run, ..found };
        } else if key.eq_ignore_ascii_case("version") && found.version.is_empty() {
            value.trim().clone_into(&mut found.version);
        }
    }
    (!found.name.is_empty()).then_some(found)
}

fn python(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let beside = [sight.entry.path.parent(), b"/RECORD"].concat();
    let listed = sight.entry.path.file_name() == b"METADATA"
        && sight.entry.covered.as_str().is_empty()
        && sight.system.is_some_and(|s| s.get(&beside).is_some_and(Entry::is_file));
    if listed {
        // Told with its files, where the package database is read.
        return;
    }
    match headers(content) {
        Some(said) => out.push(Component {
            evidence: at_line(sight, content, said.line, said.run),
            ..row(sight, "python", &said.name, &said.version)
        }),
        None => out.gap(sight.entry, "metadata of a Python project without its name"),
    }
}

fn node(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let tree = Tree::json(content);
    let leaf = |key: &str| tree.leaves.iter().find(|l| l.path.len() == 1 && l.key() == key);
    match (leaf("name"), leaf("version")) {
        (Some(name), version) => {
            let origin = leaf("_resolved").map(|l| l.value.clone()).unwrap_or_default();
            let sum = leaf("_integrity").map(|l| l.value.clone()).unwrap_or_default();
            let evidence = at_leaf(sight, content, version.unwrap_or(name));
            let version = version.map_or("", |l| &l.value);
            out.push(Component { sum, origin, evidence, ..row(sight, "node", &name.value, version) });
        }
        // Folders of a module may have one of their own that says only how its files are meant.
        (None, _) if tree.problems.is_empty() => {}
        (None, _) => problem(sight, &tree, out),
    }
}

fn problem(sight: &Sight<'_>, tree: &Tree, out: &Out) {
    if let Some((line, what)) = tree.problems.first() {
        out.gap_line(sight.entry, *line, what);
    }
}

/// `packages` of versions 2 and 3 by their folder, `dependencies` of version 1 by their name.
fn node_lock(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let tree = Tree::json(content);
    problem(sight, &tree, out);
    let newer = tree.leaves.iter().any(|l| l.path.first().is_some_and(|p| p == "packages"));
    let mut all: BTreeMap<&[String], (Vec<&Leaf>, &str)> = BTreeMap::new();
    for leaf in &tree.leaves {
        let Some((_, parents)) = leaf.path.split_last() else { continue };
        let name = match (parents.first().map(String::as_str), parents.last()) {
            (Some("packages"), Some(folder)) if newer && parents.len() == 2 => {
                folder.rsplit_once("node_modules/").map(|(_, name)| name)
            }
            (Some("dependencies"), Some(name)) if !newer && parents.len() % 2 == 0 => Some(name.as_str()),
            _ => None,
        };
        if let Some(name) = name.filter(|_| matches!(leaf.key(), "version" | "integrity" | "resolved")) {
            all.entry(parents).or_insert((Vec::new(), name)).0.push(leaf);
        }
    }
    over(sight, all.len(), out);
    for (leaves, name) in all.into_values().take(MAX) {
        let get = |key: &str| leaves.iter().find(|l| l.key() == key).copied();
        let Some(version) = get("version") else { continue };
        let value = |key: &str| get(key).map(|l| l.value.clone()).unwrap_or_default();
        out.push(Component {
            how: "listed".into(),
            sum: value("integrity"),
            origin: value("resolved"),
            evidence: at_leaf(sight, content, version),
            ..row(sight, "node", name, &version.value)
        });
    }
}

fn over(sight: &Sight<'_>, count: usize, out: &Out) {
    if count > MAX {
        out.gap(sight.entry, "budget: components; the rest was not listed");
    }
}

/// `packages` of version 2, the list itself of version 1.
fn composer(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let tree = Tree::json(content);
    problem(sight, &tree, out);
    let mut all: BTreeMap<&[String], Vec<&Leaf>> = BTreeMap::new();
    for leaf in &tree.leaves {
        let Some((_, parents)) = leaf.path.split_last() else { continue };
        let top = match parents {
            [packages, _, ..] if packages == "packages" => parents.get(..2),
            [number, ..] if number.bytes().all(|b| b.is_ascii_digit()) => parents.get(..1),
            _ => None,
        };
        if let Some(top) = top {
            all.entry(top).or_default().push(leaf);
        }
    }
    over(sight, all.len(), out);
    for (top, leaves) in all.into_iter().take(MAX) {
        let depth = top.len();
        let get = |way: &[&str]| leaves.iter().find(|l| l.path.get(depth..).is_some_and(|p| p == way)).copied();
        let (Some(name), Some(version)) = (get(&["name"]), get(&["version"])) else { continue };
        let value = |way: &[&str]| get(way).map(|l| l.value.clone()).unwrap_or_default();
        out.push(Component {
            sum: value(&["dist", "shasum"]),
            origin: value(&["source", "url"]),
            evidence: at_leaf(sight, content, version),
            ..row(sight, "php", &name.value, &version.value)
        });
    }
}

/// `# stub: NAME VERSION PLATFORM FOLDERS`, else by the file's name.
fn gem(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let mut at = 0_u64;
    for (number, line) in (1_u32..).zip(content.split(|b| *b == b'\n').take(20)) {
        let run = Run::new(at, line.len() as u64);
        at = run.end().saturating_add(1);
        let text = String::from_utf8_lossy(line);
        let mut words = text.strip_prefix("# stub: ").unwrap_or_default().split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            let evidence = at_line(sight, content, number, run);
            out.push(Component { evidence, ..row(sight, "ruby", name, version) });
            return;
        }
    }
    let stem = Name::new(sight.entry.path.file_name().strip_suffix(b".gemspec").unwrap_or_default()).display();
    let (name, version) = stem.rsplit_once('-').unwrap_or((&stem, ""));
    out.push(row(sight, "ruby", name, version));
}

fn java(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let read = match jar::read(content) {
        Ok(read) => read,
        Err(what) => {
            out.gap(sight.entry, format!("Java archive: {what}"));
            return;
        }
    };
    if !read.problems.is_empty() {
        out.gap(sight.entry, format!("Java archive: {}", read.problems.join("; ")));
    }
    for part in read.parts {
        let evidence = Evidence { key: Some(part.member), ..sight.evidence.clone() };
        out.push(Component { evidence, ..row(sight, "java", &part.name, &part.version) });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::super::linux::testing::system;
    use super::*;
    use crate::inventory::Row;

    fn run(path: &str, content: &[u8]) -> (Vec<String>, usize) {
        let s = system(&format!("{path}\n    x\n"));
        let entry = s.get(path).unwrap();
        assert!(wants(entry, content), "{path}");
        let out = Out::new(Some(0), "components");
        consume(&Sight { entry, system: Some(&s), evidence: s.evidence(entry) }, content, &out);
        let (rows, gaps) = out.take();
        let told = rows.iter().map(|r| match r {
            Row::Component(c) => {
                let line = c.evidence.line.map(|l| l.to_string()).unwrap_or_default();
                format!("{} {} {} {} {}@{line}", c.ecosystem, c.how, c.name, c.version, c.sum)
            }
            other => panic!("{other:?}"),
        });
        (told.collect(), gaps.len())
    }

    #[test]
    fn each_kind_of_metadata() {
        for (path, content, told, gaps) in [
            (
                "/usr/lib/python3/dist-packages/a-1.egg-info",
                "Metadata-Version: 1.0\nName: a\nVersion: 1\n",
                vec!["python installed a 1 @2"],
                0,
            ),
            ("/opt/b.egg-info/PKG-INFO", "Name: b\n\nVersion: 9\n", vec!["python installed b  @1"], 0),
            ("/opt/c.dist-info/METADATA", "no header\n", vec![], 1),
            (
                "/opt/app/node_modules/@x/y/package.json",
                "{\n \"name\": \"@x/y\",\n \"version\": \"2.0.1\",\n \"dependencies\": {\"name\": \"z\"}\n}",
                vec!["node installed @x/y 2.0.1 @3"],
                0,
            ),
            ("/opt/app/node_modules/y/esm/package.json", "{\"type\": \"module\"}", vec![], 0),
            (
                "/opt/app/package-lock.json",
                "{\"packages\":{\"\":{\"version\":\"1\"},\"node_modules/a\":{\"version\":\"1.1\",\"integrity\":\"sha512-x\"},\"node_modules/a/node_modules/@s/b\":{\"version\":\"3\"}}}",
                vec!["node listed a 1.1 sha512-x@1", "node listed @s/b 3 @1"],
                0,
            ),
            (
                "/opt/old/package-lock.json",
                "{\"dependencies\":{\"a\":{\"version\":\"1\",\"dependencies\":{\"b\":{\"version\":\"2\"}}}}}",
                vec!["node listed a 1 @1", "node listed b 2 @1"],
                0,
            ),
            (
                "/srv/www/vendor/composer/installed.json",
                "{\"packages\":[{\"name\":\"m/n\",\"version\":\"3.1\",\"dist\":{\"shasum\":\"ab\"}}],\"dev\":true}",
                vec!["php installed m/n 3.1 ab@1"],
                0,
            ),
            (
                "/srv/www/vendor/composer/installed.json",
                "[{\"name\":\"m/n\",\"version\":\"v1\"}]",
                vec!["php installed m/n v1 @1"],
                0,
            ),
            (
                "/var/lib/gems/3.1.0/specifications/rake-13.0.6.gemspec",
                "# -*- encoding: utf-8 -*-\n# stub: rake 13.0.6 ruby lib\n",
                vec!["ruby installed rake 13.0.6 @2"],
                0,
            ),
            (
                "/var/lib/gems/3.1.0/specifications/a-b-1.2.gemspec",
                "Gem::Specification.new\n",
                vec!["ruby installed a-b 1.2 @"],
                0,
            ),
        ] {
            let (rows, held) = run(path, content.as_bytes());
            assert_eq!((rows, held), (told.into_iter().map(str::to_owned).collect(), gaps), "{path}");
        }
        let (rows, gaps) = run("/opt/x.jar", b"PK\x03\x04 cut off");
        assert!(rows.is_empty() && gaps == 1);
    }

    #[test]
    fn a_deep_lock_file_is_told_and_ends() {
        let deep = format!("{}{}", "{\"dependencies\":{\"a\":".repeat(5000), "}".repeat(100));
        let (rows, gaps) = run("/opt/package-lock.json", deep.as_bytes());
        assert!(rows.is_empty() && gaps == 1, "{rows:?} {gaps}");
    }
}
