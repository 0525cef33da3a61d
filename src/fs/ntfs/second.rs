//! The second, independent reader of NTFS: the crate `ntfs`, over the same bytes. Hostile bytes make
//! it panic or go round in an index, so each call is caught and may read only so much.
use crate::base::Name;
use crate::fs::{NodeKind, SecondEntry, SecondReader};
use crate::image::{Cursor, Source};
use ntfs::attribute_value::NtfsAttributeValue;
use ntfs::structured_values::NtfsFileNamespace;
use ntfs::{Ntfs, NtfsAttributeFlags, NtfsAttributeType, NtfsFile, NtfsReadSeek};
use std::collections::HashMap;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes that listing one directory may read.
const MAX_LISTING: u64 = 4 << 30;
/// Bytes handed on at once.
const PIECE: usize = 256 << 10;

/// A cursor that ends when too much was read through it.
struct Limited<'a> {
    inner: Cursor<'a>,
    left: u64,
}
impl Read for Limited<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(buf.len() as u64).ok_or_else(|| io::Error::other("budget: bytes"))?;
        self.inner.read(buf)
    }
}
impl Seek for Limited<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

struct View<'v> {
    source: &'v Source,
    ntfs: Ntfs,
    /// Records of the directories listed so far, by path.
    known: HashMap<Name, u64>,
}

fn caught<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("fault in the second reader".to_owned()))
}
fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn open(source: &Source) -> Result<Box<dyn SecondReader + '_>, String> {
    let ntfs = caught(|| Ntfs::new(&mut Cursor::new(&**source)).map_err(told))?;
    Ok(Box::new(View { source, ntfs, known: HashMap::new() }))
}

impl View<'_> {
    fn cursor(&self, left: u64) -> Limited<'_> {
        Limited { inner: Cursor::new(&**self.source), left }
    }
    /// The record at a path: every directory is listed before what lies in it.
    fn number(&self, path: &Name) -> Result<u64, String> {
        if path.bytes() == b"/" {
            return Ok(super::survey::ROOT);
        }
        self.known.get(path).copied().ok_or_else(|| "not listed".to_owned())
    }
    fn entries(&self, dir: u64) -> Result<Vec<(SecondEntry, u64)>, String> {
        let mut fs = self.cursor(MAX_LISTING);
        let file = self.ntfs.file(&mut fs, dir).map_err(told)?;
        let index = file.directory_index(&mut fs).map_err(told)?;
        let mut iter = index.entries();
        let mut out = Vec::new();
        while let Some(entry) = iter.next(&mut fs) {
            let entry = entry.map_err(told)?;
            let Some(key) = entry.key() else { continue };
            let key: ntfs::structured_values::NtfsFileName = key.map_err(told)?;
            if key.namespace() == NtfsFileNamespace::Dos {
                continue;
            }
            let name = super::raw::name(key.name().0);
            let number = entry.file_reference().file_record_number();
            if name == b"." {
                continue;
            }
            out.push((name, number));
        }
        let mut all = Vec::new();
        for (name, number) in out {
            let file = self.ntfs.file(&mut fs, number).map_err(|e| format!("{}: {e}", Name::new(&name)))?;
            let mut entry = SecondEntry { name: Name::new(&name), kind: NodeKind::Directory.as_str(), len: 0 };
            if !file.is_directory() {
                entry.kind = NodeKind::File.as_str();
                entry.len = match file.data(&mut fs, "") {
                    Some(item) => item.and_then(|i| Ok(i.to_attribute()?.value_length())).map_err(told)?,
                    None => 0,
                };
            }
            all.push((entry, number));
        }
        Ok(all)
    }
    fn content(&self, number: u64, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String> {
        let mut fs = self.cursor(u64::MAX);
        let file: NtfsFile<'_> = self.ntfs.file(&mut fs, number).map_err(told)?;
        let Some(item) = file.data(&mut fs, "") else { return Ok(()) };
        let item = item.map_err(told)?;
        let attribute = item.to_attribute().map_err(told)?;
        if attribute.flags().intersects(NtfsAttributeFlags::COMPRESSED | NtfsAttributeFlags::ENCRYPTED) {
            return Err("it reads neither compressed nor encrypted streams".to_owned());
        }
        if file.attributes_raw().any(|a| a.is_ok_and(|a| matches!(a.ty(), Ok(NtfsAttributeType::AttributeList)))) {
            return Err("it does not read attribute lists".to_owned());
        }
        let mut value: NtfsAttributeValue<'_, '_> = attribute.value(&mut fs).map_err(told)?;
        let mut piece = vec![0; PIECE];
        loop {
            let n = value.read(&mut fs, &mut piece).map_err(told)?;
            if n == 0 || !each(piece.get(..n).unwrap_or_default()) {
                return Ok(());
            }
        }
    }
}

impl SecondReader for View<'_> {
    fn name(&self) -> &'static str {
        "ntfs"
    }
    fn list(&mut self, dir: &Name) -> Result<Vec<SecondEntry>, String> {
        let number = self.number(dir)?;
        let found = caught(|| self.entries(number))?;
        let mut out = Vec::new();
        for (entry, number) in found {
            self.known.insert(dir.join(entry.name.bytes()), number);
            out.push(entry);
        }
        out.sort();
        Ok(out)
    }
    fn read(&mut self, path: &Name, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String> {
        let number = self.number(path)?;
        caught(|| self.content(number, each))
    }
}
