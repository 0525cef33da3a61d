//! The pipeline in this process over file systems written as text: what rules and artifacts are tested on.
use super::indexing::{Opened, find};
use super::{Layout, Request, Sink, bulk, configuration, environments};
use crate::base::{Cancelled, Gap, Progress, Stage};
use crate::fs::MemFs;
use crate::inventory::{Inventory, Row, Scene};
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

/// Examines a file system in memory, and the archives in its files.
pub fn examine_fs(fs: MemFs) -> (Scene, Inventory, Vec<Gap>) {
    let (sink, progress) = (Collector::default(), Progress::default());
    // Nobody can cancel it: the progress is this function's own.
    let ran = examine(fs, &sink, &progress);
    debug_assert!(ran.is_ok(), "nobody cancels");
    sink.finish()
}

fn examine(fs: MemFs, sink: &Collector, progress: &Progress) -> Result<(), Cancelled> {
    let request = Request::default();
    let mut opened = Opened::over(Layout::of_text(Arc::new(fs)));
    opened.index(&request, sink, progress)?;
    let systems = find(&opened.candidates(), &opened.gaps);
    let known = systems.iter().map(|s| s.info.clone()).collect();
    opened.archives(&request, sink, progress)?;
    opened.finish(&systems, known, &request, sink, progress);
    let found = configuration::run(&systems, &request, &|_| (), sink, progress)?;
    let kinds = opened.kinds();
    let ground = environments::Ground { scene: &opened.layout.scene, sources: &opened.layout.sources, kinds: &kinds };
    environments::run(&ground, &opened.trees, &systems, &request, sink);
    bulk::run(&opened.trees, &systems, &found.owners, &kinds, &request, &|_| (), sink, progress)
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

    #[test]
    fn archives_in_files_are_opened() {
        let member = |name: &str, text: &str| {
            let fields = [1, 0o100_644, 0, 0, 1, 0, text.len(), 0, 0, 0, 0, name.len() + 1, 0];
            let mut out = String::from("070701");
            fields.iter().for_each(|f| out.push_str(&format!("{f:08x}")));
            for part in [format!("{name}\0"), text.to_owned()] {
                out.push_str(&part);
                out.push_str(&"\0".repeat(out.len().next_multiple_of(4) - out.len()));
            }
            out
        };
        let packed = format!("{}{}", member("init", "#!/bin/sh\n"), member("TRAILER!!!", ""));
        let hex = crate::base::hex(packed.as_bytes());
        let (scene, inventory, gaps) = examine_text(&format!("/etc/os-release\n    ID=x\n/boot/initrd.img-1 @{hex}\n"));
        assert_eq!(gaps, []);
        let kinds: Vec<&str> = scene.filesystems.iter().map(|f| f.kind.as_str()).collect();
        assert_eq!(kinds, ["text", "cpio"]);
        let init = inventory.files.iter().find(|f| f.path == "/init".into()).unwrap();
        assert_eq!(init.archive, Some("/boot/initrd.img-1".into()));
        assert_eq!((&*init.covered, &*init.content, &*init.against_system), ("archive", "script", "alone"));
    }
}
