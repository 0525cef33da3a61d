//! Transcripts of talks with a modem (AT commands and their replies), listings of SIMs and eUICCs: who the modem and
//! the SIM are, which network they reach. Makers differ in how they name a reply, whether they name it at all, and in
//! quotes; what `mmcli` and `qmicli` print is read as well.
//! Commands: 3GPP TS 27.007 and 27.005; identification by ITU-T V.250. ICCID: ITU-T E.118, in the SIM's own order 3GPP
//! TS 31.102; IMEI: 3GPP TS 23.003; EID: GSMA SGP.29.
use super::euicc::{self, Profile};
use std::borrow::Cow;

/// What a text says of one modem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modem {
    pub maker: String,
    pub model: String,
    pub firmware: String,
    pub imei: Vec<Seen>,
    pub imsi: Vec<Seen>,
    pub iccid: Vec<Seen>,
    pub eid: Vec<Seen>,
    /// The SIM's own numbers.
    pub numbers: Vec<Seen>,
    pub operators: Vec<Seen>,
    pub contexts: Vec<Context>,
    /// `+CEREG: 0,5 (roaming)` and its kin.
    pub registered: Vec<Seen>,
    /// State of the PIN.
    pub pin: Vec<Seen>,
    /// Centers that short messages are sent to.
    pub centers: Vec<Seen>,
    /// Entries of the SIM's phone book: number and name.
    pub phone_book: Vec<Seen>,
    /// On an eUICC.
    pub profiles: Vec<Profile>,
    /// Servers that its profiles come from.
    pub servers: Vec<Seen>,
}

/// A word, and the line (from 1) in which it was first seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub text: String,
    pub line: u32,
}

/// A way into a network, as `AT+CGDCONT?` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    pub number: String,
    /// IP, IPV6, IPV4V6, PPP.
    pub kind: String,
    pub apn: String,
    /// Addresses it was given.
    pub addresses: Vec<String>,
    pub line: u32,
}

const QUOTES: [char; 2] = ['"', '\''];
/// Longest line that is looked at, and most words of one kind that are kept.
const MAX_LINE: usize = 1000;
const MAX_SEEN: usize = 1000;

fn note(list: &mut Vec<Seen>, text: &str, line: u32) {
    let text = text.trim().trim_matches(QUOTES).trim();
    if !text.is_empty() && list.len() < MAX_SEEN && !list.iter().any(|s| s.text == text) {
        list.push(Seen { text: text.to_owned(), line });
    }
}

fn all_digits(text: &str, lens: std::ops::RangeInclusive<usize>) -> bool {
    lens.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether the last digit is the check digit of the others (ISO/IEC 7812-1).
pub fn luhn(digits: &str) -> bool {
    let sum: Option<u32> = digits
        .chars()
        .rev()
        .enumerate()
        .map(|(at, c)| {
            let digit = c.to_digit(10)?;
            let doubled = if at % 2 == 1 { digit.saturating_mul(2) } else { digit };
            Some(if doubled > 9 { doubled.saturating_sub(9) } else { doubled })
        })
        .sum();
    digits.len() > 1 && sum.is_some_and(|sum| sum % 10 == 0)
}

/// Whether an EID's last two digits check the others: the number is 1 modulo 97.
pub fn eid_holds(digits: &str) -> bool {
    let rest = digits.chars().try_fold(0_u32, |n, c| Some((n * 10 + c.to_digit(10)?) % 97));
    digits.len() == 32 && rest == Some(1)
}

/// An ICCID in digits, without the F that fills the last byte; also in the order of a SIM, which has the two digits of
/// each byte swapped. `None` if it is none.
pub(super) fn iccid(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(QUOTES);
    let is_one = |text: &str| all_digits(text, 18..=20) && text.starts_with("89");
    let plain = text.trim_end_matches(['F', 'f']);
    if is_one(plain) {
        return Some(plain.to_owned());
    }
    let swapped: String =
        text.as_bytes().as_chunks::<2>().0.iter().flat_map(|[a, b]| [char::from(*b), char::from(*a)]).collect();
    let swapped = swapped.trim_end_matches(['F', 'f']);
    (text.len() == 20 && is_one(swapped)).then(|| swapped.to_owned())
}
pub(super) fn is_eid(text: &str) -> bool {
    all_digits(text, 32..=32)
}

/// Text that a modem set to UCS2 gives in hexadecimal; other text as it is.
fn readable(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes.len().is_multiple_of(4) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return Cow::Borrowed(text);
    }
    let units = bytes.as_chunks::<4>().0.iter().map(|unit| {
        let unit = std::str::from_utf8(unit).ok().and_then(|u| u16::from_str_radix(u, 16).ok())?;
        // What names and numbers are made of: ASCII, Latin, Greek, Cyrillic, Chinese.
        char::from_u32(u32::from(unit))
            .filter(|c| matches!(c, ' '..='~' | '\u{a0}'..='\u{4ff}' | '\u{4e00}'..='\u{9fff}'))
    });
    units.collect::<Option<String>>().map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The lines of a transcript. Some terminals end them with a carriage return alone.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let end = if text.contains('\n') { '\n' } else { '\r' };
    text.split(end)
}

