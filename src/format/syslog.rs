//! Heads of log lines: RFC 3164 (no year), RFC 3339 and RFC 5424, kernel uptime, and what programs
//! that write their own logs put first. Bytes in, because logs hold any bytes.
use crate::base::{Digits, Time};

/// A moment as a line states it; what is missing is filled in by the reader of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stamp {
    #[default]
    None,
    /// Microseconds since the machine started: no absolute time.
    Uptime(u64),
    /// Local time without a year.
    Yearless(Clock),
    /// Local time with its year.
    Local(i32, Clock),
    /// Complete.
    Exact(Time),
}

/// Month to second, with the fraction's digits as written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Clock {
    pub month: u8,
    pub day: u8,
    /// Second of the day; 86,400 and above only in a leap second.
    pub second: u32,
    pub nanos: u32,
    pub digits: u8,
}

/// A line taken apart. `program` is empty where the line names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Line<'a> {
    pub stamp: Stamp,
    pub program: &'a [u8],
    pub message: &'a [u8],
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; `None` if there is no such day.
pub fn days(year: i32, month: u8, day: u8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if day == 0 || day > length {
        return None;
    }
    // Years that begin in March: the leap day is the last of its year.
    let year = i64::from(year) - i64::from(month <= 2);
    let month = (i64::from(month) + 9) % 12;
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// Takes a line apart.
pub fn parse(line: &[u8]) -> Line<'_> {
    let mut rest = line.strip_suffix(b"\r").unwrap_or(line);
    let mut modern = false;
    if let Some(after) = priority(rest) {
        rest = after;
        // RFC 5424 states its version before the time.
        if let Some(after) = rest.strip_prefix(b"1 ") {
            (rest, modern) = (after, true);
        }
    }
    let (stamp, rest) = stamp(rest);
    if modern {
        return structured(stamp, rest);
    }
    match stamp {
        // Brackets around a time are dmesg's or a program's own: no host, no program.
        Stamp::Local(..) | Stamp::Yearless(_) if line.starts_with(b"[") => Line { stamp, program: b"", message: rest },
        Stamp::None => plain(stamp, rest),
        Stamp::Uptime(_) => Line { stamp, program: b"kernel", message: rest },
        _ => tagged(stamp, rest),
    }
}

fn priority(line: &[u8]) -> Option<&[u8]> {
    let body = line.strip_prefix(b"<")?;
    let end = body.iter().take(4).position(|b| *b == b'>')?;
    let digits = body.get(..end)?;
    (!digits.is_empty() && digits.iter().all(u8::is_ascii_digit)).then(|| body.get(end.saturating_add(1)..))?
}

/// The time at the start of a line and what follows it.
pub fn stamp(line: &[u8]) -> (Stamp, &[u8]) {
    let first = line.first().copied().unwrap_or(0);
    let found = match first {
        b'0'..=b'9' => iso(line),
        b'A'..=b'Z' => named(line).or_else(|| weekday(line)),
        b'[' => bracketed(line),
        b't' => line.strip_prefix(b"time=\"").and_then(iso),
        b' ' => level(line),
        _ => None,
    };
    found.unwrap_or((Stamp::None, line))
}

fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    text.iter().try_fold(0_u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
}

/// `HH:MM:SS` with an optional fraction after `.` or `,`.
fn time_of_day(text: &[u8]) -> Option<(u32, u32, u8, &[u8])> {
    if text.get(2) != Some(&b':') || text.get(5) != Some(&b':') {
        return None;
    }
    let (h, m, s) = (number(text.get(..2)?)?, number(text.get(3..5)?)?, number(text.get(6..8)?)?);
    if h > 23 || m > 59 || s > 60 {
        return None;
    }
    let rest = text.get(8..)?;
    let (mut nanos, mut digits) = (0_u32, 0_u8);
    let mut after = rest;
    if let Some(fraction) = rest.strip_prefix(b".").or_else(|| rest.strip_prefix(b",")) {
        let len = fraction.iter().take_while(|b| b.is_ascii_digit()).count();
        if len > 0 {
            let kept = fraction.get(..len.min(9))?;
            digits = u8::try_from(kept.len()).unwrap_or(9);
            nanos = number(kept)? * 10_u32.pow(9_u32.saturating_sub(u32::from(digits)));
            after = fraction.get(len..)?;
        }
    }
    Some((h * 3600 + m * 60 + s, nanos, digits, after))
}

