//! pppd: peers and their dial scripts. A modem, PPPoE, PPTP, L2TP and a plain serial line are told apart.
//! Format: pppd(8), "options files".
use super::chat::{self, Dial};
use super::{BY_UNIT, cite, cite_as, once};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{System, Text};
use crate::format::lines::{decode, lines, words};
use crate::format::secret::masked_from;
use crate::inventory::{Connection, Setting};

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.ppp",
    about: "pppd peers with their dial scripts, per-line options, and the names of stored credentials",
    os: Os::Linux,
    reads: &[
        "/etc/ppp/peers/**",
        "/etc/ppp/options",
        "/etc/ppp/options.*",
        "/etc/ppp/{pap,chap,srp}-secrets",
        "/etc/chatscripts/*",
    ],
    references: &["pppd(8)", "chat(8)"],
    extract,
};

/// Options that take one argument; all other words stand alone.
const WITH_ARGUMENT: &[&str] = &[
    "call",
    "file",
    "connect",
    "disconnect",
    "init",
    "welcome",
    "pty",
    "plugin",
    "user",
    "name",
    "remotename",
    "password",
    "linkname",
    "ipparam",
    "logfile",
    "logfd",
    "mtu",
    "mru",
    "idle",
    "holdoff",
    "maxfail",
    "maxconnect",
    "active-filter",
    "pass-filter",
    "ms-dns",
    "ms-wins",
    "asyncmap",
    "escape",
    "domain",
    "unit",
    "netmask",
    "lcp-echo-interval",
    "lcp-echo-failure",
    "lcp-restart",
    "lcp-max-configure",
    "lcp-max-terminate",
    "ipcp-restart",
    "ipcp-max-configure",
    "connect-delay",
    "chap-interval",
    "chap-restart",
    "kdebug",
    "child-timeout",
    "privgroup",
    "allow-ip",
    "allow-number",
    "set",
    "pap-restart",
    "pap-max-authreq",
    "pap-timeout",
    "rp_pppoe_service",
    "rp_pppoe_ac",
    "pppoe-service",
    "pptp_server",
    "pptp_phone",
    "bsdcomp",
    "deflate",
    "speed",
    "up_sdnotify",
    "ifname",
    "defaultroute-metric",
    "lcp-max-failure",
    "endpoint",
    "debug-level",
    "ip-up-script",
    "ip-down-script",
    "ipv6-up-script",
    "bundle",
    "mrru",
    "ipv6",
    "vj-max-slots",
    "pppol2tp",
    "sstp-sock",
];

/// Includes deeper than this are a loop.
const MAX_DEPTH: u32 = 8;
/// Words beyond this are no options file.
const MAX_OPTIONS: usize = 20_000;

#[derive(Clone, Debug)]
struct Opt {
    name: String,
    arg: String,
    /// Index of the file it stands in.
    text: usize,
    line: u32,
    run: Run,
}

/// The options of a peer, includes followed, in the order in which pppd reads them.
struct Options<'a> {
    texts: Vec<Text<'a>>,
    list: Vec<Opt>,
}
impl<'a> Options<'a> {
    fn read(system: &'a System, out: &Out, text: Text<'a>) -> Self {
        let mut all = Self { texts: Vec::new(), list: Vec::new() };
        all.take(system, out, text, MAX_DEPTH);
        all
    }
    fn take(&mut self, system: &'a System, out: &Out, text: Text<'a>, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else {
            out.gap(text.entry, "budget: includes; options of this file were not followed");
            return;
        };
        if self.texts.iter().any(|t| t.entry.path == text.entry.path) {
            out.gap(text.entry, "included by itself; read once");
            return;
        }
        let index = self.texts.len();
        let mut waiting: Option<(String, u32, Run)> = None;
        let mut found = Vec::new();
        for line in lines(&text.bytes) {
            if line.cut {
                out.gap_line(text.entry, line.number, "longer than 64 KiB; only its beginning was read");
            }
            for word in words(&line.text) {
                if found.len() >= MAX_OPTIONS {
                    out.gap_line(text.entry, line.number, "budget: options; the rest was not read");
                    break;
                }
                match waiting.take() {
                    Some((name, number, run)) => found.push(Opt { name, arg: word, text: index, line: number, run }),
                    None if WITH_ARGUMENT.contains(&word.as_str()) => waiting = Some((word, line.number, line.run)),
                    None => found.push(Opt {
                        name: word,
                        arg: String::new(),
                        text: index,
                        line: line.number,
                        run: line.run,
                    }),
                }
            }
        }
        self.texts.push(text);
        for opt in found {
            let include = match opt.name.as_str() {
                "call" => Some(format!("/etc/ppp/peers/{}", opt.arg)),
                "file" => Some(opt.arg.clone()),
                _ => None,
            };
            if let Some(path) = include
                && let Some(next) = system.resolve(&path).and_then(|e| out.read(system, e))
            {
                self.take(system, out, next, depth);
            }
            if self.list.len() < MAX_OPTIONS {
                self.list.push(opt);
            }
        }
    }
    fn get(&self, name: &str) -> Option<&Opt> {
        self.list.iter().rev().find(|o| o.name == name)
    }
    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
    fn arg(&self, name: &str) -> &str {
        self.get(name).map_or("", |o| &o.arg)
    }
    /// The line device it names.
    fn tty(&self) -> Option<&Opt> {
        self.list.iter().rev().find(|o| {
            o.arg.is_empty()
                && (o.name.starts_with("/dev/") || o.name.starts_with("tty") || o.name.starts_with("rfcomm"))
        })
    }
    fn cite(&self, opt: &Opt) -> Option<crate::base::Evidence> {
        let key = if opt.name.starts_with('/') { "tty" } else { &opt.name };
        self.texts.get(opt.text).map(|t| cite(t, opt.line, opt.run, key))
    }
}

