//! Transcripts of talks with a modem (AT commands and their replies), listings of SIMs and eUICCs: who the modem and
//! the SIM are, which network they reach.
//! Commands: 3GPP TS 27.007; identification by ITU-T V.250. ICCID: ITU-T E.118; IMEI: 3GPP TS 23.003; EID: GSMA SGP.29.

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

/// Longest line that is looked at, and most words of one kind that are kept.
const MAX_LINE: usize = 1000;
const MAX_SEEN: usize = 1000;

fn note(list: &mut Vec<Seen>, text: &str, line: u32) {
    let text = text.trim().trim_matches('"').trim();
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

/// An ICCID in digits, without the F that fills the last byte; `None` if it is none.
fn iccid(text: &str) -> Option<&str> {
    let text = text.trim().trim_matches('"').trim_end_matches(['F', 'f']);
    (all_digits(text, 18..=20) && text.starts_with("89")).then_some(text)
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
    const WORDS: [&[u8]; 9] =
        [b"AT+C", b"at+c", b"+CGDCONT:", b"+COPS:", b"ICCID", b"IMSI", b"IMEI", b"eidValue", b"\"iccid\""];
    WORDS.iter().any(|word| memchr::memmem::find(head, word).is_some())
}

/// Reads a transcript or listing; `None` where nothing in it names a modem, a SIM or a network.
pub fn read(text: &str) -> Option<Modem> {
    let mut modem = Modem::default();
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        profiles(&json, &mut modem);
    }
    let mut asked = String::new();
    for (number, line) in (1_u32..).zip(text.lines()) {
        let line = strip_stamp(line.trim());
        if line.is_empty() || line.len() > MAX_LINE {
            continue;
        }
        let upper = line.to_ascii_uppercase();
        if let Some(command) = upper.strip_prefix("AT") {
            asked = command.trim().to_owned();
            set_context(line, number, &mut modem);
            continue;
        }
        if matches!(upper.as_str(), "OK" | "ERROR") || upper.starts_with("+CME ERROR") {
            asked.clear();
            continue;
        }
        reply(line, &upper, &asked, number, &mut modem);
    }
    let named = !(modem.imei.is_empty() && modem.iccid.is_empty() && modem.imsi.is_empty() && modem.eid.is_empty());
    (named || !modem.contexts.is_empty() || !modem.operators.is_empty()).then_some(modem)
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
    let new = Context { number: get(0), kind: get(1), apn: get(2), addresses: Vec::new(), line };
    let known = |c: &Context| (&c.number, &c.apn) == (&new.number, &new.apn);
    if all_digits(&new.number, 1..=3) && modem.contexts.len() < MAX_SEEN && !modem.contexts.iter().any(known) {
        modem.contexts.push(new);
    }
}

