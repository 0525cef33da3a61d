//! What parent and worker say to each other: frames of postcard, each led by its length.
//!
//! The worker is not trusted: frames are capped, decoding cannot allocate more than a frame holds, and
//! everything in a frame is data. Descriptors of the evidence travel beside the first order.
use crate::base::yara::{Match, RuleText};
use crate::base::{Folder, FsId, Gap, Key, MoreHashes, Nand, NodeId, Stage, Wanted};
use crate::inventory::{PackageManifest, Row, Scene, StoredHash};
use serde::de::{DeserializeOwned, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::io::{self, Read, Write};
use std::marker::PhantomData;

#[cfg(unix)]
pub use super::descriptors::{receive_files, send_files};
#[cfg(unix)]
pub use super::in_hand::{DESCRIPTORS, Held, InHand, SLOTS, refuse};

/// Longest frame, in bytes. A commit of one item fits; a larger frame means a broken worker.
pub const MAX_FRAME: u32 = 256 << 20;
/// Bytes of memory that the elements of one list in a message may take themselves: an empty row is short in a frame.
const MAX_LIST: usize = 512 << 20;

/// One file of an image; its descriptor travels in the same order as these stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentSpec {
    pub name: String,
    /// Bytes.
    pub len: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSpec {
    pub name: String,
    pub segments: Vec<SegmentSpec>,
    /// The image is a folder: its listing. Its files are asked for one by one.
    pub folder: Option<Folder>,
}

/// What the worker shall do with the images. One order a worker's life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub images: Vec<ImageSpec>,
    pub threads: u32,
    pub replay_journal: bool,
    /// What opens encrypted volumes: the bytes of the files that the examiner named.
    pub keys: Vec<Key>,
    /// The shape of the pages, where the images are dumps of NAND flash.
    pub nand: Option<Nand>,
    /// Go on where the kernel lacks a part of the confinement: the examiner's word.
    pub unconfined: bool,
    /// Bytes that the temporary file for what is decoded may have.
    pub scratch: u64,
    pub job: Job,
}

/// How a worker is confined, and what it found when it tried to get out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// What is in force, in words.
    pub parts: Vec<String>,
    /// What the worker tried and was denied.
    pub denied: Vec<String>,
    /// Parts that are not in force and why; what it tried and was not denied.
    pub missing: Vec<String>,
}
impl Confinement {
    /// One line for the report.
    pub fn words(&self) -> String {
        let mut words = vec!["a process of its own, evidence open read-only".to_owned()];
        words.extend(self.parts.iter().cloned());
        if !self.denied.is_empty() {
            words.push(format!("tried and denied: {}", self.denied.join(", ")));
        }
        if !self.missing.is_empty() {
            words.push(format!("not in force: {}", self.missing.join(", ")));
        }
        words.join("; ")
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Job {
    /// All four phases.
    Examine {
        /// Items that earlier workers committed.
        done: Vec<u64>,
        /// Items that brought down a worker twice: do not parse them.
        skip: Vec<u64>,
        /// Files that did so again, unparsed: do not read them either.
        unread: Vec<u64>,
        /// If not empty: nothing but these, to find out which of them brings a worker down.
        only: Vec<u64>,
        /// Hashes of all contents beside SHA-256, for baselines that know contents by these alone.
        hashes: MoreHashes,
        hash_images: bool,
        /// Which images are hashed before anything is read as well: those that keep no times.
        hash_first: Vec<bool>,
        second_reader: bool,
        show_secrets: bool,
        /// Hashes of the imager's logs, for each image.
        stored: Vec<Vec<StoredHash>>,
    },
    /// What lies at a path: a folder's entries, or the file itself.
    List { place: String },
    /// A file's bytes, streamed.
    Read { place: String },
    /// Raw bytes of an image.
    Raw { image: u32, offset: u64, len: u32 },
    /// What lies at and below places: `Entry`, its `Bytes`, `EntryEnd`, for each but the first `skip`.
    Export { places: Vec<String>, skip: u64 },
    /// The evidence as a file system: `Ready`, then the parent's [`Serve`], then the kernel's requests.
    Mount {
        /// Items of the indexing that killed workers: left out.
        skip: Vec<u64>,
    },
    /// What can be read, with its limits.
    Formats,
    /// Each image read from end to end: its hashes, and what cannot be read. Answered by `Checked`.
    Verify,
    /// Packages of distributions: each image is one. Answered by `Package`, in their order.
    Packages,
    /// Rules over the contents of files, in the order of both. Of each file: `Take`, then `Enter` where the rules begin,
    /// then `Matched`.
    Rules { rules: Vec<RuleText>, files: Vec<RuledFile> },
    /// A file system written as text, through the whole pipeline (rule tests).
    Text { tree: String },
}

/// A file that rules are run over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RuledFile {
    pub filesystem: FsId,
    pub node: NodeId,
    pub deleted: bool,
}

/// A line of `ls`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub name: crate::base::Name,
    pub kind: String,
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub modified: Option<crate::base::Time>,
    pub inode: u64,
    pub target: Option<crate::base::Name>,
    pub deleted: bool,
}

