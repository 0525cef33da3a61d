//! Names and servers: resolvers, hosts, search order, time servers, proxies.
//! Formats: resolv.conf(5), hosts(5), nsswitch.conf(5), resolved.conf(5), timesyncd.conf(5),
//! ntp.conf(5), chrony.conf(5), dhclient.conf(5), dnsmasq(8), apt.conf(5), pam_env(8).
use super::{cite, ini, list};
use crate::artifact::linux::net::bounded;
use crate::artifact::{Artifact, Os, Out};
use crate::evidence::{System, Text};
use crate::format::lines::{Line, decode, unquote, words};
use crate::inventory::{NameSetting, Setting};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.names",
    about: "Name servers, hosts, search domains, time servers and proxies",
    os: Os::Linux,
    reads: &[
        "/etc/resolv.conf",
        "/etc/resolvconf/resolv.conf.d/*",
        "/etc/systemd/{resolved,timesyncd}.conf",
        "/{etc,usr/lib,run}/systemd/{resolved,timesyncd}.conf.d/*.conf",
        "/etc/hosts",
        "/etc/nsswitch.conf",
        "/etc/ntp.conf",
        "/etc/ntpsec/ntp.conf",
        "/etc/chrony/{chrony.conf,conf.d/*.conf,sources.d/*.sources}",
        "/etc/chrony.conf",
        "/etc/default/ntpdate",
        "/etc/dhcp/dhclient.conf",
        "/etc/dnsmasq.conf",
        "/etc/dnsmasq.d/*",
        "/etc/environment",
        "/etc/profile",
        "/etc/profile.d/*",
        "/etc/apt/apt.conf",
        "/etc/apt/apt.conf.d/*",
        "/etc/wgetrc",
    ],
    references: &[
        "resolv.conf(5)",
        "hosts(5)",
        "nsswitch.conf(5)",
        "resolved.conf(5)",
        "chrony.conf(5)",
        "ntp.conf(5)",
        "apt.conf(5)",
    ],
    extract,
};

/// A block list in /etc/hosts has tens of thousands of lines; beyond this they are counted only.
const MAX_ROWS: usize = 20_000;

fn push(text: &Text<'_>, line: &Line<'_>, out: &Out, kind: &str, value: &str, scope: &str, key: &str) {
    out.push(NameSetting {
        kind: kind.into(),
        value: value.to_owned(),
        scope: scope.to_owned(),
        evidence: cite(text, line.number, line.run, key),
        ..NameSetting::default()
    });
}

/// Every line that is no comment, cut at `#` and `;` where those begin a word.
fn each(text: &Text<'_>, out: &Out, mut then: impl FnMut(&Line<'_>, &[&str])) {
    for line in bounded(text, out) {
        if line.cut {
            out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
        }
        let all: Vec<&str> = line.text.split_whitespace().take_while(|w| !w.starts_with(['#', ';'])).collect();
        if !all.is_empty() {
            then(&line, &all);
        }
    }
}

fn extract(system: &System, out: &Out) {
    out.each(system, &["/etc/resolv.conf", "/etc/resolvconf/resolv.conf.d/{head,base,tail,original}"], |text| {
        each(text, out, |line, w| match w {
            ["nameserver", server, ..] => push(text, line, out, "nameserver", server, "", "nameserver"),
            [key @ ("search" | "domain"), rest @ ..] => {
                for d in rest {
                    push(text, line, out, "search", d, "", key);
                }
            }
            _ => {}
        });
    });
    let units = |stem: &str| {
        ["/usr/lib/systemd", "/run/systemd", "/etc/systemd"]
            .map(|d| format!("{d}/{stem}.conf.d/*.conf"))
            .into_iter()
            .chain([format!("/etc/systemd/{stem}.conf")])
            .collect::<Vec<_>>()
    };
    for (stem, section, keys) in [
        ("resolved", "Resolve", &[("DNS", "nameserver"), ("FallbackDNS", "nameserver"), ("Domains", "search")][..]),
        ("timesyncd", "Time", &[("NTP", "ntp"), ("FallbackNTP", "ntp")][..]),
    ] {
        let files = units(stem);
        out.each(system, &files.iter().map(String::as_str).collect::<Vec<_>>(), |text| {
            let ini = ini(text, out);
            for (key, kind) in keys {
                for e in ini.all(section).flat_map(|s| s.all(key)) {
                    for value in list(&e.value) {
                        out.push(NameSetting {
                            kind: (*kind).into(),
                            value,
                            scope: if key.starts_with("Fallback") {
                                format!("systemd-{stem} (fallback)")
                            } else {
                                format!("systemd-{stem}")
                            },
                            evidence: cite(text, e.line, e.run, &format!("{section}.{key}")),
                            ..NameSetting::default()
                        });
                    }
                }
            }
        });
    }
    out.each(system, &["/etc/hosts"], |text| hosts(text, out));
    out.each(system, &["/etc/nsswitch.conf"], |text| {
        each(text, out, |line, w| {
            if let Some(rest) = line.text.trim().strip_prefix("hosts:") {
                out.push(Setting {
                    program: "nsswitch".into(),
                    name: "hosts".into(),
                    value: rest.split_whitespace().collect::<Vec<_>>().join(" "),
                    effective: !w.is_empty(),
                    evidence: cite(text, line.number, line.run, "hosts"),
                    ..Setting::default()
                });
            }
        });
    });
    time(system, out);
    dns_servers(system, out);
    proxies(system, out);
}