fn reply(line: &str, upper: &str, asked: &str, number: u32, modem: &mut Modem) {
    let (name, rest) = line.split_once(':').unwrap_or(("", line));
    let name = name.trim().trim_start_matches(['+', '^', '#', '*', '$', '%']).to_ascii_uppercase();
    let value = rest.trim().trim_matches('"');
    match name.as_str() {
        "CGSN" | "GSN" | "EGMR" | "IMEI" | "IMEISV" => {
            let value = values(rest).pop().unwrap_or_default();
            if all_digits(&value, 14..=16) {
                note(&mut modem.imei, &value, number);
            }
        }
        "CIMI" | "IMSI" if all_digits(value, 14..=15) => note(&mut modem.imsi, value, number),
        "CCID" | "QCCID" | "ICCID" | "ZGETICCID" | "HICCID" | "SIM ICCID" => {
            if let Some(found) = values(rest).iter().find_map(|v| iccid(v)) {
                note(&mut modem.iccid, found, number);
            }
        }
        "EID" | "CEID" | "EIDVALUE" if all_digits(value, 32..=32) => note(&mut modem.eid, value, number),
        "CNUM" => note(&mut modem.numbers, values(rest).get(1).map_or("", String::as_str), number),
        "MSISDN" => note(&mut modem.numbers, value, number),
        "COPS" => {
            let values = values(rest);
            // Test replies list networks in brackets; the question's reply has mode, format, name.
            if !rest.contains('(') {
                note(&mut modem.operators, values.get(2).map_or("", String::as_str), number);
            }
        }
        "OPERATOR" | "SERVICE PROVIDER" => note(&mut modem.operators, value, number),
        "CGDCONT" if !rest.contains('(') => context(rest, number, modem),
        "CGPADDR" => {
            let values = values(rest);
            let of = values.first().cloned().unwrap_or_default();
            let given = values.iter().skip(1).filter(|a| a.contains(['.', ':']) && *a != "0.0.0.0");
            let addresses: Vec<String> = given.cloned().collect();
            if let Some(context) = modem.contexts.iter_mut().find(|c| c.number == of) {
                context.addresses.extend(addresses);
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
        "REVISION" | "CGMR" | "GMR" | "FIRMWARE" => keep(&mut modem.firmware, value),
        _ => bare(line, upper, asked, number, modem),
    }
}

fn keep(to: &mut String, text: &str) {
    if to.is_empty() {
        text.trim().clone_into(to);
    }
}

/// A reply without a name: what was asked tells what it is.
fn bare(line: &str, upper: &str, asked: &str, number: u32, modem: &mut Modem) {
    if upper.starts_with(['+', '^']) {
        return;
    }
    match asked {
        "+CGSN" | "+GSN" | "+CGSN=0" | "+CGSN=1" if all_digits(line, 14..=16) => note(&mut modem.imei, line, number),
        "+CIMI" if all_digits(line, 14..=15) => note(&mut modem.imsi, line, number),
        "+CCID" | "+QCCID" | "+ICCID" | "^ICCID?" | "+CCID?" => {
            if let Some(found) = iccid(line) {
                note(&mut modem.iccid, found, number);
            }
        }
        "+CGMI" | "+GMI" => keep(&mut modem.maker, line),
        "+CGMR" | "+GMR" => keep(&mut modem.firmware, line),
        // `ATI` answers with maker, model and revision, a line each; further lines have names.
        "I" if modem.maker.is_empty() => keep(&mut modem.maker, line),
        "+CGMM" | "+GMM" | "I" => keep(&mut modem.model, line),
        _ => {}
    }
}

/// Profiles and numbers in the JSON of programs that manage eUICCs.
fn profiles(json: &serde_json::Value, modem: &mut Modem) {
    let mut todo = vec![json];
    let mut steps = 100_000_u32;
    while let Some(value) = todo.pop() {
        steps = match steps.checked_sub(1) {
            Some(left) => left,
            None => return,
        };
        match value {
            serde_json::Value::Array(all) => todo.extend(all),
            serde_json::Value::Object(all) => {
                for (key, value) in all {
                    let text = value.as_str().unwrap_or_default();
                    match key.as_str() {
                        "iccid" => {
                            if let Some(found) = iccid(text) {
                                note(&mut modem.iccid, found, 1);
                            }
                        }
                        "eidValue" | "eid" if all_digits(text, 32..=32) => note(&mut modem.eid, text, 1),
                        "serviceProviderName" => note(&mut modem.operators, text, 1),
                        _ => {}
                    }
                    todo.push(value);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TALK: &str = "ATI\r\nQuectel\r\nEC25\r\nRevision: EC25EFAR06A06M4G\r\n\r\nOK\r\nAT+CGSN\r\n490154203237518\r\nOK\r\n\
        AT+CIMI\n460001234567890\nOK\nAT+QCCID\n+QCCID: 89860123456789012345\nOK\nAT+CPIN?\n+CPIN: READY\nOK\n\
        AT+CGDCONT?\n+CGDCONT: 1,\"IPV4V6\",\"m2m.example, east\",\"0.0.0.0\",0,0\n+CGDCONT: 2,\"IP\",\"\"\nOK\n\
        AT+CGPADDR=1\n+CGPADDR: 1,\"10.20.30.40\"\nOK\n[12:01:07] AT+COPS?\n[12:01:08] +COPS: 0,0,\"CHN-UNICOM\",7\nOK\n\
        AT+COPS=?\n+COPS: (2,\"X\",\"X\",\"46001\",7)\nOK\nAT+CEREG?\n+CEREG: 0,5\nOK\nAT+CNUM\n+CNUM: \"\",\"+8613000000000\",145\nOK\n";

    #[test]
    fn a_talk_names_modem_sim_and_network() {
        let modem = read(TALK).unwrap();
        let texts = |list: &[Seen]| list.iter().map(|s| s.text.clone()).collect::<Vec<_>>();
        assert_eq!((&*modem.maker, &*modem.model, &*modem.firmware), ("Quectel", "EC25", "EC25EFAR06A06M4G"));
        assert_eq!(texts(&modem.imei), ["490154203237518"]);
        assert_eq!(modem.imei.first().unwrap().line, 8);
        assert_eq!(texts(&modem.imsi), ["460001234567890"]);
        assert_eq!(texts(&modem.iccid), ["89860123456789012345"]);
        assert_eq!(texts(&modem.operators), ["CHN-UNICOM"]);
        assert_eq!(texts(&modem.registered), ["CEREG: roaming"]);
        assert_eq!(texts(&modem.numbers), ["+8613000000000"]);
        assert_eq!(modem.contexts.len(), 2);
        let first = modem.contexts.first().unwrap();
        assert_eq!((&*first.apn, &*first.kind), ("m2m.example, east", "IPV4V6"));
        assert_eq!(first.addresses, ["10.20.30.40"]);
        assert!(looks_like(TALK.as_bytes()));
    }
    #[test]
    fn check_digits() {
        assert!(luhn("490154203237518") && !luhn("490154203237517") && !luhn("") && !luhn("0") && !luhn("12a"));
        assert!(luhn("8986012345678901239") && luhn("89860123456789012348") && !luhn("89860123456789012345"));
        assert!(eid_holds("89049032123451234512345678901235") && !eid_holds("89049032123451234512345678901236"));
        assert_eq!(iccid("8986012345678901234F"), Some("8986012345678901234"));
        assert_eq!(iccid("1234567890123456789"), None);
    }
    #[test]
    fn listings_of_profiles() {
        let json =
            r#"{"type":"lpa","payload":{"data":[{"iccid":"89860123456789012345","serviceProviderName":"Carrier"}]}}"#;
        let modem = read(json).unwrap();
        assert_eq!(modem.iccid.len(), 1);
        assert_eq!(modem.operators.first().unwrap().text, "Carrier");
        let plain = read("ICCID: 8986012345678901234\nIMSI: 460001234567890\nAPN: m2m\n").unwrap();
        assert_eq!(plain.contexts.first().unwrap().apn, "m2m");
        assert_eq!(plain.imsi.first().unwrap().line, 2);
    }
    #[test]
    fn other_texts_are_nothing() {
        for text in ["", "ATTENTION\nOK\n", "AT\nOK\n", "IMEI: none\n", "{\"iccid\":1}", "+CGDCONT: (1-24),\"IP\"\n"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
