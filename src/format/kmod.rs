//! Linux kernel modules: what a module says of itself and who signed it.
//!
//! Format: `.modinfo` is `key=value` strings, each ended by NUL (`include/linux/moduleinfo.h`); the name
//! stands in `struct module`; the signature is appended behind the ELF file (`kernel/module_signature.c`),
//! as PKCS#7 (RFC 2315) or, before Linux 4.3, as a bare signature with the signer's name.
use super::der;
use super::elf;
use memchr::memmem;

/// The mark behind a signature.
const MARK: &[u8] = b"~Module signature appended~\n";
/// Keys and values kept of one module: real ones have up to some thousand aliases.
const MAX_PAIRS: usize = 200_000;
/// Source paths kept.
const MAX_SOURCES: usize = 5;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Module {
    /// Name it will be known by in the kernel, with `_`; empty if it does not say.
    pub name: String,
    /// All of `.modinfo`, in order.
    pub info: Vec<(String, String)>,
    pub signature: Option<Signature>,
    /// Absolute source paths that its messages or debug data name, sorted.
    pub sources: Vec<String>,
    /// What could not be read.
    pub problems: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Common name of the issuer that the signature names; else empty.
    pub signer: String,
    /// Serial number or key id, hex with colons.
    pub key: String,
    /// sha256, sha512 …
    pub hash: String,
    /// PKCS#7, X509, PGP.
    pub kind: &'static str,
}

impl Module {
    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.info.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
    }
    /// Every value of a key, in order.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.info.iter().filter(move |(k, _)| k == key).map(|(_, v)| v.as_str())
    }
}

/// Reads an uncompressed module. `None` if it carries no module information at all.
pub fn parse(bytes: &[u8]) -> Option<Module> {
    let mut module = Module::default();
    let sections = elf::sections(bytes);
    let section = |name: &[u8]| sections.iter().find(|(n, _)| n == name).map(|(_, content)| *content);
    let mut info = section(b".modinfo");
    if info.is_none() {
        info = without_sections(bytes);
        if info.is_some() {
            module.problems.push("no section .modinfo; its strings were found by search".into());
        }
    }
    module.info = pairs(info?);
    module.name = module.get("name").map(str::to_owned).unwrap_or_default();
    if let Some(this) = section(b".gnu.linkonce.this_module") {
        let own = own_name(this);
        if module.name.is_empty() {
            module.name = own.unwrap_or_default();
        } else if own.as_ref().is_some_and(|own| *own != module.name) {
            module.problems.push(format!(
                "named {} in .modinfo, {} in its structure",
                module.name,
                own.unwrap_or_default()
            ));
        }
    }
    module.signature = signature(bytes, &mut module.problems);
    module.sources = sources(bytes);
    Some(module)
}

/// `key=value` strings up to the next NUL each.
fn pairs(info: &[u8]) -> Vec<(String, String)> {
    info.split(|b| *b == 0)
        .filter_map(|pair| {
            let at = memchr::memchr(b'=', pair)?;
            let text = |b: Option<&[u8]>| String::from_utf8_lossy(b.unwrap_or_default()).into_owned();
            Some((text(pair.get(..at)), text(pair.get(at.saturating_add(1)..))))
        })
        .take(MAX_PAIRS)
        .collect()
}

/// The strings around `vermagic=`, where the section table is missing.
fn without_sections(bytes: &[u8]) -> Option<&[u8]> {
    let at = memmem::find(bytes, b"\0vermagic=")?;
    let readable = |b: &u8| *b == 0 || *b == b'\t' || *b == b'\n' || *b >= 0x20;
    let start = bytes.get(..at)?.iter().rposition(|b| !readable(b)).map_or(0, |n| n.saturating_add(1));
    let rest = bytes.get(at..)?;
    let len = rest.iter().position(|b| !readable(b)).unwrap_or(rest.len());
    bytes.get(start.max(at.saturating_sub(1 << 20))..at.saturating_add(len.min(1 << 20)))
}

/// `struct module` begins with its state and a list head; the name follows: at 24 on 64-bit, at 12 on
/// 32-bit kernels.
fn own_name(this: &[u8]) -> Option<String> {
    [24_usize, 12].into_iter().find_map(|at| {
        let name = this.get(at..at.saturating_add(56).min(this.len()))?;
        let name = name.get(..memchr::memchr(0, name)?)?;
        let plain = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
        plain.then(|| String::from_utf8_lossy(name).into_owned())
    })
}