/// `YYYY-MM-DD` or `YYYY/MM/DD`, then `T` or a blank, the time, and maybe a zone.
fn iso(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let mark = *line.get(4)?;
    if !matches!(mark, b'-' | b'/') || *line.get(7)? != mark || !matches!(line.get(10), Some(b'T' | b' ')) {
        return None;
    }
    let year = i32::try_from(number(line.get(..4)?)?).ok()?;
    let (month, day) = (number(line.get(5..7)?)?, number(line.get(8..10)?)?);
    let (second, nanos, digits, rest) = time_of_day(line.get(11..)?)?;
    let clock = Clock { month: u8::try_from(month).ok()?, day: u8::try_from(day).ok()?, second, nanos, digits };
    let days = days(year, clock.month, clock.day)?;
    let (offset, rest) = zone(rest);
    let stamp = match offset {
        Some(offset) => {
            let seconds = days * 86_400 + i64::from(second) - offset;
            Stamp::Exact(Time { seconds, nanos, digits: Digits::of(digits.into()) })
        }
        None => Stamp::Local(year, clock),
    };
    Some((stamp, after(rest)))
}

/// `Z`, `+08:00`, `+0800`: seconds east.
fn zone(text: &[u8]) -> (Option<i64>, &[u8]) {
    let sign = match text.first() {
        Some(b'Z') => return (Some(0), text.get(1..).unwrap_or_default()),
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return (None, text),
    };
    let body = text.get(1..).unwrap_or_default();
    let colon = usize::from(body.get(2) == Some(&b':'));
    let hours = body.get(..2).and_then(number);
    let minutes = body.get(2 + colon..4 + colon).and_then(number);
    match (hours, minutes) {
        (Some(h), Some(m)) if h < 24 && m < 60 => {
            (Some(sign * i64::from(h * 3600 + m * 60)), body.get(4 + colon..).unwrap_or_default())
        }
        _ => (None, text),
    }
}

/// What stands between a time and the rest: blanks, a closing bracket or quote, a colon.
fn after(text: &[u8]) -> &[u8] {
    let skip = text.iter().take_while(|b| matches!(b, b' ' | b'\t' | b']' | b'"')).count();
    let text = text.get(skip..).unwrap_or_default();
    text.strip_prefix(b": ").unwrap_or(text)
}

fn month(name: &[u8]) -> Option<u8> {
    const NAMES: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    NAMES.iter().position(|n| *n == name).and_then(|i| u8::try_from(i + 1).ok())
}

/// `Nov  3 04:05:06`, `Nov 03 2026 04:05:06`, `Nov 3 04:05:06 2026`.
fn named(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let month = month(line.get(..3)?)?;
    if line.get(3) != Some(&b' ') {
        return None;
    }
    let rest = line.get(4..)?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let day = u8::try_from(number(rest.get(..len).filter(|d| d.len() <= 2)?)?).ok()?;
    let mut rest = rest.get(len..)?.strip_prefix(b" ")?;
    let mut year = None;
    if rest.get(4) == Some(&b' ')
        && let Some(y) = rest.get(..4).and_then(number)
    {
        year = Some(y);
        rest = rest.get(5..)?;
    }
    let (second, nanos, digits, rest) = time_of_day(rest)?;
    days(2000, month, day)?;
    let clock = Clock { month, day, second, nanos, digits };
    let mut rest = rest;
    if year.is_none()
        && rest.first() == Some(&b' ')
        && let Some(y) = rest.get(1..5).and_then(number).filter(|y| (1970..2200).contains(y))
        && matches!(rest.get(5), None | Some(b' ' | b']'))
    {
        year = Some(y);
        rest = rest.get(5..)?;
    }
    let stamp = match year.and_then(|y| i32::try_from(y).ok()) {
        Some(year) => Stamp::Local(year, clock),
        None => Stamp::Yearless(clock),
    };
    Some((stamp, after(rest)))
}

