//! Numbers, moments and names as ISO 9660 records them: numbers in both byte orders, moments in two forms.
//! Format: ECMA-119, chapter 7 ("Descriptor Fields and Directory Records").
use crate::base::{Digits, Time};
use crate::fs::raw::{be16_at, be32_at, u8_at, u16_at, u32_at};

/// A number that stands in little-endian and then in big-endian order. Where the two differ, the little-endian one
/// counts (as Linux reads it), unless it is too large and the other is not; `false` says that they differ.
pub(super) fn both32(bytes: &[u8], at: usize, most: u32) -> Option<(u32, bool)> {
    let little = u32_at(bytes, at)?;
    let big = be32_at(bytes, at.checked_add(4)?)?;
    let number = if little > most && big <= most { big } else { little };
    Some((number, little == big))
}
pub(super) fn both16(bytes: &[u8], at: usize) -> Option<u16> {
    let (little, big) = (u16_at(bytes, at)?, be16_at(bytes, at.checked_add(2)?)?);
    Some(if little == 0 { big } else { little })
}

/// Days since 1970-01-01 of a day of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
/// `zone` counts quarters of an hour east of UTC.
fn moment(date: [i64; 3], clock: [i64; 3], hundredths: Option<u32>, zone: i8) -> Option<Time> {
    let ([year, month, day], [hour, minute, second]) = (date, clock);
    let fits = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !fits || !(-52..=52).contains(&zone) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - i64::from(zone) * 900;
    Some(match hundredths {
        Some(n) => Time { seconds, nanos: n.min(99) * 10_000_000, digits: Digits::Two },
        None => Time::seconds(seconds),
    })
}

/// Seven bytes, whole seconds. `None` where nothing is recorded or it is no moment.
pub(super) fn short_time(bytes: &[u8], at: usize) -> Option<Time> {
    let [year, month, day, hour, minute, second, zone] = *bytes.get(at..)?.first_chunk::<7>()?;
    let date = [i64::from(year) + 1900, month.into(), day.into()];
    moment(date, [hour.into(), minute.into(), second.into()], None, zone.cast_signed())
}
/// Sixteen digits and a zone, hundredths of seconds.
pub(super) fn long_time(bytes: &[u8], at: usize) -> Option<Time> {
    let text = bytes.get(at..)?.first_chunk::<17>()?;
    let number =
        |from: usize, to: usize| -> Option<i64> { std::str::from_utf8(text.get(from..to)?).ok()?.parse().ok() };
    let date = [number(0, 4)?, number(4, 6)?, number(6, 8)?];
    let clock = [number(8, 10)?, number(10, 12)?, number(12, 14)?];
    moment(date, clock, u32::try_from(number(14, 16)?).ok(), u8_at(text, 16)?.cast_signed())
}

/// Text of a descriptor, without the padding.
pub(super) fn text(bytes: &[u8], at: usize, len: usize) -> String {
    let raw = at.checked_add(len).and_then(|end| bytes.get(at..end)).unwrap_or_default();
    let end = raw.iter().rposition(|b| !matches!(b, b' ' | 0)).map_or(0, |n| n.saturating_add(1));
    String::from_utf8_lossy(raw.get(..end).unwrap_or_default()).into_owned()
}
/// UCS-2 in big-endian order as UTF-8; what is no character is kept in three bytes (see [`crate::fs::utf16`]).
pub(super) fn wide(bytes: &[u8]) -> Vec<u8> {
    let little: Vec<u8> = bytes.as_chunks::<2>().0.iter().flat_map(|[a, b]| [*b, *a]).collect();
    crate::fs::utf16::name(&little)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn moments_are_utc() {
        let short = [126, 11, 29, 12, 30, 15, 8];
        assert_eq!(short_time(&short, 0).unwrap().to_string(), "2026-11-29T10:30:15Z");
        assert_eq!(long_time(b"2026112912301507\xfc", 0).unwrap().to_string(), "2026-11-29T13:30:15.07Z");
        assert_eq!(short_time(&[0; 7], 0), None);
        assert_eq!(short_time(&short, 1), None);
        assert_eq!(long_time(b"0000000000000000\0", 0), None);
        assert_eq!(long_time(b"                 ", 0), None);
        assert_eq!(short_time(&[70, 1, 1, 0, 0, 0, 0], 0), Some(Time::seconds(0)));
        assert_eq!(short_time(&[100, 2, 29, 0, 0, 0, 0], 0), Some(Time::seconds(951_782_400)));
    }
    #[test]
    fn of_two_orders_the_one_that_can_be_counts() {
        assert_eq!(both32(&[5, 0, 0, 0, 0, 0, 0, 5], 0, 10), Some((5, true)));
        assert_eq!(both32(&[5, 0, 0, 9, 0, 0, 0, 5], 0, 10), Some((5, false)));
        assert_eq!(both32(&[5, 0, 0, 0, 0, 0, 0, 9], 0, 10), Some((5, false)));
        assert_eq!(both32(&[5, 0, 0, 0, 0, 0, 0], 0, 10), None);
        assert_eq!(wide(b"\x5c\xb8\0a"), "岸a".as_bytes());
        assert_eq!(text(b"LABEL  ", 0, 7), "LABEL");
    }
}
