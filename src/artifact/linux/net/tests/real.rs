//! What real packages ship must not look like a connection that someone set up.
use super::run_on;
use crate::artifact::{ALL, Artifact};
use crate::fs::MemFs;
use std::path::Path;

/// The artifacts of this folder.
pub(super) fn net() -> Vec<&'static Artifact> {
    const NAMES: &[&str] = &[
        "ifupdown",
        "networkmanager",
        "networkd",
        "netplan",
        "wifi",
        "names",
        "ppp",
        "tunnel-settings",
        "cellular",
        "openvpn",
        "ipsec",
        "overlays",
        "tunnels",
        "remote-control",
        "dialing-commands",
        "uci",
        "nftables",
        "iptables",
        "firewalld",
        "listeners",
        "endpoints",
        "dhcp-leases",
        "distribution-interfaces",
        "bluetooth",
        "filter-front-ends",
    ];
    let found: Vec<_> =
        ALL.iter().copied().filter(|a| a.name.strip_prefix("linux.").is_some_and(|n| NAMES.contains(&n))).collect();
    assert_eq!(found.len(), NAMES.len(), "an artifact of this folder is not registered");
    found
}

fn add(root: &Path, dir: &Path, links: &mut String, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(inside) = path.strip_prefix(root) else { continue };
        let name = format!("/{}", inside.to_string_lossy());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            let target = std::fs::read_link(&path).unwrap();
            links.push_str(&format!("{name} -> {}\n", target.to_string_lossy()));
        } else if kind.is_dir() {
            add(root, &path, links, files);
        } else if std::fs::metadata(&path).is_ok_and(|m| m.len() < 1 << 20) {
            files.push((name, std::fs::read(&path).unwrap_or_default()));
        }
    }
}

/// Set `CRANESCOPE_PACKAGES` to a folder into which packages were unpacked (`dpkg-deb -x`) or to the
/// root of a clean system.
#[test]
fn files_as_shipped_are_no_connections() {
    let Some(root) = std::env::var_os("CRANESCOPE_PACKAGES") else {
        eprintln!("skipped: CRANESCOPE_PACKAGES is not set");
        return;
    };
    let root = Path::new(&root);
    let (mut links, mut files) = (String::new(), Vec::new());
    [
        "etc",
        "lib/systemd",
        "lib/ufw",
        "usr/lib/systemd",
        "usr/lib/NetworkManager",
        "usr/local",
        "opt",
        "var/lib",
        "var/spool",
        "root",
        "home",
        "srv",
        "usr/share/ppp",
    ]
    .iter()
    .for_each(|d| add(root, &root.join(d), &mut links, &mut files));
    // What maintainer scripts copy into place.
    let copied: Vec<(String, Vec<u8>)> = [
        ("/usr/share/ppp/provider.peer", "/etc/ppp/peers/provider"),
        ("/usr/share/ppp/chap-secrets", "/etc/ppp/chap-secrets"),
        ("/usr/share/ppp/pap-secrets", "/etc/ppp/pap-secrets"),
    ]
    .iter()
    .filter_map(|(from, to)| files.iter().find(|(n, _)| n == from).map(|(_, b)| ((*to).to_owned(), b.clone())))
    .collect();
    let mut fs = MemFs::parse(&links);
    for (name, bytes) in files.into_iter().chain(copied) {
        fs.add(&name, bytes);
    }
    let started = std::time::Instant::now();
    let (inv, gaps) = run_on(fs, &net());
    eprintln!("{:?}", started.elapsed());
    for g in &gaps {
        eprintln!("gap {} {} {}", g.by, g.at, g.what);
    }
    for l in inv.listeners.iter() {
        eprintln!(
            "listener {} {} {} {} <- {:?} {:?}",
            l.protocol, l.address, l.port, l.program, l.evidence.path, l.evidence.line
        );
    }
    for e in inv.endpoints.iter() {
        eprintln!(
            "endpoint {} {} {} {} {} {:?} {:?}",
            e.host, e.port, e.scheme, e.class, e.by, e.evidence.path, e.evidence.line
        );
    }
    for i in inv.interfaces.iter() {
        eprintln!("interface {} {} {} {} {:?}", i.name, i.manager, i.kind, i.method, i.evidence.path);
    }
    for n in inv.names.iter() {
        eprintln!("name {} {} {} {:?}", n.kind, n.value, n.scope, n.evidence.path);
    }
    for s in inv.settings.iter() {
        eprintln!("setting {} {} {}={} {:?}", s.program, s.scope, s.name, s.value, s.evidence.path);
    }
    for f in inv.firewall.iter() {
        eprintln!("firewall {} {} {} {} [{}]", f.manager, f.table, f.chain, f.rule, f.action);
    }
    let shown: Vec<String> = inv
        .connections
        .iter()
        .map(|c| format!("{} {} {} {:?} {:?}", c.kind, c.manager, c.name, c.endpoints, c.details))
        .collect();
    assert!(shown.is_empty(), "{shown:#?}");
}
