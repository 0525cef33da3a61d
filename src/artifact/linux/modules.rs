//! Kernel modules on disk → `drivers`.
use crate::artifact::{Content, Out, Sight};
use crate::evidence::Entry;
use crate::format::decompress::Compression;
use crate::format::{kmod, traces};
use crate::inventory::Driver;

pub const CONTENT: Content = Content {
    name: "linux.modules",
    about: "Kernel modules, compressed or not, wherever they lie: what they say of themselves, their signer, their place.",
    wants,
    consume,
};

/// Decoded modules beyond this are none: the largest known (amdgpu with debug data) has 400 MB, stripped 30 MB.
const DECODED_LIMIT: u64 = 512 << 20;
const SUFFIXES: [&[u8]; 4] = [b".ko", b".ko.xz", b".ko.zst", b".ko.gz"];

/// Whether a file is named as a kernel module.
pub(crate) fn is_module_name(path: &[u8]) -> bool {
    SUFFIXES.iter().any(|s| path.ends_with(s))
}

/// The name that `modprobe` knows a file or setting by: no folder, no suffix, `-` as `_`.
pub(crate) fn canonical(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = [".ko.xz", ".ko.zst", ".ko.gz", ".ko"].iter().find_map(|s| name.strip_suffix(s)).unwrap_or(name);
    name.replace('-', "_")
}

fn wants(entry: &Entry, head: &[u8]) -> bool {
    // A relocatable ELF file may be a module under another name: its content decides.
    let object =
        head.starts_with(b"\x7fELF") && matches!((head.get(16), head.get(17)), (Some(1), Some(0)) | (Some(0), Some(1)));
    entry.is_file() && (object || (is_module_name(entry.path.bytes()) && !head.is_empty()))
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let entry = sight.entry;
    let named = is_module_name(entry.path.bytes());
    let decoded;
    let bytes = match Compression::recognise(content) {
        None => content,
        Some(format) => match format.decode(content, DECODED_LIMIT) {
            Ok(bytes) => {
                decoded = bytes;
                decoded.as_slice()
            }
            Err(e) => {
                out.gap(entry, format!("kernel module not read: {e}"));
                return;
            }
        },
    };
    let Some(module) = kmod::parse(bytes) else {
        if named {
            out.gap(entry, "named as a kernel module, but carries no module information");
        }
        return;
    };
    if !module.problems.is_empty() {
        out.gap(entry, format!("kernel module: {}", module.problems.join("; ")));
    }
    let path = entry.path.lossy();
    let (folder, below) = placed(&path);
    let vermagic = module.get("vermagic").unwrap_or_default().to_owned();
    // Outside the modules tree only the module itself says which kernel it is for.
    let kernel = folder.or(vermagic.split(' ').next()).unwrap_or_default();
    let all = |key: &str| module.all(key).collect::<Vec<_>>().join(", ");
    let ordered = below.and_then(|below| ordered(sight, kernel, below));
    let name = if module.name.is_empty() { canonical(&path) } else { module.name.replace('-', "_") };
    out.push(Driver {
        name: name.into(),
        kernel: kernel.into(),
        path: entry.path.clone(),
        builtin: false,
        intree: module.get("intree").map(|mark| mark == "Y"),
        license: module.get("license").unwrap_or_default().into(),
        description: all("description"),
        author: all("author"),
        version: module.get("version").unwrap_or_default().into(),
        depends: module
            .get("depends")
            .unwrap_or_default()
            .split(',')
            .filter(|d| !d.is_empty())
            .map(str::to_owned)
            .collect(),
        signer: module
            .signature
            .as_ref()
            .map(|s| if s.signer.is_empty() { s.key.clone() } else { s.signer.clone() })
            .unwrap_or_default(),
        signature: module.signature.as_ref().map(described).unwrap_or_default(),
        ordered,
        outside: below.is_none_or(|b| !b.starts_with("kernel/")),
        aliases: u32::try_from(module.all("alias").count()).unwrap_or(u32::MAX),
        source: module.sources.join(", "),
        srcversion: module.get("srcversion").unwrap_or_default().into(),
        traces: traces::scan(bytes).traces,
        vermagic,
        evidence: sight.evidence.clone(),
        ..Driver::default()
    });
}

fn described(signature: &kmod::Signature) -> String {
    format!("{} {}, key {}", signature.kind, signature.hash, signature.key)
}

/// The kernel whose modules tree a path lies in, and the path within that tree.
fn placed(path: &str) -> (Option<&str>, Option<&str>) {
    let Some((before, rest)) = path.split_once("/lib/modules/") else {
        return (None, None);
    };
    if !matches!(before, "" | "/usr") {
        // A tree in an initramfs or a container below some folder: its kernel is told, its order is not.
        return (rest.split_once('/').map(|(kernel, _)| kernel), None);
    }
    match rest.split_once('/') {
        Some((kernel, below)) => (Some(kernel), Some(below)),
        None => (None, None),
    }
}

/// Whether the kernel's `modules.order`, written when it was built, lists this module; `None` without one.
fn ordered(sight: &Sight<'_>, kernel: &str, below: &str) -> Option<bool> {
    let system = sight.system?;
    let list = system.resolve(format!("/lib/modules/{kernel}/modules.order"))?;
    let lines = system.line_set(list)?;
    let plain = below.trim_end_matches(".xz").trim_end_matches(".zst").trim_end_matches(".gz");
    Some(lines.contains(plain.as_bytes()) || lines.contains(below.as_bytes()))
}
