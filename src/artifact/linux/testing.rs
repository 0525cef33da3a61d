//! What the tests of the Linux artifacts share: a system out of a text tree, and a run of one artifact.
use crate::artifact::{Artifact, Out};
use crate::base::{FsId, Gap, Gaps, Progress};
use crate::evidence::{System, Tree};
use crate::fs::MemFs;
use crate::inventory::{Row, SystemInfo};
use std::sync::Arc;

/// A system whose root is the tree in the notation of [`MemFs`].
pub(crate) fn system(text: &str) -> System {
    system_of(MemFs::parse(text))
}
pub(crate) fn system_of(fs: MemFs) -> System {
    let tree = Tree::index(Arc::new(fs), FsId(0), &Gaps::default(), &Progress::default());
    let Ok(tree) = tree else { unreachable!("nothing cancels the walk") };
    System::new(0, SystemInfo::default(), vec![(Vec::new(), Arc::new(tree))])
}
/// Runs one artifact.
pub(crate) fn rows(system: &System, artifact: &Artifact) -> (Vec<Row>, Vec<Gap>) {
    let out = Out::new(Some(system.index), artifact.name);
    (artifact.extract)(system, &out);
    out.take()
}
