//! Makes images out of folders, and finds structures in them.
use crate::look::{Image, Look, run, tool};
use cranescope::image::Source;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

pub(super) const TOOLS: &[&str] = &["mkfs.f2fs", "sload.f2fs"];
pub(super) const BLOCK: usize = 4096;

/// A program; `CRANESCOPE_F2FS_TOOLS` names a folder with newer ones than are installed.
pub(super) fn limited(name: &str) -> Command {
    let newer = std::env::var_os("CRANESCOPE_F2FS_TOOLS").map(|dir| PathBuf::from(dir).join(name));
    let Some(program) = newer.filter(|p| p.exists()) else { return tool(name) };
    let mut command = tool("timeout");
    command.arg("60").arg(program);
    command
}

/// An empty file system.
pub(super) fn format(options: &[&str], mib: u64) -> Image {
    let image = Image::empty(mib);
    run(limited("mkfs.f2fs").args(["-q", "-f", "-l", "CRANE"]).args(options).arg(image.path()));
    image
}
/// Loads a folder; the error is what the tool says.
pub(super) fn load(image: &Image, root: &Path, options: &[&str]) -> Result<(), String> {
    let out = limited("sload.f2fs").args(["-P", "-f"]).arg(root).args(options).arg(image.path()).output().unwrap();
    let said = String::from_utf8_lossy(&[out.stdout, out.stderr].concat()).into_owned();
    let refused = said.lines().find(|l| l.contains("Error") || l.contains("not supported"));
    match refused {
        Some(line) => Err(line.trim().to_owned()),
        None if out.status.success() => Ok(()),
        None => Err(said.lines().last().unwrap_or_default().to_owned()),
    }
}
pub(super) fn make(root: &Path, options: &[&str]) -> Image {
    let image = format(options, 256);
    load(&image, root, &[]).unwrap();
    image
}

pub(super) fn look(bytes: &[u8]) -> Look {
    Look::at(&source(bytes), "f2fs").unwrap()
}
pub(super) fn source(bytes: &[u8]) -> Source {
    Arc::new(bytes.to_vec())
}

pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}
pub(super) fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
}
/// A field of the first superblock, in blocks, as a byte of the volume.
pub(super) fn area(bytes: &[u8], field: usize) -> usize {
    word(bytes, 1024 + field) as usize * BLOCK
}
pub(super) fn main_area(bytes: &[u8]) -> usize {
    area(bytes, 92)
}
/// Byte of an inode's block, by its number.
pub(super) fn inode(bytes: &[u8], ino: u32) -> usize {
    let found = (main_area(bytes)..bytes.len()).step_by(BLOCK).find(|at| {
        let footer = at + 4072;
        word(bytes, footer) == ino && word(bytes, footer + 4) == ino && word(bytes, *at) != 0
    });
    found.unwrap()
}
/// The pack in force: its first byte.
pub(super) fn checkpoint(bytes: &[u8]) -> usize {
    let first = area(bytes, 76);
    let version = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let second = first + 512 * BLOCK;
    if version(second) > version(first) { second } else { first }
}
