//! The FUSE protocol's structures as the kernel writes and reads them, in the machine's byte order.
//!
//! Specification: include/uapi/linux/fuse.h of Linux, protocol 7.28 to 7.45; what was added since 7.28 is
//! used only where the kernel asks for it.

/// Bytes of a request's head and of a reply's head.
pub(super) const IN_HEAD: usize = 40;
pub(super) const OUT_HEAD: usize = 16;
/// The oldest minor version of protocol 7 that this speaks: Linux 4.20 (2018).
pub(super) const OLDEST: u32 = 28;
const NEWEST: u32 = 45;

/// Longest read that is answered at once, in bytes: what the kernel asks for with `MAX_PAGES`.
pub(super) const MAX_READ: usize = 1 << 20;

/// Evidence does not change: what was told stays true for a year.
const VALID: u64 = 365 * 86_400;

pub(super) mod op {
    pub(crate) const LOOKUP: u32 = 1;
    pub(crate) const FORGET: u32 = 2;
    pub(crate) const GETATTR: u32 = 3;
    pub(crate) const READLINK: u32 = 5;
    pub(crate) const READ: u32 = 15;
    pub(crate) const STATFS: u32 = 17;
    pub(crate) const GETXATTR: u32 = 22;
    pub(crate) const LISTXATTR: u32 = 23;
    pub(crate) const INIT: u32 = 26;
    pub(crate) const READDIR: u32 = 28;
    pub(crate) const DESTROY: u32 = 38;
    pub(crate) const BATCH_FORGET: u32 = 42;
    pub(crate) const READDIRPLUS: u32 = 44;
    pub(crate) const LSEEK: u32 = 46;
    pub(crate) const STATX: u32 = 52;
}

/// Error numbers of Linux, the same on every architecture Rust knows but for some that no longer matter.
pub(super) mod errno {
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const EIO: i32 = 5;
    pub(crate) const ENXIO: i32 = 6;
    pub(crate) const ENOTDIR: i32 = 20;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ERANGE: i32 = 34;
    pub(crate) const ENOSYS: i32 = 38;
    pub(crate) const ENODATA: i32 = 61;
    pub(crate) const EPROTO: i32 = 71;
}

const ASYNC_READ: u32 = 1;
const DO_READDIRPLUS: u32 = 1 << 13;
const NO_OPEN: u32 = 1 << 17;
const PARALLEL_DIROPS: u32 = 1 << 18;
const MAX_PAGES: u32 = 1 << 22;
const CACHE_SYMLINKS: u32 = 1 << 23;
const NO_OPENDIR: u32 = 1 << 24;

/// The fields of a request, read from its start.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a [u8]);
impl<'a> Fields<'a> {
    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_ne_bytes)
    }
    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_ne_bytes)
    }
    /// Up to the first NUL.
    pub(super) fn name(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0)?;
        let name = self.0.get(..end)?;
        self.0 = self.0.get(end.saturating_add(1)..)?;
        Some(name)
    }
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
}

/// `fuse_in_header`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: u32,
    pub(super) unique: u64,
    pub(super) node: u64,
    pub(super) uid: u32,
}

/// Splits a request into its head and its arguments; `None` if it is shorter than it says.
pub(super) fn request(bytes: &[u8]) -> Option<(Head, Fields<'_>)> {
    let mut fields = Fields(bytes);
    let len = usize::try_from(fields.u32()?).ok()?;
    let head = Head { opcode: fields.u32()?, unique: fields.u64()?, node: fields.u64()?, uid: fields.u32()? };
    Some((head, Fields(bytes.get(IN_HEAD..len)?)))
}

/// What a reply is made of, field by field.
#[derive(Default)]
pub(super) struct Out(pub(super) Vec<u8>);
impl Out {
    pub(super) fn u16(&mut self, v: u16) -> &mut Self {
        self.bytes(&v.to_ne_bytes())
    }
    pub(super) fn u32(&mut self, v: u32) -> &mut Self {
        self.bytes(&v.to_ne_bytes())
    }
    pub(super) fn u64(&mut self, v: u64) -> &mut Self {
        self.bytes(&v.to_ne_bytes())
    }
    pub(super) fn bytes(&mut self, v: &[u8]) -> &mut Self {
        self.0.extend_from_slice(v);
        self
    }
}

