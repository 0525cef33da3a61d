//! The pipeline in this process over file systems written as text: what rules and artifacts are tested on.
use super::{Request, Sink, bulk, configuration, environments};
use crate::base::{FsId, Gap, Gaps, Progress, Stage};
use crate::evidence::{Candidate, Tree, find_systems};
use crate::fs::MemFs;
use crate::inventory::{FilesystemInfo, Inventory, Row, Scene, VolumeInfo, VolumeState};
use std::sync::{Arc, Mutex, PoisonError};

/// Collects everything in memory.
#[derive(Default)]
pub struct Collector {
    state: Mutex<(Scene, Inventory, Vec<Gap>)>,
}
impl Collector {
    /// What was collected, sorted.
    pub fn finish(self) -> (Scene, Inventory, Vec<Gap>) {
        let (scene, mut inventory, mut gaps) = self.state.into_inner().unwrap_or_else(PoisonError::into_inner);
        crate::inventory::join(&mut inventory);
        inventory.sort();
        gaps.sort();
        (scene, inventory, gaps)
    }
}
impl Sink for Collector {
    fn enter(&self, _item: u64, _name: &str) -> bool {
        true
    }
    fn is_done(&self, _item: u64) -> bool {
        false
    }
    fn stage(&self, _stage: Stage, _total: u64) {}
    fn scene(&self, scene: &Scene) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = scene.clone();
    }
    fn commit(&self, _items: &[u64], rows: Vec<Row>, gaps: Vec<Gap>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        rows.into_iter().for_each(|row| state.1.push(row));
        state.2.extend(gaps);
    }
}

/// Examines one file system in the notation of [`MemFs`], from its tree to its rows.
pub fn examine_text(tree: &str) -> (Scene, Inventory, Vec<Gap>) {
    examine_fs(MemFs::parse(tree))
}

/// Examines a file system in memory.
pub fn examine_fs(fs: MemFs) -> (Scene, Inventory, Vec<Gap>) {
    let (sink, gaps, progress) = (Collector::default(), Gaps::default(), Progress::default());
    let volume = VolumeInfo {
        id: "vol-text".into(),
        scheme: "none".into(),
        state: VolumeState::Read,
        filesystem: Some(FsId(0)),
        ..VolumeInfo::default()
    };
    let filesystem = FilesystemInfo { id: "fs-text".into(), kind: "text".into(), ..FilesystemInfo::default() };
    let mut scene = Scene { volumes: vec![volume.clone()], filesystems: vec![filesystem.clone()], ..Scene::default() };
    // Nobody can cancel it: the progress is this function's own.
    let Ok(tree) = Tree::index(Arc::new(fs), FsId(0), &gaps, &progress).map(Arc::new) else { return sink.finish() };
    let systems = find_systems(&[Candidate { tree: tree.clone(), filesystem: &filesystem, volume: &volume }], &gaps);
    scene.systems = systems.iter().map(|s| s.info.clone()).collect();
    sink.scene(&scene);
    sink.commit(&[], Vec::new(), gaps.take());
    let request = Request::default();
    let ran = configuration::run(&systems, &request, &|_| (), &sink, &progress).and_then(|found| {
        let kinds = bulk::Kinds::default();
        let ground = environments::Ground { scene: &scene, sources: &[], kinds: &kinds };
        environments::run(&ground, std::slice::from_ref(&tree), &systems, &request, &sink);
        bulk::run(&[tree], &systems, &found.owners, &kinds, request.threads, &|_| (), &sink, &progress)
    });
    debug_assert!(ran.is_ok(), "nobody cancels");
    sink.finish()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tree_becomes_a_system_with_files() {
        let (scene, inventory, gaps) = examine_text(
            "/etc/os-release\n    ID=debian\n    PRETTY_NAME=\"Debian 12\"\n\n/etc/hostname\n    crane7\n/etc/fstab\n    UUID=1 / ext4 defaults 0 1\n    UUID=nope /data ext4 defaults 0 2\n/bin -> usr/bin\n/usr/bin/sh mode=755\n    #!/bin/true\n",
        );
        assert_eq!(scene.systems[0].os.name, "Debian 12");
        assert_eq!(scene.systems[0].hostname, "crane7");
        assert_eq!(scene.systems[0].mounts.len(), 2);
        assert!(gaps.iter().any(|g| g.by == "fstab" && g.what.contains("UUID=nope")));
        let sh = inventory.files.iter().find(|f| f.path.bytes() == b"/usr/bin/sh").unwrap();
        assert_eq!(sh.sha256.unwrap().to_string().len(), 64);
        assert_eq!(sh.mode.0, 0o755);
    }
}