fn signature(bytes: &[u8], problems: &mut Vec<String>) -> Option<Signature> {
    let before = bytes.strip_suffix(MARK)?;
    let cut = before.len().checked_sub(12)?;
    let trailer: [u8; 12] = before.get(cut..)?.try_into().ok()?;
    let [_algorithm, hash, kind, signer_len, key_len, _, _, _, len @ ..] = trailer;
    let len = usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX);
    let lens = usize::from(signer_len).saturating_add(usize::from(key_len));
    let Some(all) = cut.checked_sub(len).and_then(|s| s.checked_sub(lens)).and_then(|start| before.get(start..cut))
    else {
        problems.push("signature trailer announces more bytes than the file has".into());
        return Some(Signature::default());
    };
    let hash = match hash {
        0 => "md4",
        1 => "md5",
        2 => "sha1",
        3 => "rmd160",
        4 => "sha256",
        5 => "sha384",
        6 => "sha512",
        7 => "sha224",
        _ => "",
    };
    if kind == 2 {
        let found = pkcs7(all);
        if found.is_none() {
            problems.push("signature is no readable PKCS#7".into());
        }
        return Some(Signature { kind: "PKCS#7", ..found.unwrap_or_default() });
    }
    let (signer, rest) = all.split_at_checked(usize::from(signer_len))?;
    let key = rest.get(..usize::from(key_len))?;
    Some(Signature {
        signer: String::from_utf8_lossy(signer).into_owned(),
        key: hex(key),
        hash: hash.into(),
        kind: if kind == 1 { "X509" } else { "PGP" },
    })
}

/// Issuer, serial and digest of the first signer.
fn pkcs7(bytes: &[u8]) -> Option<Signature> {
    let (content_info, _) = der::next(bytes)?;
    // ContentInfo { signedData, [0] SignedData }
    let wrapped = der::values(content_info.content).get(1)?.content;
    let (signed_data, _) = der::next(wrapped)?;
    // Its last SET holds the signers; the first holds the digest algorithms.
    let signers = der::values(signed_data.content).into_iter().rfind(|v| v.tag == der::SET)?;
    let signer = der::values(der::next(signers.content)?.0.content);
    let identifier = signer.get(1)?;
    let digest = signer.get(2)?;
    let (name, key) = if identifier.tag == der::SEQUENCE {
        let fields = der::values(identifier.content);
        let name = der::common_name(fields.first()?.content).unwrap_or_default();
        (name, fields.get(1)?.content)
    } else {
        // [0] SubjectKeyIdentifier
        (String::new(), identifier.content)
    };
    let oid = der::next(digest.content)?.0;
    let hash = match oid.content {
        [0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, n] => match n {
            1 => "sha256",
            2 => "sha384",
            3 => "sha512",
            4 => "sha224",
            8 => "sha3-256",
            9 => "sha3-384",
            10 => "sha3-512",
            _ => "",
        },
        [0x2b, 0x0e, 3, 2, 0x1a] => "sha1",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5] => "md5",
        [0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x83, 0x11] => "sm3",
        _ => "",
    };
    Some(Signature { signer: name, key: hex(key), hash: hash.into(), kind: "PKCS#7" })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

/// Absolute paths of C sources: a module of the kernel's own tree names its files relatively.
fn sources(bytes: &[u8]) -> Vec<String> {
    let mut found = std::collections::BTreeSet::new();
    for at in memmem::find_iter(bytes, b".c\0") {
        let before = bytes.get(at.saturating_sub(512)..at).unwrap_or_default();
        let start = before.iter().rposition(|b| !b.is_ascii_graphic()).map_or(0, |n| n.saturating_add(1));
        let path = before.get(start..).unwrap_or_default();
        if path.starts_with(b"/") && path.len() > 3 {
            found.insert(format!("{}.c", String::from_utf8_lossy(path)));
            if found.len() >= MAX_SOURCES {
                break;
            }
        }
    }
    found.into_iter().collect()
}