/// An entry of the evidence with all that an export records.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Exported {
    pub path: crate::base::Name,
    pub filesystem: crate::base::FsId,
    pub node: crate::base::NodeId,
    pub deleted: bool,
    pub kind: String,
    /// Its bytes follow.
    pub has_content: bool,
    pub size: u64,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u32,
    pub modified: Option<crate::base::Time>,
    pub accessed: Option<crate::base::Time>,
    pub changed: Option<crate::base::Time>,
    pub created: Option<crate::base::Time>,
    pub device: Option<(u32, u32)>,
    pub target: Option<crate::base::Name>,
    pub xattrs: Vec<(crate::base::Name, Vec<u8>)>,
    pub image_runs: Vec<crate::base::ImageRun>,
}

/// A member of one of the lists of what can be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatInfo {
    /// `container`, `volumes`, `file system`, `artifact`, `contents`.
    pub layer: String,
    pub name: String,
    pub about: String,
    /// What of it is not read; for an artifact, what it reads.
    pub limits: String,
}

/// What was found out about one image by reading all of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub container: String,
    /// Bytes of the decoded disk.
    pub size: u64,
    /// Its container keeps neither hashes nor structures that could be checked: nothing was read.
    pub is_bare: bool,
    pub stored_hashes: Vec<StoredHash>,
    /// Ours, where every byte could be read.
    pub sha256: Option<String>,
    /// What cannot be read: each bad chunk, in order.
    pub unreadable: Vec<String>,
    /// What the container's reader met.
    pub gaps: Vec<Gap>,
}

/// What the worker answers, in any number, until `Finished` or `Failed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// The first word of every worker. If a part is missing and the order does not allow that, also its last.
    Confined(Confinement),
    /// About to parse an item.
    Enter {
        item: u64,
        name: String,
    },
    /// Has these files in hand from now on, until they are committed or left. Names only where an order says
    /// `only`: nowhere else is one of them blamed.
    Take {
        items: Vec<u64>,
        names: Vec<String>,
    },
    /// Has these no more in hand, though nothing was committed.
    Leave {
        items: Vec<u64>,
    },
    Stage {
        stage: Stage,
        total: u64,
    },
    /// Units done in the stage.
    Advance {
        done: u64,
    },
    Scene(Box<Scene>),
    Commit {
        items: Vec<u64>,
        #[serde(deserialize_with = "bounded")]
        rows: Vec<Row>,
        #[serde(deserialize_with = "bounded")]
        gaps: Vec<Gap>,
    },
    Listed(#[serde(deserialize_with = "bounded")] Vec<Listed>),
    Bytes(Vec<u8>),
    Formats(Vec<FormatInfo>),
    Checked(Vec<Checked>),
    /// What the rules say of a file, by its position in the order. `cut`: they were not run to the end.
    Matched {
        file: u32,
        #[serde(deserialize_with = "bounded")]
        matches: Vec<Match>,
        cut: bool,
        /// Why the file was not looked at; empty if it was.
        unread: String,
    },
    /// A package, or why it is not used.
    Package(Result<Box<PackageManifest>, String>),
    /// Indexed: a [`Serve`] answers it, with the kernel's descriptor and those of the requests in hand beside it.
    Ready {
        /// Tells one numbering of nodes from another.
        mark: u64,
        nodes: u64,
        /// How many things could not be read.
        gaps: u64,
    },
    /// What an earlier worker had in hand was carried out.
    Serving,
    Entry(Box<Exported>),
    /// An entry is over: offset and length within the file of what could not be read, and why.
    EntryEnd {
        gaps: Vec<(u64, u64, String)>,
    },
    /// A file that image number `image` names; a [`Given`] answers it, with the descriptor beside it.
    Want {
        image: u32,
        wanted: Wanted,
    },
    Finished,
    /// The evidence, or the place asked for, cannot be read at all.
    Failed {
        what: String,
    },
}