fn hosts(text: &Text<'_>, out: &Out) {
    let mut rows = 0_usize;
    let mut more = None;
    each(text, out, |line, w| {
        if let [address, names @ ..] = w
            && !names.is_empty()
        {
            rows = rows.saturating_add(1);
            if rows <= MAX_ROWS {
                push(text, line, out, "host", &format!("{address} {}", names.join(" ")), "", address);
            } else {
                more.get_or_insert(line.number);
            }
        }
    });
    if let Some(line) = more {
        out.gap_line(
            text.entry,
            line,
            format!("budget: rows; {} more hosts from here on were not listed", rows.saturating_sub(MAX_ROWS)),
        );
    }
}

fn time(system: &System, out: &Out) {
    let files = [
        "/etc/ntp.conf",
        "/etc/ntpsec/ntp.conf",
        "/etc/ntpsec/ntp.d/*.conf",
        "/etc/chrony.conf",
        "/etc/chrony/chrony.conf",
        "/etc/chrony/conf.d/*.conf",
        "/etc/chrony/sources.d/*.sources",
        "/etc/openntpd/ntpd.conf",
    ];
    out.each(system, &files, |text| {
        let path = text.entry.path.lossy();
        let program = if path.contains("chrony") {
            "chrony"
        } else if path.contains("openntpd") {
            "openntpd"
        } else {
            "ntpd"
        };
        each(text, out, |line, w| {
            if let [key @ ("server" | "pool" | "peer" | "servers"), value, ..] = w {
                push(text, line, out, "ntp", value, program, key);
            }
        });
    });
    out.each(system, &["/etc/default/ntpdate"], |text| {
        for line in bounded(text, out) {
            if let Some(value) = line.text.trim().strip_prefix("NTPSERVERS=") {
                for v in list(unquote(value)) {
                    push(text, &line, out, "ntp", &v, "ntpdate", "NTPSERVERS");
                }
            }
        }
    });
}

fn dns_servers(system: &System, out: &Out) {
    out.each(system, &["/etc/dhcp/dhclient.conf", "/etc/dhclient.conf"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim().trim_end_matches(';');
            let mut w = body.split_whitespace();
            if let (Some("supersede" | "prepend" | "append" | "default"), Some(key)) = (w.next(), w.next()) {
                let kind = match key {
                    "domain-name-servers" => "nameserver",
                    "domain-search" | "domain-name" => "search",
                    "ntp-servers" => "ntp",
                    _ => continue,
                };
                for v in list(&w.collect::<Vec<_>>().join(" ")) {
                    push(text, &line, out, kind, unquote(&v), "dhclient", key);
                }
            }
        }
    });
    out.each(system, &["/etc/dnsmasq.conf", "/etc/dnsmasq.d/*", "/etc/NetworkManager/dnsmasq.d/*"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim();
            let Some((key, value)) = body.split_once('=').filter(|_| !body.starts_with('#')) else { continue };
            match key.trim() {
                "server" => push(text, &line, out, "nameserver", value.trim(), "dnsmasq", "server"),
                key @ ("address" | "host-record") => push(text, &line, out, "host", value.trim(), "dnsmasq", key),
                _ => {}
            }
        }
    });
}

fn proxies(system: &System, out: &Out) {
    let variable = |name: &str| {
        let name = name.to_ascii_lowercase();
        matches!(name.as_str(), "http_proxy" | "https_proxy" | "ftp_proxy" | "all_proxy" | "socks_proxy" | "no_proxy")
    };
    out.each(
        system,
        &[
            "/etc/environment",
            "/etc/environment.d/*.conf",
            "/etc/profile",
            "/etc/profile.d/*",
            "/etc/bash.bashrc",
            "/etc/wgetrc",
            "/root/.profile",
            "/root/.bashrc",
        ],
        |text| {
            let program = decode(text.entry.path.file_name()).into_owned();
            for line in bounded(text, out) {
                // `export a=b c=d`, `a = b` of wgetrc.
                let whole = line.text.trim();
                if whole.starts_with('#') {
                    continue;
                }
                for word in words(&whole.replace(" = ", "=")) {
                    if let Some((name, value)) = word.split_once('=').filter(|(n, v)| variable(n) && !v.is_empty()) {
                        push(
                            text,
                            &line,
                            out,
                            "proxy",
                            &format!("{}={}", name.to_ascii_lowercase(), value),
                            &program,
                            name,
                        );
                    }
                }
            }
        },
    );
    out.each(system, &["/etc/apt/apt.conf", "/etc/apt/apt.conf.d/*"], |text| {
        for line in bounded(text, out) {
            let body = line.text.trim();
            let mut w = body.split_whitespace();
            if let (Some(key), Some(value)) = (w.next(), w.next())
                && key.to_ascii_lowercase().contains("proxy")
                && !body.starts_with(['#', '/'])
            {
                push(
                    text,
                    &line,
                    out,
                    "proxy",
                    &format!("{}={}", key.to_ascii_lowercase(), unquote(value.trim_end_matches(';'))),
                    "apt",
                    key,
                );
            }
        }
    });
}
