//! Python's installed projects with a `RECORD`: CSV lines of path, digest and size ("Recording installed projects"). Paths
//! are relative to the folder that holds `NAME-VERSION.dist-info`; digests are `sha256=` and base64 for URLs without `=`.
use crate::artifact::ownership::{Builder, Listed, Sum};
use crate::artifact::{Out, Ownership};
use crate::base::{Digest, Name, Run};
use crate::evidence::{Entry, System};
use crate::inventory::{Component, Package};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;

/// Projects of one system that are held against their lists.
const MAX_PROJECTS: usize = 20_000;
/// What a project's folder ends with, and the list in it.
const RECORD: &[u8] = b".dist-info/RECORD";

/// Components that list their files: their rows, and the index of their paths, whose packages are in the same order.
pub(in crate::artifact) struct Listing {
    pub(in crate::artifact) index: Ownership,
    pub(in crate::artifact) components: Vec<Component>,
}

/// Every project with a list of its files; `None` where there is none.
pub(in crate::artifact) fn listed(system: &System, out: &Out) -> Option<Listing> {
    let records: Vec<&Entry> =
        system.entries().iter().filter(|e| e.path.bytes().ends_with(RECORD) && e.is_file()).collect();
    if records.is_empty() {
        return None;
    }
    if let Some(first) = records.get(MAX_PROJECTS) {
        out.gap(first, "budget: components; the files of this one and the next were held against no list");
    }
    // By name, as the index asks for; of several with one name, each but the first has its folder in its name.
    let mut projects: BTreeMap<(String, &Name), (Component, &Entry)> = BTreeMap::new();
    for record in records.into_iter().take(MAX_PROJECTS) {
        let component = project(system, record, out);
        projects.insert((component.name.to_lowercase(), &record.path), (component, record));
    }
    let mut builder = Builder::new(system);
    let mut components: Vec<Component> = Vec::new();
    let mut last = String::new();
    for ((name, _), (component, record)) in projects {
        let folder = folder(record);
        let plain = format!("python:{name}");
        let owner = if last == plain { format!("{plain} in {}", Name::new(folder).display()) } else { plain.clone() };
        last = plain;
        builder.package(Package { name: owner.as_str().into(), ..Package::default() });
        components.push(Component { owner, ..component });
        if let Some(text) = out.read(system, record) {
            files(&text.bytes, folder, record, &mut builder, out);
        }
    }
    let index = builder.finish(|what| out.gap_system(system, what));
    Some(Listing { index, components })
}

/// The folder that paths of a list are relative to.
fn folder(record: &Entry) -> &[u8] {
    let own = record.path.parent();
    own.iter().rposition(|b| *b == b'/').and_then(|cut| own.get(..cut)).unwrap_or_default()
}

/// Name and version, by the metadata beside the list, else by the folder's name.
fn project(system: &System, record: &Entry, out: &Out) -> Component {
    let parent = Name::new(record.path.parent());
    let stem = String::from_utf8_lossy(parent.file_name().strip_suffix(b".dist-info").unwrap_or_default()).into_owned();
    let (name, version) = stem.split_once('-').unwrap_or((&stem, ""));
    let component = Component {
        name: name.to_owned(),
        version: version.to_owned(),
        ecosystem: "python".into(),
        how: "installed".into(),
        path: record.path.clone(),
        evidence: system.evidence(record),
        ..Component::default()
    };
    let metadata = system.resolve(parent.join(b"METADATA").bytes()).and_then(|e| out.read(system, e));
    let Some(text) = metadata else { return component };
    let Some(said) = super::metadata::headers(&text.bytes) else { return component };
    let evidence = text.line_at(said.line, said.run);
    let origin = direct(system, &parent, out);
    Component { name: said.name, version: said.version, path: text.entry.path.clone(), origin, evidence, ..component }
}

/// `direct_url.json`: it was installed from a folder, an archive or a repository by its address, not from an index.
fn direct(system: &System, folder: &Name, out: &Out) -> String {
    let entry = system.resolve(folder.join(b"direct_url.json").bytes());
    let Some(text) = entry.and_then(|e| out.read(system, e)) else { return String::new() };
    let tree = crate::format::tree::Tree::json(&text.bytes);
    tree.leaves.iter().find(|l| l.dotted() == "url").map(|l| l.value.clone()).unwrap_or_default()
}

