//! Firmware of routers in their makers' wrappings: a header that names the board and leads to kernel and root.
//! Formats: OpenWrt's wiki and its firmware tools' documentation for SEAMA (D-Link and others), Broadcom's image tag,
//! TP-Link's headers of version 1 and 2, Netgear's CHK; D-Link's SHRS and Buffalo's wrapping are encrypted.
use super::{BY, Body, File, Parts, info, label};
use crate::base::{Gaps, Run, hex};
use crate::fs::FsError;
use crate::fs::raw::{be32_at, corrupt, size as bytes};
use crate::image::{Source, read_exact};
use md5::Digest as _;

/// Longest image whose checksum is computed.
const LONGEST: u64 = 128 << 20;
/// Bytes of the longest header.
const HEAD: u64 = 512;
/// Parts of one SEAMA file.
const MAX_PARTS: usize = 16;
/// Bytes of SEAMA's texts.
const MAX_META: u64 = 4096;

/// A header that was understood.
struct Wrapping {
    what: &'static str,
    label: String,
    features: Vec<String>,
    parts: Vec<(&'static str, Run)>,
    /// Bytes of it all.
    size: u64,
    /// What of it is compared: the run, and how.
    check: Option<Check>,
    /// It is encrypted: nothing of it can be read.
    sealed: bool,
}
enum Check {
    Md5(Run, Vec<u8>),
    /// CRC-32 that is not inverted at its end.
    Crc(Run, u32),
    /// Netgear's sum.
    Netgear(Run, u32),
}

fn number(head: &[u8], at: usize) -> Option<u64> {
    be32_at(head, at).map(u64::from)
}
/// A number in decimal digits, in a field that ends with a zero.
fn decimal(head: &[u8], at: usize, len: usize) -> Option<u64> {
    let field = head.get(at..at.checked_add(len)?)?.split(|b| *b == 0).next()?;
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}
fn text(head: &[u8], at: usize, len: usize) -> String {
    label(head.get(at..at.saturating_add(len)).unwrap_or_default())
}

fn wrapping(source: &Source) -> Option<Wrapping> {
    let len = source.len().min(HEAD);
    let mut head = read_exact(&**source, 0, bytes(len)).ok()??;
    if head.len() < 64 {
        return None;
    }
    head.resize(bytes(HEAD), 0);
    let found = match head.first_chunk::<4>()? {
        [0x5e, 0xa3, 0xa4, 0x17] => seama(source),
        b"*#$^" => netgear(&head),
        b"SHRS" => sealed(&head, "D-Link SHRS", number(&head, 4)?, number(&head, 8)?),
        b"bgn\0" => sealed(&head, "Buffalo", 1, source.len()),
        [1, 0, 0, 0] if head.get(4..)?.starts_with(b"TP-LINK Technologies") => tplink(&head, 1),
        [2, 0, 0, 0] => tplink(&head, 2),
        _ if head.get(4..)?.starts_with(b"Broadcom Corporatio") => broadcom(&head),
        _ => None,
    }?;
    let inside = found.parts.iter().all(|(_, run)| run.len > 0 && run.offset < source.len());
    (inside && (!found.parts.is_empty() || found.sealed)).then_some(found)
}

fn sealed(_: &[u8], what: &'static str, plain: u64, stored: u64) -> Option<Wrapping> {
    (plain > 0 && stored >= 64).then(|| Wrapping {
        what,
        label: String::new(),
        features: vec!["encrypted".to_owned()],
        parts: Vec::new(),
        size: stored,
        check: None,
        sealed: true,
    })
}

/// Several headers one after the other: magic, length of texts, length of an image with its MD5 in front of the texts.
fn seama(source: &Source) -> Option<Wrapping> {
    let mut found = Wrapping {
        what: "SEAMA",
        label: String::new(),
        features: Vec::new(),
        parts: Vec::new(),
        size: 0,
        check: None,
        sealed: false,
    };
    let mut at = 0_u64;
    for _ in 0..MAX_PARTS {
        let Some(head) = read_exact(&**source, at, 12).ok()? else { break };
        if !head.starts_with(&[0x5e, 0xa3, 0xa4, 0x17]) {
            break;
        }
        let meta = head.get(6..8)?.first_chunk().map(|b| u64::from(u16::from_be_bytes(*b)))?;
        let size = number(&head, 8)?;
        if meta > MAX_META {
            return None;
        }
        // The seal in front of all has texts and no image.
        let sum = if size > 0 { 16 } else { 0 };
        let texts_at = at.saturating_add(12).saturating_add(sum);
        let Some(texts) = read_exact(&**source, texts_at, bytes(meta)).ok()? else { break };
        for one in texts.split(|b| *b == 0).filter(|t| !t.is_empty()) {
            let shown = label(one);
            if let Some(signature) = shown.strip_prefix("signature=") {
                signature.clone_into(&mut found.label);
            }
            found.features.push(shown);
        }
        let start = texts_at.saturating_add(meta);
        if size > 0 {
            let run = Run::new(start, size);
            found.parts.push(("image", run));
            let stored = read_exact(&**source, at.saturating_add(12), 16).ok()?;
            found.check = found.check.or(stored.map(|md5| Check::Md5(run, md5)));
        }
        at = start.saturating_add(size);
    }
    found.features.dedup();
    found.size = at;
    Some(found)
}

/// Texts in fixed fields; lengths in decimal digits; the tag's own sum at byte 236.
fn broadcom(head: &[u8]) -> Option<Wrapping> {
    const TAG: u64 = 256;
    let stored = be32_at(head, 236)?;
    if !crc32fast::hash(head.get(..236)?) != stored {
        return None;
    }
    let field = |at, len| decimal(head, at, len);
    let (total, loader, root, kernel) = (field(62, 10)?, field(84, 10)?, field(106, 10)?, field(128, 10)?);
    let (root_at, kernel_at) = (field(94, 12)?, field(116, 12)?);
    let mut parts = Vec::new();
    let mut at = TAG;
    if loader > 0 {
        parts.push(("boot-loader", Run::new(at, loader)));
        at = at.saturating_add(loader);
    }
    // The addresses tell which of the two comes first.
    let mut both = [("root", root_at, root), ("kernel", kernel_at, kernel)];
    both.sort_by_key(|(_, address, _)| *address);
    for (name, _, len) in both.into_iter().filter(|(_, _, len)| *len > 0) {
        parts.push((name, Run::new(at, len)));
        at = at.saturating_add(len);
    }
    Some(Wrapping {
        what: "Broadcom image tag",
        label: text(head, 44, 16),
        features: vec![format!("chip={}", text(head, 38, 6)), format!("tag-version={}", text(head, 0, 4))],
        parts,
        size: total.saturating_add(TAG).max(at),
        // The sum of the image stands at byte 216, over what follows the tag.
        check: be32_at(head, 216).filter(|sum| *sum != 0).map(|sum| Check::Crc(Run::new(TAG, total), sum)),
        sealed: false,
    })
}

fn tplink(head: &[u8], version: u8) -> Option<Wrapping> {
    // Where the fields of both versions stand: name, hardware, length, then offsets and lengths of the parts.
    let (name, hardware, total, table) = if version == 1 { (28, 64, 124, 128) } else { (4, 52, 112, 116) };
    let model = number(head, hardware)?;
    let size = number(head, total)?;
    let part = |n: usize| {
        let at = n.checked_mul(8)?.checked_add(table)?;
        Some(Run::new(number(head, at)?, number(head, at.checked_add(4)?)?))
    };
    let named = ["kernel", "root", "boot-loader"];
    let mut parts = Vec::new();
    for (n, name) in named.into_iter().enumerate() {
        let run = part(n)?;
        // A part that is not there has no length.
        if run.len > 0 {
            if run.offset < HEAD || run.offset.checked_add(run.len)? > size.max(HEAD) {
                return None;
            }
            parts.push((name, run));
        }
    }
    let shown = text(head, name, if version == 1 { 36 } else { 48 });
    if model == 0 || size < HEAD || !shown.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return None;
    }
    Some(Wrapping {
        what: if version == 1 { "TP-Link firmware, version 1" } else { "TP-Link firmware, version 2" },
        label: shown,
        features: vec![
            format!("hardware={model:08x}"),
            format!("revision={:x}", number(head, hardware.checked_add(4)?)?),
        ],
        parts,
        size,
        check: None,
        sealed: false,
    })
}

