//! Deleted configuration, as far as the file system still leads to its content: read by the reader of such files, and told
//! in a table of its own (`removed`), since a row beside those of live files would count as one of them with every rule,
//! policy, baseline and comparison. What a file was shows by its path; where no name is left, by what it holds. A public
//! key alone does not show whether it was let in anywhere, so a list of keys without a name is not told.
use super::super::linux::{cron, net, ssh, sshd, sudoers, systemd};
use super::super::{Artifact, Content, Out, Sight};
use crate::base::{Evidence, FsId, Gaps, Progress};
use crate::evidence::{Entry, System, Tree, matches};
use crate::format::lines::is_text;
use crate::fs::MemFs;
use crate::inventory::{Removed, Row, SystemInfo, Value};
use std::sync::Arc;

pub(crate) const CONTENT: Content = Content {
    name: "loose.removed",
    about: "deleted configuration of networks, links, tunnels, logins, keys, units and tasks: what it said",
    wants,
    consume,
};

/// Who reads a file by its path alone, with nothing of the rest of the system.
const READERS: &[&Artifact] = &[
    &net::network_manager::ARTIFACT,
    &net::networkd::ARTIFACT,
    &net::netplan::ARTIFACT,
    &net::ifupdown::ARTIFACT,
    &net::distributions::ARTIFACT,
    &net::wifi::ARTIFACT,
    &net::ppp::ARTIFACT,
    &net::cellular::ARTIFACT,
    &net::openvpn::ARTIFACT,
    &net::ipsec::ARTIFACT,
    &net::overlays::ARTIFACT,
    &net::tunnels::ARTIFACT,
    &net::remote_control::ARTIFACT,
    &net::uci::ARTIFACT,
    &ssh::ARTIFACT,
    &sshd::ARTIFACT,
    &sudoers::ARTIFACT,
    &cron::ARTIFACT,
    &systemd::ARTIFACT,
];
/// Settings of keys and tunnels (`key_sets`) may lie anywhere; of deleted ones those in folders for them are read.
const KEY_SETS: &[&str] =
    &["/etc/{wireguard,frp,nps,rathole}/**", "/opt/**/{frpc,frps}.{ini,toml}", "/etc/**/{frpc,frps}.{ini,toml}"];
/// Configuration is shorter.
const MOST: u64 = 1 << 20;
/// Rows of one file, columns of a row, characters of a value.
const MAX_ROWS: usize = 200;
const MAX_VALUES: usize = 40;
const MAX_VALUE: usize = 300;
/// Columns that are told elsewhere in the row, or that a single file does not show.
const LEFT_OUT: &[&str] = &["name", "kind", "path", "package", "owner", "program_missing", "enabled_by", "missing"];

/// What a file without a name is by its first bytes, as the path that its kind has.
const SIGNATURES: &[(&str, &[&str])] = &[
    ("/etc/NetworkManager/system-connections/unnamed.nmconnection", &["[connection]", "\nuuid=", "\ntype="]),
    ("/etc/wireguard/unnamed.conf", &["[Interface]", "PrivateKey", "[Peer]"]),
    ("/etc/systemd/system/unnamed.service", &["[Service]", "\nExecStart="]),
    ("/etc/systemd/network/unnamed.network", &["[Match]", "[Network]"]),
    ("/etc/wpa_supplicant/unnamed.conf", &["network={", "ssid="]),
    ("/etc/openvpn/unnamed.conf", &["\nremote ", "\ndev tu"]),
    ("/etc/openvpn/unnamed.conf", &["\nremote ", "\ndev ta"]),
    ("/etc/ppp/peers/unnamed", &["/dev/tty", "\nconnect ", "defaultroute"]),
    ("/etc/wvdial.conf", &["[Dialer ", "\nPhone"]),
    ("/etc/frp/frpc.ini", &["server_addr", "server_port", "[common]"]),
];

/// Where nothing is left of its name.
fn is_nameless(entry: &Entry) -> bool {
    entry.path.bytes().windows(10).any(|w| w == b"/$deleted/")
}

fn readers(path: &[u8]) -> Vec<&'static Artifact> {
    let reads = |a: &Artifact| a.reads.iter().any(|r| matches(r.as_bytes(), path));
    let mut all: Vec<&Artifact> = READERS.iter().copied().filter(|a| reads(a)).collect();
    if KEY_SETS.iter().any(|p| matches(p.as_bytes(), path)) {
        all.push(&net::key_sets::ARTIFACT);
    }
    all
}