/// The parent's answer to [`Report::Want`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    /// Its descriptor follows.
    File(SegmentSpec),
    /// Why not, in words for the examiner.
    Refused(String),
}

/// The parent's answer to [`Report::Ready`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serve {
    /// Requests of the kernel that an earlier worker had in hand.
    pub requests: Vec<Vec<u8>>,
    /// Nodes whose content killed a worker: an error is the answer.
    pub banned: Vec<u64>,
}

/// One frame: the length, then the message.
pub fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = postcard::to_extend(message, vec![0; 4]).map_err(io::Error::other)?;
    let len = u32::try_from(frame.len().saturating_sub(4)).ok().filter(|len| *len <= MAX_FRAME);
    let len = len.ok_or_else(|| io::Error::other("message longer than a frame may be"))?;
    if let Some(head) = frame.get_mut(..4) {
        head.copy_from_slice(&len.to_le_bytes());
    }
    Ok(frame)
}

/// Writes one frame.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    to.write_all(&encode(message)?)
}

/// Reads one frame; `None` at a clean end.
pub fn receive<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<T>> {
    Ok(receive_sized(from)?.map(|(_, message)| message))
}

/// The same, with the bytes that it took.
pub fn receive_sized<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<Option<(u64, T)>> {
    let mut len = [0; 4];
    match from.read(&mut len)? {
        0 => return Ok(None),
        n => from.read_exact(len.get_mut(n..).unwrap_or_default())?,
    }
    let len = u32::from_le_bytes(len);
    if len > MAX_FRAME {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("frame of {len} bytes")));
    }
    // Grows with what really arrives, so that a lying length costs nothing.
    let mut body = Vec::new();
    from.take(u64::from(len)).read_to_end(&mut body)?;
    if body.len() != len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let message = postcard::from_bytes(&body).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
    Ok(Some((u64::from(len), message)))
}

/// A list whose elements take no more than [`MAX_LIST`] bytes of memory, however small they are in a frame.
fn bounded<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    struct Bounded<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list that a parent can hold")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
            let most = MAX_LIST / size_of::<T>().max(1);
            let mut list = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1024));
            while let Some(element) = seq.next_element()? {
                if list.len() >= most {
                    return Err(A::Error::custom(format!("more than {most} elements")));
                }
                list.push(element);
            }
            Ok(list)
        }
    }
    from.deserialize_seq(Bounded(PhantomData))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::inventory::{File, Service};

    #[test]
    fn frames_round_trip() {
        let rows = vec![
            File { path: crate::base::Name::new(b"/a\xff"), size: 7, ..File::default() }.into(),
            Service { name: "x".into(), ..Service::default() }.into(),
        ];
        let sent = Report::Commit { items: vec![1, u64::MAX], rows, gaps: Vec::new() };
        let mut wire = Vec::new();
        send(&mut wire, &sent).unwrap();
        let mut from = wire.as_slice();
        assert_eq!(receive::<Report>(&mut from).unwrap(), Some(sent));
        assert_eq!(receive::<Report>(&mut from).unwrap(), None);
    }

    #[test]
    fn broken_frames_are_errors_and_cost_no_memory() {
        for wire in [[0xff; 8].as_slice(), &[200, 0, 0, 0, 1], &[4, 0, 0, 0, 99, 99, 99, 99], &[1, 0]] {
            let mut from = wire;
            assert!(receive::<Report>(&mut from).is_err());
        }
    }
}
