//! Descriptors of the evidence from parent to worker, over a Unix socket (SCM_RIGHTS, unix(7)).
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// Descriptors a message; the kernel's limit is 253.
const BATCH: usize = 64;

/// Sends all files, a byte of data with each batch.
pub fn send_files(to: &UnixStream, files: &[File]) -> io::Result<()> {
    for batch in files.chunks(BATCH) {
        let fds: Vec<BorrowedFd<'_>> = batch.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        sendmsg(to, &[IoSlice::new(&[1])], &mut control, SendFlags::empty())?;
    }
    Ok(())
}

/// Receives exactly `count` files.
pub fn receive_files(from: &UnixStream, count: usize) -> io::Result<Vec<File>> {
    let mut files: Vec<File> = Vec::new();
    while files.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let got = recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let before = files.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(fds) = message {
                files.extend(fds.map(|fd: OwnedFd| File::from(fd)));
            }
        }
        if got.bytes == 0 || files.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(files)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn files_arrive_open_and_in_order() {
        let (a, b) = UnixStream::pair().unwrap();
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let files: Vec<File> = (0..70).map(|_| File::open(manifest).unwrap()).collect();
        send_files(&a, &files).unwrap();
        let mut got = receive_files(&b, 70).unwrap();
        let mut text = String::new();
        got.pop().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains("cranescope"));
    }
}
