//! What cannot be read on the way to a system is said, at its place.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::{Candidate, Tree, find_systems};
use crate::base::{FsId, Gap, Gaps, NodeId, Progress};
use crate::fs::{DirEntry, FileSystem, FsError, FsInfo, MemFs, Stat, Stream};
use crate::image::{ReadError, Source};
use crate::inventory::{FilesystemInfo, VolumeInfo};
use std::sync::Arc;

/// A file system of which some nodes cannot be read.
struct Failing {
    fs: MemFs,
    contents: Vec<NodeId>,
    inodes: Vec<NodeId>,
    /// A name that a folder says in place of another.
    misnamed: Option<(&'static str, &'static str)>,
}
fn lost() -> FsError {
    FsError::Read(ReadError { offset: 77, what: "medium error".into() })
}
impl FileSystem for Failing {
    fn info(&self) -> &FsInfo {
        self.fs.info()
    }
    fn root(&self) -> NodeId {
        self.fs.root()
    }
    fn read_dir(&self, dir: NodeId, each: &mut dyn FnMut(DirEntry)) -> Result<(), FsError> {
        self.fs.read_dir(dir, &mut |mut entry| {
            if let Some((_, other)) = self.misnamed.filter(|(name, _)| entry.name.bytes() == name.as_bytes()) {
                entry.name = other.into();
            }
            each(entry);
        })
    }
    fn stat(&self, node: NodeId) -> Result<Stat, FsError> {
        if self.inodes.contains(&node) { Err(lost()) } else { self.fs.stat(node) }
    }
    fn read_link(&self, node: NodeId) -> Result<Vec<u8>, FsError> {
        self.fs.read_link(node)
    }
    fn open(&self, node: NodeId, stream: Stream<'_>) -> Result<Source, FsError> {
        if self.contents.contains(&node) { Err(lost()) } else { self.fs.open(node, stream) }
    }
    fn deleted(&self, each: &mut dyn FnMut(Option<NodeId>, DirEntry)) -> Result<(), FsError> {
        self.fs.deleted(each)
    }
}

/// The gaps of a tree whose `contents` and `inodes` cannot be read, as (path, by, what).
fn gaps_of(text: &str, contents: &[&str], inodes: &[&str]) -> Vec<(String, String, String)> {
    let (gaps, progress) = (Gaps::default(), Progress::default());
    let whole = Tree::index(Arc::new(MemFs::parse(text)), FsId(0), &gaps, &progress).unwrap();
    let nodes = |paths: &[&str]| {
        let of = |p: &&str| whole.entries.iter().find(|e| e.path.bytes() == p.as_bytes()).unwrap().node;
        paths.iter().map(of).collect()
    };
    let fs = Failing { fs: MemFs::parse(text), contents: nodes(contents), inodes: nodes(inodes), misnamed: None };
    assert_eq!(gaps.take(), []);
    let tree = Arc::new(Tree::index(Arc::new(fs), FsId(0), &gaps, &progress).unwrap());
    let (filesystem, volume) = (FilesystemInfo::default(), VolumeInfo::default());
    let systems = find_systems(&[Candidate { tree, filesystem: &filesystem, volume: &volume }], &gaps);
    assert_eq!(systems.len(), 1);
    let said = |g: Gap| (g.at.path.unwrap_or_default().display(), g.by, g.what);
    gaps.take().into_iter().map(said).collect()
}

/// A bit of a name may make it another's: both are shown, and the folder is told.
#[test]
fn a_name_that_stands_twice_in_its_folder_is_told() {
    let text = "/a/one\n    1\n/a/two\n    2\n/b/one\n    3\n";
    let index = |misnamed| {
        let fs = Failing { fs: MemFs::parse(text), contents: Vec::new(), inodes: Vec::new(), misnamed };
        let gaps = Gaps::default();
        let tree = Tree::index(Arc::new(fs), FsId(0), &gaps, &Progress::default()).unwrap();
        let paths: Vec<String> = tree.entries.iter().map(|e| e.path.display()).collect();
        let told: Vec<(String, String)> =
            gaps.take().into_iter().map(|g| (g.at.path.unwrap_or_default().display(), g.what)).collect();
        (paths, told)
    };
    assert_eq!(index(None).1, []);
    let (paths, told) = index(Some(("two", "one")));
    assert_eq!(paths, ["/", "/a", "/a/one", "/a/one", "/b", "/b/one"]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].0 == "/a" && told[0].1.contains("/a/one stands twice in its folder"), "{told:?}");
}

#[test]
fn an_inode_that_counts_more_names_than_there_are_is_told() {
    let gaps = Gaps::default();
    let fs = Arc::new(MemFs::parse("/a\n    1\n/b\n    2\n"));
    let mut tree = Tree::index(fs, FsId(0), &gaps, &Progress::default()).unwrap();
    let mut told = |links: u32| {
        let stat = tree.entries[1].stat.as_deref().unwrap().clone();
        tree.entries[1].stat = Some(Arc::new(Stat { links, ..stat }));
        super::tree::tell_links(&tree.entries, &gaps);
        gaps.take().into_iter().map(|g| (g.at.path.unwrap_or_default().display(), g.what)).collect::<Vec<_>>()
    };
    assert_eq!(told(1), []);
    let words = "its inode says that 2 names lead to it; 1 were found";
    assert_eq!(told(2), [("/a".to_owned(), words.to_owned())]);
}

const SYSTEM: &str = "/etc/os-release\n    ID=debian\n/etc/fstab\n    /dev/sda1 / ext4\n/etc/old deleted\n    x\n";

#[test]
fn what_names_a_system_and_cannot_be_read_is_a_gap() {
    assert_eq!(gaps_of(SYSTEM, &[], &[]), []);
    let said = gaps_of(SYSTEM, &["/etc/os-release", "/etc/fstab"], &[]);
    let at = |path: &str, by: &str| {
        let of = said.iter().filter(|g| g.0 == path && g.1 == by && g.2.contains("medium error"));
        assert!(of.count() > 0, "{path} is not among {said:?}");
    };
    at("/etc/os-release", "identify");
    at("/etc/fstab", "fstab");
}

#[test]
fn a_deleted_inode_that_cannot_be_read_is_a_gap() {
    let said = gaps_of(SYSTEM, &[], &["/etc/old"]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said.iter().all(|g| g.0 == "/etc/old" && g.2.contains("inode not read")), "{said:?}");
}
