//! What a dial script tells: the number, the access point, AT commands. Chat scripts are read from a
//! file, from the command line that runs `chat`, or out of a shell script around it. Format: chat(8);
//! AT commands: 3GPP TS 27.007.
use crate::artifact::Out;
use crate::evidence::System;
use crate::format::lines::{is_text, lines, words};
use regex::Regex;
use std::cell::Cell;
use std::sync::LazyLock;

/// What was found in a dial script, and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Dial {
    pub number: String,
    pub apn: String,
    /// Names of secrets that the script holds.
    pub secrets: Vec<String>,
    /// Distinct AT commands, without their values.
    pub commands: Vec<String>,
    /// Files that were read or named.
    pub files: Vec<String>,
}
impl Dial {
    pub(super) fn is_modem(&self) -> bool {
        !self.commands.is_empty() || !self.number.is_empty() || !self.apn.is_empty()
    }
}

static NUMBER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\bAT[A-Z0-9&%\\+]*?D[TPI]?\s*((?:\\T|\\U|[0-9*#+][0-9*#+,wW.()-]*))").ok());
static APN: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(?:\+CGDCONT|\+ZGDCONT)\s*=\s*\d+\s*,\s*\\?["']?(?:IPV4V6|IPV6|IP|PPP)\\?["']?\s*,\s*\\?["']?([^"',;\s]*)"#).ok()
});
static QICSGP: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"(?i)\+QICSGP\s*=\s*\d+\s*,\s*\d+\s*,\s*\\?["']([^"',;\\]*)"#).ok());
static COMMAND: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)\bAT([+^$#!*&%][A-Z]+|[DHZEQVXSIOM]\d?)").ok());

/// How deep scripts may run scripts.
const MAX_DEPTH: u32 = 3;
/// No dial script is longer.
const MAX_SCRIPT: usize = 256 << 10;

/// Adds what one line of a script or a command tells.
pub(super) fn learn(line: &str, phone: &str, dial: &mut Dial) {
    let upper = line.to_ascii_uppercase();
    if !upper.contains("AT") {
        return;
    }
    let line = if phone.is_empty() { line.to_owned() } else { line.replace("\\T", phone) };
    let first = |re: &LazyLock<Option<Regex>>| {
        re.as_ref()
            .and_then(|r| r.captures(&line))
            .and_then(|c| c.get(1))
            .map(|m| m.as_str().trim_end_matches('\\').to_owned())
    };
    if dial.apn.is_empty()
        && let Some(apn) = first(&APN).or_else(|| first(&QICSGP))
        && !apn.starts_with('\\')
    {
        dial.apn = apn;
    }
    if dial.number.is_empty()
        && let Some(number) = first(&NUMBER).filter(|n| n.bytes().any(|b| b.is_ascii_digit()))
    {
        dial.number = number;
    }
    for (command, secret) in
        [("+CPIN=", "pin"), ("+CGAUTH=", "password"), ("+QICSGP=", "password"), ("^AUTHDATA=", "password")]
    {
        if upper.contains(command) {
            super::once(&mut dial.secrets, secret);
        }
    }
    if let Some(re) = COMMAND.as_ref() {
        for found in re.captures_iter(&line).take(50) {
            if let Some(name) = found.get(1)
                && dial.commands.len() < 20
            {
                super::once(&mut dial.commands, &format!("AT{}", name.as_str().to_ascii_uppercase()));
            }
        }
    }
}

/// Follows a `connect` command: `chat` with its arguments, or a script.
pub(super) fn follow(system: &System, out: &Out, command: &str, dial: &mut Dial, left: &Cell<u64>) {
    run(&Reader { system, out, left }, command, dial, MAX_DEPTH);
}

/// Where scripts are read from, and how many bytes of them may still be read.
struct Reader<'a> {
    system: &'a System,
    out: &'a Out,
    left: &'a Cell<u64>,
}

fn run(from: &Reader<'_>, command: &str, dial: &mut Dial, depth: u32) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let all = words(command);
    // Blanks, `exec`, `sudo` and variables may come before the program.
    let program = all.iter().position(|w| w.rsplit('/').next() == Some("chat"));
    if let Some(at) = program {
        let mut phone = String::new();
        let mut file = None;
        let mut rest = all.iter().skip(at.saturating_add(1));
        while let Some(word) = rest.next() {
            match word.as_str() {
                "-T" => phone = rest.next().cloned().unwrap_or_default(),
                "-f" => file = rest.next().cloned(),
                "-U" | "-t" | "-r" => {
                    rest.next();
                }
                w if w.starts_with("-T") => phone = w.chars().skip(2).collect(),
                w if w.starts_with("-f") && w.len() > 2 => file = Some(w.chars().skip(2).collect()),
                w => learn(w, &phone, dial),
            }
        }
        // Words lose their quotes and escapes; the line as written still has them.
        learn(command, &phone, dial);
        if let Some(file) = file {
            script(from, &file, &phone, dial, depth);
        }
        return;
    }
    learn(command, "", dial);
    for word in all.iter().filter(|w| w.starts_with('/')).take(4) {
        script(from, word, "", dial, depth);
    }
    // `sh -c "chat …"`: the command stands inside a word.
    for word in all.iter().filter(|w| w.contains(' ')).take(4) {
        run(from, word, dial, depth);
    }
}

fn script(from: &Reader<'_>, path: &str, phone: &str, dial: &mut Dial, depth: u32) {
    if dial.files.len() >= 20 || dial.files.iter().any(|f| f == path) {
        return;
    }
    dial.files.push(path.to_owned());
    let Some(entry) = from.system.resolve(path).filter(|e| e.is_file() && e.len() <= MAX_SCRIPT as u64) else {
        return;
    };
    let Some(left) = from.left.get().checked_sub(entry.len()) else {
        return from.out.gap(entry, "budget: bytes of dial scripts; not read");
    };
    from.left.set(left);
    let Some(text) = from.out.read(from.system, entry) else { return };
    if !is_text(&text.bytes) {
        return;
    }
    for line in lines(&text.bytes) {
        let body = line.text.trim();
        if body.starts_with('#') {
            continue;
        }
        if words(body).iter().any(|w| w.rsplit('/').next() == Some("chat")) {
            run(from, body, dial, depth);
        } else {
            learn(body, phone, dial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Dial {
        let mut dial = Dial::default();
        learn(line, "", &mut dial);
        dial
    }

    #[test]
    fn numbers_and_access_points() {
        for (line, number, apn) in [
            ("OK ATD*99#", "*99#", ""),
            ("'' ATDT*99***1# CONNECT ''", "*99***1#", ""),
            ("OK ATDP13800138000", "13800138000", ""),
            (r#"OK 'AT+CGDCONT=1,"IP","cmnet"'"#, "", "cmnet"),
            (r#"AT+CGDCONT=1,\"IPV4V6\",\"3gnet\""#, "", "3gnet"),
            ("AT+CGDCONT=1,IP,internet;+CSQ", "", "internet"),
            (r#"AT+QICSGP=1,1,"ctnet","u","p",1"#, "", "ctnet"),
            ("ATZ OK ATDT********", "", ""),
            ("ATDATA cat 1", "", ""),
        ] {
            let dial = of(line);
            assert_eq!((dial.number.as_str(), dial.apn.as_str()), (number, apn), "{line}");
        }
        assert_eq!(of("AT+CPIN=1234").secrets, ["pin"]);
        assert!(!of("WHAT DATE").is_modem());
        assert!(!of("cat /proc/cpuinfo").is_modem());
    }
}
