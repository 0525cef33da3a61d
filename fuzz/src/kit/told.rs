//! Gaps as what they say of places, and whether one of them covers the loss of a file.
use cranescope::base::Gap;
use std::fmt;

/// A gap.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub text: String,
    path: Option<Vec<u8>>,
    /// The inode it names, and those that its words name beside it.
    inodes: Vec<u64>,
    /// Numbers of further inodes lie between those that are named.
    between: Option<(u64, u64)>,
    /// Bytes of the image: the first, and the one behind.
    bytes: Option<(u64, u64)>,
    /// They reach to the image's end: what lies there is lost, as of an archive behind a damaged member.
    is_rest: bool,
}
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where something is that the intact image shows.
#[derive(Clone, Debug, Default)]
pub struct Where {
    pub node: u64,
    /// Bytes of the image that hold its content: the first of each run, and the one behind.
    pub data: Vec<(u64, u64)>,
}

/// Numbers after a colon within brackets: `(3 inodes: 5, 7, 9 … 12)`.
fn numbers(text: &str) -> (Vec<u64>, Option<(u64, u64)>) {
    let Some(list) = text.split_once('(').and_then(|(_, t)| t.split_once(": ")).map(|(_, t)| t) else {
        return (Vec::new(), None);
    };
    let list = &list[..list.find([')', ';']).unwrap_or(list.len())];
    let read = |part: &str| part.split(',').filter_map(|n| n.trim().parse().ok()).collect::<Vec<u64>>();
    match list.split_once('…') {
        Some((named, last)) => {
            let (named, last) = (read(named), read(last));
            let between = named.last().copied().zip(last.first().copied());
            ([named, last].concat(), between)
        }
        None => (read(list), None),
    }
}

impl Told {
    /// A gap in an image of `len` bytes.
    pub fn of(gap: &Gap, len: u64) -> Self {
        let (mut inodes, between) = numbers(&gap.what);
        inodes.extend(gap.at.inode);
        inodes.extend(
            gap.what
                .split("inode ")
                .skip(1)
                .filter_map(|t| t.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u64>().ok())),
        );
        let in_image =
            |(space, at): &(String, u64)| (space != "file_offset").then(|| (*at, at.saturating_add(gap.bytes.max(1))));
        Self {
            text: format!("{}: {} {}", gap.by, gap.what, gap.at),
            path: gap.at.path.as_ref().map(|p| p.bytes().to_vec()),
            inodes,
            between,
            bytes: gap.at.offset.as_ref().and_then(in_image),
            is_rest: gap.bytes > 0 && gap.at.offset.as_ref().is_some_and(|(_, at)| at.saturating_add(gap.bytes) >= len),
        }
    }
    /// Whether it is about the whole volume, naming nothing within, or about all from a byte on.
    pub fn is_of_all(&self) -> bool {
        self.is_rest || (self.path.is_none() && self.inodes.is_empty() && self.bytes.is_none())
    }
    /// Whether it names a path, or a folder above it.
    pub fn names_path(&self, path: &[u8]) -> bool {
        self.path.as_ref().is_some_and(|own| {
            own.as_slice() == b"/"
                || path.strip_prefix(own.as_slice()).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    }
    pub fn names_inode(&self, node: u64) -> bool {
        self.inodes.contains(&node) || self.between.is_some_and(|(from, to)| from < node && node < to)
    }
    /// Whether it names bytes that meet a range.
    pub fn meets(&self, from: u64, to: u64) -> bool {
        self.bytes.is_some_and(|(start, end)| start < to && from < end)
    }
    /// Whether it says where a file is that lies here.
    pub fn covers(&self, path: &[u8], at: &Where) -> bool {
        self.names_path(path) || self.names_inode(at.node) || at.data.iter().any(|(from, to)| self.meets(*from, *to))
    }
}
