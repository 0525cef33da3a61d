//! Interfaces as distributions other than Debian set them up: ifcfg files of Red Hat and SUSE with their routes,
//! netctl, Gentoo's netifrc, wicked, dhcpcd's static addresses, ConnMan's provisioning, names of routing tables.
//! Formats: /usr/share/doc/initscripts/sysconfig.txt, ifcfg(5), ifroute(5), netctl.profile(5), dhcpcd.conf(5),
//! connman-service.config(5), ip-route(8).
mod ifcfg;
mod others;
#[cfg(test)]
mod tests;

use super::{bounded, cite, list};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::format::lines::words;
use crate::inventory::NameSetting;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.distribution-interfaces",
    about: "Interfaces, routes and names in ifcfg files, netctl, netifrc, wicked, dhcpcd and ConnMan",
    os: Os::Linux,
    reads: &[
        "/etc/sysconfig/network-scripts/{ifcfg,route,route6,rule}-*",
        "/etc/sysconfig/network/{ifcfg,ifroute}-*",
        "/etc/sysconfig/network/{config,routes}",
        "/etc/sysconfig/{network,proxy}",
        "/etc/netctl/*",
        "/etc/conf.d/{net,net.*}",
        "/etc/wicked/ifconfig/*.xml",
        "/etc/wicked/*.xml",
        "/etc/dhcpcd.conf",
        "/var/lib/connman/{*.config,settings,*/settings}",
        "/etc/connman/main.conf",
        "/etc/iproute2/rt_tables",
        "/etc/iproute2/rt_tables.d/*.conf",
    ],
    references: &[
        "sysconfig.txt",
        "ifcfg(5)",
        "ifroute(5)",
        "netctl.profile(5)",
        "dhcpcd.conf(5)",
        "connman-service.config(5)",
    ],
    extract,
};

fn extract(system: &System, out: &Out) {
    ifcfg::extract(system, out);
    others::extract(system, out);
}

/// A variable of a shell's text and where it stands.
struct Variable {
    key: String,
    value: String,
    line: u32,
    run: Run,
}
struct Variables(Vec<Variable>);
impl Variables {
    /// Assignments, one a line; a value in quotes or brackets may go on over lines.
    fn read(text: &Text<'_>, out: &Out) -> Self {
        const MOST: usize = 2000;
        let mut all: Vec<Variable> = Vec::new();
        let mut open: Option<char> = None;
        for line in bounded(text, out) {
            let body = line.text.trim();
            if let (Some(end), Some(last)) = (open, all.last_mut()) {
                if last.value.len() < 1 << 16 {
                    last.value.push('\n');
                    last.value.push_str(body.trim_end_matches(end));
                }
                if body.ends_with(end) {
                    open = None;
                }
                continue;
            }
            let body = body.strip_prefix("export ").unwrap_or(body);
            let Some((key, value)) = body.split_once('=').filter(|_| !body.starts_with('#')) else { continue };
            let key = key.trim().trim_end_matches('+');
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                continue;
            }
            if all.len() >= MOST {
                out.gap_line(text.entry, line.number, "budget: settings; the rest was not read");
                break;
            }
            let value = value.trim();
            let (start, end) = match value.chars().next() {
                Some('(') => ('(', ')'),
                Some(q @ ('"' | '\'')) => (q, q),
                _ => (' ', ' '),
            };
            let closed =
                start == ' ' || value.len() > 1 && value.split(" #").next().unwrap_or(value).trim_end().ends_with(end);
            open = (!closed).then_some(end);
            let value = match (start, closed) {
                (' ', _) => value.split(" #").next().unwrap_or(value).trim().to_owned(),
                ('(', true) => words(value.trim_start_matches('(').trim_end_matches(')')).join("\n"),
                (_, true) => words(value).into_iter().next().unwrap_or_default(),
                (_, false) => value.trim_start_matches(start).to_owned(),
            };
            all.push(Variable { key: key.to_owned(), value, line: line.number, run: line.run });
        }
        Self(all)
    }
    /// The last assignment counts.
    fn entry(&self, key: &str) -> Option<&Variable> {
        self.0.iter().rev().find(|v| v.key == key)
    }
    fn get(&self, key: &str) -> &str {
        self.entry(key).map_or("", |v| v.value.as_str())
    }
    /// `KEY`, `KEY0`, `KEY1`, `KEY_x` in order, with what stands behind the name.
    fn numbered<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (&'a str, &'a Variable)> {
        self.0.iter().filter_map(move |v| {
            let tail = v.key.strip_prefix(key)?;
            let fits = tail.starts_with('_') || tail.bytes().all(|b| b.is_ascii_digit());
            fits.then_some((tail, v)).filter(|(_, v)| !v.value.is_empty())
        })
    }
}

fn name_rows(text: &Text<'_>, v: &Variable, kind: &str, scope: &str, out: &Out) {
    for value in list(&v.value.replace('\n', " ")) {
        out.push(NameSetting {
            kind: kind.into(),
            value,
            scope: scope.to_owned(),
            evidence: cite(text, v.line, v.run, &v.key),
            ..NameSetting::default()
        });
    }
}

/// `10.0.0.5` and `255.255.255.0` or `24` as `10.0.0.5/24`.
fn with_mask(address: &str, prefix: &str, mask: &str) -> String {
    if address.contains('/') {
        return address.to_owned();
    }
    let bits = mask.parse::<std::net::Ipv4Addr>().map(|m| u32::from(m).count_ones().to_string());
    let bits = if prefix.is_empty() { bits.unwrap_or_else(|_| mask.to_owned()) } else { prefix.to_owned() };
    if bits.is_empty() { address.to_owned() } else { format!("{address}/{bits}") }
}