/// `Tue Nov  3 04:05:06 2026`.
fn weekday(line: &[u8]) -> Option<(Stamp, &[u8])> {
    const DAYS: [&[u8]; 7] = [b"Mon ", b"Tue ", b"Wed ", b"Thu ", b"Fri ", b"Sat ", b"Sun "];
    DAYS.contains(&line.get(..4)?).then(|| named(line.get(4..)?))?
}

/// `[   12.345678]` since start, or one of the other times in brackets.
fn bracketed(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let body = line.get(1..)?;
    let pad = body.iter().take_while(|b| **b == b' ').count();
    let inner = body.get(pad..)?;
    if let Some(found) = iso(inner).or_else(|| weekday(inner)).or_else(|| named(inner)) {
        return Some(found);
    }
    let end = inner.iter().take(24).position(|b| *b == b']')?;
    if let Some(found) = compact(inner.get(..end)?) {
        return Some((found, after(inner.get(end..)?)));
    }
    let dot = inner.get(..end)?.iter().position(|b| *b == b'.')?;
    let seconds = u64::from(number(inner.get(..dot)?)?);
    let fraction = inner.get(dot + 1..end)?;
    let digits = fraction.get(..fraction.len().min(6))?;
    let scale = 10_u64.pow(6_u32.saturating_sub(u32::try_from(digits.len()).ok()?));
    let micros = u64::from(number(digits)?) * scale;
    Some((Stamp::Uptime(seconds * 1_000_000 + micros), after(inner.get(end + 1..)?)))
}

/// `20261103-04:05:06` and, without a year, `11-03_04:05:06:789`.
fn compact(text: &[u8]) -> Option<Stamp> {
    let (year, date, time) = match (text.get(8), text.get(5)) {
        (Some(b'-'), _) => (Some(number(text.get(..4)?)?), text.get(4..8)?, text.get(9..)?),
        (_, Some(b'_')) if text.get(2) == Some(&b'-') => (None, text.get(..5)?, text.get(6..)?),
        _ => return None,
    };
    let month = u8::try_from(number(date.get(..2)?)?).ok()?;
    let day = u8::try_from(number(date.get(date.len().checked_sub(2)?..)?)?).ok()?;
    let (second, nanos, digits, _) = time_of_day(time)?;
    let clock = Clock { month, day, second, nanos, digits };
    match year.and_then(|y| i32::try_from(y).ok()) {
        Some(year) => days(year, month, day).map(|_| Stamp::Local(year, clock)),
        None => days(2000, month, day).map(|_| Stamp::Yearless(clock)),
    }
}

/// `   info 2026-11-03 04:05:06.789`: a level before the time.
fn level(line: &[u8]) -> Option<(Stamp, &[u8])> {
    let text = line.trim_ascii_start();
    let word = text.iter().take(9).take_while(|b| b.is_ascii_lowercase()).count();
    (word > 0).then(|| iso(text.get(word..)?.strip_prefix(b" ")?))?
}

fn split_word(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().take(256).position(|b| *b == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.strip_prefix(b" ").unwrap_or(rest))
}

/// The name in `name:`, `name[12]:` or `name[12]`.
fn tag(word: &[u8]) -> Option<&[u8]> {
    let bare = word.strip_suffix(b":");
    let word = bare.unwrap_or(word);
    let (name, has_pid) = match word.iter().position(|b| *b == b'[') {
        Some(at) if word.ends_with(b"]") => (word.get(..at)?, true),
        Some(_) => return None,
        None => (word, false),
    };
    let fits = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/' | b'(' | b')' | b'@');
    (!name.is_empty() && (bare.is_some() || has_pid) && name.iter().all(fits)).then_some(name)
}

/// A program's name without the folder it was called from, and without brackets: `(systemd)`.
fn short(name: &[u8]) -> &[u8] {
    let name = name.rsplit(|b| *b == b'/').next().unwrap_or(name);
    name.strip_prefix(b"(").and_then(|n| n.strip_suffix(b")")).unwrap_or(name)
}