/// The values of a reply: split at commas outside quotes, quotes removed.
fn values(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut quoted = false;
    for c in text.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(String::new()),
            c => {
                if let Some(last) = all.last_mut() {
                    last.push(c);
                }
            }
        }
    }
    all.iter().map(|v| v.trim().to_owned()).collect()
}

/// Whether a text may be worth [`read`]ing, by its first bytes.
pub fn looks_like(head: &[u8]) -> bool {
    const WORDS: [&[u8]; 16] = [
        b"AT+C",
        b"at+c",
        b"AT+G",
        b"AT#C",
        b"AT^I",
        b"+CGDCONT:",
        b"+COPS:",
        b"ICCID",
        b"IMSI",
        b"IMEI",
        b"eidValue",
        b"\"iccid\"",
        b"iccid:",
        b"imei:",
        b"+CSCA:",
        b"+CPBR:",
    ];
    WORDS.iter().any(|word| memchr::memmem::find(head, word).is_some())
}

/// Reads a transcript or listing; `None` where nothing in it names a modem, a SIM or a network.
pub fn read(text: &str) -> Option<Modem> {
    let mut modem = Modem::default();
    listed(text, &mut modem);
    // What was asked and not answered yet: one line may ask several questions.
    let mut asked: Vec<String> = Vec::new();
    for (number, line) in (1_u32..).zip(lines(text)) {
        let line = strip_stamp(line.trim());
        if line.is_empty() || line.len() > MAX_LINE {
            continue;
        }
        let upper = line.to_ascii_uppercase();
        if let Some(command) = upper.strip_prefix("AT") {
            asked = command.split(';').map(|c| c.trim().to_owned()).collect();
            set_context(line, number, &mut modem);
            continue;
        }
        if is_result(&upper) {
            if !matches!(upper.as_str(), "RING" | "NO CARRIER") {
                asked.clear();
            }
            continue;
        }
        reply(line, &upper, &mut asked, number, &mut modem);
    }
    let ids = [&modem.imei, &modem.iccid, &modem.imsi, &modem.eid];
    let named = ids.iter().any(|list| !list.is_empty()) || !modem.profiles.is_empty();
    let reached = !(modem.contexts.is_empty() && modem.operators.is_empty() && modem.centers.is_empty());
    (named || reached || !modem.phone_book.is_empty() || !modem.numbers.is_empty()).then_some(modem)
}

/// What ends a reply, or comes between (V.250, table 1).
fn is_result(upper: &str) -> bool {
    const CODES: [&str; 8] = ["OK", "ERROR", "RING", "NO CARRIER", "NO DIALTONE", "NO ANSWER", "BUSY", "CONNECT"];
    CODES.contains(&upper) || upper.starts_with("+CME ERROR") || upper.starts_with("+CMS ERROR")
}

fn listed(text: &str, modem: &mut Modem) {
    let listing = euicc::read(text);
    for profile in &listing.profiles {
        note(&mut modem.operators, &profile.provider, profile.line);
    }
    modem.profiles = listing.profiles;
    listing.eids.iter().for_each(|(eid, line)| note(&mut modem.eid, eid, *line));
    listing.servers.iter().for_each(|(server, line)| note(&mut modem.servers, server, *line));
}

/// Terminals put a time or an arrow before each line.
fn strip_stamp(line: &str) -> &str {
    let rest = match line.strip_prefix('[').and_then(|r| r.split_once(']')) {
        Some((stamp, rest)) if stamp.bytes().any(|b| b == b':') => rest.trim_start(),
        _ => line,
    };
    rest.trim_start_matches(['>', '<']).trim_start()
}

