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
    pub digits: u8,
}

impl Time {
    pub const fn seconds(seconds: i64) -> Self {
        Self { seconds, nanos: 0, digits: 0 }
    }
    pub const fn nanos(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos, digits: 9 }
    }
    /// The present, for `run` and the log only: findings never depend on it.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanos: since.subsec_millis().saturating_mul(1_000_000),
            digits: 3,
        }
    }
    /// Reads what [`fmt::Display`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        let digits = text.split_once('.').map_or(0, |(_, rest)| rest.bytes().take_while(u8::is_ascii_digit).count());
        Some(Self {
            seconds: at.as_second(),
            nanos: u32::try_from(at.subsec_nanosecond()).ok()?,
            digits: u8::try_from(digits).ok()?,
        })
    }
}

impl fmt::Display for Time {
    /// RFC 3339 in UTC; a moment outside the years 1 to 9999 is shown as `@seconds`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(at) = jiff::Timestamp::from_second(self.seconds) else {
            return write!(f, "@{}", self.seconds);
        };
        let whole = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        match usize::from(self.digits.min(9)) {
            0 => write!(f, "{whole}Z"),
            n => {
                let nanos = format!("{:09}", self.nanos);
                write!(f, "{whole}.{}Z", nanos.get(..n).unwrap_or(&nanos))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_source_precision() {
        assert_eq!(Time::seconds(0).to_string(), "1970-01-01T00:00:00Z");
        let t = Time::nanos(1_700_000_000, 5);
        assert_eq!(t.to_string(), "2023-11-14T22:13:20.000000005Z");
        assert_eq!(Time::parse(&t.to_string()), Some(t));
        assert_eq!(Time::seconds(i64::MAX).to_string(), format!("@{}", i64::MAX));
    }
}