/// `fuse_out_header`, before `len` bytes of a body.
pub(super) fn out_head(unique: u64, error: i32, len: usize) -> [u8; OUT_HEAD] {
    let mut head = [0; OUT_HEAD];
    let total = u32::try_from(len.saturating_add(OUT_HEAD)).unwrap_or(u32::MAX);
    let fields = total.to_ne_bytes().into_iter().chain((-error).to_ne_bytes()).chain(unique.to_ne_bytes());
    head.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
    head
}

/// The answer to `INIT`; `None` if the kernel speaks another protocol.
pub(super) fn init(fields: &mut Fields<'_>) -> Option<Vec<u8>> {
    let (major, minor, ahead, offered) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
    let mut out = Out::default();
    if major > 7 {
        // The kernel asks again with what is answered here.
        out.u32(7).u32(NEWEST).bytes(&[0; 56]);
        return Some(out.0);
    }
    if major < 7 || minor < OLDEST {
        return None;
    }
    let wanted = ASYNC_READ | DO_READDIRPLUS | NO_OPEN | PARALLEL_DIROPS | MAX_PAGES | CACHE_SYMLINKS | NO_OPENDIR;
    out.u32(7).u32(minor.min(NEWEST)).u32(ahead.min(1 << 20)).u32(offered & wanted);
    // Requests that the kernel sends ahead on its own, at most; and from where it counts as congested.
    out.u16(64).u16(48);
    // Longest write, granularity of times in nanoseconds, pages of a read.
    out.u32(4096).u32(1).u16(256).u16(0);
    out.bytes(&[0; 32]);
    Some(out.0)
}

/// What stat(2) and statx(2) tell of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) ino: u64,
    pub(super) size: u64,
    /// Bytes of storage.
    pub(super) allocated: u64,
    /// Seconds and nanoseconds.
    pub(super) accessed: (i64, u32),
    pub(super) modified: (i64, u32),
    pub(super) changed: (i64, u32),
    pub(super) created: Option<(i64, u32)>,
    /// With the kind, as in `st_mode`.
    pub(super) mode: u32,
    pub(super) links: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) device: (u32, u32),
}

impl Attributes {
    /// `fuse_attr`.
    fn put(&self, out: &mut Out) {
        let seconds = |t: (i64, u32)| t.0.cast_unsigned();
        // The kernel refuses what it could not count.
        out.u64(self.ino).u64(self.size.min(i64::MAX.cast_unsigned())).u64(self.allocated.div_ceil(512));
        out.u64(seconds(self.accessed)).u64(seconds(self.modified)).u64(seconds(self.changed));
        out.u32(self.accessed.1).u32(self.modified.1).u32(self.changed.1);
        let (major, minor) = self.device;
        let device = (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff_ff00) << 12);
        out.u32(self.mode).u32(self.links).u32(self.uid).u32(self.gid).u32(device).u32(4096).u32(0);
    }
    /// `fuse_attr_out`.
    pub(super) fn alone(&self) -> Vec<u8> {
        let mut out = Out::default();
        out.u64(VALID).u64(0);
        self.put(&mut out);
        out.0
    }
    /// `fuse_entry_out`.
    pub(super) fn entry(&self, node: u64) -> Vec<u8> {
        let mut out = Out::default();
        out.u64(node).u64(0).u64(VALID).u64(VALID).u64(0);
        self.put(&mut out);
        out.0
    }
    /// `fuse_statx_out`: all that statx(2) knows, and when the node was created where the evidence tells.
    pub(super) fn extended(&self) -> Vec<u8> {
        let (basic, birth) = (0x7ff, 0x800);
        let mut out = Out::default();
        out.u64(VALID).u64(0).u64(0).u64(0);
        out.u32(basic | if self.created.is_some() { birth } else { 0 }).u32(4096).u64(0);
        out.u32(self.links).u32(self.uid).u32(self.gid).u16(u16::try_from(self.mode & 0xffff).unwrap_or(0)).u16(0);
        let blocks = self.allocated.div_ceil(512);
        out.u64(self.ino).u64(self.size.min(i64::MAX.cast_unsigned())).u64(blocks).u64(0);
        for time in [self.accessed, self.created.unwrap_or_default(), self.changed, self.modified] {
            out.u64(time.0.cast_unsigned()).u32(time.1).u32(0);
        }
        out.u32(self.device.0).u32(self.device.1).u32(0).u32(0).bytes(&[0; 112]);
        out.0
    }
}