/// Small modules for the tests of everything that reads modules.
#[cfg(test)]
pub(crate) mod testing {
    /// A relocatable ELF file for x86-64 with `.modinfo` and the module structure; unsigned.
    pub(crate) fn module(info: &[&str], own_name: &str) -> Vec<u8> {
        let info: Vec<u8> = info.iter().flat_map(|pair| [pair.as_bytes(), b"\0"].concat()).collect();
        let mut this = vec![0; 24];
        this.extend(own_name.as_bytes());
        this.resize(0x100, 0);
        let names = b"\0.modinfo\0.gnu.linkonce.this_module\0.shstrtab\0";
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\x3e\0\x01\0\0\0".to_vec();
        bytes.resize(64, 0);
        let mut table = vec![[0_u64; 8]];
        for (name, kind, content) in [(1_u64, 1_u64, info.as_slice()), (10, 1, &this), (36, 3, names)] {
            // Name and type share the first eight bytes; then flags, address, offset, size.
            table.push([name | (kind << 32), 0, 0, bytes.len() as u64, content.len() as u64, 0, 1, 0]);
            bytes.extend(content);
        }
        let at = bytes.len() as u64;
        for entry in &table {
            bytes.extend(entry.iter().flat_map(|word| word.to_le_bytes()));
        }
        bytes.splice(0x28..0x30, at.to_le_bytes());
        bytes.splice(0x34..0x40, [64, 0, 0, 0, 0, 0, 64, 0, 4, 0, 3, 0]);
        bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_a_signature_of_the_old_layout_and_a_short_one() {
        let mut module = b"\x7fELF..\0license=GPL\0vermagic=3.10.0 SMP \0name=x\0".to_vec();
        module.extend(b"CN of the keyKEYIDsignature-bytes");
        module.extend([1, 4, 1, 13, 5, 0, 0, 0, 0, 0, 0, 15]);
        module.extend(MARK);
        let read = signature(&module, &mut Vec::new()).unwrap();
        assert_eq!((read.signer.as_str(), read.hash.as_str(), read.kind), ("CN of the key", "sha256", "X509"));
        assert_eq!(read.key, "4B:45:59:49:44");
        let mut problems = Vec::new();
        let short = [[0, 0, 2, 0, 0, 0, 0, 0, 0, 1, 0, 0].as_slice(), MARK].concat();
        assert_eq!(signature(&short, &mut problems), Some(Signature::default()));
        assert_eq!(problems.len(), 1);
        assert_eq!(signature(b"unsigned", &mut problems), None);
    }

    #[test]
    fn finds_its_strings_without_a_section_table() {
        let bytes = b"\x7fELF\x01\x02\x03\x01\0license=GPL v2\0author=J\xc3\xb6rg\0vermagic=6.1.0-50-amd64 SMP \0depends=\0\x01\x02";
        let module = parse(bytes).unwrap();
        assert_eq!(module.get("license"), Some("GPL v2"));
        assert_eq!(module.get("author"), Some("Jörg"));
        assert_eq!(module.get("vermagic"), Some("6.1.0-50-amd64 SMP "));
        assert_eq!(module.problems.len(), 1);
        assert_eq!(parse(b"\x7fELF\0nothing"), None);
    }

    #[test]
    fn names_foreign_sources_only() {
        assert_eq!(
            sources(b"drivers/net/usb/qmi_wwan.c\0\x01/home/dev/rk/hide.c\0/usr/src/x/hide.c\0hide.mod.c\0"),
            ["/home/dev/rk/hide.c", "/usr/src/x/hide.c"]
        );
    }

    #[test]
    fn reads_a_whole_module_and_notices_two_names() {
        let bytes = testing::module(
            &["license=GPL", "name=wwan_x", "depends=usbserial,usb_wwan", "alias=a", "alias=b"],
            "wwan_x",
        );
        let module = parse(&bytes).unwrap();
        assert_eq!((module.name.as_str(), module.get("license")), ("wwan_x", Some("GPL")));
        assert_eq!(module.all("alias").collect::<Vec<_>>(), ["a", "b"]);
        assert!(module.problems.is_empty() && module.signature.is_none());
        let two = parse(&testing::module(&["name=option"], "hider")).unwrap();
        assert_eq!(two.problems, ["named option in .modinfo, hider in its structure"]);
        let old = parse(&testing::module(&["license=GPL"], "hider")).unwrap();
        assert_eq!(old.name, "hider");
    }

    /// Every module of an installed kernel must read as `modinfo` reads it.
    #[test]
    fn agrees_with_modinfo() {
        let root = std::env::var("CRANESCOPE_MODULES").unwrap_or_else(|_| "/lib/modules".into());
        let mut todo = vec![std::path::PathBuf::from(root)];
        let mut files = Vec::new();
        while let Some(dir) = todo.pop() {
            for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|t| t.is_dir()) {
                    todo.push(path);
                } else if path.extension().is_some_and(|e| e == "ko") {
                    files.push(path);
                }
            }
        }
        files.sort();
        let mut compared = 0;
        for some in files.chunks(500) {
            let Ok(out) = std::process::Command::new("modinfo").arg("-0").args(some).output() else {
                eprintln!("skipped: no modinfo on this machine");
                return;
            };
            let text = String::from_utf8_lossy(&out.stdout).into_owned();
            let mut told = text.split("filename:       /").skip(1);
            for path in some {
                let told: Vec<&str> = told.next().unwrap().split('\0').collect();
                let said =
                    |key: &str| told.iter().find_map(|l| l.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
                let module = parse(&std::fs::read(path).unwrap()).unwrap();
                for key in ["vermagic", "license", "depends", "intree", "srcversion", "version"] {
                    assert_eq!(module.get(key).unwrap_or_default(), said(key), "{key} of {}", path.display());
                }
                assert_eq!(module.name, said("name"), "{}", path.display());
                let signature = module.signature.unwrap_or_default();
                assert_eq!(signature.signer, said("signer"), "{}", path.display());
                assert_eq!(signature.key, said("sig_key"), "{}", path.display());
                compared += 1;
            }
        }
        if compared == 0 {
            eprintln!("skipped: no uncompressed kernel modules on this machine");
        }
    }
}
