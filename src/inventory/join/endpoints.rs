//! Endpoints: those that other tables tell are added to what the configuration itself named, each once, and every
//! file that names one is held against its package.
use crate::base::host::{class, is_full_name, is_label, split};
use crate::base::{Evidence, Name};
use crate::inventory::{Endpoint, Inventory};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What the rows that an artifact made of a text say of themselves.
const TEXT: &str = "text";

/// Makes the rows anew that come of other tables, and fills `source_package` and `source_check`.
pub(super) fn complete(inventory: &mut Inventory) {
    let told = of_tables(inventory);
    if told.is_empty() && inventory.endpoints.is_empty() {
        return;
    }
    let place = |e: &Endpoint| (e.system, e.evidence.path.clone(), e.host.to_ascii_lowercase());
    let known: HashSet<_> = told.iter().map(place).collect();
    let mut rows: Vec<Endpoint> =
        inventory.endpoints.iter().filter(|e| &*e.told == TEXT && !known.contains(&place(e))).cloned().collect();
    rows.extend(told);
    vouch(&mut rows, inventory);
    inventory.endpoints = Arc::new(rows);
    super::super::sort::sort(Arc::make_mut(&mut inventory.endpoints).as_mut_slice());
}

fn vouch(rows: &mut [Endpoint], inventory: &Inventory) {
    type Check = (Option<Arc<str>>, Arc<str>);
    let mut asked: HashMap<(Option<u32>, &Name), Check> = HashMap::new();
    let wanted: HashSet<(Option<u32>, &Name)> = rows.iter().map(|e| (e.system, &e.evidence.path)).collect();
    for file in inventory.files.iter().filter(|f| !f.deleted && f.covered.is_empty()) {
        if wanted.contains(&(file.system, &file.path)) {
            asked.insert((file.system, &file.path), (file.package.clone(), file.package_check.clone()));
        }
    }
    let checks: Vec<Check> =
        rows.iter().map(|e| asked.get(&(e.system, &e.evidence.path)).cloned().unwrap_or_default()).collect();
    for (row, check) in rows.iter_mut().zip(checks) {
        (row.source_package, row.source_check) = check;
    }
}

/// What a row of another table says of an endpoint.
struct Told<'a> {
    system: Option<u32>,
    evidence: &'a Evidence,
    table: &'static str,
    by: &'a str,
    scheme: &'a str,
}

fn of_tables(inventory: &Inventory) -> Vec<Endpoint> {
    let mut rows = Vec::new();
    for c in inventory.connections.iter() {
        // Where these lead is the name of a radio network, a telephone number, an access point's name.
        if matches!(&*c.kind, "wifi" | "wifi-ap" | "bluetooth" | "gsm" | "cdma" | "sms" | "ppp-modem" | "ppp-serial") {
            continue;
        }
        let told = Told {
            system: c.system,
            evidence: &c.evidence,
            table: "connections",
            by: &c.manager,
            scheme: if &*c.kind == "tunnel" { "" } else { &c.kind },
        };
        c.endpoints.iter().for_each(|e| add(&told, e, &mut rows));
    }
    for n in inventory.names.iter() {
        let value = match &*n.kind {
            // `http_proxy=http://10.0.0.1:3128`
            "proxy" if n.value.starts_with("no_proxy") => continue,
            "proxy" => n.value.split_once('=').map_or(n.value.as_str(), |(_, v)| v),
            "ntp" | "nameserver" => n.value.as_str(),
            // A host's line begins with its address.
            "host" => n.value.split_whitespace().next().unwrap_or_default(),
            _ => continue,
        };
        let scheme = match &*n.kind {
            "nameserver" => "dns",
            "host" => "",
            kind => kind,
        };
        let by = if n.scope.is_empty() { &*n.kind } else { n.scope.as_str() };
        let told = Told { system: n.system, evidence: &n.evidence, table: "names", by, scheme };
        let before = rows.len();
        add(&told, value, &mut rows);
        // The lines that every /etc/hosts has lead nowhere.
        if &*n.kind == "host" {
            let last = rows.last().map(|e| e.class.clone());
            if rows.len() > before
                && last.is_some_and(|c| matches!(&*c, "loopback" | "multicast" | "link-local" | "reserved"))
            {
                rows.pop();
            }
        }
    }
    for k in inventory.keys.iter().filter(|k| &*k.kind == "known-host") {
        let told = Told { system: k.system, evidence: &k.evidence, table: "keys", by: "ssh", scheme: "ssh" };
        k.host.split(',').filter(|h| !h.contains(['*', '?', '!', '|'])).for_each(|h| add(&told, h, &mut rows));
    }
    for b in inventory.boot_environment.iter().filter(|b| b.name == "serverip") {
        let told =
            Told { system: b.system, evidence: &b.evidence, table: "boot_environment", by: "u-boot", scheme: "tftp" };
        add(&told, &b.value, &mut rows);
    }
    rows
}

