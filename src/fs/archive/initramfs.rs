//! What a kernel unpacks at boot: cpio archives one behind another, each plain or packed in its own way, with zeros
//! between. Later members replace earlier ones of the same name.
//! Format: the Linux kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
use super::cpio::{BY, Kind, is_member, read};
use super::tree::{Archive, Builder};
use crate::fs::raw::corrupt;
use crate::fs::{FsError, FsInfo, Options};
use crate::image::{Codec, Source, Unpacked, peek, tell};
use std::sync::Arc;

/// Zeros between two archives that are stepped over.
const PADDING: u64 = 16 << 20;
/// Archives one behind another: of a boot loader that gathers modules, each may be one.
const MAX_PARTS: usize = 4096;

/// A plain archive, or a packed one of the kind that a kernel takes.
pub(super) fn probe(source: &Source) -> bool {
    is_member(source, 0).is_some() || packed(source, 0).is_some()
}

/// The compression of the archive that begins here. Packed forms other than newc are none that a kernel takes.
fn packed(source: &Source, at: u64) -> Option<Codec> {
    let codec = Codec::at(source, at)?;
    let head = peek(source, at, codec, 1024)?;
    let inner: Source = Arc::new(head);
    matches!(is_member(&inner, 0), Some(Kind::Newc | Kind::Crc)).then_some(codec)
}

pub(super) fn open(source: &Source, options: &Options) -> Result<Archive, FsError> {
    let mut builder = Builder::new(BY, source.clone(), options.gaps.clone());
    let mut steps = options.budget.steps;
    let mut bytes = options.budget.bytes;
    let mut features: Vec<String> = Vec::new();
    let mut at = 0_u64;
    let mut parts = 0_usize;
    while let Some(next) = skip_zeros(source, at) {
        at = next;
        if parts >= MAX_PARTS {
            builder.gap(
                at,
                format!("budget: more than {MAX_PARTS} archives one behind another"),
                source.len().saturating_sub(at),
            );
            break;
        }
        if let Some(kind) = is_member(source, at) {
            builder.next_source(source.clone());
            features.push(kind.name().to_owned());
            let done = read(source, at, kind, &mut builder, &mut steps);
            at = done.end;
            if !done.whole {
                break;
            }
        } else if let Some(codec) = packed(source, at) {
            let opened = Unpacked::open(source, at, codec, bytes, &options.store);
            let (end, stopped) = (opened.end, opened.stopped.is_some());
            // What stands behind it is another archive's matter.
            let told = crate::image::Opened { behind: None, ..opened };
            tell(&told, source.len(), codec, &options.gaps);
            let inner: Source = Arc::new(told.stream);
            bytes = bytes.saturating_sub(inner.len());
            builder.next_source(inner.clone());
            features.push(format!("packed-{}", codec.name()));
            within(&inner, &mut builder, &mut features, &mut steps);
            if stopped {
                break;
            }
            at = end;
        } else {
            let rest = source.len().saturating_sub(at);
            builder.gap(at, format!("{rest} bytes of something else behind the archive"), rest);
            break;
        }
        parts = parts.saturating_add(1);
    }
    if builder.members() == 0 && parts == 0 {
        return Err(corrupt(0, "no member of cpio"));
    }
    features.sort();
    features.dedup();
    let info = FsInfo { kind: "cpio".into(), block_size: 512, clean: true, features, ..FsInfo::default() };
    Ok(builder.finish(info))
}

/// The archives of a stream that was unpacked.
fn within(inner: &Source, builder: &mut Builder, features: &mut Vec<String>, steps: &mut u64) {
    let mut at = 0;
    while let Some(next) = skip_zeros(inner, at) {
        at = next;
        let Some(kind) = is_member(inner, at) else {
            let rest = inner.len().saturating_sub(at);
            builder.gap(at, format!("{rest} unpacked bytes of something else behind the archive"), rest);
            return;
        };
        features.push(kind.name().to_owned());
        let done = read(inner, at, kind, builder, steps);
        if !done.whole || done.end <= at {
            return;
        }
        at = done.end;
    }
}

/// The first byte from `at` on that is not zero; `None` where none follows.
fn skip_zeros(source: &Source, at: u64) -> Option<u64> {
    let mut buffer = vec![0; 4096];
    let mut from = at;
    while from < source.len() && from.saturating_sub(at) <= PADDING {
        let n = source.read_at(from, &mut buffer).ok().filter(|n| *n > 0)?;
        match buffer.get(..n)?.iter().position(|b| *b != 0) {
            Some(first) => return from.checked_add(first as u64),
            None => from = from.saturating_add(n as u64),
        }
        buffer.resize(1 << 16, 0);
    }
    None
}
