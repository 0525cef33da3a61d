//! Phase C: every file's content once, and the row that each entry becomes.
use super::file_row::{Content, Vouched, file_row};
use super::{Sink, item_key};
use crate::artifact::{CONTENTS, Out, Ownership, Sight};
use crate::base::{Cancelled, Digest, Md5, Progress, Stage};
use crate::evidence::{Entry, System, Tree, mounted_by};
use crate::inventory::Row;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// Entries of one tree, under the paths of the system that mounts it.
fn entries<'a>(tree: &'a Tree, systems: &'a [System]) -> (Option<&'a System>, Vec<&'a Entry>) {
    match mounted_by(systems, tree.id) {
        Some(system) => {
            let live = system.entries().iter().filter(|e| e.fs == tree.id);
            (Some(system), live.chain(tree.entries.iter().filter(|e| e.deleted)).collect())
        }
        None => (None, tree.entries.iter().collect()),
    }
}

pub(super) fn run(
    trees: &[Arc<Tree>],
    systems: &[System],
    owners: &[Option<Ownership>],
    _threads: usize,
    sink: &dyn Sink,
    progress: &Progress,
) -> Result<(), Cancelled> {
    sink.stage(Stage::Contents, 0);
    for tree in trees {
        let (system, entries) = entries(tree, systems);
        for entry in entries {
            progress.step(entry.len())?;
            let key = item_key(&("file", tree.id, entry.node, &entry.path));
            let mut rows: Vec<Row> = Vec::new();
            let mut content = Content::default();
            let mut md5 = None;
            if entry.is_file()
                && let Ok(source) = tree.open(entry)
            {
                let mut bytes = vec![0; usize::try_from(source.len()).unwrap_or(0)];
                if source.read_at(0, &mut bytes).is_ok() {
                    md5 = Some(Md5(md5::Md5::digest(&bytes).into()));
                    content.sha256 = Some(Digest(Sha256::digest(&bytes).into()));
                    for reader in CONTENTS.iter().filter(|c| (c.wants)(entry, &bytes)) {
                        let out = Out::new(system.map(|s| s.index), reader.name);
                        let mut evidence = tree.evidence(entry, None);
                        evidence.path = entry.path.clone();
                        evidence.sha256 = content.sha256;
                        (reader.consume)(&Sight { entry, system, evidence }, &bytes, &out);
                        rows.extend(out.take().0);
                    }
                }
            }
            rows.push(
                file_row(system.map(|s| s.index), tree, entry, content, vouched(system, owners, entry, md5.as_ref()))
                    .into(),
            );
            sink.commit(&[key], rows, Vec::new());
        }
    }
    Ok(())
}

/// Who owns an entry and whether it is as shipped.
fn vouched(system: Option<&System>, owners: &[Option<Ownership>], entry: &Entry, md5: Option<&Md5>) -> Vouched {
    let owners = system.and_then(|s| owners.get(s.index as usize)).and_then(Option::as_ref);
    match owners {
        Some(owners) if !entry.deleted => Vouched {
            package: owners.expect(entry.path.bytes()).map(|o| o.package.clone()),
            check: owners.check(entry, md5),
        },
        _ => Vouched::default(),
    }
}