fn add(told: &Told<'_>, value: &str, rows: &mut Vec<Endpoint>) {
    let (scheme, rest) = value.split_once("://").unwrap_or((told.scheme, value));
    let rest = rest.split(['/', '?']).next().unwrap_or(rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let (host, port) = split(rest);
    let named = is_full_name(host) || is_label(host) && host.bytes().any(|b| b.is_ascii_alphabetic());
    if host.is_empty() || !named && host.split('%').next().unwrap_or(host).parse::<std::net::IpAddr>().is_err() {
        return;
    }
    rows.push(Endpoint {
        system: told.system,
        host: host.to_owned(),
        port: port.to_owned(),
        scheme: scheme.to_ascii_lowercase().into(),
        class: class(host).into(),
        by: told.by.to_owned(),
        value: value.split('?').next().unwrap_or(value).to_owned(),
        told: told.table.into(),
        evidence: told.evidence.clone(),
        ..Endpoint::default()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Connection, File, Key, NameSetting};

    #[test]
    fn rows_of_other_tables_are_added_once() {
        let at = |path: &str| Evidence { path: path.into(), ..Evidence::default() };
        let text = |host: &str, path: &str| Endpoint {
            host: host.into(),
            told: TEXT.into(),
            evidence: at(path),
            ..Endpoint::default()
        };
        let name = |kind: &str, value: &str| NameSetting {
            kind: kind.into(),
            value: value.into(),
            evidence: at("/etc/x"),
            ..NameSetting::default()
        };
        let mut inventory = Inventory {
            endpoints: Arc::new(vec![text("Relay.cn", "/etc/frp/c.toml"), text("relay.cn", "/opt/a.conf")]),
            connections: Arc::new(vec![
                Connection {
                    manager: "frp".into(),
                    kind: "tunnel".into(),
                    endpoints: vec!["relay.cn:7000".into(), "[2606::1]:51820".into(), "a b".into()],
                    evidence: at("/etc/frp/c.toml"),
                    ..Connection::default()
                },
                Connection { kind: "wifi".into(), endpoints: vec!["office".into()], ..Connection::default() },
            ]),
            names: Arc::new(vec![
                name("ntp", "ntp.aliyun.com"),
                name("proxy", "http_proxy=http://u:p@10.0.0.1:3128/"),
                name("proxy", "no_proxy=localhost"),
                name("host", "127.0.0.1 localhost"),
                name("host", "47.1.2.3 update.vendor.cn"),
                name("search", "lan"),
            ]),
            keys: Arc::new(vec![
                Key {
                    kind: "known-host".into(),
                    host: "git.cn,[10.0.0.9]:2222,*.x".into(),
                    evidence: at("/root/.ssh/known_hosts"),
                    ..Key::default()
                },
                Key { kind: "authorized".into(), host: "no".into(), ..Key::default() },
            ]),
            files: Arc::new(vec![File {
                path: "/opt/a.conf".into(),
                package: Some("a".into()),
                package_check: "ok".into(),
                ..File::default()
            }]),
            ..Inventory::default()
        };
        for _ in 0..2 {
            complete(&mut inventory);
            let shown: Vec<String> = inventory
                .endpoints
                .iter()
                .map(|e| {
                    let package = e.source_package.as_deref().unwrap_or("-");
                    format!("{} {} {} {} {} {package} {}", e.host, e.port, e.scheme, e.class, e.told, e.source_check)
                })
                .collect();
            assert_eq!(
                shown,
                [
                    "10.0.0.1 3128 http private names - ",
                    "10.0.0.9 2222 ssh private keys - ",
                    "2606::1 51820  public connections - ",
                    "47.1.2.3   public names - ",
                    "git.cn  ssh name keys - ",
                    "ntp.aliyun.com  ntp name names - ",
                    "relay.cn    text a ok",
                    "relay.cn 7000  name connections - ",
                ]
            );
        }
    }
}
