//! Kernel modules on disk → `drivers`.
use crate::artifact::{Content, Out, Sight};
use crate::evidence::Entry;
use crate::format::decompress::Compression;
use crate::format::{kmod, traces, usbids};
use crate::inventory::Driver;
use std::collections::BTreeSet;

pub(crate) const CONTENT: Content = Content {
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
    // Elsewhere other things end in `.ko` too, Korean texts among them; below lib/modules whatever is
    // named as a module and is none must be told.
    let path = entry.path.bytes();
    let among_modules = path.starts_with(b"/lib/modules/") || path.starts_with(b"/usr/lib/modules/");
    let named = is_module_name(path) && !head.is_empty() && (among_modules || !is_text(head));
    entry.is_file() && (object || named)
}

/// No byte that text does not have, and no mark of a compressed module.
fn is_text(head: &[u8]) -> bool {
    let packed: [&[u8]; 3] = [b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\xfd7zXZ"];
    !head.contains(&0) && !packed.iter().any(|mark| head.starts_with(mark))
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
    let indexed = below.and_then(|_| indexed(sight, kernel, &module));
    let (modem_ids, modems) = modems(&name, module.all("alias"));
    let for_kernel = vermagic.split(' ').next().filter(|k| !k.is_empty());
    let kernel_fits = folder.zip(for_kernel).map(|(folder, own)| folder == own);
    out.push(Driver {
        name: name.into(),
        kernel: kernel.into(),
        path: entry.path.clone(),
        covered: entry.covered.as_str().into(),
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
        indexed,
        kernel_fits,
        modem_ids,
        modems,
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

/// Known modems told of one driver.
const MAX_MODEMS: usize = 40;

/// The known modems that aliases claim: how many, and the first of them in order.
pub(super) fn modems<'a>(driver: &str, aliases: impl Iterator<Item = &'a str>) -> (u32, Vec<String>) {
    let all: BTreeSet<String> = aliases.filter_map(|a| usbids::modem(a, driver)).collect();
    (u32::try_from(all.len()).unwrap_or(u32::MAX), all.into_iter().take(MAX_MODEMS).collect())
}

/// Whether `modules.alias`, made by depmod(8), has every alias of the module; `None` where either has none.
fn indexed(sight: &Sight<'_>, kernel: &str, module: &kmod::Module) -> Option<bool> {
    let system = sight.system?;
    let name = module.name.replace('-', "_");
    let mut aliases = module.all("alias").peekable();
    aliases.peek()?;
    let lines = system.line_set(system.resolve(format!("/lib/modules/{kernel}/modules.alias"))?)?;
    Some(aliases.all(|alias| lines.contains(format!("alias {alias} {name}").as_bytes())))
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::testing;
    use super::*;
    use crate::artifact::CONTENTS;
    use crate::base::Gap;
    use crate::evidence::System;
    use crate::format::kmod::testing::module;
    use crate::fs::MemFs;
    use crate::image::read_exact;
    use crate::inventory::Row;

    /// Every content reader over every file, as the bulk pass does it.
    fn run(system: &System) -> (Vec<Row>, Vec<Gap>) {
        let (mut rows, mut gaps) = (Vec::new(), Vec::new());
        for entry in system.entries().iter().filter(|e| e.is_file()) {
            let tree = system.trees().first().unwrap();
            let source = tree.open(entry).unwrap();
            let content = read_exact(&*source, 0, usize::try_from(source.len()).unwrap()).unwrap().unwrap();
            let head = content.get(..4096).unwrap_or(&content);
            for reader in CONTENTS.iter().filter(|c| (c.wants)(entry, head)) {
                let out = Out::new(Some(0), reader.name);
                let sight = Sight { entry, system: Some(system), evidence: system.evidence(entry) };
                (reader.consume)(&sight, &content, &out);
                let (some, more) = out.take();
                rows.extend(some);
                gaps.extend(more);
            }
        }
        (rows, gaps)
    }

    #[test]
    fn modules_in_and_out_of_their_tree() {
        let stock = module(&["license=GPL", "name=usb_wwan", "intree=Y", "vermagic=6.1.0 SMP "], "usb_wwan");
        let foreign = module(&["license=Proprietary", "depends=usb-wwan,usbcore", "vermagic=6.1.0 SMP "], "GobiNet");
        let mut fs = MemFs::parse("/lib/modules/6.1.0/modules.order\n    kernel/drivers/usb/serial/usb_wwan.ko\n");
        fs.add("/lib/modules/6.1.0/kernel/drivers/usb/serial/usb_wwan.ko", stock.clone());
        fs.add("/lib/modules/6.1.0/kernel/drivers/usb/serial/extra-one.ko", stock);
        fs.add("/lib/modules/6.1.0/updates/GobiNet.ko", foreign.clone());
        fs.add("/opt/data/cache.bin", foreign);
        fs.add("/lib/modules/6.1.0/kernel/broken.ko.xz", b"\xfd7zXZ\0nothing".to_vec());
        fs.add("/lib/modules/6.1.0/kernel/text.ko", b"no module".to_vec());
        fs.add("/usr/share/vim/vim90/tutor/tutor.ko", "vim 길잡이\n".into());
        let system = testing::system_of(fs);
        let (rows, gaps) = run(&system);
        let told: Vec<String> = rows
            .iter()
            .filter_map(|r| match r {
                Row::Driver(d) => Some(format!(
                    "{} {} {} {:?} {:?} {} {}",
                    d.path,
                    d.name,
                    d.kernel,
                    d.intree,
                    d.ordered,
                    d.outside,
                    d.depends.join("+")
                )),
                _ => None,
            })
            .collect();
        assert_eq!(
            told,
            [
                "/lib/modules/6.1.0/kernel/drivers/usb/serial/extra-one.ko usb_wwan 6.1.0 Some(true) Some(false) false ",
                "/lib/modules/6.1.0/kernel/drivers/usb/serial/usb_wwan.ko usb_wwan 6.1.0 Some(true) Some(true) false ",
                "/lib/modules/6.1.0/updates/GobiNet.ko GobiNet 6.1.0 None Some(false) true usb-wwan+usbcore",
                "/opt/data/cache.bin GobiNet 6.1.0 None None true usb-wwan+usbcore",
            ]
        );
        // Under another name it is an object file as well.
        assert_eq!(rows.iter().filter(|r| matches!(r, Row::Binary(b) if &*b.kind == "relocatable")).count(), 1);
        assert_eq!(gaps.len(), 2, "{gaps:?}");
    }

    #[test]
    fn a_script_and_a_program_become_binaries() {
        let mut fs = MemFs::parse(
            "/etc/init.d/link mode=755\n    #!/bin/sh\n    ssh -N -R 2222:localhost:22 u@h\n    frpc login to server success\n",
        );
        let Ok(ls) = std::fs::read("/bin/ls") else {
            eprintln!("skipped: no /bin/ls on this machine");
            return;
        };
        fs.add("/usr/bin/ls", ls).add("/usr/bin/cut", b"\x7fELF\x02\x01".to_vec());
        let (rows, gaps) = run(&testing::system_of(fs));
        let [Row::Binary(script), Row::Binary(program)] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((&*script.format, &*script.kind, script.interpreter.as_str()), ("script", "sh", "/bin/sh"));
        assert_eq!(script.imports, ["ssh -R"]);
        assert_eq!(script.traces, ["frp: login to server success"]);
        assert_eq!((&*program.format, &*program.kind, program.static_linked), ("elf", "executable", false));
        assert!(program.libraries.iter().any(|l| l.starts_with("libc.")));
        assert_eq!(gaps.len(), 1);
    }
}
