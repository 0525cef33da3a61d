//! pppd: peers and their dial scripts. A modem, PPPoE, PPTP, L2TP and a plain serial line are told apart.
//! Format: pppd(8), "options files".
use super::chat::{self, Dial};
use super::{BY_UNIT, bounded, cite, cite_as, once};
use crate::artifact::linux::starts::{Way, search};
use crate::artifact::{Artifact, Os, Out};
use crate::base::Run;
use crate::evidence::{Entry, System, Text};
use crate::format::lines::{decode, words};
use crate::inventory::{Connection, Setting};
use std::cell::Cell;
use std::collections::BTreeSet;

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

/// What all peers of a system share, read once; and how much may still be read.
pub(super) struct Shared<'a> {
    system: &'a System,
    /// (file, user) of the stored credentials.
    users: BTreeSet<(&'static str, String)>,
    /// `/etc/ppp/options` asks for the default route.
    default_route: bool,
    left: Cell<u64>,
}
/// Bytes of options and scripts that one system may have.
const MAX_BYTES: u64 = 64 << 20;
/// A file of options is small.
const MAX_FILE: u64 = 1 << 20;

impl<'a> Shared<'a> {
    pub(super) fn new(system: &'a System, out: &Out) -> Self {
        let mut all = Self { system, users: BTreeSet::new(), default_route: false, left: Cell::new(MAX_BYTES) };
        for file in ["pap-secrets", "chap-secrets"] {
            if let Some(text) = system.resolve(format!("/etc/ppp/{file}")).and_then(|e| all.read(out, e)) {
                for line in bounded(&text, out) {
                    if let [user, _, _, ..] = words(&line.text).as_slice() {
                        all.users.insert((file, user.clone()));
                    }
                }
            }
        }
        if let Some(text) = system.resolve("/etc/ppp/options").and_then(|e| all.read(out, e)) {
            all.default_route = bounded(&text, out).any(|l| words(&l.text).iter().any(|w| w == "defaultroute"));
        }
        all
    }
    fn read(&self, out: &Out, entry: &'a Entry) -> Option<Text<'a>> {
        let len = self.system.resolve(entry.path.bytes()).map_or(0, Entry::len);
        let left = self.left.get().checked_sub(len);
        match left {
            Some(left) if len <= MAX_FILE => {
                self.left.set(left);
                out.read(self.system, entry)
            }
            _ => {
                out.gap(entry, "budget: bytes of pppd's options; not read");
                None
            }
        }
    }
}

/// The options of a peer, includes followed, in the order in which pppd reads them.
struct Options<'a> {
    texts: Vec<Text<'a>>,
    list: Vec<Opt>,
    /// A loop of includes was told already.
    looped: bool,
}
impl<'a> Options<'a> {
    fn read(shared: &Shared<'a>, out: &Out, text: Text<'a>) -> Self {
        let mut all = Self { texts: Vec::new(), list: Vec::new(), looped: false };
        all.take(shared, out, text, MAX_DEPTH);
        all
    }
    fn take(&mut self, shared: &Shared<'a>, out: &Out, text: Text<'a>, depth: u32) {
        let Some(depth) = depth.checked_sub(1) else {
            out.gap(text.entry, "budget: includes; options of this file were not followed");
            return;
        };
        let index = self.texts.len();
        let mut waiting: Option<(String, u32, Run)> = None;
        let mut found = Vec::new();
        for line in bounded(&text, out) {
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
            if let Some(entry) = include.and_then(|p| shared.system.resolve(&p)) {
                if self.texts.iter().any(|t| t.entry.path == entry.path) {
                    if !std::mem::replace(&mut self.looped, true) {
                        out.gap(entry, "included by itself or twice; read once");
                    }
                } else if let Some(next) = shared.read(out, entry) {
                    self.take(shared, out, next, depth);
                }
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
fn peer<'a>(shared: &Shared<'a>, out: &Out, text: Text<'a>, name: &str) -> Option<Connection> {
    let system = shared.system;
    let text_path = text.entry.path.clone();
    let text_entry = text.entry;
    let o = Options::read(shared, out, text);
    for opt in &o.list {
        let way = Way::root("pppd", "network");
        let evidence = || o.cite(opt).unwrap_or_default();
        match opt.name.as_str() {
            "connect" | "disconnect" | "init" | "welcome" | "pty" => {
                out.push(way.shell(system, name, &opt.name, &opt.arg, evidence()));
            }
            "plugin" => {
                let folders = ["/usr/lib/pppd/2.4.9", "/usr/lib/pppd/2.5.0", "/usr/lib/pppd"].map(str::to_owned);
                let found = search(system, &folders, &opt.arg);
                out.push(way.library(name, "plugin", &opt.arg, found, evidence()));
            }
            _ => {}
        }
    }
    let mut dial = Dial::default();
    for command in o.list.iter().filter(|c| matches!(c.name.as_str(), "connect" | "init")) {
        chat::follow(system, out, &command.arg, &mut dial, &shared.left);
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
        default_route: o.has("defaultroute") || (shared.default_route && !o.has("nodefaultroute")),
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
        if shared.users.contains(&(file, c.username.clone())) {
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
            c.details.push(format!("{key}={}", opt.arg));
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
pub(super) fn by_name(shared: &Shared<'_>, out: &Out, name: &str) -> Option<Connection> {
    let entry = shared.system.resolve(format!("/etc/ppp/peers/{name}"))?;
    let text = shared.read(out, entry)?;
    // What else its file says is told where the peers themselves are read.
    let aside = Out::new(None, out.by).showing_secrets(out.show_secrets);
    peer(shared, &aside, text, name)
}

fn extract(system: &System, out: &Out) {
    let shared = Shared::new(system, out);
    let mut peers: Vec<_> = system.glob("/etc/ppp/peers/**");
    peers.retain(|e| !e.path.file_name().ends_with(b"~") && !e.path.file_name().starts_with(b"."));
    for entry in peers {
        let Some(text) = shared.read(out, entry) else { continue };
        let base = b"/etc/ppp/peers/".len();
        let name = decode(entry.path.bytes().get(base..).unwrap_or_default()).into_owned();
        if let Some(row) = peer(&shared, out, text, &name) {
            out.push(row);
        }
    }
    for entry in system.glob("/etc/ppp/options.*").into_iter().chain(system.resolve("/etc/ppp/options")) {
        let Some(text) = shared.read(out, entry) else { continue };
        let name = decode(entry.path.file_name()).into_owned();
        let tty = name.strip_prefix("options.").filter(|t| t.starts_with("tty") || is_modem_tty(t)).map(str::to_owned);
        let Some(mut row) = peer(&shared, out, text, &name) else {
            continue;
        };
        if let Some(tty) = tty {
            row.device = format!("/dev/{tty}");
        }
        out.push(row);
    }
    for file in ["pap-secrets", "chap-secrets", "srp-secrets"] {
        out.each_text(system, &[&format!("/etc/ppp/{file}")], |text| {
            for line in bounded(text, out) {
                let w = words(&line.text);
                let parts: Vec<&str> = line.text.split_whitespace().collect();
                let (who, rest) = parts.split_at(parts.len().min(2));
                let (who, rest) = (who.join(" "), rest.join(" "));
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
                        evidence: cite_as(text, line.number, line.run, "", &format!("{who} {}", out.secret(&rest))),
                        ..Setting::default()
                    });
                }
            }
        });
    }
}
