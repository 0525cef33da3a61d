//! Images of the Linux kernel: which version they are, and the configuration that some carry.
//!
//! Formats: the x86 boot protocol (`Documentation/arch/x86/boot.rst`: mark `HdrS` at 0x202, version text, payload), the
//! arm64 image (`arch/arm64/booting.rst`: mark `ARM\x64` at 0x38), ARM's zImage (0x016f2818 at 0x24), U-Boot's legacy header;
//! the configuration stands between `IKCFG_ST` and `IKCFG_ED`, compressed by gzip (`kernel/configs.c`).
use super::decompress::Compression;
use memchr::memmem;

/// Decoded kernels are shorter.
const MAX_DECODED: u64 = 160 << 20;
/// Places at which a compressed kernel is tried, in the first bytes.
const MAX_TRIES: usize = 16;
const SEARCHED: usize = 2 << 20;
/// Longest configuration; real ones have 300 KB.
const MAX_CONFIGURATION: u64 = 4 << 20;
const START: &[u8] = b"IKCFG_ST";
const BANNER: &[u8] = b"Linux version ";

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// `6.1.0-50-amd64 (maintainer@host) #1 SMP …`
    pub version: String,
    /// x86, arm64, arm, u-boot; empty where only its text tells.
    pub kind: &'static str,
    /// The text of its configuration.
    pub configuration: Option<Vec<u8>>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// Whether the first bytes are those of a kernel image.
pub fn recognise(head: &[u8]) -> Option<&'static str> {
    let at = |n: usize, mark: &[u8]| head.get(n..).is_some_and(|h| h.starts_with(mark));
    if at(0x202, b"HdrS") {
        Some("x86")
    } else if at(0x38, b"ARM\x64") {
        Some("arm64")
    } else if at(0x24, b"\x18\x28\x6f\x01") || at(0x24, b"\x01\x6f\x28\x18") {
        Some("arm")
    } else if at(0, b"\x27\x05\x19\x56") && head.get(30) == Some(&2) {
        Some("u-boot")
    } else {
        None
    }
}

