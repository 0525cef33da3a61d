//! Moments as the evidence states them: UTC, with the precision of their source.
use serde::{Deserialize, Serialize};
use std::fmt;

/// A moment. `digits` is the number of fractional digits the source recorded (0 to 9), so that a
/// whole-second timestamp is not shown as if it were exact to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z, negative before.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
    pub digits: Digits,
}

/// A number of fractional digits, 0 to 9. It is no plain byte, so that a time which may be absent needs no more memory
/// than a time: there are five beside each of a million files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
pub enum Digits {
    #[default]
    None,
    One,
    Two,
    Three,
    Four,
    Five,
    Six,
    Seven,
    Eight,
    Nine,
}
impl Digits {
    const ALL: [Self; 10] = [
        Self::None,
        Self::One,
        Self::Two,
        Self::Three,
        Self::Four,
        Self::Five,
        Self::Six,
        Self::Seven,
        Self::Eight,
        Self::Nine,
    ];
    /// More than nine are nine: that is what nanoseconds have.
    pub fn of(count: usize) -> Self {
        Self::ALL.get(count).copied().unwrap_or(Self::Nine)
    }
}
impl From<Digits> for u8 {
    fn from(digits: Digits) -> Self {
        digits as Self
    }
}
impl TryFrom<u8> for Digits {
    type Error = &'static str;
    fn try_from(count: u8) -> Result<Self, Self::Error> {
        Self::ALL.get(usize::from(count)).copied().ok_or("a time has at most nine fractional digits")
    }
}

impl Time {
    pub const fn seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0, digits: Digits::None }
    }
    pub const fn nanos(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos, digits: Digits::Nine }
    }
    /// Hundreds of nanoseconds since 1601-01-01 UTC; 0 means that no time was recorded.
    pub fn from_filetime(raw: u64) -> Option<Self> {
        if raw == 0 {
            return None;
        }
        let seconds = i64::try_from(raw / 10_000_000).ok()?.checked_sub(11_644_473_600)?;
        let nanos = u32::try_from(raw % 10_000_000).ok()?.saturating_mul(100);
        Some(Self { seconds, nanos, digits: Digits::Seven })
    }
    /// The present, for `run` and the log only: findings never depend on it.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: since.subsec_millis().saturating_mul(1_000_000),
            digits: Digits::Three,
        }
    }
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        let digits = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
        Some(Self {
            seconds: at.as_second(),
            nanos: u32::try_from(at.subsec_nanosecond()).ok()?,
            digits: Digits::of(digits),
        })
    }
}

impl Time {
    /// Appends RFC 3339 in UTC, in ASCII; a moment outside the years 1 to 9999 is shown as `@seconds`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let days = self.seconds.div_euclid(86_400);
        let (year, month, day) = civil(days);
        // What jiff cannot hold could not be read back.
        if !(1..=9999).contains(&year) || jiff::Timestamp::from_second(self.seconds).is_err() {
            out.extend_from_slice(format!("@{}", self.seconds).as_bytes());
            return;
        }
        let second = self.seconds.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let mut text = *b"0000-00-00T00:00:00.000000000";
        let nanos = i64::from(self.nanos);
        for (at, digits, number) in
            [(0, 4, year), (5, 2, month), (8, 2, day), (11, 2, hour), (14, 2, minute), (17, 2, second), (20, 9, nanos)]
        {
            decimal(text.get_mut(at..at + digits).unwrap_or_default(), number);
        }
        let len = match usize::from(u8::from(self.digits)) {
            0 => 19,
            n => 20 + n,
        };
        out.extend_from_slice(text.get(..len).unwrap_or_default());
        out.push(b'Z');
    }
}

impl fmt::Display for Time {
    /// As [`Time::write`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(32);
        self.write(&mut text);
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

/// Fills `to` with the last digits of a number that is not negative.
fn decimal(to: &mut [u8], mut number: i64) {
    for digit in to.iter_mut().rev() {
        *digit = b'0'.wrapping_add(u8::try_from(number % 10).unwrap_or(0));
        number /= 10;
    }
}

/// Year, month and day of the proleptic Gregorian calendar, from days since 1970-01-01: counted in eras of 400
/// years from 1 March of year 0, so that the leap day ends a year. By hand because reports hold hundreds of
/// thousands of times, and a general formatter takes ten times as long.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days.saturating_add(719_468);
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn digits_are_counted_and_cost_no_memory() {
        assert_eq!([0, 3, 9, 12].map(|n| u8::from(Digits::of(n))), [0, 3, 9, 9]);
        assert!((0..=9).all(|n| Digits::try_from(n).map(u8::from) == Ok(n)) && Digits::try_from(10).is_err());
        assert_eq!(size_of::<Option<Time>>(), size_of::<Time>());
    }
    #[test]
    fn shows_the_source_precision() {
        assert_eq!(Time::seconds(0).to_string(), "1970-01-01T00:00:00Z");
        let t = Time::nanos(1_700_000_000, 5);
        assert_eq!(t.to_string(), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(Time::parse(&t.to_string()), Some(t));
        assert_eq!(Time::seconds(i64::MAX).to_string(), format!("@{}", i64::MAX));
        assert_eq!(Time::seconds(i64::MIN).to_string(), format!("@{}", i64::MIN));
    }

    #[test]
    fn agrees_with_the_library_on_every_kind_of_day() {
        // A moment every six weeks of the years 1 to 9999, and the borders of what can be held.
        let (first, last) = (-62_135_596_800_i64, 253_402_207_200);
        let steps = (first..=last).step_by(1_234_567 * 3);
        for second in steps.chain([first, last, -1, 0, 951_782_399, 951_782_400, 951_868_800, 4_107_542_399]) {
            let expected = jiff::Timestamp::from_second(second).unwrap();
            assert_eq!(Time::seconds(second).to_string(), expected.to_string(), "{second}");
        }
        assert_eq!(Time::seconds(first - 1).to_string(), format!("@{}", first - 1));
    }
}
