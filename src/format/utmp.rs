//! Login records of glibc: utmp(5) for wtmp and btmp, and lastlog(8). The layout is that of
//! `bits/types/struct_utmp`: 384 bytes with 32-bit times (x86, x86-64, 32-bit ARM), 400 bytes on 64-bit
//! ARM and other machines whose times there are 64 bits wide. Little endian.
use crate::base::{Digits, Time};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Length of a record with 32-bit times.
pub const RECORD: usize = 384;
/// Length of a record with 64-bit times.
pub const WIDE: usize = 400;
/// Length of a lastlog record: time, line, host.
pub const LASTLOG: usize = 292;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Empty,
    RunLevel,
    Boot,
    NewTime,
    OldTime,
    Init,
    Login,
    User,
    Dead,
    Accounting,
}

/// A record of wtmp or btmp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub kind: Kind,
    pub pid: i32,
    pub line: String,
    pub user: String,
    pub host: String,
    pub time: Time,
    pub address: Option<IpAddr>,
}

fn text(bytes: Option<&[u8]>) -> Option<String> {
    let bytes = bytes?;
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    Some(String::from_utf8_lossy(bytes.get(..end)?).into_owned())
}
fn int(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at.checked_add(4)?)?.try_into().ok().map(i32::from_le_bytes)
}
fn long(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..at.checked_add(8)?)?.try_into().ok().map(i64::from_le_bytes)
}

impl Record {
    /// Reads one record of [`RECORD`] or [`WIDE`] bytes; `None` if its type is none of the ten, its text
    /// holds controls, or its microseconds are out of range: such bytes are no record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let kind = match i16::from_le_bytes(bytes.get(..2)?.try_into().ok()?) {
            0 => Kind::Empty,
            1 => Kind::RunLevel,
            2 => Kind::Boot,
            3 => Kind::NewTime,
            4 => Kind::OldTime,
            5 => Kind::Init,
            6 => Kind::Login,
            7 => Kind::User,
            8 => Kind::Dead,
            9 => Kind::Accounting,
            _ => return None,
        };
        let (seconds, micros, address) = match bytes.len() {
            RECORD => (i64::from(int(bytes, 340)?), i64::from(int(bytes, 344)?), 348_usize),
            WIDE => (long(bytes, 344)?, long(bytes, 352)?, 360),
            _ => return None,
        };
        let micros = u32::try_from(micros).ok().filter(|m| *m < 1_000_000)?;
        let (line, user, host) = (text(bytes.get(8..40))?, text(bytes.get(44..76))?, text(bytes.get(76..332))?);
        if [&line, &user, &host].iter().any(|t| t.chars().any(char::is_control)) {
            return None;
        }
        let raw: [u8; 16] = bytes.get(address..address.checked_add(16)?)?.try_into().ok()?;
        let (v4, rest) = raw.split_first_chunk::<4>()?;
        let address = match (v4, rest.iter().all(|b| *b == 0)) {
            ([0, 0, 0, 0], true) => None,
            (v4, true) => Some(IpAddr::V4(Ipv4Addr::from(*v4))),
            _ => Some(IpAddr::V6(Ipv6Addr::from(raw))),
        };
        let time = Time {
            seconds,
            nanos: micros.checked_mul(1000)?,
            digits: if micros == 0 { Digits::None } else { Digits::Six },
        };
        let pid = int(bytes, 4)?;
        Some(Self { kind, pid, line, user, host, time, address })
    }
}

/// How long the records of a file are, by which length gives more records that make sense.
pub fn record_len(sample: &[u8]) -> usize {
    let good = |len: usize| {
        let all = sample.chunks_exact(len).take(64);
        all.filter_map(Record::parse).filter(|r| r.kind != Kind::Empty && r.time.seconds > 0).count()
    };
    if good(WIDE) > good(RECORD) { WIDE } else { RECORD }
}

/// When and from where an account last logged in, of its lastlog record; `None` if it never did.
pub fn last_login(record: &[u8]) -> Option<(Time, String, String)> {
    let seconds = i64::from(int(record, 0)?);
    let (line, host) = (text(record.get(4..36))?, text(record.get(36..LASTLOG))?);
    (seconds > 0).then(|| (Time::seconds(seconds), line, host))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
    use super::*;

    fn sample(wide: bool) -> Vec<u8> {
        let mut r = vec![0; if wide { WIDE } else { RECORD }];
        r[0] = 7;
        r[4..8].copy_from_slice(&812_i32.to_le_bytes());
        r[8..13].copy_from_slice(b"pts/0");
        r[44..46].copy_from_slice(b"op");
        r[76..87].copy_from_slice(b"203.0.113.9");
        if wide {
            r[344..352].copy_from_slice(&1_700_000_000_i64.to_le_bytes());
            r[352..360].copy_from_slice(&5_i64.to_le_bytes());
            r[360..364].copy_from_slice(&[203, 0, 113, 9]);
        } else {
            r[340..344].copy_from_slice(&1_700_000_000_i32.to_le_bytes());
            r[344..348].copy_from_slice(&5_i32.to_le_bytes());
            r[348..352].copy_from_slice(&[203, 0, 113, 9]);
        }
        r
    }

    #[test]
    fn both_layouts() {
        for wide in [false, true] {
            let bytes = sample(wide);
            assert_eq!(record_len(&bytes.repeat(3)), bytes.len());
            let r = Record::parse(&bytes).unwrap();
            assert_eq!((r.kind, r.pid, r.line.as_str(), r.user.as_str()), (Kind::User, 812, "pts/0", "op"));
            assert_eq!(r.time.to_string(), "2023-11-14T22:13:20.000005Z");
            assert_eq!((r.host.as_str(), r.address.unwrap().to_string()), ("203.0.113.9", "203.0.113.9".to_owned()));
            assert!(Record::parse(&bytes[1..]).is_none());
        }
    }

    #[test]
    fn garbage_is_none() {
        let mut r = sample(false);
        r[0] = 77;
        assert!(Record::parse(&r).is_none());
        let mut r = sample(false);
        r[46] = 7;
        assert!(Record::parse(&r).is_none());
        assert!(last_login(&[0; LASTLOG]).is_none());
    }
}
