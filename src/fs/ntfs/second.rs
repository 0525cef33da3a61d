//! The second, independent reader of NTFS: the crate `ntfs`, over the same bytes. Hostile bytes make
//! it panic or go round in an index, so each call is caught and may read only so much.
use super::reparse::{self, Meaning};
use crate::base::Name;
use crate::fs::{NodeKind, SecondEntry, SecondReader};
use crate::image::{Cursor, Source};
use ntfs::attribute_value::NtfsAttributeValue;
use ntfs::structured_values::{NtfsFileAttributeFlags, NtfsFileNamespace};
use ntfs::{Ntfs, NtfsAttributeFlags, NtfsAttributeType, NtfsFile, NtfsReadSeek};
use std::collections::HashMap;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Bytes that listing one directory may read.
const MAX_LISTING: u64 = 4 << 30;
/// Number of `$Boot`, the one file that begins at the volume's first cluster.
const BOOT: u64 = 7;
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
    /// Names of those that are streams.
    streams: HashMap<Name, Vec<u8>>,
}

/// An entry, its record, and its stream's name.
type Found = (SecondEntry, u64, Vec<u8>);

fn caught<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err("fault in the second reader".to_owned()))
}
fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

pub(super) fn open(source: &Source) -> Result<Box<dyn SecondReader + '_>, String> {
    let ntfs = caught(|| Ntfs::new(&mut Cursor::new(&**source)).map_err(told))?;
    Ok(Box::new(View { source, ntfs, known: HashMap::new(), streams: HashMap::new() }))
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
    fn entries(&self, dir: u64) -> Result<Vec<Found>, String> {
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
            Self::describe(&file, &name, &mut fs, &mut all)?;
        }
        if dir == super::survey::ROOT {
            let named = all.len();
            Self::describe(&file, b"", &mut fs, &mut all)?;
            // Only the streams of the root itself.
            all.remove(named);
        }
        Ok(all)
    }
    /// The entry of a file under a name, then those of its named streams.
    fn describe(file: &NtfsFile<'_>, name: &[u8], fs: &mut Limited<'_>, all: &mut Vec<Found>) -> Result<(), String> {
        let number = file.file_record_number();
        let is_system = file.info().is_ok_and(|i| i.file_attributes().contains(NtfsFileAttributeFlags::SYSTEM));
        let mut meaning = Meaning::Plain;
        let mut len = 0;
        let mut streams = Vec::new();
        let mut attributes = file.attributes();
        while let Some(item) = attributes.next(fs) {
            let item = item.map_err(told)?;
            let attribute = item.to_attribute().map_err(told)?;
            let Ok(kind) = attribute.ty() else { continue };
            let stream = super::raw::name(attribute.name().map_err(told)?.0);
            if kind == NtfsAttributeType::ReparsePoint {
                let mut bytes = vec![0; usize::try_from(attribute.value_length().min(1 << 16)).unwrap_or(0)];
                let n = attribute.value(fs).and_then(|mut v| v.read(fs, &mut bytes)).map_err(told)?;
                bytes.truncate(n);
                meaning = reparse::of_point(&bytes).unwrap_or(Meaning::Plain);
            } else if kind == NtfsAttributeType::Data && stream.is_empty() {
                len = attribute.value_length();
                if is_system && meaning == Meaning::Plain && (9..1 << 16).contains(&len) {
                    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
                    attribute.value(fs).and_then(|mut v| v.read(fs, &mut bytes)).map_err(told)?;
                    meaning = reparse::interix(&bytes).unwrap_or(Meaning::Plain);
                }
            } else if kind == NtfsAttributeType::Data {
                streams.push((stream, attribute.value_length()));
            }
        }
        let (kind, len) = match &meaning {
            Meaning::Link(target) => (NodeKind::Symlink, target.len() as u64),
            Meaning::Special(kind, _) => (*kind, 0),
            _ if file.is_directory() => (NodeKind::Directory, 0),
            _ => (NodeKind::File, len),
        };
        all.push((SecondEntry { name: Name::new(name), kind: kind.as_str(), len }, number, Vec::new()));
        if matches!(meaning, Meaning::Wof(_)) {
            streams.retain(|s| s.0 != super::file::WOF_STREAM);
        }
        for (stream, len) in streams {
            let name = Name::from([name, b":", &stream].concat());
            all.push((SecondEntry { name, kind: NodeKind::File.as_str(), len }, number, stream));
        }
        Ok(())
    }
    fn content(&self, number: u64, stream: &[u8], each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String> {
        if number == BOOT {
            return Err("it takes the first cluster of the volume for a hole".to_owned());
        }
        let mut fs = self.cursor(u64::MAX);
        let file: NtfsFile<'_> = self.ntfs.file(&mut fs, number).map_err(told)?;
        let mut attributes = file.attributes();
        let item = loop {
            let Some(item) = attributes.next(&mut fs) else { return Ok(()) };
            let item = item.map_err(told)?;
            let attribute = item.to_attribute().map_err(told)?;
            let is_data = matches!(attribute.ty(), Ok(NtfsAttributeType::Data));
            if is_data && super::raw::name(attribute.name().map_err(told)?.0) == stream {
                break item;
            }
        };
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
        for (entry, number, stream) in found {
            let path = dir.join(entry.name.bytes());
            if !stream.is_empty() {
                self.streams.insert(path.clone(), stream);
            }
            self.known.insert(path, number);
            out.push(entry);
        }
        out.sort();
        Ok(out)
    }
    fn read(&mut self, path: &Name, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), String> {
        let number = self.number(path)?;
        // What stands behind the colon, where the record itself has no such name.
        let stream = self.streams.get(path).cloned().unwrap_or_default();
        caught(|| self.content(number, &stream, each))
    }
}
