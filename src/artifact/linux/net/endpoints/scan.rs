//! Hosts in the lines of a configuration, whatever its syntax: URLs anywhere, addresses anywhere but in what tells of
//! this system itself, names of hosts where the setting's name says that it holds one. Comments are left out.
use super::select::Kind;
use super::words::{is_file_ending, is_own, names_host, names_port, plain, scheme, stem};
use crate::base::Run;
use crate::base::host::{is_full_name, is_label, is_port, is_reachable, split};
use std::borrow::Cow;
use std::net::IpAddr;

/// A host, where it stands.
pub(super) struct Found {
    pub(super) host: String,
    pub(super) port: String,
    pub(super) scheme: String,
    pub(super) value: String,
    /// The setting's name as written.
    pub(super) key: String,
    pub(super) line: u32,
    pub(super) run: Run,
    /// Of the line, what is shown: its beginning, or what lies around the host.
    pub(super) shown: String,
    /// Its place among the words of the file.
    at: usize,
    block: u32,
}

/// A number that the setting's name says is a port.
struct Port {
    stem: String,
    number: String,
    at: usize,
    block: u32,
}

#[derive(Default)]
struct Scan {
    found: Vec<Found>,
    ports: Vec<Port>,
    /// Words so far.
    at: usize,
    /// A section, an object: a port belongs to a host of the same one.
    block: u32,
    key: String,
    /// The last host is followed by what may be its port: `[host]:25`, `host,1433`.
    open: bool,
    /// The line is one `name=value`: a word of the value is no name.
    fixed: bool,
    /// The rest of a comment, by what ends it.
    within: Option<&'static str>,
}

/// No file has more; the caller lists fewer.
const MAX_FOUND: usize = 4000;
/// Longest text of a value.
const VALUE: usize = 300;

pub(super) fn scan<'t>(lines: impl Iterator<Item = (u32, Run, Cow<'t, str>)>, path: &str, kind: Kind) -> Vec<Found> {
    let mut scan = Scan::default();
    let mut style = Style::of(path, kind);
    for (number, run, text) in lines {
        if number == 1 && text.starts_with("#!") {
            style.quoted |= ["python", "perl", "node", "lua", "ruby", "php", "tclsh"].iter().any(|p| text.contains(p));
        }
        let Some(body) = scan.without_comments(&text, &style) else { continue };
        let trimmed = body.trim_start();
        if trimmed.starts_with('[') || trimmed.starts_with("- ") || kind == Kind::Rsyslog {
            scan.block = scan.block.saturating_add(1);
        }
        scan.key.clear();
        scan.open = false;
        scan.fixed = false;
        if may_tell(&body) {
            scan.line(&body, &Place { number, run, kind, quoted: style.quoted });
        }
        if scan.found.len() >= MAX_FOUND {
            break;
        }
    }
    scan.give_ports();
    scan.found
}

/// Whether a line can hold a host, a port or the border of a block: most lines of programs hold none.
fn may_tell(body: &str) -> bool {
    body.bytes().any(|b| matches!(b, b'.' | b':' | b'{' | b'}'))
        || ["ort", "ORT", "localhost", "端口"].iter().any(|w| body.contains(w))
}

struct Place {
    number: u32,
    run: Run,
    kind: Kind,
    /// In this language a name of a host stands in quotes; `self.host` is none.
    quoted: bool,
}

/// How comments are written.
struct Style {
    hash: bool,
    semicolon: bool,
    slashes: bool,
    markup: bool,
    python: bool,
    dashes: bool,
    batch: bool,
    /// Texts stand in quotes; what stands outside of them are names of the language.
    quoted: bool,
}
impl Style {
    fn of(path: &str, kind: Kind) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
        let markup = matches!(ending, "xml" | "html" | "htm" | "plist" | "config" | "project" | "xaml");
        let slashes = matches!(ending, "js" | "json" | "json5" | "jsonc" | "php" | "st" | "node" | "hcl" | "ts");
        Self {
            hash: !matches!(ending, "js" | "node" | "bat" | "cmd" | "lua" | "st" | "reg"),
            semicolon: kind == Kind::Settings && !matches!(ending, "json" | "yaml" | "yml" | "xml"),
            slashes,
            markup,
            python: ending == "py" || kind == Kind::Script,
            dashes: matches!(ending, "lua" | "sql" | "hs"),
            batch: matches!(ending, "bat" | "cmd"),
            quoted: matches!(ending, "py" | "js" | "node" | "lua" | "rb" | "php" | "pl" | "tcl" | "st"),
        }
    }
}