fn files(list: &[u8], folder: &[u8], record: &Entry, builder: &mut Builder<'_>, out: &Out) {
    let (mut other, mut bad) = (None, None);
    for (number, line) in (1_u32..).zip(list.split(|b| *b == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let Some((path, digest)) = fields(line) else {
            bad = bad.or(Some(number));
            continue;
        };
        let sum = if let Some(encoded) = digest.strip_prefix(b"sha256=") {
            // The specification has base64; Debian's and Ubuntu's packages of importlib-metadata have hex.
            let hex = std::str::from_utf8(encoded).ok().filter(|e| e.len() == 64).and_then(Digest::parse);
            let raw = || URL_SAFE_NO_PAD.decode(encoded).ok().and_then(|d| d.try_into().ok()).map(Digest);
            let sum = hex.or_else(raw);
            bad = bad.or(sum.is_none().then_some(number));
            sum.map(Sum::Sha256)
        } else {
            other = other.or((!digest.is_empty()).then_some(number));
            None
        };
        // What has no digest is made where it is installed (compiled modules) and need not be there.
        builder.add(Listed {
            path: Name::new(folder).leads(&path).bytes(),
            sum,
            optional: sum.is_none(),
            ..Listed::default()
        });
    }
    if let Some(line) = other {
        out.gap_line(record, line, "a digest that is no SHA-256; files with digests of this kind are not compared");
    }
    if let Some(line) = bad {
        out.gap_line(record, line, "no path and digest; lines of this kind were not used");
    }
}

/// Path and digest of a line; a path in quotes has its quotes doubled.
fn fields(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if let Some(rest) = line.strip_prefix(b"\"") {
        let mut path = Vec::new();
        let mut at = 0_usize;
        loop {
            match (rest.get(at)?, rest.get(at.saturating_add(1))) {
                (b'"', Some(b'"')) => {
                    path.push(b'"');
                    at = at.saturating_add(2);
                }
                (b'"', Some(b',')) => {
                    let rest = rest.get(at.saturating_add(2)..)?;
                    return Some((path, rest.split(|b| *b == b',').next()?));
                }
                (b'"', _) => return None,
                (other, _) => {
                    path.push(*other);
                    at = at.saturating_add(1);
                }
            }
        }
    }
    let mut parts = line.split(|b| *b == b',');
    let (path, digest) = (parts.next().filter(|p| !p.is_empty())?, parts.next()?);
    Some((path.to_vec(), digest))
}

/// Name and version of a project with the place of its name.
pub(super) struct Said {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) line: u32,
    pub(super) run: Run,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::super::linux::testing::system;
    use super::*;
    use crate::artifact::{Ownership, Sums};
    use sha2::{Digest as _, Sha256};

    fn tree(extra: &str) -> String {
        let sum = |text: &str| URL_SAFE_NO_PAD.encode(Sha256::digest(text));
        format!(
            "/usr/local/lib/python3.11/dist-packages/frob-1.2.dist-info/METADATA
    Metadata-Version: 2.1
    Name: Frob
    Version: 1.2

    Version: 9 in the text

/usr/local/lib/python3.11/dist-packages/frob-1.2.dist-info/RECORD
    frob/__init__.py,sha256={},4
    frob/changed.py,sha256={},4
    frob/gone.py,sha256={},4
    \"frob/a,b\"\"c.py\",sha256={},2
    frob/__pycache__/__init__.cpython-311.pyc,,
    ../../../bin/frob,sha256={},2
    frob-1.2.dist-info/RECORD,,
{extra}
/usr/local/lib/python3.11/dist-packages/frob/__init__.py
    ok
/usr/local/lib/python3.11/dist-packages/frob/changed.py
    altered
/usr/local/lib/python3.11/dist-packages/frob/a,b\"c.py
    c
/usr/local/lib/python3.11/dist-packages/frob/__pycache__/__init__.cpython-311.pyc
    x
/usr/local/bin/frob
    run
/usr/local/bin/other
    run
",
            sum("ok\n"),
            sum("ok\n"),
            sum("ok\n"),
            sum("c\n"),
            // As Debian's importlib-metadata has them.
            Digest(Sha256::digest("run\n").into()),
        )
    }

    fn told(owners: &Ownership, system: &System, path: &str, content: &str) -> (String, &'static str) {
        let sums = Sums { sha256: Some(Digest(Sha256::digest(content).into())), ..Sums::default() };
        let (owner, word) = owners.vouch(system.get(path).unwrap(), &sums);
        (owner.map(|o| o.package.to_string()).unwrap_or_default(), word)
    }

    #[test]
    fn files_are_held_against_the_list() {
        for managed in [true, false] {
            let dpkg = if managed {
                "\n/var/lib/dpkg/status\n    Package: x\n    Status: install ok installed\n    Version: 1\n    Architecture: all\n\n/var/lib/dpkg/info/x.list\n    /.\n    /usr/local/bin/other\n"
            } else {
                ""
            };
            let s = system(&tree(dpkg));
            let out = Out::new(Some(0), "packages");
            let owners = Ownership::read(&s, &out).unwrap();
            assert_eq!(owners.is_managed(), managed);
            let lib = "/usr/local/lib/python3.11/dist-packages/frob";
            let own = "python:frob".to_owned();
            let unowned = if managed { "unowned" } else { "" };
            assert_eq!(told(&owners, &s, &format!("{lib}/__init__.py"), "ok\n"), (own.clone(), "component-ok"));
            assert_eq!(
                told(&owners, &s, &format!("{lib}/changed.py"), "altered\n"),
                (own.clone(), "component-differs")
            );
            assert_eq!(told(&owners, &s, &format!("{lib}/a,b\"c.py"), "c\n"), (own.clone(), "component-ok"));
            assert_eq!(told(&owners, &s, "/usr/local/bin/frob", "run\n"), (own.clone(), "component-ok"));
            // Listed without a digest: named, and vouched for by nobody.
            let compiled = format!("{lib}/__pycache__/__init__.cpython-311.pyc");
            assert_eq!(told(&owners, &s, &compiled, "x\n"), (own, unowned));
            let other = if managed { ("x".to_owned(), "no-digest") } else { (String::new(), "") };
            assert_eq!(told(&owners, &s, "/usr/local/bin/other", "run\n"), other);
            let rows = owners.components(s.entries().iter().map(|e| e.path.bytes()));
            let [row] = rows.as_slice() else { panic!("{rows:?}") };
            assert_eq!((row.name.as_str(), row.version.as_str(), &*row.how), ("Frob", "1.2", "installed"));
            assert_eq!((row.files, row.listed, row.owner.as_str()), (7, 5, "python:frob"));
            assert_eq!(row.missing, [format!("{lib}/gone.py")]);
            assert_eq!((row.evidence.line, row.path.file_name()), (Some(2), b"METADATA".as_slice()));
            assert!(out.take().1.is_empty());
        }
    }

    #[test]
    fn what_is_no_line_of_a_list_is_told_once() {
        let s = system(
            "/opt/v/lib/a-1.dist-info/RECORD\n    a.py,md5=abc,1\n    b.py,sha256=short,1\n    nothing\n    \"open,sha256=x,1\n    ../../../../../../etc/passwd,,\n\n/opt/w/a-1.dist-info/RECORD\n    a.py,,\n",
        );
        let out = Out::new(Some(0), "packages");
        let owners = Ownership::read(&s, &out).unwrap();
        let rows = owners.components(std::iter::empty());
        let told: Vec<_> = rows.iter().map(|r| format!("{} {} [{}] {}", r.name, r.version, r.owner, r.files)).collect();
        assert_eq!(told, ["a 1 [python:a] 3", "a 1 [python:a in /opt/w] 1"]);
        let what: Vec<String> = out.take().1.into_iter().map(|g| g.what).collect();
        assert_eq!(what.len(), 2, "{what:?}");
        assert!(what[0].starts_with("line 1: a digest") && what[1].starts_with("line 2: no path"), "{what:?}");
        assert_eq!(Name::from("/a/b").leads(b"../../../../x").bytes(), b"/x");
    }
}