/// `AT+CGDCONT=1,"IP","apn"` sets what the question would list.
fn set_context(line: &str, number: u32, modem: &mut Modem) {
    let Some((name, rest)) = line.split_once('=') else { return };
    if name.eq_ignore_ascii_case("AT+CGDCONT") && rest.trim() != "?" {
        context(rest, number, modem);
    }
}
fn context(text: &str, line: u32, modem: &mut Modem) {
    let values = values(text);
    let get = |at: usize| values.get(at).cloned().unwrap_or_default();
    let addresses = Some(get(3)).filter(|a| is_address(a)).into_iter().collect();
    let new = Context { number: get(0), kind: get(1), apn: readable(&get(2)).into_owned(), addresses, line };
    let known = |c: &Context| (&c.number, &c.apn) == (&new.number, &new.apn);
    if all_digits(&new.number, 1..=3) && modem.contexts.len() < MAX_SEEN && !modem.contexts.iter().any(known) {
        modem.contexts.push(new);
    }
}

/// An address that somebody was given.
fn is_address(text: &str) -> bool {
    text.contains(['.', ':']) && !matches!(text, "0.0.0.0" | "::") && !text.starts_with("0.0.0.0.")
}

fn reply(line: &str, upper: &str, asked: &mut Vec<String>, number: u32, modem: &mut Modem) {
    let (name, rest) = line.split_once(':').unwrap_or(("", line));
    // `mmcli` draws a table: what stands left of the bar is the group.
    let name = name.rsplit('|').next().unwrap_or_default().trim();
    let name = name.trim_start_matches(['+', '^', '#', '*', '$', '%', '!']).to_ascii_uppercase();
    let value = rest.trim().trim_matches(QUOTES);
    match name.as_str() {
        "CGSN" | "GSN" | "EGMR" | "IMEI" | "IMEISV" => {
            if let Some(found) = values(rest).iter().rev().find(|v| all_digits(v.trim_matches(QUOTES), 14..=16)) {
                note(&mut modem.imei, found, number);
            }
        }
        "CIMI" | "IMSI" if all_digits(value, 14..=15) => note(&mut modem.imsi, value, number),
        "CCID" | "QCCID" | "ICCID" | "CICCID" | "ZICCID" | "ZGETICCID" | "HICCID" | "SIM ICCID" | "UIM ICCID" => {
            if let Some(found) = values(rest).iter().find_map(|v| iccid(v)) {
                note(&mut modem.iccid, &found, number);
            }
        }
        // A file of the SIM as it is: that of the ICCID has ten bytes, and begins with 98.
        "CRSM" => {
            let found = values(rest).get(2).filter(|v| v.starts_with("98")).and_then(|v| iccid(v));
            note(&mut modem.iccid, &found.unwrap_or_default(), number);
        }
        "EID" | "CEID" | "EIDVALUE" if all_digits(value, 32..=32) => note(&mut modem.eid, value, number),
        "CNUM" => {
            let own = values(rest).get(1).cloned().unwrap_or_default();
            note(&mut modem.numbers, &readable(&own), number);
        }
        "CSCA" => {
            let center = values(rest).first().cloned().unwrap_or_default();
            note(&mut modem.centers, &readable(&center), number);
        }
        "CPBR" | "CPBF" if !rest.contains('(') => {
            let values = values(rest);
            let get = |at: usize| values.get(at).map(|v| readable(v)).unwrap_or_default();
            note(&mut modem.phone_book, format!("{} {}", get(1), get(3)).trim(), number);
        }
        "MSISDN" | "OWN" => note(&mut modem.numbers, value, number),
        "COPS" => {
            let values = values(rest);
            // Test replies list networks in brackets; the question's reply has mode, format, name.
            if !rest.contains('(') {
                note(&mut modem.operators, &readable(values.get(2).map_or("", String::as_str)), number);
            }
        }
        "QSPN" | "CSPN" => {
            let name = values(rest).first().cloned().unwrap_or_default();
            note(&mut modem.operators, &readable(&name), number);
        }
        // mmcli's "--" stands for nothing.
        "OPERATOR NAME" if value == "--" => {}
        "OPERATOR" | "OPERATOR NAME" | "SERVICE PROVIDER" => note(&mut modem.operators, value, number),
        "CGDCONT" if !rest.contains('(') => context(rest, number, modem),
        "CGPADDR" => {
            let values = values(rest);
            let of = values.first().cloned().unwrap_or_default();
            let addresses: Vec<String> = values.iter().skip(1).filter(|a| is_address(a)).cloned().collect();
            if let Some(context) = modem.contexts.iter_mut().find(|c| c.number == of) {
                context.addresses.extend(addresses);
                context.addresses.dedup();
            }
        }
        // The same for contexts that the network set up: address and mask are one value of eight numbers.
        "CGCONTRDP" if !rest.contains('(') => {
            let values = values(rest);
            let get = |at: usize| values.get(at).cloned().unwrap_or_default();
            let (of, apn) = (get(0), get(2));
            let address = get(3).split('.').take(4).collect::<Vec<_>>().join(".");
            if !modem.contexts.iter().any(|c| c.number == of)
                && all_digits(&of, 1..=3)
                && modem.contexts.len() < MAX_SEEN
            {
                modem.contexts.push(Context { number: of.clone(), apn, line: number, ..Context::default() });
            }
            if let Some(context) = modem.contexts.iter_mut().find(|c| c.number == of).filter(|_| is_address(&address)) {
                context.addresses.push(address);
                context.addresses.dedup();
            }
        }
        "APN" => {
            let new = Context { apn: value.to_owned(), line: number, ..Context::default() };
            if !value.is_empty() && !modem.contexts.iter().any(|c| c.apn == new.apn) && modem.contexts.len() < MAX_SEEN
            {
                modem.contexts.push(new);
            }
        }
        "CREG" | "CGREG" | "CEREG" | "C5GREG" => {
            let state = values(rest).get(1).or(values(rest).first()).cloned().unwrap_or_default();
            let word = match state.as_str() {
                "1" => "home",
                "5" => "roaming",
                "0" | "2" | "3" => "not registered",
                _ => return,
            };
            note(&mut modem.registered, &format!("{name}: {word}"), number);
        }
        "CPIN" => note(&mut modem.pin, value, number),
        "MANUFACTURER" | "CGMI" => keep(&mut modem.maker, value),
        "MODEL" | "CGMM" => keep(&mut modem.model, value),
        "REVISION" | "CGMR" | "GMR" | "FIRMWARE" | "FIRMWARE REVISION" => keep(&mut modem.firmware, value),
        _ => bare(line, upper, asked, number, modem),
    }
}

