//! Packages of rpm: a lead, a header of digests, the header of the package, and a compressed cpio archive.
//! Format: rpm.org, "Package format V3/V4".
use super::Reading;
use crate::base::{Digest, Md5, Run, hex};
use crate::format::rpm::{Header, tag};
use crate::image::{Slice, Source, read_exact};
use crate::inventory::{PackageManifest, PackagedFile};
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) const MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
/// What a header begins with; four bytes of zeros follow.
const HEADER: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
const LEAD: u64 = 96;
/// SHA-256 in the numbers of OpenPGP, which rpm uses.
const SHA256: u64 = 8;
const PAYLOAD_DIGEST: u32 = 5092;
const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;
/// Flags of files: configuration; listed, but not shipped.
const CONFIG: u64 = 1;
const GHOST: u64 = 64;

/// A header's bytes without its magic, and where it ends.
fn header(source: &Source, at: u64, what: &str) -> Result<(Vec<u8>, u64), String> {
    let short = || format!("cut short: its {what} is missing");
    let read = |at: u64, len: u64| {
        let len = usize::try_from(len).map_err(|_| short())?;
        read_exact(&**source, at, len).map_err(|e| e.to_string())?.ok_or_else(short)
    };
    let head = read(at, 16)?;
    if !head.starts_with(&HEADER) {
        return Err(format!("damaged: its {what} does not begin like one"));
    }
    let word = |from: usize| head.get(from..).and_then(|b| b.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b));
    let len = u64::from(word(8)).saturating_mul(16).saturating_add(u64::from(word(12))).saturating_add(8);
    if len > super::LONGEST {
        return Err(format!("damaged: its {what} says that it has {len} bytes"));
    }
    Ok((read(at.saturating_add(8), len)?, at.saturating_add(8).saturating_add(len)))
}

pub(super) fn read(reading: &Reading, source: &Source) -> Result<PackageManifest, String> {
    let (signature, end) = header(source, LEAD, "signature header")?;
    let at = end.next_multiple_of(8);
    let (blob, payload) = header(source, at, "header")?;
    let signed = Header::parse(&signature).map_err(|e| format!("damaged: its signature header: {e}"))?;
    let own = Header::parse(&blob).map_err(|e| format!("damaged: its header: {e}"))?;
    let digest = signed.text(tag::SHA256_HEADER);
    if !digest.is_empty() && hex(&Sha256::new().chain_update(HEADER).chain_update(&blob).finalize()) != digest {
        return Err("it contradicts itself: its header has not the SHA-256 that its signature header lists".into());
    }
    let packed: Source =
        Arc::new(Slice::new(source.clone(), Run { offset: payload, len: source.len().saturating_sub(payload) }));
    let digest = own.text(PAYLOAD_DIGEST);
    if !digest.is_empty() && own.number(PAYLOAD_DIGEST_ALGORITHM) == Some(SHA256) && sha256(&packed)? != digest {
        return Err("it contradicts itself: its payload has not the SHA-256 that its header lists".into());
    }
    let version = format!("{}-{}", own.text(tag::VERSION), own.text(tag::RELEASE));
    let mut manifest = PackageManifest {
        family: "rpm".into(),
        name: own.text(tag::NAME),
        version: own.number(tag::EPOCH).map_or_else(|| version.clone(), |epoch| format!("{epoch}:{version}")),
        architecture: own.text(tag::ARCH),
        scripts: tag::SCRIPTS.iter().filter(|(t, ..)| own.has(*t)).map(|(.., name)| (*name).to_owned()).collect(),
        files: Vec::new(),
    };
    let contents = if own.has(tag::BASE_NAMES) {
        let tree = reading.tree(&packed, "cpio").map_err(|e| format!("its payload: {e}"))?;
        reading.whole().map_err(|e| format!("its payload: {e}"))?;
        tree.files().map_err(|e| format!("its payload: {e}"))?
    } else {
        Vec::new()
    };
    let mut contents: HashMap<String, _> =
        contents.into_iter().map(|(f, sums)| (f.path.display(), (f, sums))).collect();
    let is_sha256 = own.number(tag::FILE_DIGEST_ALGORITHM) == Some(SHA256);
    for listed in listed(&own) {
        let path = listed.file.path.display();
        let mut file = listed.file;
        if let Some((shipped, sums)) = contents.remove(&path) {
            let sum = sums.map(|s| if is_sha256 { s.sha256.to_string() } else { s.md5.to_string() });
            let known = is_sha256 || Md5::parse(&listed.digest).is_some();
            if let Some(sum) = sum
                && known
                && !listed.digest.is_empty()
                && sum != listed.digest
            {
                return Err(format!("it contradicts itself: {path} has not the digest that its header lists"));
            }
            file.sha256 = sums.map(|s| s.sha256);
            if file.kind == "symlink" && shipped.target != file.target {
                return Err(format!("it contradicts itself: {path} leads elsewhere than its header lists"));
            }
        } else if file.kind == "file" {
            // A further name of a hard link has its bytes with the last of them.
            file.sha256 = Digest::parse(&listed.digest).filter(|_| is_sha256);
            file.config |= listed.is_ghost;
        }
        manifest.files.push(file);
    }
    if let Some(path) = contents.keys().min() {
        return Err(format!("it contradicts itself: {path} is in its payload and not in its header"));
    }
    Ok(manifest)
}

struct Listed {
    file: PackagedFile,
    digest: String,
    is_ghost: bool,
}

/// Files and symlinks that a header lists.
fn listed(header: &Header<'_>) -> Vec<Listed> {
    let (names, folders) = (header.texts(tag::BASE_NAMES), header.texts(tag::DIR_NAMES));
    let (indexes, modes) = (header.numbers(tag::DIR_INDEXES), header.numbers(tag::FILE_MODES));
    let (digests, targets) = (header.texts(tag::FILE_DIGESTS), header.texts(tag::FILE_LINK_TOS));
    let (flags, users) = (header.numbers(tag::FILE_FLAGS), header.texts(tag::FILE_USER_NAMES));
    let groups = header.texts(tag::FILE_GROUP_NAMES);
    let root = |names: &[&[u8]], n: usize| names.get(n).is_some_and(|name| *name == b"root").then_some(0);
    let one = |(n, name): (usize, &&[u8])| {
        let folder = folders.get(usize::try_from(*indexes.get(n)?).ok()?)?;
        let mode = *modes.get(n)?;
        let kind = match mode & 0o170_000 {
            0o100_000 => "file",
            0o120_000 => "symlink",
            _ => return None,
        };
        let flag = flags.get(n).copied().unwrap_or(0);
        let is_link = kind == "symlink";
        let target = targets.get(n).filter(|_| is_link).map(|t| crate::base::Name::new(t));
        let file = PackagedFile {
            path: crate::base::Name::new(&[folder, *name].concat()),
            kind: kind.into(),
            mode: u16::try_from(mode & 0o7777).ok().filter(|_| !is_link),
            uid: root(&users, n),
            gid: root(&groups, n),
            target,
            config: flag & CONFIG != 0,
            sha256: None,
        };
        let digest = digests.get(n).map(|d| String::from_utf8_lossy(d).into_owned()).unwrap_or_default();
        Some(Listed { file, digest, is_ghost: flag & GHOST != 0 })
    };
    names.iter().enumerate().filter_map(one).collect()
}

fn sha256(source: &Source) -> Result<String, String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut at = 0_u64;
    loop {
        let n = source.read_at(at, &mut buffer).map_err(|e| e.to_string())?;
        if n == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(buffer.get(..n).unwrap_or_default());
        at = at.saturating_add(n as u64);
    }
}