fn by_content(head: &[u8]) -> Option<&'static str> {
    let has = |mark: &&str| match mark.strip_prefix('\n') {
        // At the start of a line.
        Some(rest) => head.starts_with(rest.as_bytes()) || memchr::memmem::find(head, mark.as_bytes()).is_some(),
        None => memchr::memmem::find(head, mark.as_bytes()).is_some(),
    };
    SIGNATURES.iter().find(|(_, marks)| marks.iter().all(has)).map(|(path, _)| *path)
}

fn wants(entry: &Entry, head: &[u8]) -> bool {
    if !entry.deleted || !entry.is_file() || head.is_empty() || entry.len() > MOST {
        return false;
    }
    if is_nameless(entry) { by_content(head).is_some() } else { !readers(entry.path.bytes()).is_empty() }
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let nameless = is_nameless(sight.entry);
    let path =
        if nameless { by_content(content).map(str::to_owned) } else { Some(sight.entry.path.lossy().into_owned()) };
    let Some(path) = path.filter(|p| nameless || p.as_bytes() == sight.entry.path.bytes()) else { return };
    if !is_text(content) {
        out.gap(sight.entry, "deleted configuration: what its blocks hold now is no text, and was not read");
        return;
    }
    let mut fs = MemFs::default();
    fs.add(&path, content.to_vec());
    let Ok(tree) = Tree::index(Arc::new(fs), FsId(0), &Gaps::default(), &Progress::default()) else { return };
    let system = System::new(0, SystemInfo::default(), vec![(Vec::new(), Arc::new(tree))]);
    let mut rows = Vec::new();
    for reader in readers(path.as_bytes()) {
        let own = Out::new(None, reader.name).showing_secrets(out.show_secrets);
        (reader.extract)(&system, &own);
        // What such a file does not say in full is no gap of the evidence: it is deleted.
        rows.extend(own.take().0);
    }
    rows.retain(|r| r.evidence().path.bytes() == path.as_bytes());
    if rows.len() > MAX_ROWS {
        let more = rows.len().saturating_sub(MAX_ROWS);
        out.gap_bytes(sight.entry, format!("budget: deleted configuration; {more} further rows were not listed"), 0);
    }
    let replaced = !nameless && sight.system.is_some_and(|s| s.resolve(sight.entry.path.bytes()).is_some());
    for row in rows.into_iter().take(MAX_ROWS) {
        out.push(removed(sight, &row, nameless, replaced));
    }
}

