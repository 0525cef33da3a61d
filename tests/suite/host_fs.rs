//! A directory of this machine as a file system: what oracles that want a mounted tree are compared on.
use crate::host::kind;
use cranescope::base::{Gaps, Name, NodeId, Progress, Time};
use cranescope::evidence::{System, Tree};
use cranescope::fs::{DirEntry, FileSystem, FsError, FsInfo, MemFs, Stat, Stream, Times};
use cranescope::image::Source;
use cranescope::inventory::SystemInfo;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

pub(crate) struct HostFs {
    nodes: Mutex<Vec<PathBuf>>,
    info: FsInfo,
}

impl HostFs {
    pub(crate) fn new(root: &str) -> Self {
        Self { nodes: Mutex::new(vec![root.into()]), info: FsInfo::default() }
    }
    fn path(&self, node: NodeId) -> PathBuf {
        self.nodes.lock().unwrap()[usize::try_from(node.number).unwrap()].clone()
    }
}

impl FileSystem for HostFs {
    fn info(&self) -> &FsInfo {
        &self.info
    }
    fn root(&self) -> NodeId {
        NodeId::default()
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        let path = self.path(dir);
        for entry in std::fs::read_dir(&path).map_err(|e| FsError::Unsupported(e.to_string()))? {
            let entry = entry.unwrap();
            let mut nodes = self.nodes.lock().unwrap();
            nodes.push(entry.path());
            let node = NodeId { number: nodes.len() as u64 - 1, generation: 0 };
            each(DirEntry {
                name: Name::new(entry.file_name().as_bytes()),
                node,
                kind: kind(entry.file_type().unwrap()),
            });
        }
        Ok(())
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        let meta = std::fs::symlink_metadata(self.path(node)).map_err(|e| FsError::Unsupported(e.to_string()))?;
        let modified = Some(Time::nanos(meta.mtime(), u32::try_from(meta.mtime_nsec()).unwrap()));
        Ok(Stat {
            kind: kind(meta.file_type()),
            len: meta.len(),
            allocated: meta.blocks() * 512,
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            links: u32::try_from(meta.nlink()).unwrap(),
            times: Times { modified, ..Times::default() },
            flags: Vec::new(),
            xattrs: Vec::new(),
            device: None,
        })
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        let target = std::fs::read_link(self.path(node)).map_err(|e| FsError::Unsupported(e.to_string()))?;
        Ok(target.into_os_string().into_vec())
    }
    fn open(&self, node: NodeId, _stream: Stream<'_>) -> Result<Source, FsError> {
        let bytes = std::fs::read(self.path(node)).map_err(|e| FsError::Unsupported(e.to_string()))?;
        Ok(Arc::new(bytes))
    }
}

/// A system whose only file system is this one.
pub(crate) fn system(fs: Arc<dyn FileSystem>) -> System {
    let tree = Tree::index(fs, cranescope::base::FsId(0), &Gaps::default(), &Progress::default()).unwrap();
    System::new(0, SystemInfo::default(), vec![(Vec::new(), Arc::new(tree))])
}

/// A system written as text.
pub(crate) fn text(tree: &str) -> System {
    system(Arc::new(MemFs::parse(tree)))
}

/// A Debian root on this machine to compare with its own tools, named by `CRANESCOPE_DEBIAN_ROOT`.
pub(crate) fn debian() -> Option<(String, System)> {
    let Ok(root) = std::env::var("CRANESCOPE_DEBIAN_ROOT") else {
        eprintln!("skipped: CRANESCOPE_DEBIAN_ROOT names no mounted Debian root");
        return None;
    };
    let fs = HostFs::new(&root);
    Some((root, system(Arc::new(fs))))
}

/// Standard output of a program on this machine, lossless; `None` if it cannot be run.
pub(crate) fn output(program: &str, args: &[&str]) -> Option<Vec<u8>> {
    let run = std::process::Command::new(program).args(args.iter().map(|a| OsStr::from_bytes(a.as_bytes()))).output();
    run.ok().map(|o| o.stdout)
}