fn keep(to: &mut String, text: &str) {
    if to.is_empty() {
        text.trim().clone_into(to);
    }
}

/// A reply without a name: what was asked tells what it is. What one line asked is answered in its order.
fn bare(line: &str, upper: &str, asked: &mut Vec<String>, number: u32, modem: &mut Modem) {
    if upper.starts_with(['+', '^']) {
        return;
    }
    let line = line.trim_matches(QUOTES);
    let found = asked.iter().position(|question| answer(question, line, number, modem));
    if let Some(at) = found.filter(|_| asked.len() > 1) {
        asked.drain(..=at);
    }
}

/// Takes a line as the answer to one question; `false` if it is none.
fn answer(question: &str, line: &str, number: u32, modem: &mut Modem) -> bool {
    let question = question.trim_start_matches(['+', '^', '#', '*', '$', '%', '!']).trim_end_matches('?');
    match question {
        "CGSN" | "GSN" | "CGSN=0" | "CGSN=1" if all_digits(line, 14..=16) => note(&mut modem.imei, line, number),
        "CIMI" if all_digits(line, 14..=15) => note(&mut modem.imsi, line, number),
        "CCID" | "QCCID" | "ICCID" | "CICCID" | "ZGETICCID" => match iccid(line) {
            Some(found) => note(&mut modem.iccid, &found, number),
            None => return false,
        },
        "CGMI" | "GMI" => keep(&mut modem.maker, line),
        "CGMR" | "GMR" => keep(&mut modem.firmware, line),
        // `ATI` answers with maker, model and revision, a line each; further lines have names.
        "I" | "I0" if modem.maker.is_empty() => keep(&mut modem.maker, line),
        "CGMM" | "GMM" | "I" | "I0" => keep(&mut modem.model, line),
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests;