fn netgear(head: &[u8]) -> Option<Wrapping> {
    let len = number(head, 4).filter(|len| (41..=256).contains(len))?;
    let (kernel, root) = (number(head, 24)?, number(head, 28)?);
    let mut parts = vec![("kernel", Run::new(len, kernel))];
    if root > 0 {
        parts.push(("root", Run::new(len.checked_add(kernel)?, root)));
    }
    let whole = Run::new(len, kernel.checked_add(root)?);
    Some(Wrapping {
        what: "Netgear CHK",
        label: text(head, 40, bytes(len).checked_sub(40)?),
        features: vec![format!("version={}", hex(head.get(9..16)?))],
        parts,
        size: whole.end(),
        check: Some(Check::Netgear(whole, be32_at(head, 32)?)),
        sealed: false,
    })
}

/// Two sums, the second one of the first, folded into 16 bits each.
fn netgear_sum(data: &[u8]) -> u32 {
    let (mut low, mut high) = (0_u32, 0_u32);
    for byte in data {
        low = low.wrapping_add(u32::from(*byte));
        high = high.wrapping_add(low);
    }
    let fold = |n: u32| {
        let once = (n & 0xffff).wrapping_add(n >> 16);
        (once >> 16).wrapping_add(once) & 0xffff
    };
    fold(high) << 16 | fold(low)
}