impl Scan {
    /// What of a line is no comment; `None` if nothing.
    fn without_comments<'l>(&mut self, line: &'l str, style: &Style) -> Option<Cow<'l, str>> {
        let mut rest = line;
        if let Some(end) = self.within {
            let at = rest.find(end)?;
            self.within = None;
            rest = rest.get(at.saturating_add(end.len())..)?;
        }
        let start = rest.trim_start();
        let lower = start.get(..4).unwrap_or_default().to_ascii_lowercase();
        let whole = style.hash && start.starts_with('#')
            || style.semicolon && start.starts_with(';')
            || start.starts_with("//")
            || style.dashes && start.starts_with("--")
            || style.batch && (start.starts_with("::") || lower == "rem ")
            || start.starts_with('!') && style.semicolon;
        if start.is_empty() || whole {
            return None;
        }
        let mut out = Cow::Borrowed(rest);
        // One after another, each at its first place.
        for (open, close, is) in [
            ("<!", ">", style.markup || start.starts_with('<')),
            ("/*", "*/", style.slashes || start.starts_with("/*")),
            ("\"\"\"", "\"\"\"", style.python),
        ] {
            let mut steps = 0_u8;
            while is && steps < 50 {
                steps = steps.saturating_add(1);
                let Some(from) = out.find(open) else { break };
                let close = if out.get(from..).is_some_and(|o| o.starts_with("<!--")) { "-->" } else { close };
                let after = from.saturating_add(open.len());
                let end = out.get(after..).and_then(|tail| tail.find(close));
                let mut kept = out.get(..from).unwrap_or_default().to_owned();
                kept.push(' ');
                if let Some(end) = end {
                    let tail = after.saturating_add(end).saturating_add(close.len());
                    kept.push_str(out.get(tail..).unwrap_or_default());
                } else {
                    self.within = Some(close);
                }
                out = Cow::Owned(kept);
                if end.is_none() {
                    break;
                }
            }
        }
        // Behind a blank, a mark begins a comment; in a quoted text it seldom stands so.
        let marks: &[&str] = match (style.markup, style.slashes) {
            (true, _) => &[],
            (_, true) => &[" // ", "\t// "],
            _ if style.hash => &[" #", "\t#"],
            _ => &[],
        };
        let cut = marks.iter().filter_map(|m| out.find(m)).min();
        Some(match cut {
            Some(cut) => Cow::Owned(out.get(..cut).unwrap_or_default().to_owned()),
            None => out,
        })
    }

    /// Takes a line apart into words, each with the name of the setting it is the value of.
    fn line(&mut self, body: &str, place: &Place) {
        // Whether a word `user@host` is a login there rather than an address of mail.
        let logs_in = ["ssh", "scp", "sftp", "rsync", "git"].iter().any(|w| body.contains(w));
        let bytes = body.as_bytes();
        let mut from = 0_usize;
        while from < bytes.len() && self.found.len() < MAX_FOUND {
            let Some(rest) = body.get(from..) else { break };
            let Some(first) = rest.chars().next() else { break };
            if is_divider(first) {
                let literal = (first == '[').then(|| v6_literal(rest)).flatten();
                let Some(len) = literal else {
                    if matches!(first, '{' | '}') {
                        self.block = self.block.saturating_add(1);
                    }
                    if !matches!(first, ']' | ',') {
                        self.open = false;
                    }
                    from = from.saturating_add(first.len_utf8());
                    continue;
                };
                // `[2001:db8::1]:443`, with what belongs to it.
                let tail = rest.get(len..).unwrap_or_default();
                let end = tail.find(is_divider).unwrap_or(tail.len());
                let end = len.saturating_add(end);
                self.word(rest.get(..end).unwrap_or(rest), body, from, place, logs_in);
                from = from.saturating_add(end);
                continue;
            }
            let mut end = rest.find(is_divider).unwrap_or(rest.len());
            // `http://[2001:db8::1]:80/`, `@[2001:db8::1]:514`: the brackets are within.
            let tail = rest.get(end..).unwrap_or_default();
            if tail.starts_with('[')
                && let Some(len) = v6_literal(tail)
                && rest.get(..end).is_some_and(|h| h.ends_with("://") || h.ends_with('@'))
            {
                let behind = tail.get(len..).unwrap_or_default();
                end = end.saturating_add(len).saturating_add(behind.find(is_divider).unwrap_or(behind.len()));
            }
            let word = rest.get(..end).unwrap_or(rest);
            self.word(word, body, from, place, logs_in);
            from = from.saturating_add(end.max(1));
        }
    }

    fn word(&mut self, word: &str, body: &str, from: usize, place: &Place, logs_in: bool) {
        self.at = self.at.saturating_add(1);
        let head = word.split("://").next().unwrap_or(word);
        // `name=value`, not the `=` within a URL.
        if let Some((name, value)) = head.find('=').map(|at| word.split_at(at))
            && is_name(name)
        {
            self.name(name);
            self.fixed = !body.contains(['<', '{']) && !matches!(name, "key" | "name");
            let value = value.trim_start_matches('=');
            if !value.is_empty() {
                self.value(value, body, from, place, logs_in);
            }
            return;
        }
        if word.chars().all(|c| matches!(c, '=' | ':' | '-' | '>' | '/' | '.' | '*' | '\\' | '+' | '&')) {
            return;
        }
        if let Some(port) = word.strip_prefix(':').filter(|p| self.open && is_port(p)) {
            self.last_port(port);
            return;
        }
        // `"port":502`: the quotes parted the name from what follows.
        let word = word.strip_prefix(':').unwrap_or(word);
        if self.open && is_port(word) && body.get(..from).is_some_and(|b| b.ends_with(',')) {
            self.last_port(word);
            return;
        }
        // `key:`, and `key:value` of one word where the key holds no host itself.
        if let Some(name) = word.strip_suffix(':').filter(|n| is_name(n) && !n.contains("//")) {
            self.name(name);
            return;
        }
        self.value(word, body, from, place, logs_in);
    }

    fn last_port(&mut self, port: &str) {
        self.open = false;
        if let Some(last) = self.found.last_mut().filter(|f| f.port.is_empty()) {
            port.clone_into(&mut last.port);
        }
    }

    fn name(&mut self, name: &str) {
        // `<add key="MqttHost" value="…"/>`: the name stands in the value of the one before.
        let inner = matches!(name, "value" | "Value" | "content" | "default") && !self.key.is_empty();
        if !inner {
            name.trim_start_matches('-').clone_into(&mut self.key);
        }
    }

    fn value(&mut self, word: &str, body: &str, from: usize, place: &Place, logs_in: bool) {
        let key = plain(&self.key);
        if is_port(word) && names_port(&key) {
            self.ports.push(Port {
                stem: stem(&key).to_owned(),
                number: word.to_owned(),
                at: self.at,
                block: self.block,
            });
            return;
        }
        let bare = place.quoted && !body.get(..from).is_some_and(|before| before.ends_with(['"', '\'', '@']));
        let found = self
            .host(word, &key, body, place, logs_in)
            .filter(|(_, host, _)| !bare || word.contains("://") || host.parse::<IpAddr>().is_ok());
        let Some((protocol, host, port)) = found else {
            if is_name(word) && (!self.fixed || word.starts_with('-')) {
                self.name(word);
            }
            return;
        };
        self.open = port.is_empty();
        let value = word.split(['?', '#']).next().unwrap_or(word);
        self.found.push(Found {
            host,
            port,
            scheme: protocol,
            value: value.chars().take(VALUE).collect(),
            key: self.key.chars().take(100).collect(),
            line: place.number,
            run: place.run,
            shown: around(body, from),
            at: self.at,
            block: self.block,
        });
    }

    /// Protocol, host and port of a word, if it is one that this system reaches.
    fn host(
        &self,
        word: &str,
        key: &str,
        body: &str,
        place: &Place,
        logs_in: bool,
    ) -> Option<(String, String, String)> {
        if let Some((before, after)) = word.split_once("://") {
            if is_own(key) {
                return None;
            }
            let protocol = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-' | ':')));
            let protocol = protocol.into_iter().next().unwrap_or(before).trim_start_matches("jdbc:");
            let protocol = protocol.rsplit(':').next().unwrap_or(protocol).to_ascii_lowercase();
            let outside =
                !matches!(protocol.as_str(), "" | "file" | "unix" | "serial" | "chrome" | "resource" | "data");
            let rest = after.split(['/', '?', '#', ';', '\\']).next().unwrap_or(after);
            let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
            let (host, port) = split(rest);
            let valid = is_address(host) || host.split('.').all(is_label) && !host.bytes().all(|b| b.is_ascii_digit());
            // Names of formats and vocabularies, which no program asks.
            let word = |w: &str| host.eq_ignore_ascii_case(w);
            let vocabulary = ["www.w3.org", "schemas.xmlsoap.org", "schemas.microsoft.com", "xmlns.com", "purl.org"]
                .into_iter()
                .any(word)
                || matches!(after.rsplit('.').next(), Some("dtd" | "xsd"));
            return (outside && valid && !vocabulary).then(|| (protocol, host.to_owned(), port.to_owned()));
        }
        let forwards = place.kind == Kind::Rsyslog && word.starts_with('@');
        let logs = match place.kind {
            Kind::Rsyslog => forwards || key == "target",
            Kind::SyslogNg => matches!(key, "network" | "udp" | "tcp" | "udp6" | "tcp6" | "syslog"),
            _ => false,
        };
        let word = word.trim_start_matches('@').trim_end_matches(['.', ';', ':', ',', '\\']);
        // rsyslog's options before a target: `@(z9)host`.
        let (user, word) = word.split_once('@').unwrap_or(("", word));
        let named = logs || names_host(key) || key == "h" && self.key.len() == 1;
        let login = !user.is_empty() && logs_in && !is_own(key);
        if word.is_empty() || !user.is_empty() && !login && !named || !logs && is_own(key) {
            return None;
        }
        let login_host = login.then(|| word.split(':').next().unwrap_or(word));
        let (host, port) = login_host.map_or_else(|| split(word), |host| (host, ""));
        let protocol = || {
            let by_name = if logs { "syslog" } else { scheme(key) };
            if by_name.is_empty() && login { "ssh".to_owned() } else { by_name.to_owned() }
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            let network =
                !login && word.contains('/') || ["netmask", "subnet", "255.255."].iter().any(|w| body.contains(w));
            // Of four numbers nothing but their place tells that they are no version; of eight nothing else is.
            let plausible = matches!(address, IpAddr::V4(_)) || named || host.len() > 9;
            return (is_reachable(address) && !network && plausible)
                .then(|| (protocol(), host.to_owned(), port.to_owned()));
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        // `org.freedesktop.DBus`: a name of D-Bus or Java, the other way round.
        let turned = ["org.", "com.", "net.", "io.", "cn."].iter().any(|z| host.starts_with(z));
        let mixed = last.bytes().any(|b| b.is_ascii_lowercase()) && last.bytes().any(|b| b.is_ascii_uppercase());
        let full = is_full_name(host) && !is_file_ending(last) && !host.contains('_') && !turned && !mixed;
        let short = is_label(host) && (host.eq_ignore_ascii_case("localhost") || is_port(port) || forwards);
        let letters = host.bytes().any(|b| b.is_ascii_alphabetic());
        (letters && (named || login) && (full || short && !host.bytes().all(|b| b.is_ascii_digit())))
            .then(|| (protocol(), host.to_owned(), port.to_owned()))
    }

    /// Ports that stand in a setting of their own beside their host's.
    fn give_ports(&mut self) {
        const NEAR: usize = 24;
        for f in self.found.iter_mut().filter(|f| f.port.is_empty()) {
            let key = plain(&f.key);
            let own = stem(&key);
            // Ports come in the order of their words.
            let first = self.ports.partition_point(|p| p.at.saturating_add(NEAR) < f.at);
            let near = self.ports.iter().skip(first).take_while(|p| p.at <= f.at.saturating_add(NEAR));
            let best = near
                .filter(|p| p.block == f.block && (p.stem == own || p.stem.is_empty()))
                .min_by_key(|p| (p.stem != own, p.at.abs_diff(f.at), p.at < f.at));
            if let Some(port) = best {
                f.port.clone_from(&port.number);
            }
        }
    }
}

