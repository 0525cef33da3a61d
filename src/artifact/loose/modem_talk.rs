//! Transcripts of AT commands and listings of SIMs and eUICCs: modem, SIM, operator and ways into the network.
//! Formats: see [`crate::format::at`].
use super::super::{Content, Out, Sight, TEXT_LIMIT, operators};
use crate::base::{Evidence, utf16};
use crate::evidence::Entry;
use crate::format::at::{self, Context, Modem, Seen};
use crate::inventory::{Connection, Device};
use std::borrow::Cow;

/// Source and manager of the rows.
const SOURCE: &str = "at-transcript";
/// Names that such texts are kept under; none at all is one too.
const EXTENSIONS: &[&str] = &["txt", "log", "lst", "cap", "at", "trc", "asc", "out", "json", "csv"];

pub(crate) const CONTENT: Content = Content {
    name: "loose.modem-talk",
    about: "transcripts of AT commands, listings of SIMs and eUICC profiles (lpac, mmcli, qmicli): IMEI, IMSI, ICCID, EID with their check digits, profiles and their state, operator, APN, addresses, message center, phone book, firmware",
    wants,
    consume,
};

fn wants(entry: &Entry, head: &[u8]) -> bool {
    let path = entry.path.bytes();
    // What a system's logs recorded is their reader's matter, programs and their documentation are no talk.
    if path.starts_with(b"/var/log/") || path.starts_with(b"/usr/") || entry.deleted {
        return false;
    }
    let name = entry.path.file_name();
    let extension = name.iter().rposition(|b| *b == b'.').and_then(|dot| name.get(dot.saturating_add(1)..));
    let fits = extension.is_none_or(|e| EXTENSIONS.iter().any(|k| k.as_bytes().eq_ignore_ascii_case(e)));
    let head = decoded(head);
    fits && entry.len() <= TEXT_LIMIT && !head.contains(&0) && at::looks_like(&head)
}

/// Text in UTF-16, as programs of Windows write it, in UTF-8; other bytes as they are.
fn decoded(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(rest) => utf16::name(rest).into(),
        None => bytes.into(),
    }
}

fn consume(sight: &Sight<'_>, bytes: &[u8], out: &Out) {
    let bytes = decoded(bytes);
    let text = String::from_utf8_lossy(&bytes);
    let Some(modem) = at::read(&text) else { return };
    let line = |line: u32| Evidence {
        line: Some(line),
        excerpt: at::lines(&text).nth(usize::try_from(line.saturating_sub(1)).unwrap_or(0)).map(excerpt),
        ..sight.evidence.clone()
    };
    let name =
        [&*modem.maker, &*modem.model, &*modem.firmware].join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let device = |bus: &str, name: String, class: &str, serial: &Seen| Device {
        bus: bus.into(),
        name,
        class: class.into(),
        serial: serial.text.clone(),
        source: SOURCE.into(),
        count: 1,
        evidence: line(serial.line),
        ..Device::default()
    };
    for imei in &modem.imei {
        let name = if name.is_empty() { "modem".to_owned() } else { name.clone() };
        let whole = imei.text.len() != 15 || at::luhn(&imei.text);
        let name = if whole { name } else { format!("{name} (the check digit of its IMEI does not fit)") };
        out.push(device("tty", name, "cellular", imei));
    }
    for iccid in &modem.iccid {
        out.push(device("sim", format!("SIM{}", checked(at::luhn(&iccid.text))), "sim", iccid));
    }
    for profile in &modem.profiles {
        let known = [&profile.provider, &profile.name, &profile.nickname].into_iter().filter(|t| !t.is_empty());
        let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
        let state = [&profile.state, &profile.class].into_iter().filter(|t| !t.is_empty());
        let state = state.map(String::as_str).collect::<Vec<_>>().join(", ");
        let name = format!("eUICC profile {known} ({state}){}", checked(at::luhn(&profile.iccid)));
        let seen = Seen { text: profile.iccid.clone(), line: profile.line };
        out.push(device("sim", name, "sim", &seen));
    }
    for eid in &modem.eid {
        out.push(device("sim", format!("eUICC{}", checked(at::eid_holds(&eid.text))), "sim", eid));
    }
    let details = details(&modem);
    for context in &modem.contexts {
        out.push(connection(context, &details, line(context.line)));
    }
    // A SIM that is known without a way into its network.
    if modem.contexts.is_empty()
        && let Some(first) = [&modem.imsi, &modem.operators, &modem.centers, &modem.numbers, &modem.phone_book]
            .into_iter()
            .find_map(|list| list.first())
    {
        out.push(connection(&Context { line: first.line, ..Context::default() }, &details, line(first.line)));
    }
}

fn checked(fits: bool) -> &'static str {
    if fits { "" } else { " (its check digit does not fit)" }
}

fn excerpt(line: &str) -> String {
    line.trim().chars().take(300).collect()
}

/// What goes for all connections of a modem: `key=value`.
fn details(modem: &Modem) -> Vec<String> {
    let all = [
        ("imsi", &modem.imsi),
        ("iccid", &modem.iccid),
        ("msisdn", &modem.numbers),
        ("operator", &modem.operators),
        ("registered", &modem.registered),
        ("pin-state", &modem.pin),
        ("message-center", &modem.centers),
        ("profile-server", &modem.servers),
        ("phone-book", &modem.phone_book),
    ];
    let networks = modem.imsi.iter().filter_map(|s| operators::operator(&s.text)).map(|o| format!("sim-network={o}"));
    let told = all.iter().flat_map(|(key, list)| list.iter().map(move |s| format!("{key}={}", s.text)));
    told.chain(networks).collect()
}

fn connection(context: &Context, details: &[String], evidence: Evidence) -> Connection {
    let mut details = details.to_vec();
    if !context.kind.is_empty() {
        details.push(format!("type={}", context.kind));
    }
    details.extend(context.addresses.iter().map(|a| format!("address={a}")));
    let name = match (&*context.number, &*context.apn) {
        ("", "") => "SIM".to_owned(),
        ("", apn) => format!("APN {apn}"),
        (number, _) => format!("context {number}"),
    };
    Connection {
        name,
        manager: SOURCE.into(),
        kind: "gsm".into(),
        apn: context.apn.clone(),
        details,
        evidence,
        ..Connection::default()
    }
}