/// A name that does not exist, to be remembered as such.
pub(super) fn no_entry() -> Vec<u8> {
    Attributes::default().entry(0)
}

/// A name in a directory, `fuse_dirent`, with `entry` before it for `READDIRPLUS`; `false` if it has no room in `room`.
pub(super) fn dirent(
    out: &mut Out,
    room: usize,
    entry: Option<&[u8]>,
    ino: u64,
    next: u64,
    kind: u32,
    name: &[u8],
) -> bool {
    let before = entry.map_or(0, <[u8]>::len);
    let padded = name.len().saturating_add(7) & !7;
    let needed = before.saturating_add(24).saturating_add(padded);
    if out.0.len().saturating_add(needed) > room {
        return false;
    }
    out.bytes(entry.unwrap_or_default());
    out.u64(ino).u64(next).u32(u32::try_from(name.len()).unwrap_or(0)).u32(kind).bytes(name);
    let end = out.0.len().saturating_add(padded.saturating_sub(name.len()));
    out.0.resize(end, 0);
    true
}

/// `fuse_statfs_out`: a full file system of this size.
pub(super) fn statfs(bytes: u64, files: u64) -> Vec<u8> {
    let mut out = Out::default();
    out.u64(bytes.div_ceil(4096)).u64(0).u64(0).u64(files).u64(0);
    out.u32(4096).u32(1024).u32(4096).bytes(&[0; 28]);
    out.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Sizes of the kernel's structures, as its header has them.
    #[test]
    fn structures_have_the_sizes_of_the_header() {
        let some = Attributes { created: Some((1, 2)), ..Attributes::default() };
        assert_eq!((some.alone().len(), some.entry(7).len(), some.extended().len()), (104, 128, 288));
        assert_eq!((no_entry().len(), statfs(1, 1).len()), (128, 80));
        let mut hello = Out::default();
        hello.u32(7).u32(45).u32(131_072).u32(u32::MAX);
        let answer = init(&mut Fields(&hello.0)).unwrap();
        assert_eq!(answer.len(), 64);
        assert_eq!(u32::from_ne_bytes(answer.get(12..16).unwrap().try_into().unwrap()) & (1 << 27), 0);
        let mut old = Out::default();
        old.u32(7).u32(OLDEST - 1).u32(0).u32(0);
        assert_eq!(init(&mut Fields(&old.0)), None);
    }

    #[test]
    fn names_are_padded_and_none_is_cut() {
        let mut out = Out::default();
        assert!(dirent(&mut out, 64, None, 5, 1, 8, b"abc") && out.0.len() == 32);
        assert!(dirent(&mut out, 64, None, 6, 2, 8, b"12345678") && out.0.len() == 64);
        assert!(!dirent(&mut out, 80, None, 7, 3, 8, b"") && out.0.len() == 64);
    }

    #[test]
    fn requests_that_are_cut_are_none() {
        let mut out = Out::default();
        out.u32(44).u32(op::LOOKUP).u64(9).u64(1).u32(1000).u32(0).u32(0).u32(0).bytes(b"abc\0");
        let (head, mut fields) = request(&out.0).unwrap();
        assert_eq!(head, Head { opcode: 1, unique: 9, node: 1, uid: 1000 });
        assert_eq!((fields.name(), fields.name()), (Some(b"abc".as_slice()), None));
        for cut in 0..44 {
            assert!(request(out.0.get(..cut).unwrap()).is_none(), "{cut}");
        }
        out.0.splice(..4, 12_u32.to_ne_bytes());
        assert!(request(&out.0).is_none());
    }
}