/// Devices that speak AT commands rather than being a plain line.
pub(super) fn is_modem_tty(device: &str) -> bool {
    let name = device.rsplit('/').next().unwrap_or(device);
    device.contains("/dev/serial/by-id/")
        || [
            "ttyUSB", "ttyACM", "ttyHS", "rfcomm", "modem", "cdc-wdm", "gsmtty", "noz", "wwan", "ircomm", "mhi_",
            "stty_nr", "qcqmi",
        ]
        .iter()
        .any(|p| name.starts_with(p))
}

fn kind(o: &Options<'_>, dial: &Dial) -> Option<&'static str> {
    let plugins: String = o.list.iter().filter(|p| p.name == "plugin").map(|p| p.arg.to_ascii_lowercase()).collect();
    let via = format!("{plugins} {}", o.arg("pty").to_ascii_lowercase());
    let tty = o.tty();
    if via.contains("pppoe") {
        Some("pppoe")
    } else if via.contains("pptp") || o.has("pptp_server") {
        Some("pptp")
    } else if via.contains("l2tp") {
        Some("l2tp")
    } else if via.contains("pppoatm") {
        Some("pppoa")
    } else if o.has("pty") || via.contains("sstp") {
        Some("tunnel")
    } else if dial.is_modem() || tty.is_some_and(|t| is_modem_tty(&t.name)) {
        Some("ppp-modem")
    } else if tty.is_some() || o.has("connect") {
        Some("ppp-serial")
    } else {
        None
    }
}

/// The connection that a peers file describes; `None` if it names neither a line, nor a command, nor a
/// plugin that would carry one, or is an example with a placeholder for the number.
fn peer(system: &System, out: &Out, text: Text<'_>, name: &str) -> Option<Connection> {
    let text_path = text.entry.path.clone();
    // The defaults come first: a peer overrides them.
    let text_entry = text.entry;
    let o = Options::read(system, out, text);
    let defaults = system
        .resolve("/etc/ppp/options")
        .filter(|e| e.path != text_path)
        .and_then(|e| out.read(system, e))
        .map(|t| Options::read(system, out, t));
    let mut dial = Dial::default();
    for command in o.list.iter().filter(|c| matches!(c.name.as_str(), "connect" | "init")) {
        chat::follow(system, out, &command.arg, &mut dial);
    }
    let kind = kind(&o, &dial)?;
    let placeholder = o.get("connect").filter(|c| dial.number.is_empty() && c.arg.contains("****"));
    if let Some(example) = placeholder {
        out.push(Setting {
            program: "ppp".into(),
            scope: text_path.display(),
            name: "example".into(),
            value: "the number to dial is a row of asterisks: not set up".into(),
            effective: false,
            evidence: o.cite(example).unwrap_or_default(),
            ..Setting::default()
        });
        return None;
    }
    let pptp: Vec<String> = words(o.arg("pty"));
    let host = pptp.iter().skip_while(|w| !w.ends_with("pptp")).skip(1).find(|w| !w.starts_with('-'));
    let mut c = Connection {
        name: name.to_owned(),
        manager: "ppp".into(),
        kind: kind.into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        interface: match (o.arg("ifname"), o.arg("unit")) {
            ("", "") => String::new(),
            ("", unit) => format!("ppp{unit}"),
            (name, _) => name.to_owned(),
        },
        device: o
            .tty()
            .map(|t| if t.name.starts_with('/') { t.name.clone() } else { format!("/dev/{}", t.name) })
            .unwrap_or_default(),
        apn: dial.apn.clone(),
        number: dial.number.clone(),
        username: [o.arg("user"), o.arg("name")].into_iter().find(|v| !v.is_empty()).unwrap_or_default().to_owned(),
        secrets: dial.secrets.clone(),
        default_route: o.has("defaultroute")
            || defaults.as_ref().is_some_and(|d| d.has("defaultroute")) && !o.has("nodefaultroute"),
        ..Connection::default()
    };
    if kind == "pppoe" {
        let nic = o.list.iter().rev().find(|w| {
            w.arg.is_empty()
                && (w.name.starts_with("nic-") || w.name.starts_with("eth") || w.name.starts_with("en"))
                && w.name != "endpoint"
        });
        c.device = nic.map(|w| w.name.trim_start_matches("nic-").to_owned()).unwrap_or_default();
    }
    c.endpoints.extend(host.cloned().filter(|_| kind == "pptp"));
    if !o.arg("pptp_server").is_empty() {
        c.endpoints.push(o.arg("pptp_server").to_owned());
    }
    if o.has("password") {
        once(&mut c.secrets, "password");
    }
    for file in ["pap-secrets", "chap-secrets"] {
        if has_secret(system, out, file, &c.username) {
            once(&mut c.secrets, file);
        }
    }
    for flag in
        ["persist", "demand", "usepeerdns", "replacedefaultroute", "noauth", "updetach", "nodetach", "modem", "local"]
    {
        if o.has(flag) {
            c.details.push(flag.to_owned());
        }
    }
    for key in [
        "connect",
        "init",
        "pty",
        "plugin",
        "linkname",
        "ipparam",
        "logfile",
        "idle",
        "holdoff",
        "maxfail",
        "remotename",
    ] {
        for opt in o.list.iter().filter(|p| p.name == key) {
            c.details.push(format!("{key}={}", crate::format::secret::masked(&opt.arg)));
        }
    }
    for script in &dial.files {
        let there = if system.resolve(script).is_some() { "" } else { " (not on this disk)" };
        c.details.push(format!("script={script}{there}"));
    }
    if !dial.commands.is_empty() {
        c.details.push(format!("at={}", dial.commands.join(" ")));
    }
    let telling = match kind {
        "ppp-modem" | "ppp-serial" => o.tty().or_else(|| o.get("connect")),
        "pppoe" | "pppoa" => o.get("plugin").or_else(|| o.get("pty")),
        _ => o.get("pty").or_else(|| o.get("plugin")),
    };
    c.evidence = telling.and_then(|t| o.cite(t)).unwrap_or_else(|| system.evidence(text_entry));
    Some(c)
}

/// The connection behind a peer's name, for what brings peers up (ifupdown's `provider`).
pub(super) fn by_name(system: &System, out: &Out, name: &str) -> Option<Connection> {
    let entry = system.resolve(format!("/etc/ppp/peers/{name}"))?;
    let text = out.read(system, entry)?;
    peer(system, out, text, name)
}

/// Whether pap-secrets or chap-secrets has a line for this user.
fn has_secret(system: &System, out: &Out, file: &str, user: &str) -> bool {
    if user.is_empty() {
        return false;
    }
    let Some(text) = system.resolve(format!("/etc/ppp/{file}")).and_then(|e| out.read(system, e)) else {
        return false;
    };
    lines(&text.bytes).any(|l| {
        let w = words(&l.text);
        w.len() >= 3 && w.first().is_some_and(|u| u == user)
    })
}

fn extract(system: &System, out: &Out) {
    let mut peers: Vec<_> = system.glob("/etc/ppp/peers/**");
    peers.retain(|e| !e.path.file_name().ends_with(b"~") && !e.path.file_name().starts_with(b"."));
    for entry in peers {
        let Some(text) = out.read(system, entry) else { continue };
        let base = b"/etc/ppp/peers/".len();
        let name = decode(entry.path.bytes().get(base..).unwrap_or_default()).into_owned();
        if let Some(row) = peer(system, out, text, &name) {
            out.push(row);
        }
    }
    for entry in system.glob("/etc/ppp/options.*").into_iter().chain(system.resolve("/etc/ppp/options")) {
        let Some(text) = out.read(system, entry) else { continue };
        let name = decode(entry.path.file_name()).into_owned();
        let tty = name.strip_prefix("options.").filter(|t| t.starts_with("tty") || is_modem_tty(t)).map(str::to_owned);
        let Some(mut row) = peer(system, out, text, &name) else {
            continue;
        };
        if let Some(tty) = tty {
            row.device = format!("/dev/{tty}");
        }
        out.push(row);
    }
    for file in ["pap-secrets", "chap-secrets", "srp-secrets"] {
        out.each(system, &[&format!("/etc/ppp/{file}")], |text| {
            for line in lines(&text.bytes) {
                let w = words(&line.text);
                if let [client, server, secret, ..] = w.as_slice()
                    && !secret.is_empty()
                    && secret != "*"
                {
                    out.push(Setting {
                        program: "ppp".into(),
                        scope: file.into(),
                        name: "credential".into(),
                        value: format!("{client} {server}"),
                        effective: true,
                        evidence: cite_as(text, line.number, line.run, "", &masked_from(&line.text, 2)),
                        ..Setting::default()
                    });
                }
            }
        });
    }
}
