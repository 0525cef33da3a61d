//! Hosts, addresses and URLs that configuration files name, whatever program they are of. What readers of single
//! formats tell (connections, names, known hosts) is added where all tables are joined.
//! RFC 3986 (URLs), RFC 3164 (forwarding of logs as syslogd's manuals write it).
mod scan;
mod select;
#[cfg(test)]
mod tests;
mod words;

use super::cite_as;
use crate::artifact::{Artifact, Os, Out};
use crate::base::encoding::Encoding;
use crate::base::host::class;
use crate::evidence::{Entry, System};
use crate::format::lines::is_text;
use crate::inventory::Endpoint;
use std::collections::BTreeSet;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.endpoints",
    about: "Hosts, addresses and URLs named in configuration files and scripts, comments left out",
    os: Os::Linux,
    reads: select::ROOTS,
    references: &["RFC 3986", "rsyslog.conf(5)", "sources.list(5)", "git-config(1)"],
    extract,
};

/// Of a longer file the beginning is searched, and a gap says so.
const MAX_FILE: u64 = 1 << 20;
/// In all.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 256 << 20;
/// Of one file: one that names more hosts is a list of them.
const MAX_ROWS: usize = 200;
/// In all.
const MAX_ALL: usize = 20_000;

fn extract(system: &System, out: &Out) {
    let (mut files, mut bytes, mut rows) = (0_usize, 0_u64, 0_usize);
    for (entry, kind) in select::files(system) {
        files = files.saturating_add(1);
        bytes = bytes.saturating_add(entry.len().min(MAX_FILE));
        if files > MAX_FILES || bytes > MAX_BYTES || rows > MAX_ALL {
            return out.gap(entry, "budget: files; neither this one nor those behind it were searched for hosts");
        }
        rows = rows.saturating_add(file(system, out, entry, kind));
    }
}

/// Searches one file; how many rows it gave.
fn file(system: &System, out: &Out, entry: &Entry, kind: select::Kind) -> usize {
    let text = match system.read(entry, MAX_FILE) {
        Ok(text) => text,
        Err(e) => {
            out.gap(entry, e);
            return 0;
        }
    };
    let encoding = Encoding::guess(&text.bytes);
    if matches!(encoding, Encoding::Utf8 | Encoding::Gbk) && !is_text(&text.bytes) {
        // A binary file under a configuration's name has its row in files; it says nothing here.
        return 0;
    }
    if kind == select::Kind::Script && !select::is_script(&text.bytes) {
        return 0;
    }
    if text.truncated {
        out.gap_bytes(
            entry,
            "budget: text; only its first MiB was searched for hosts",
            entry.len().saturating_sub(MAX_FILE),
        );
    }
    let mut seen = BTreeSet::new();
    let found = scan::scan(encoding.lines(&text.bytes), &entry.path.lossy(), kind);
    for f in found {
        if !seen.insert((f.host.to_ascii_lowercase(), f.port.clone(), f.scheme.clone())) {
            continue;
        }
        if seen.len() > MAX_ROWS {
            out.gap_line(entry, f.line, "budget: rows; further hosts of this file were not listed");
            break;
        }
        out.push(Endpoint {
            class: class(&f.host).into(),
            host: f.host,
            port: f.port,
            scheme: f.scheme.into(),
            by: select::program(&entry.path.lossy()),
            value: f.value,
            told: "text".into(),
            evidence: cite_as(&text, f.line, f.run, &f.key, f.shown.trim()),
            ..Endpoint::default()
        });
    }
    seen.len().min(MAX_ROWS)
}