fn is_address(host: &str) -> bool {
    host.split('%').next().unwrap_or(host).parse::<IpAddr>().is_ok_and(is_reachable)
}

fn is_divider(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '{' | '}' | '[' | ']' | ',' | '|' | ';')
}

/// Length of an address of IPv6 in brackets at the start.
fn v6_literal(text: &str) -> Option<usize> {
    let inner = text.get(1..text.len().min(60)).or_else(|| text.get(1..))?;
    let close = inner.find(']')?;
    inner.get(..close)?.split('%').next()?.parse::<std::net::Ipv6Addr>().ok()?;
    close.checked_add(2)
}

/// Whether a word can be the name of a setting.
fn is_name(word: &str) -> bool {
    word.len() <= 100
        && word.bytes().any(|b| b.is_ascii_alphabetic() || !b.is_ascii())
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || !b.is_ascii() || matches!(b, b'_' | b'-' | b'.' | b':' | b'$' | b'/'))
}

/// The line, or of a long one what lies around a place.
fn around(body: &str, at: usize) -> String {
    if body.len() <= 280 {
        return body.to_owned();
    }
    let start = (0..=at.saturating_sub(60)).rev().take(4).find(|i| body.is_char_boundary(*i)).unwrap_or(0);
    body.get(start..).unwrap_or(body).chars().take(240).collect()
}
