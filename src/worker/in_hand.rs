//! Which of the kernel's requests a mount's worker has in hand, in a file in memory that it shares with its parent, so
//! that they outlive the worker: the kernel waits for every answer.
//!
//! A request goes from the kernel through a pipe into that file without passing through the worker's own memory, so
//! that at every moment it is in one of the three, also when the worker is killed: splice(2).
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

/// Requests in hand at once, at most: one a thread.
pub const SLOTS: usize = 64;
/// Room for a request: more than the kernel asks to have. The first four bytes are the request's length; 0 where
/// the slot is free.
const SLOT: usize = 128 << 10;
/// Longest request that can be carried out again; those that read are shorter.
const LONGEST: usize = 8192;
/// Descriptors of the way.
pub const DESCRIPTORS: usize = 3;

/// The way of requests: into the pipe, out of it, and the file.
#[derive(Debug)]
pub struct InHand {
    next: Mutex<(File, File)>,
    file: File,
}

impl InHand {
    pub fn new() -> io::Result<Self> {
        let made = rustix::fs::memfd_create("cranescope-requests", rustix::fs::MemfdFlags::CLOEXEC)?;
        let (from, to) = pipe_with(PipeFlags::CLOEXEC)?;
        // What is left in it is looked for without waiting.
        fcntl_setpipe_size(&to, SLOT)?;
        Ok(Self { next: Mutex::new((File::from(to), File::from(from))), file: File::from(made) })
    }
    /// The same way, as a worker gets it; `None` if there are not as many descriptors as it has.
    pub(super) fn of(files: impl IntoIterator<Item = File>) -> Option<Self> {
        let mut files = files.into_iter();
        Some(Self { next: Mutex::new((files.next()?, files.next()?)), file: files.next()? })
    }
    /// Its descriptors, for a worker.
    pub fn files(&self) -> io::Result<[File; DESCRIPTORS]> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        Ok([next.0.try_clone()?, next.1.try_clone()?, self.file.try_clone()?])
    }
    /// Waits for the kernel's next request and takes it into the slot; gives its length, 0 where nothing more comes.
    pub(super) fn take(&self, slot: usize, kernel: &File) -> io::Result<usize> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let len = splice(kernel, None, &next.0, None, SLOT, SpliceFlags::empty())?;
        let (mut at, mut left) = (offset(slot), len);
        while left > 0 {
            match splice(&next.1, None, &self.file, Some(&mut at), left, SpliceFlags::empty())? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                n => left = left.saturating_sub(n),
            }
        }
        Ok(len)
    }
    /// The request in a slot.
    pub(super) fn request<'b>(&self, slot: usize, len: usize, buf: &'b mut Vec<u8>) -> io::Result<&'b [u8]> {
        buf.resize(len.min(SLOT), 0);
        self.file.read_exact_at(buf, offset(slot))?;
        Ok(buf)
    }
    /// Takes a request that was carried out before.
    pub(super) fn put(&self, slot: usize, request: &[u8]) -> io::Result<()> {
        self.file.write_all_at(request.get(..SLOT).unwrap_or(request), offset(slot))
    }
    pub(super) fn clear(&self, slot: usize) -> io::Result<()> {
        self.file.write_all_at(&[0; 4], offset(slot))
    }
    /// The request of every slot that is not free.
    pub fn read(&self) -> io::Result<Vec<Held>> {
        let mut held = Vec::new();
        for slot in 0..SLOTS {
            let mut all = vec![0; LONGEST];
            let n = self.file.read_at(&mut all, offset(slot))?;
            all.truncate(n);
            held.extend(Held::of(slot, &all));
        }
        Ok(held)
    }
    /// What a dead worker left on the way, in no slot. To be asked once, when no worker has the pipe any more.
    pub fn left(self) -> io::Result<Option<Held>> {
        let (to, mut from) = self.next.into_inner().unwrap_or_else(PoisonError::into_inner);
        // With its last writer gone the pipe has an end.
        drop(to);
        let mut all = Vec::new();
        from.read_to_end(&mut all)?;
        Ok(Held::of(SLOTS, &all))
    }
}

fn offset(slot: usize) -> u64 {
    (slot as u64).saturating_mul(SLOT as u64)
}

/// A request that a worker had in hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub slot: usize,
    /// The kernel's number of the request, and of the node that it is about.
    pub unique: u64,
    pub node: u64,
    /// All of it; empty if it is too long to be one that reads, and is not carried out again.
    pub request: Vec<u8>,
}
impl Held {
    fn of(slot: usize, all: &[u8]) -> Option<Self> {
        let len = u32::from_ne_bytes(all.get(..4)?.try_into().ok()?);
        let number = |at: usize| all.get(at..at.checked_add(8)?)?.try_into().ok().map(u64::from_ne_bytes);
        let (unique, node) = (number(8)?, number(16)?);
        let request = usize::try_from(len).ok().and_then(|len| all.get(..len)).unwrap_or_default().to_vec();
        (len > 0).then_some(Self { slot, unique, node, request })
    }
}

/// Answers a request with an error of the device (EIO). The kernel refuses what it does not wait for: so does this.
pub fn refuse(kernel: &File, unique: u64) -> io::Result<()> {
    const EIO: i32 = 5;
    let mut reply = Vec::from(16_u32.to_ne_bytes());
    reply.extend_from_slice(&(-EIO).to_ne_bytes());
    reply.extend_from_slice(&unique.to_ne_bytes());
    (&mut &*kernel).write_all(&reply)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn requests_in_hand_are_read_back_wherever_they_are() {
        let ours = InHand::new().unwrap();
        let theirs = InHand::of(ours.files().unwrap()).unwrap();
        assert_eq!(ours.read().unwrap(), Vec::new());
        let request = |unique: u64, len: u32| {
            let mut bytes = vec![7; len as usize];
            bytes.splice(
                ..24,
                [len.to_ne_bytes().to_vec(), vec![0; 4], [unique, 5].map(u64::to_ne_bytes).concat()].concat(),
            );
            bytes
        };
        // A pipe in place of the kernel.
        let (from, to) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (from, mut to) = (File::from(from), File::from(to));
        to.write_all(&request(4, 60)).unwrap();
        let mut buf = Vec::new();
        let len = theirs.take(0, &from).unwrap();
        assert_eq!(theirs.request(0, len, &mut buf).unwrap(), request(4, 60));
        theirs.put(3, &request(6, 60_000)).unwrap();
        theirs.put(63, &request(8, 40)).unwrap();
        theirs.clear(63).unwrap();
        let short = Held { slot: 0, unique: 4, node: 5, request: request(4, 60) };
        assert_eq!(ours.read().unwrap(), [short, Held { slot: 3, unique: 6, node: 5, request: Vec::new() }]);
        // A worker may write anything.
        ours.file.write_all_at(&[0xff; 4096], offset(1)).unwrap();
        ours.file.write_all_at(&[9, 0, 0, 0], offset(2)).unwrap();
        assert_eq!(ours.read().unwrap().len(), 4);
        // Killed between the two steps.
        theirs.next.lock().unwrap().0.write_all(&request(10, 48)).unwrap();
        drop(theirs);
        assert_eq!(ours.left().unwrap(), Some(Held { slot: SLOTS, unique: 10, node: 5, request: request(10, 48) }));
    }
}
