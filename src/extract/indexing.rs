//! Phase A, step by step: images are opened and the file systems on them walked; archives in their files come
//! later, so that the systems need not wait for them.
use super::bulk::Kinds;
use super::layout::{Input, Layout, Means};
use super::{Request, Sink, item_key};
use crate::base::{Cancelled, FsId, Gaps, Progress, Stage};
use crate::evidence::{Candidate, Entry, System, Tree, find_systems};
use crate::inventory::{FilesystemInfo, SystemInfo, VolumeInfo};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A tree and what is known of where it lies.
pub(super) type Place = (Arc<Tree>, FilesystemInfo, VolumeInfo);

/// Images that were opened, and the trees of their file systems.
pub(super) struct Opened {
    pub(super) layout: Layout,
    pub(super) trees: Vec<Arc<Tree>>,
    pub(super) gaps: Gaps,
    /// Positions of the keys that were meant for a volume of the evidence.
    meant: BTreeSet<usize>,
    /// File systems that were walked, or left out.
    walked: usize,
    /// Trees of file systems that are no content of another one.
    own: usize,
}

impl Opened {
    /// Opens the images and walks what lies on them.
    pub(super) fn disks(
        inputs: Vec<Input>,
        request: &Request,
        sink: &dyn Sink,
        progress: &Progress,
    ) -> Result<Self, Cancelled> {
        sink.stage(Stage::Opening, 0);
        let mut opened = Self::over(Layout::default());
        opened.with(request, sink, progress, |opened, means| {
            opened.layout = Layout::open(inputs, means, &opened.gaps);
        });
        progress.step(0)?;
        sink.commit(&[], Vec::new(), opened.gaps.take());
        sink.scene(&opened.layout.scene);
        sink.stage(Stage::Metadata, 0);
        opened.index(request, sink, progress)?;
        Ok(opened)
    }

    /// Volumes and file systems that are known already.
    pub(super) fn over(layout: Layout) -> Self {
        Self { layout, trees: Vec::new(), gaps: Gaps::default(), meant: BTreeSet::new(), walked: 0, own: 0 }
    }

    /// Walks the file systems, and those on what is found in them, but for archives.
    pub(super) fn index(&mut self, request: &Request, sink: &dyn Sink, progress: &Progress) -> Result<(), Cancelled> {
        self.with(request, sink, progress, |opened, means| {
            opened.walk(means)?;
            // Settings of the systems lead to further volumes, once all trees are known.
            if opened.layout.open_environments(&opened.trees, means, &opened.gaps) {
                opened.walk(means)?;
            }
            Ok(())
        })?;
        self.own = self.trees.len();
        self.layout.settle();
        Ok(())
    }

    /// Opens the archives that lie in files, and walks what they hold.
    pub(super) fn archives(
        &mut self,
        request: &Request,
        sink: &dyn Sink,
        progress: &Progress,
    ) -> Result<(), Cancelled> {
        self.with(request, sink, progress, |opened, means| {
            opened.layout.open_later(means, &opened.gaps);
            opened.walk(means)
        })
    }

    /// Calls `work` with what the layout is made with.
    fn with<T>(
        &mut self,
        request: &Request,
        sink: &dyn Sink,
        progress: &Progress,
        work: impl FnOnce(&mut Self, &Means<'_>) -> T,
    ) -> T {
        let enter = |name: &str| sink.enter(item_key(&("open", name)), name);
        let means = Means {
            replay_journal: request.replay_journal,
            keys: &request.keys,
            nand: request.nand,
            meant: RefCell::new(std::mem::take(&mut self.meant)),
            enter: &enter,
            sink,
            progress,
        };
        let done = work(self, &means);
        self.meant = means.meant.take();
        done
    }

    /// Walks every file system that was not walked yet. Disk images found in files append further ones meanwhile.
    fn walk(&mut self, means: &Means<'_>) -> Result<(), Cancelled> {
        let Self { layout, trees, gaps, walked, .. } = self;
        while let Some(fs) = layout.filesystems.get(*walked).cloned() {
            let here = *walked;
            *walked = here.saturating_add(1);
            let id = FsId(u32::try_from(here).unwrap_or(u32::MAX));
            let key = item_key(&("walk", here));
            if !means.sink.enter(key, &format!("walk of file system {here}")) {
                continue;
            }
            let tree = Arc::new(Tree::index(fs, id, gaps, means.progress)?);
            if let Some(info) = layout.scene.filesystems.get_mut(here) {
                let count = |keep: fn(&Entry) -> bool| tree.entries.iter().filter(|e| keep(e)).count() as u64;
                info.files = count(|e| !e.deleted && !e.is_dir());
                info.directories = count(|e| !e.deleted && e.is_dir());
                info.deleted = count(|e| e.deleted);
            }
            layout.charge(&tree, gaps);
            trees.push(tree.clone());
            layout.note_archived(here, trees);
            layout.open_embedded(&tree, means, gaps);
            layout.assemble(means, gaps);
            means.sink.commit(&[key], Vec::new(), gaps.take());
        }
        Ok(())
    }

    /// What systems may lie on.
    pub(super) fn candidates(&self) -> Vec<Place> {
        let scene = &self.layout.scene;
        let place = |tree: &Arc<Tree>| {
            let filesystem = scene.filesystems.get(tree.id.0 as usize)?;
            let volume = scene.volumes.get(filesystem.volume as usize)?;
            Some((tree.clone(), filesystem.clone(), volume.clone()))
        };
        let own = self.trees.iter().take(self.own);
        own.filter(|tree| !self.layout.archived.contains(&(tree.id.0 as usize))).filter_map(place).collect()
    }

    /// How what was opened so far is read.
    pub(super) fn kinds(&self) -> Kinds {
        let archived = self.layout.archived.iter().filter_map(|n| u32::try_from(*n).ok().map(FsId));
        Kinds {
            archives: self.layout.archives(&self.trees),
            archived: archived.collect(),
            listed_only: self.layout.listed_only.clone(),
            most: self.layout.contents_most(),
        }
    }

    /// Trees of archives in the files of disks.
    pub(super) fn later(&self) -> &[Arc<Tree>] {
        self.trees.get(self.own..).unwrap_or_default()
    }

    /// When everything was opened: tells it. `known` is what is known of the systems.
    pub(super) fn finish(
        &mut self,
        systems: &[System],
        known: Vec<SystemInfo>,
        request: &Request,
        sink: &dyn Sink,
        progress: &Progress,
    ) {
        self.with(request, sink, progress, |opened, means| {
            opened.layout.finish(means, &opened.gaps);
        });
        self.layout.scene.systems = known;
        self.layout.link_initramfs(systems);
        sink.commit(&[], Vec::new(), self.gaps.take());
        sink.scene(&self.layout.scene);
    }
}

/// The systems on the candidates.
pub(super) fn find(candidates: &[Place], gaps: &Gaps) -> Vec<System> {
    let all = candidates.iter().map(|(tree, filesystem, volume)| Candidate { tree: tree.clone(), filesystem, volume });
    find_systems(&all.collect::<Vec<_>>(), gaps)
}
