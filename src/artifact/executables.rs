//! Executables, libraries, objects and scripts → `binaries`. Kernel modules are `linux::modules`'.
use super::{Content, Out, Sight};
use crate::evidence::Entry;
use crate::format::elf::Elf;
use crate::format::{gobuild, pe, rustcrates, script, traces};
use crate::inventory::Binary;

pub(super) const CONTENT: Content = Content {
    name: "executables",
    about: "ELF files and scripts: what they need, call for, were built from and carry; PE files by their header.",
    wants,
    consume,
};

fn wants(entry: &Entry, head: &[u8]) -> bool {
    entry.is_file()
        && (head.starts_with(b"#!")
            || (Elf::recognise(head) && !super::linux::modules::is_module_name(entry.path.bytes()))
            || pe::recognise(head))
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let row = if content.starts_with(b"#!") {
        script_row(content)
    } else if Elf::recognise(content) {
        elf_row(sight, content, out)
    } else {
        pe_row(content)
    };
    if let Some(row) = row {
        let covered = sight.entry.covered.as_str().into();
        out.push(Binary { path: sight.entry.path.clone(), covered, evidence: sight.evidence.clone(), ..row });
    }
}

fn elf_row(sight: &Sight<'_>, content: &[u8], out: &Out) -> Option<Binary> {
    let Some(elf) = Elf::parse(content) else {
        out.gap(sight.entry, "ELF header is cut off");
        return None;
    };
    if !elf.problems.is_empty() {
        out.gap(sight.entry, format!("ELF: {}", elf.problems.join("; ")));
    }
    let seen = traces::scan(content);
    let go =
        if seen.go { gobuild::parse(content, Some(&elf)).unwrap_or_default() } else { gobuild::GoBuild::default() };
    Some(Binary {
        format: "elf".into(),
        kind: elf.kind.into(),
        machine: elf.machine.as_str().into(),
        bits: elf.bits,
        endian: if elf.big_endian { "big" } else { "little" }.into(),
        static_linked: elf.static_linked,
        interpreter: elf.interpreter,
        libraries: elf.libraries,
        search_paths: elf.search_paths,
        imports: elf.imports,
        build_id: elf.build_id,
        stripped: elf.stripped,
        packed: elf.packed,
        go_version: go.version,
        go_module: if go.module.is_empty() { go.path } else { go.module },
        go_deps: go.deps,
        rust_crates: if seen.rust { rustcrates::parse(content) } else { Vec::new() },
        traces: seen.traces,
        ..Binary::default()
    })
}

fn script_row(content: &[u8]) -> Option<Binary> {
    let script = script::parse(content)?;
    Some(Binary {
        format: "script".into(),
        kind: script.language.as_str().into(),
        interpreter: script.interpreter,
        imports: script.constructs,
        runs: script.runs,
        traces: traces::scan(content).traces,
        ..Binary::default()
    })
}

fn pe_row(content: &[u8]) -> Option<Binary> {
    let pe = pe::parse(content)?;
    Some(Binary {
        format: "pe".into(),
        kind: pe.kind.into(),
        machine: pe.machine.as_str().into(),
        bits: pe.bits,
        endian: "little".into(),
        traces: traces::scan(content).traces,
        ..Binary::default()
    })
}