/// Reads an image; `decode`: look into what is compressed, where the head alone does not tell the configuration.
pub fn read(bytes: &[u8], decode: bool) -> Kernel {
    let mut kernel = Kernel { kind: recognise(bytes).unwrap_or_default(), ..Kernel::default() };
    if kernel.kind == "x86" {
        kernel.version = x86_version(bytes).unwrap_or_default();
    }
    look(bytes, &mut kernel);
    if !decode || (kernel.configuration.is_some() && !kernel.version.is_empty()) {
        return kernel;
    }
    let payload = if kernel.kind == "x86" { x86_payload(bytes) } else { None };
    match payload {
        Some(payload) => {
            match unpacked(payload) {
                Some(Ok(decoded)) => look(&decoded, &mut kernel),
                Some(Err(what)) => kernel.problems.push(format!("its compressed part is not read: {what}")),
                None => kernel.problems.push("its compressed part is of a kind that is not read".to_owned()),
            }
            return kernel;
        }
        None if kernel.kind == "x86" => {
            kernel.problems.push("its header leads to no compressed part".to_owned());
            return kernel;
        }
        None => {}
    }
    // A loader in front, then the kernel: the first that decodes and is one.
    let marks: [&[u8]; 3] = [b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"];
    let window = bytes.get(..SEARCHED).unwrap_or(bytes);
    let mut places: Vec<usize> = marks.iter().flat_map(|m| memmem::find_iter(window, m).take(MAX_TRIES)).collect();
    places.sort_unstable();
    for at in places.into_iter().take(MAX_TRIES) {
        if let Some(Ok(decoded)) = bytes.get(at..).and_then(unpacked)
            && memmem::find(&decoded, BANNER).is_some()
        {
            look(&decoded, &mut kernel);
            break;
        }
    }
    kernel
}

/// The whole of one compressed stream; something else may follow it.
fn unpacked(bytes: &[u8]) -> Option<Result<Vec<u8>, String>> {
    use std::io::Read as _;
    let format = Compression::recognise(bytes)?;
    if format == Compression::Gzip {
        let mut all = Vec::new();
        let done = flate2::read::GzDecoder::new(bytes).take(MAX_DECODED).read_to_end(&mut all);
        return Some(done.map(|_| all).map_err(|e| e.to_string()));
    }
    // Behind a payload stand four bytes of the length that it decodes to.
    let short = bytes.get(..bytes.len().saturating_sub(4)).unwrap_or_default();
    Some(format.decode(short, MAX_DECODED).or_else(|_| format.decode(bytes, MAX_DECODED)).map_err(|e| e.to_string()))
}

fn look(bytes: &[u8], kernel: &mut Kernel) {
    if kernel.version.is_empty() {
        kernel.version = banner(bytes).unwrap_or_default();
    }
    if kernel.configuration.is_some() {
        return;
    }
    for at in memmem::find_iter(bytes, START).take(MAX_TRIES) {
        let packed = bytes.get(at.saturating_add(START.len())..).unwrap_or_default();
        if !packed.starts_with(b"\x1f\x8b\x08") {
            continue;
        }
        use std::io::Read as _;
        let mut text = Vec::new();
        match flate2::read::GzDecoder::new(packed).take(MAX_CONFIGURATION).read_to_end(&mut text) {
            Ok(_) => {
                kernel.configuration = Some(text);
                return;
            }
            Err(e) => kernel.problems.push(format!("its configuration is not read: {e}")),
        }
    }
}

/// The configuration that a module (`configs.ko`) carries.
pub fn configuration(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut kernel = Kernel { version: "-".to_owned(), ..Kernel::default() };
    look(bytes, &mut kernel);
    kernel.configuration
}

/// `Linux version 6.1.0 (…) …`, which begins with a digit; format strings do not.
fn banner(bytes: &[u8]) -> Option<String> {
    memmem::find_iter(bytes, BANNER).take(64).find_map(|at| {
        let rest = bytes.get(at.checked_add(BANNER.len())?..)?;
        rest.first().filter(|b| b.is_ascii_digit())?;
        text(rest)
    })
}

fn text(bytes: &[u8]) -> Option<String> {
    let bytes = bytes.get(..400).unwrap_or(bytes);
    let end = bytes.iter().position(|b| matches!(b, 0 | b'\n'))?;
    Some(String::from_utf8_lossy(bytes.get(..end)?).trim().to_owned()).filter(|t| !t.is_empty())
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let raw = bytes.get(at..at.checked_add(len)?)?;
    raw.iter().rev().try_fold(0_usize, |n, b| n.checked_mul(256)?.checked_add(usize::from(*b)))
}

/// `kernel_version` at 0x20e leads to it, less 0x200.
fn x86_version(bytes: &[u8]) -> Option<String> {
    let at = number(bytes, 0x20e, 2).filter(|at| *at > 0)?.checked_add(0x200)?;
    bytes.get(at..).and_then(text)
}

/// Behind the sectors of the setup code, `payload_offset` (0x248) and `payload_length` (0x24c).
fn x86_payload(bytes: &[u8]) -> Option<&[u8]> {
    let setup = match number(bytes, 0x1f1, 1)? {
        0 => 4,
        sectors => sectors,
    };
    let start = setup.checked_add(1)?.checked_mul(512)?.checked_add(number(bytes, 0x248, 4)?)?;
    bytes.get(start..start.checked_add(number(bytes, 0x24c, 4)?)?).filter(|p| !p.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation)]
    use super::*;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut to = GzEncoder::new(Vec::new(), flate2::Compression::default());
        to.write_all(bytes).unwrap();
        to.finish().unwrap()
    }
    fn inner(configuration: &str) -> Vec<u8> {
        let own = [START, &gzip(configuration.as_bytes()), b"IKCFG_ED"].concat();
        [b"code Linux version %s\0Linux version 6.1.0-x (a@b) #1 SMP\n\0".as_slice(), &own, b"more"].concat()
    }
    fn bz_image(payload: &[u8]) -> Vec<u8> {
        let mut image = vec![0; 0x400 + 512];
        image[0x1f1] = 1;
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
        image[0x300..0x310].copy_from_slice(b"6.1.0-x (a@b) #1");
        image[0x248..0x24c].copy_from_slice(&512_u32.to_le_bytes());
        image[0x24c..0x250].copy_from_slice(&(payload.len() as u32).to_le_bytes());
        image.truncate(0x400);
        image.resize(0x400 + 512, 0);
        image.extend(payload);
        image
    }

    #[test]
    fn each_kind_of_image() {
        let text = "CONFIG_PPP=m\n# CONFIG_TUN is not set\n";
        let image = bz_image(&[0; 3]);
        assert_eq!(image.len(), 0x600 + 3);
        let mut payload = gzip(&inner(text));
        payload.extend([1, 2, 3, 4]);
        let x86 = bz_image(&payload);
        let read_x86 = read(&x86, true);
        assert_eq!((read_x86.kind, read_x86.version.as_str()), ("x86", "6.1.0-x (a@b) #1"));
        assert_eq!(read_x86.configuration.as_deref(), Some(text.as_bytes()));
        assert_eq!(read(&x86, false).configuration, None);

        let mut arm64 = vec![0; 0x38];
        arm64.extend(b"ARM\x64");
        arm64.extend(inner(text));
        let arm64 = read(&arm64, true);
        assert_eq!((arm64.kind, arm64.version.as_str()), ("arm64", "6.1.0-x (a@b) #1 SMP"));
        assert_eq!(arm64.configuration.as_deref(), Some(text.as_bytes()));

        let mut arm = vec![0; 0x24];
        arm.extend(b"\x18\x28\x6f\x01 loader \x1f\x8b\x08 no stream");
        arm.extend(gzip(&inner(text)));
        arm.extend([9; 100]);
        let arm = read(&arm, true);
        assert_eq!((arm.kind, arm.configuration.is_some()), ("arm", true));
        for len in 0..x86.len() {
            drop(read(&x86[..len], true));
        }
        let mut seed = 3_u32;
        for _ in 0..3000 {
            let mut bytes = x86.clone();
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let at = (seed >> 8) as usize % bytes.len();
            bytes[at] = seed as u8;
            drop(read(&bytes, true));
        }
    }

    #[test]
    fn a_damaged_payload_is_told() {
        let mut payload = gzip(&inner("CONFIG_PPP=y\n"));
        payload.truncate(30);
        assert_eq!(read(&bz_image(&payload), true).problems.len(), 1);
        assert_eq!(
            read(&bz_image(b"lzo or what"), true).problems,
            ["its compressed part is of a kind that is not read"]
        );
    }
}
