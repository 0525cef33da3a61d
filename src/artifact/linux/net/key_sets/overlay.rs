//! Overlay networks: EasyTier, n2n.
use super::super::{BY_UNIT, cite, once};
use super::{listens, secrets, tunnel};
use crate::artifact::Out;
use crate::artifact::linux::net::bounded;
use crate::evidence::Text;
use crate::format::lines::words;
use crate::format::tree::{Leaf, Tree};
use crate::inventory::Connection;

pub(super) fn easytier(text: &Text<'_>, out: &Out) -> bool {
    let tree = Tree::guess(text.entry.path.file_name(), &text.bytes);
    let Some(network) = tree.named("network_name").filter(|_| tree.named("network_secret").is_some()) else {
        return false;
    };
    let peers: Vec<&Leaf> = tree
        .below("peer")
        .chain(tree.below("peers"))
        .filter(|l| l.key() == "uri" || l.path.first().is_some_and(|p| p == "peers"))
        .collect();
    let telling = peers.first().copied().unwrap_or(network);
    let mut c = tunnel(text, "easytier", telling);
    c.endpoints = peers.iter().map(|p| p.value.clone()).collect();
    c.secrets = secrets(&tree);
    once(&mut c.secrets, "network_secret");
    c.details.push(format!("network_name={}", network.value));
    for key in ["ipv4", "dhcp", "rpc_portal", "hostname", "instance_name"] {
        if let Some(v) = tree.get(key) {
            c.details.push(format!("{key}={v}"));
        }
    }
    for listener in tree.below("listeners") {
        // tcp://0.0.0.0:11010
        if let Some((protocol, rest)) = listener.value.split_once("://")
            && let Some((address, port)) = rest.rsplit_once(':')
        {
            let port = Leaf { value: port.trim_end_matches('/').to_owned(), ..listener.clone() };
            listens(text, out, "easytier", if protocol == "tcp" { "tcp" } else { "udp" }, address, &port);
        }
    }
    out.push(c);
    true
}

/// The options file of n2n's edge: one command-line option a line.
pub(super) fn n2n(text: &Text<'_>, out: &Out) -> bool {
    let mut supernodes: Vec<(String, u32, crate::base::Run)> = Vec::new();
    let (mut community, mut key, mut device) = (String::new(), false, String::new());
    let mut details = Vec::new();
    for line in bounded(text, out) {
        let body = line.text.trim();
        if body.is_empty() || body.starts_with('#') {
            continue;
        }
        // `-l=host:port`, `-l host:port`, `-lhost:port`, `--supernode-list=host:port`, `supernode=…`.
        let w = words(body);
        let Some(first) = w.first() else { continue };
        let (name, value) = match first.split_once('=') {
            Some((n, v)) => (n.to_owned(), v.to_owned()),
            None if first.starts_with('-') && !first.starts_with("--") && first.len() > 2 => {
                (first.chars().take(2).collect(), first.chars().skip(2).collect())
            }
            None => (first.clone(), w.get(1).cloned().unwrap_or_default()),
        };
        match name.as_str() {
            "-l" | "--supernode-list" => supernodes.push((value, line.number, line.run)),
            "-c" | "--community" => community = value,
            "-k" | "-K" => key = true,
            "-d" | "--tun-device" => device = value,
            "-a" | "-m" | "-p" | "-r" | "-A" | "-E" if name.len() == 2 => details.push(format!("{name}={value}")),
            // Any line that is no option at all: this is no such file.
            n if !n.starts_with('-') => return false,
            _ => {}
        }
    }
    let Some((_, line, run)) = supernodes.first().filter(|_| !community.is_empty()) else { return false };
    let mut c = Connection {
        name: text.entry.path.display(),
        manager: "n2n".into(),
        kind: "tunnel".into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        interface: device,
        evidence: cite(text, *line, *run, "-l"),
        details,
        ..Connection::default()
    };
    c.details.push(format!("community={community}"));
    for (node, ..) in &supernodes {
        once(&mut c.endpoints, node);
    }
    if key {
        c.secrets.push("key".into());
    }
    out.push(c);
    true
}
