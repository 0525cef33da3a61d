//! Executables, libraries, objects and scripts → `binaries`. Kernel modules are `linux::modules`'.
use super::linux::starts::sourced::language;
use super::{Content, Out, Sight};
use crate::base::Evidence;
use crate::evidence::Entry;
use crate::format::elf::Elf;
use crate::format::{gobuild, pe, rustcrates, script, traces};
use crate::inventory::{Binary, Component};

pub(super) const CONTENT: Content = Content {
    name: "executables",
    about: "ELF files and scripts: what they need, call for, were built from and carry; PE files by their header.",
    wants,
    consume,
};

fn wants(entry: &Entry, head: &[u8]) -> bool {
    entry.is_file()
        && (head.starts_with(b"#!")
            || language(entry.path.bytes(), entry.len(), head).is_some()
            || (Elf::recognise(head) && !super::linux::modules::is_module_name(entry.path.bytes()))
            || pe::recognise(head))
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let row = if content.starts_with(b"#!") {
        script_row(content)
    } else if let Some(shell) = language(sight.entry.path.bytes(), content.len() as u64, content) {
        sourced_row(shell, content)
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
    let rust_crates = if seen.rust { rustcrates::parse(content) } else { Vec::new() };
    built_in(sight, content, &go, &rust_crates, out);
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
        rust_crates,
        traces: seen.traces,
        ..Binary::default()
    })
}

/// A row for each module and crate that a program was built from.
fn built_in(sight: &Sight<'_>, content: &[u8], go: &gobuild::GoBuild, crates: &[String], out: &Out) {
    let row = |ecosystem: &str, name: &str, version: &str| Component {
        name: name.to_owned(),
        version: version.to_owned(),
        ecosystem: ecosystem.into(),
        how: "built-in".into(),
        path: sight.entry.path.clone(),
        covered: sight.entry.covered.as_str().into(),
        evidence: Evidence { key: Some(format!("{name} {version}")), ..sight.evidence.clone() },
        ..Component::default()
    };
    for module in &go.modules {
        let origin = if module.replaced.is_empty() { String::new() } else { format!("=> {}", module.replaced) };
        out.push(Component { sum: module.sum.clone(), origin, ..row("go", &module.path, &module.version) });
    }
    match rustcrates::audited(content) {
        Some(Ok(listed)) => {
            for package in listed {
                out.push(Component { origin: package.source, ..row("rust", &package.name, &package.version) });
            }
        }
        other => {
            if let Some(Err(what)) = other {
                out.gap(sight.entry, format!("its list of crates (section .dep-v0) is not read: {what}"));
            }
            for dependency in crates {
                let (name, version) = dependency.split_once(' ').unwrap_or((dependency, ""));
                out.push(Component { origin: "paths in its messages".into(), ..row("rust", name, version) });
            }
        }
    }
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

/// A file that a shell reads has a row only where it holds something telling: most set a variable or two.
fn sourced_row(shell: &str, content: &[u8]) -> Option<Binary> {
    let row = Binary {
        format: "script".into(),
        kind: shell.into(),
        imports: script::constructs(content),
        runs: script::runs(content),
        traces: traces::scan(content).traces,
        ..Binary::default()
    };
    (!row.imports.is_empty() || !row.runs.is_empty() || !row.traces.is_empty()).then_some(row)
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