pub(super) fn size(source: &Source) -> Option<u64> {
    wrapping(source).map(|w| w.size.min(source.len()))
}

pub(super) fn open(source: &Source, gaps: &Gaps) -> Result<Parts, FsError> {
    let found = wrapping(source).ok_or_else(|| corrupt(0, "no header of a router's firmware that holds"))?;
    if found.sealed {
        let what = format!("{} firmware is encrypted by its maker: nothing of it can be read", found.what);
        return Err(FsError::Unsupported(what));
    }
    if let Some(check) = &found.check {
        compare(source, check, found.what, gaps)?;
    }
    let file = |(name, run): &(&str, Run)| File { name: (*name).to_owned(), body: Body::Run(*run) };
    let files = found.parts.iter().map(file).collect();
    let mut features = found.features;
    features.push(format!("wrapping={}", found.what));
    Ok(Parts { files, info: info("router-firmware", found.label, None, features), size: found.size })
}

fn compare(source: &Source, check: &Check, what: &str, gaps: &Gaps) -> Result<(), FsError> {
    let (Check::Md5(run, _) | Check::Crc(run, _) | Check::Netgear(run, _)) = check;
    if run.len > LONGEST {
        gaps.add_at(BY, "volume_offset", run.offset, format!("{what}: too long for its checksum to be computed"), 0);
        return Ok(());
    }
    // What lies beyond the volume is told by whoever cuts the file.
    let Some(data) = read_exact(&**source, run.offset, bytes(run.len))? else { return Ok(()) };
    let fits = match check {
        Check::Md5(_, stored) => md5::Md5::digest(&data).as_slice() == stored.as_slice(),
        Check::Crc(_, stored) => !crc32fast::hash(&data) == *stored,
        Check::Netgear(_, stored) => netgear_sum(&data) == *stored,
    };
    if !fits {
        gaps.add_at(BY, "volume_offset", run.offset, format!("{what}: the image does not fit its checksum"), run.len);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::fs::{Options, recognise};
    use std::sync::Arc;

    fn be(n: usize) -> [u8; 4] {
        u32::try_from(n).unwrap().to_be_bytes()
    }
    fn parts() -> (Vec<u8>, Vec<u8>) {
        let noise = |seed: u32, len: u32| -> Vec<u8> {
            (0..len).map(|n| (n.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 13).to_le_bytes()[0]).collect()
        };
        (noise(1, 3001), noise(7, 2003))
    }
    fn put(head: &mut [u8], at: usize, field: &[u8]) {
        head[at..at + field.len()].copy_from_slice(field);
    }

    fn seama() -> Vec<u8> {
        let (kernel, _) = parts();
        let texts = |text: &[u8]| text.to_vec();
        let (seal, own) = (texts(b"signature=crane_gw7\0"), texts(b"type=firmware\0dev=/dev/mtdblock/2\0"));
        let mut out = [&[0x5e, 0xa3, 0xa4, 0x17, 0, 0][..], &[0, 20], &be(0), &seal].concat();
        out.extend([0x5e, 0xa3, 0xa4, 0x17, 0, 0, 0, u8::try_from(own.len()).unwrap()]);
        out.extend(be(kernel.len()));
        out.extend(md5::Md5::digest(&kernel));
        out.extend([own, kernel].concat());
        out
    }
    fn broadcom() -> Vec<u8> {
        let (kernel, root) = parts();
        let mut tag = vec![0; 256];
        let image = [root.clone(), kernel.clone()].concat();
        for (at, field) in [
            (0, "6".to_owned()),
            (4, "Broadcom Corporatio".into()),
            (38, "6328".into()),
            (44, "96328CRANE".into()),
            (60, "1".into()),
            (62, image.len().to_string()),
            (72, "0".into()),
            (84, "0".into()),
            (94, "3217096960".into()),
            (106, root.len().to_string()),
            (116, "3217200000".into()),
            (128, kernel.len().to_string()),
        ] {
            put(&mut tag, at, field.as_bytes());
        }
        put(&mut tag, 216, &(!crc32fast::hash(&image)).to_be_bytes());
        let sum = !crc32fast::hash(&tag[..236]);
        put(&mut tag, 236, &sum.to_be_bytes());
        [tag, image].concat()
    }
    fn tplink(version: u8) -> Vec<u8> {
        let (kernel, root) = parts();
        let mut head = vec![0; 512];
        head[0] = version;
        let (hardware, total, table) = if version == 1 { (64, 124, 128) } else { (52, 112, 116) };
        if version == 1 {
            put(&mut head, 4, b"TP-LINK Technologies");
        }
        put(&mut head, if version == 1 { 28 } else { 4 }, b"ver. 1.0");
        put(&mut head, hardware, &be(0x1043_0001));
        put(&mut head, hardware + 4, &be(1));
        put(&mut head, total, &be(512 + kernel.len() + root.len()));
        for (n, (at, len)) in [(512, kernel.len()), (512 + kernel.len(), root.len()), (0, 0)].iter().enumerate() {
            put(&mut head, table + 8 * n, &[be(*at), be(*len)].concat());
        }
        [head, kernel, root].concat()
    }
    fn netgear() -> Vec<u8> {
        let (kernel, root) = parts();
        let board = b"U12H332T20_NETGEAR";
        let mut head = vec![0; 40];
        put(&mut head, 0, b"*#$^");
        put(&mut head, 4, &be(40 + board.len()));
        put(&mut head, 24, &[be(kernel.len()), be(root.len())].concat());
        let image = [kernel, root].concat();
        put(&mut head, 32, &netgear_sum(&image).to_be_bytes());
        [head, board.to_vec(), image].concat()
    }
    fn opened(bytes: Vec<u8>) -> (Vec<(String, Vec<u8>)>, String, usize) {
        let source: Source = Arc::new(bytes);
        let format = recognise(&source).unwrap();
        assert_eq!((format.name, (format.size)(&source)), ("router-firmware", Some(source.len())));
        let options = Options::default();
        let fs = (format.open)(&source, &options).unwrap();
        let mut files = Vec::new();
        fs.read_dir(fs.root(), &mut |e| {
            let file = fs.open(e.node, crate::fs::Stream::Data).unwrap();
            let mut content = vec![0; bytes_of(&file)];
            file.read_at(0, &mut content).unwrap();
            files.push((e.name.display(), content));
        })
        .unwrap();
        (files, fs.info().label.clone(), options.gaps.take().len())
    }
    fn bytes_of(source: &Source) -> usize {
        usize::try_from(source.len()).unwrap()
    }

    #[test]
    fn every_wrapping_gives_its_parts_and_is_checked() {
        let (kernel, root) = parts();
        let named = |a: &str, b: &[u8]| (a.to_owned(), b.to_vec());
        for (bytes, files, board, checked) in [
            (seama(), vec![named("image", &kernel)], "crane_gw7", true),
            (broadcom(), vec![named("root", &root), named("kernel", &kernel)], "96328CRANE", true),
            (tplink(1), vec![named("kernel", &kernel), named("root", &root)], "ver. 1.0", false),
            (tplink(2), vec![named("kernel", &kernel), named("root", &root)], "ver. 1.0", false),
            (netgear(), vec![named("kernel", &kernel), named("root", &root)], "U12H332T20_NETGEAR", true),
        ] {
            assert_eq!(opened(bytes.clone()), (files, board.to_owned(), 0));
            let mut wrong = bytes.clone();
            let last = wrong.len() - 10;
            wrong[last] ^= 1;
            assert_eq!(opened(wrong).2, usize::from(checked), "{board}");
            for len in (0..bytes.len().min(700)).chain((700..bytes.len()).step_by(301)) {
                let source: Source = Arc::new(bytes[..len].to_vec());
                if (super::super::VENDOR.probe)(&source) {
                    let options = Options::default();
                    if (super::super::VENDOR.open)(&source, &options).is_ok() {
                        assert!(!options.gaps.take().is_empty() || board == "crane_gw7", "{board} {len}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_encrypted_is_said_to_be() {
        let head = [&b"SHRS"[..], &be(5000), &be(5008), &[7; 2000]].concat();
        let source: Source = Arc::new(head);
        let format = recognise(&source).unwrap();
        let Err(FsError::Unsupported(what)) = (format.open)(&source, &Options::default()) else { panic!("opened") };
        assert!(what.contains("encrypted by its maker"), "{what}");
    }

    #[test]
    fn the_sum_folds_its_carries() {
        // Adler-like sums by hand: 1, 2, 3 → 6 and 1 + 3 + 6.
        assert_eq!(netgear_sum(&[1, 2, 3]), 10 << 16 | 6);
        let long = vec![0xff; 70_000];
        let low = 70_000_u64 * 255;
        let fold = |n: u64| {
            let once = (n & 0xffff) + (n >> 16 & 0xffff);
            ((once >> 16) + once) & 0xffff
        };
        assert_eq!(u64::from(netgear_sum(&long) & 0xffff), fold(low & 0xffff_ffff));
    }
}
