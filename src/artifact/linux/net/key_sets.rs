//! Tunnel clients and servers known by the sets of settings they read, whatever the file is called and
//! wherever it lies: frp, nps, rathole, n2n, EasyTier, WireGuard, phtunnel.
//! Formats: the projects' own reference configurations; wg(8), wg-quick(8).
mod overlay;
mod reverse;
mod wireguard;

use super::{BY_UNIT, cite, once};
use crate::artifact::{Artifact, Os, Out};
use crate::base::secret::is_secret;
use crate::evidence::{Entry, System, Text};
use crate::format::lines::is_text;
use crate::format::tree::{Leaf, Tree};
use crate::inventory::{Connection, Listener};
use memchr::memmem;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.tunnel-settings",
    about: "Tunnel and overlay configurations, recognised by their settings wherever they lie",
    os: Os::Linux,
    reads: &["/etc/**", "/opt/**", "/usr/local/**", "/var/lib/**", "/root/**", "/home/**", "/srv/**"],
    references: &[
        "https://github.com/fatedier/frp",
        "https://github.com/ehang-io/nps",
        "https://github.com/rathole-org/rathole",
        "https://github.com/ntop/n2n",
        "https://github.com/EasyTier/EasyTier",
        "wg(8)",
        "wg-quick(8)",
    ],
    extract,
};

const ROOTS: &[&str] = &["/etc/", "/opt/", "/usr/local/", "/var/lib/", "/root/", "/home/", "/srv/"];
/// Configurations of this kind are small; what is larger is passed over.
const MAX_FILE: u64 = 256 << 10;
/// Files and bytes that one sweep may read.
const MAX_FILES: usize = 40_000;
const MAX_BYTES: u64 = 512 << 20;
/// Endings that a configuration may have; a name without one counts as well. Not those of manuals and of copies that
/// editors leave: what stands there is read by no program.
const ENDINGS: &[&[u8]] = &[
    b"ini",
    b"toml",
    b"yaml",
    b"yml",
    b"json",
    b"conf",
    b"cfg",
    b"cnf",
    b"config",
    b"properties",
    b"env",
    b"local",
    b"dat",
    b"data",
    b"cache",
];
/// Directories of bulk data and of what other readers know better.
const NOT: &[&[u8]] = &[
    b"/var/lib/dpkg/",
    b"/var/lib/apt/",
    b"/var/lib/rpm/",
    b"/var/lib/mlocate/",
    b"/var/lib/plocate/",
    b"/etc/ssl/certs/",
    b"/etc/NetworkManager/",
    b"/etc/alternatives/",
    b"/usr/local/share/doc/",
    b"/usr/local/share/man/",
];

/// A recogniser: words of which one must occur, and what it makes of the file.
struct Kind {
    /// Groups of words: at least one of each group must stand in the file.
    needs: &'static [&'static [&'static str]],
    read: fn(&Text<'_>, &Out) -> bool,
}
const KINDS: &[Kind] = &[
    Kind {
        needs: &[&["PrivateKey", "privatekey", "PRIVATEKEY"], &["[Peer]", "[peer]", "[Interface]", "[interface]"]],
        read: wireguard::read,
    },
    Kind { needs: &[&["server_addr", "serverAddr", "bindPort", "bind_port"]], read: reverse::frp },
    Kind { needs: &[&["vkey"], &["server_addr", "bridge_port"]], read: reverse::nps },
    Kind { needs: &[&["remote_addr", "bind_addr"], &["services"]], read: reverse::rathole },
    Kind { needs: &[&["network_secret"]], read: overlay::easytier },
    Kind { needs: &[&["-l", "supernode"], &["-c", "community"]], read: overlay::n2n },
    Kind { needs: &[&["szUserID"]], read: reverse::phtunnel },
];

fn wanted(entry: &Entry) -> bool {
    if !entry.is_file() || entry.len() < 16 || entry.len() > MAX_FILE {
        return false;
    }
    let path = entry.path.bytes();
    if NOT.iter().any(|n| path.starts_with(n)) {
        return false;
    }
    let name = entry.path.file_name();
    match name.iter().rposition(|b| *b == b'.') {
        None | Some(0) => true,
        Some(dot) => {
            let ending = name.get(dot.saturating_add(1)..).unwrap_or_default().to_ascii_lowercase();
            ENDINGS.contains(&ending.as_slice())
        }
    }
}

fn extract(system: &System, out: &Out) {
    let (mut files, mut bytes) = (0_usize, 0_u64);
    for root in ROOTS {
        for entry in system.below(root.as_bytes()).filter(|e| wanted(e)) {
            files = files.saturating_add(1);
            bytes = bytes.saturating_add(entry.len());
            if files > MAX_FILES || bytes > MAX_BYTES {
                out.gap(entry, format!("budget: {MAX_FILES} files or {MAX_BYTES} bytes of small texts; from here on not searched for tunnel settings"));
                return;
            }
            let text = match system.read(entry, MAX_FILE) {
                Ok(text) => text,
                Err(e) => {
                    out.gap(entry, e);
                    continue;
                }
            };
            if is_text(&text.bytes) {
                let has = |w: &&str| memmem::find(&text.bytes, w.as_bytes()).is_some();
                for kind in KINDS {
                    if kind.needs.iter().all(|group| group.iter().any(has)) && (kind.read)(&text, out) {
                        break;
                    }
                }
            }
        }
    }
}

/// A tunnel row that only a unit can start, named by its file.
fn tunnel(text: &Text<'_>, manager: &str, telling: &Leaf) -> Connection {
    Connection {
        name: text.entry.path.display(),
        manager: manager.into(),
        kind: "tunnel".into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        evidence: cite(text, telling.line, telling.run, &telling.dotted()),
        ..Connection::default()
    }
}

/// Names of the secrets that are set anywhere in the tree.
fn secrets(tree: &Tree) -> Vec<String> {
    let mut names = Vec::new();
    for leaf in tree.leaves.iter().filter(|l| !l.value.is_empty()) {
        let dotted = leaf.dotted().to_ascii_lowercase();
        if is_secret(leaf.key()) && !dotted.ends_with("method") {
            once(&mut names, leaf.key());
        }
    }
    names
}

/// A server's port.
fn listens(text: &Text<'_>, out: &Out, program: &str, protocol: &str, address: &str, port: &Leaf) {
    if port.value.bytes().all(|b| b.is_ascii_digit()) && !matches!(port.value.as_str(), "" | "0") {
        out.push(Listener {
            protocol: protocol.into(),
            address: if address.is_empty() { "*".into() } else { address.to_owned() },
            port: port.value.clone(),
            program: program.to_owned(),
            evidence: cite(text, port.line, port.run, &port.dotted()),
            ..Listener::default()
        });
    }
}

/// `host:port` from two settings.
pub(super) fn endpoint(host: &str, port: &str) -> String {
    match (host.contains(':') && !host.starts_with('['), port) {
        (_, "") => host.to_owned(),
        (true, port) => format!("[{host}]:{port}"),
        (false, port) => format!("{host}:{port}"),
    }
}