/// `host program[pid]: message`, `program[pid]: message`, or just a message.
fn tagged(stamp: Stamp, rest: &[u8]) -> Line<'_> {
    let (first, after_first) = split_word(rest);
    let (second, after_second) = split_word(after_first);
    // BusyBox puts `daemon.notice` between host and program.
    if is_facility(second)
        && let (third, after_third) = split_word(after_second)
        && let Some(name) = tag(third)
    {
        return finish(stamp, short(name), after_third);
    }
    let (name, message) = match (tag(second), tag(first)) {
        (_, Some(name)) => (name, after_first),
        (Some(name), None) => (name, after_second),
        (None, None) => (b"".as_slice(), rest),
    };
    finish(stamp, short(name), message)
}

/// `daemon.notice`: facility and severity.
pub fn is_facility(word: &[u8]) -> bool {
    const ALL: [&[u8]; 12] = [
        b"kern",
        b"user",
        b"mail",
        b"daemon",
        b"auth",
        b"syslog",
        b"lpr",
        b"news",
        b"uucp",
        b"cron",
        b"authpriv",
        b"ftp",
    ];
    let facility = word.split(|b| *b == b'.').next().unwrap_or_default();
    word.contains(&b'.') && (ALL.contains(&facility) || facility.starts_with(b"local"))
}

fn plain(stamp: Stamp, rest: &[u8]) -> Line<'_> {
    let (first, after) = split_word(rest);
    // A pid is needed here: "Error: …" is no program.
    match tag(first).filter(|_| first.contains(&b'[')) {
        Some(name) => finish(stamp, short(name), after),
        None => Line { stamp, program: b"", message: rest },
    }
}

fn finish<'a>(stamp: Stamp, program: &'a [u8], message: &'a [u8]) -> Line<'a> {
    let mut message = message.strip_prefix(b" ").unwrap_or(message);
    if program == b"kernel"
        && let Some((Stamp::Uptime(_), rest)) = bracketed(message)
    {
        message = rest;
    }
    Line { stamp, program, message }
}

/// RFC 5424: `host app procid msgid data message`.
fn structured(stamp: Stamp, rest: &[u8]) -> Line<'_> {
    let (_host, rest) = split_word(rest);
    let (app, rest) = split_word(rest);
    let (_proc, rest) = split_word(rest);
    let (_id, rest) = split_word(rest);
    let rest = match rest.strip_prefix(b"-") {
        Some(rest) => rest,
        None => rest.iter().position(|b| *b == b']').and_then(|at| rest.get(at + 1..)).unwrap_or(rest),
    };
    let message = rest.trim_ascii_start();
    finish(stamp, short(app), message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message))
}