fn removed(sight: &Sight<'_>, row: &Row, nameless: bool, replaced: bool) -> Removed {
    let table = row.table();
    let text = |name: &str| table.column(name).map(|c| shown(&row.value(c))).unwrap_or_default();
    let mut values = Vec::new();
    for (at, column) in table.columns.iter().enumerate() {
        let value = row.value(at);
        let says = !matches!(value, Value::Null | Value::Bool(false)) && !LEFT_OUT.contains(&column.name);
        // Whose keys they were shows by the path alone.
        if !says || (nameless && column.name == "user") {
            continue;
        }
        let value = shown(&value);
        if !value.is_empty() && values.len() < MAX_VALUES {
            values.push(format!("{}={value}", column.name));
        }
    }
    let was = row.evidence();
    let part = was.range.map_or_else(|| sight.evidence.clone(), |range| sight.part(range));
    Removed {
        table: table.name.into(),
        kind: text("kind"),
        name: if nameless && was.path.display() == text("name") { String::new() } else { text("name") },
        path: sight.entry.path.clone(),
        told_by: if nameless { "content" } else { "path" }.into(),
        values,
        deleted_at: sight.entry.stat.as_ref().and_then(|s| s.times.deleted),
        replaced,
        evidence: Evidence { line: was.line, key: was.key.clone(), excerpt: was.excerpt.clone(), ..part },
        ..Removed::default()
    }
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(MAX_VALUE).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::super::testing::entry;
    use super::*;

    fn of(path: &str, content: &str) -> Vec<String> {
        let entry = Entry { deleted: true, stat: Some(stat(content.len())), ..entry(path) };
        if !wants(&entry, content.as_bytes()) {
            return Vec::new();
        }
        let evidence = Evidence { path: path.into(), deleted: true, ..Evidence::default() };
        let sight = Sight { entry: &entry, system: None, evidence };
        let out = Out::new(Some(0), CONTENT.name);
        consume(&sight, content.as_bytes(), &out);
        let (rows, gaps) = out.take();
        assert!(gaps.is_empty(), "{gaps:?}");
        let show = |r: &Row| match r {
            Row::Removed(r) => {
                assert!(r.evidence.deleted && r.path.display() == path);
                format!("{} {} {} by {}: {}", r.table, r.kind, r.name, r.told_by, r.values.join("; "))
            }
            other => unreachable!("{other:?}"),
        };
        rows.iter().map(show).collect()
    }
    fn stat(len: usize) -> Arc<crate::fs::Stat> {
        Arc::new(crate::fs::Stat {
            kind: crate::fs::NodeKind::File,
            len: len as u64,
            allocated: 4096,
            mode: 0o600,
            uid: 0,
            gid: 0,
            links: 0,
            times: crate::fs::Times::default(),
            flags: Vec::new(),
            xattrs: Vec::new(),
            device: None,
        })
    }

    const PROFILE: &str = "[connection]\nid=crane-4g\nuuid=7d3a9e9e-5f5a-4a30-9c0b-6b1a0d1f0009\ntype=gsm\n[gsm]\napn=cmiot\nnumber=*99#\npassword=SECRET\n";

    #[test]
    fn what_deleted_configuration_said() {
        for (path, by) in
            [("/etc/NetworkManager/system-connections/crane.nmconnection", "path"), ("/$deleted/1234", "content")]
        {
            let found = of(path, PROFILE);
            let row = found.iter().find(|r| r.starts_with("connections gsm crane-4g")).unwrap();
            assert!(
                row.contains(&format!(" by {by}: ")) && row.contains("apn=cmiot") && !row.contains("SECRET"),
                "{row}"
            );
        }
        let peer = of(
            "/etc/ppp/peers/out",
            "/dev/ttyUSB2 115200\nconnect '/usr/sbin/chat -f /etc/chatscripts/out'\ndefaultroute\n",
        );
        assert!(peer.iter().any(|r| r.starts_with("connections ppp-modem out")), "{peer:?}");
        let tunnel = of(
            "/etc/wireguard/wg0.conf",
            "[Interface]\nPrivateKey = SECRET\n[Peer]\nPublicKey = a\nEndpoint = vpn.example.org:51820\n",
        );
        assert!(
            tunnel.iter().any(|r| r.starts_with("connections wireguard") && r.contains("vpn.example.org:51820")),
            "{tunnel:?}"
        );
        assert!(!format!("{tunnel:?}").contains("SECRET"));
        let unit = of(
            "/etc/systemd/system/dial.service",
            "[Service]\nExecStart=/opt/dial -4\n[Install]\nWantedBy=multi-user.target\n",
        );
        assert!(
            unit.iter().any(|r| r.starts_with("services service dial.service") && r.contains("/opt/dial")),
            "{unit:?}"
        );
        let keys = of(
            "/root/.ssh/authorized_keys",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f op@far\n",
        );
        assert!(keys.iter().any(|r| r.starts_with("keys authorized ") && r.contains("op@far")), "{keys:?}");
        let wifi = of("/$deleted/7", "ctrl_interface=/run/x\nnetwork={\n  ssid=\"yard\"\n  psk=\"SECRET12\"\n}\n");
        assert!(wifi.iter().any(|r| r.contains("yard")) && !format!("{wifi:?}").contains("SECRET12"), "{wifi:?}");
    }

    #[test]
    fn what_is_none_of_it() {
        // A public key without a name may have stood anywhere; other text is no configuration.
        assert!(of("/$deleted/9", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA0 op@far\n").is_empty());
        assert!(of("/usr/share/doc/x", PROFILE).is_empty());
        assert!(of("/$deleted/9", "notes on [connection] and type=gsm\n").is_empty());
        assert!(!wants(&Entry { stat: Some(stat(5)), ..entry("/etc/ppp/peers/out") }, b"modem"));
    }

    #[test]
    fn a_binary_in_its_place_is_a_gap() {
        let entry = Entry { deleted: true, stat: Some(stat(64)), ..entry("/etc/ppp/peers/out") };
        let sight = Sight { entry: &entry, system: None, evidence: Evidence::default() };
        let out = Out::new(Some(0), CONTENT.name);
        consume(&sight, &[0, 1, 2, 3, 0, 0, 0xff, 0xfe].repeat(8), &out);
        let (rows, gaps) = out.take();
        assert!(rows.is_empty() && gaps.len() == 1, "{rows:?} {gaps:?}");
    }
}