/// `message repeated N times: [message]`: how often, and what.
pub fn repeated(message: &[u8]) -> (u32, &[u8]) {
    let inner = || {
        let rest = message.strip_prefix(b"message repeated ")?;
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let count = number(rest.get(..digits)?)?;
        let body = rest.get(digits..)?.strip_prefix(b" times: [")?;
        Some((count.max(1), body.strip_suffix(b"]").unwrap_or(body).trim_ascii_start()))
    };
    inner().unwrap_or((1, message))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn heads_of_lines() {
        let show = |line: &str| {
            let l = parse(line.as_bytes());
            let stamp = match l.stamp {
                Stamp::None => "-".to_owned(),
                Stamp::Uptime(us) => format!("+{us}"),
                Stamp::Yearless(c) => format!("{}-{} {}", c.month, c.day, c.second),
                Stamp::Local(y, c) => format!("{y}-{}-{} {}.{}/{}", c.month, c.day, c.second, c.nanos, c.digits),
                Stamp::Exact(t) => t.to_string(),
            };
            format!("{stamp}|{}|{}", String::from_utf8_lossy(l.program), String::from_utf8_lossy(l.message))
        };
        for (line, expected) in [
            ("Nov  3 04:05:06 host pppd[12]: Connect: ppp0", "11-3 14706|pppd|Connect: ppp0"),
            ("Nov 23 04:05:06 host kernel: [   12.345678] usb 1-1: x", "11-23 14706|kernel|usb 1-1: x"),
            ("Nov 23 04:05:06 host kernel: usb 1-1: x", "11-23 14706|kernel|usb 1-1: x"),
            (
                "Mar 11 09:39:39: --- last message repeated 5 times ---",
                "3-11 34779||--- last message repeated 5 times ---",
            ),
            ("2020-05-31T00:00:45.698463+02:00 lh rsyslogd:  a", "2020-05-30T22:00:45.698463Z|rsyslogd|a"),
            ("2016-10-25T12:37:24.9-07:00 DEBUG kernel: [  316.559919] w", "2016-10-25T19:37:24.9Z|kernel|w"),
            ("<30>1 2021-03-06T04:07:38Z h systemd 1 - - Stopped", "2021-03-06T04:07:38Z|systemd|Stopped"),
            ("<14>Mar  6 04:07:23 h cron[1]: x", "3-6 14843|cron|x"),
            ("[   12.345678] usb 1-1: New", "+12345678|kernel|usb 1-1: New"),
            ("[Tue Nov  3 04:05:06 2026] usb 1-1: New", "2026-11-3 14706.0/0||usb 1-1: New"),
            ("Tue Nov  3 04:05:06 2026 Initialization", "2026-11-3 14706.0/0||Initialization"),
            ("2026/11/03 04:05:06 [I] [service.go:1] login", "2026-11-3 14706.0/0||[I] [service.go:1] login"),
            ("2026-11-03 04:05:06,250 foo", "2026-11-3 14706.250000000/3||foo"),
            ("   info 2020-09-14 13:46:32.511   lsvc  - x", "2020-9-14 49592.511000000/3||lsvc  - x"),
            ("time=\"2026-11-03T04:05:06+08:00\" level=info", "2026-11-02T20:05:06Z||level=info"),
            ("[20261103-04:05:06] [INFO ] x", "2026-11-3 14706.0/0||[INFO ] x"),
            ("[11-03_04:05:06:123] x", "11-3 14706||x"),
            ("Feb 30 04:05:06 h p: x", "-||Feb 30 04:05:06 h p: x"),
            ("Nov 23 25:05:06 h p: x", "-||Nov 23 25:05:06 h p: x"),
            ("Error: something", "-||Error: something"),
            ("Nov  3 04:05:06 OpenWrt daemon.notice netifd: wan is up", "11-3 14706|netifd|wan is up"),
            ("Thu Nov  3 04:05:06 2026 daemon.notice netifd: wan is up", "2026-11-3 14706.0/0|netifd|wan is up"),
            ("pppd[3]: local", "-|pppd|local"),
            ("", "-||"),
        ] {
            assert_eq!(show(line), expected, "{line}");
        }
    }

    #[test]
    fn days_agree_with_the_calendar() {
        for (year, month, day) in [(1970, 1, 1), (2000, 2, 29), (2026, 11, 23), (1999, 12, 31), (2100, 3, 1)] {
            let date = jiff::civil::date(year, i8::try_from(month).unwrap(), i8::try_from(day).unwrap());
            let expected = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().as_second() / 86_400;
            assert_eq!(days(i32::from(year), month, day), Some(expected));
        }
        assert_eq!(days(2023, 2, 29), None);
    }

    #[test]
    fn repeats_are_counted() {
        assert_eq!(repeated(b"message repeated 3 times: [ Failed x]"), (3, b"Failed x".as_slice()));
        assert_eq!(repeated(b"Failed x"), (1, b"Failed x".as_slice()));
    }

    #[test]
    fn any_bytes_are_taken() {
        let mut seed = 7_u32;
        for _ in 0..20_000 {
            let mut line = Vec::new();
            for _ in 0..40 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                line.push(b"<1>[ 2Nov-/:T.,]\"time=+Z\xff09"[usize::try_from(seed >> 8).unwrap() % 27]);
            }
            let _ = repeated(parse(&line).message);
        }
    }
}
