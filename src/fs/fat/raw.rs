//! Fields, and the clock of DOS.
use crate::base::{Digits, Time};
pub(super) use crate::fs::raw::{corrupt, size, u8_at, u16_at, u32_at, u64_at};

/// What a clock of DOS showed: day and time of two seconds' resolution, and hundredths beyond it
/// where they are kept. `offset` is the clock's distance from UTC in minutes; where it is not known
/// the clock's own reading is given. `None` for a day that no calendar has.
pub(super) fn clock(date: u16, time: u16, hundredths: Option<u8>, offset: i16) -> Option<Time> {
    let part = |n: u16| i8::try_from(n).ok();
    let year = i16::try_from(date >> 9).ok()?.checked_add(1980)?;
    let day = jiff::civil::Date::new(year, part(date >> 5 & 15)?, part(date & 31)?).ok()?;
    let (hour, minute, second) = (time >> 11, time >> 5 & 63, (time & 31).checked_mul(2)?);
    // A second of 60 or 62 cannot be, but some writers leave it.
    let time = jiff::civil::Time::new(part(hour)?, part(minute)?, part(second.min(59))?, 0).ok()?;
    let whole = day.to_datetime(time).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
    let hundredths = hundredths.filter(|h| *h < 200);
    let extra = u32::from(hundredths.unwrap_or(0));
    Some(Time {
        seconds: whole.checked_add(i64::from(extra / 100))?.checked_sub(i64::from(offset).checked_mul(60)?)?,
        nanos: (extra % 100).checked_mul(10_000_000)?,
        digits: if hundredths.is_some() { Digits::Two } else { Digits::None },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, clippy::decimal_bitwise_operands)]
    use super::*;

    #[test]
    fn clocks() {
        let (date, time) = (42 << 9 | 2 << 5 | 28, 23 << 11 | 59 << 5 | 29);
        let show = |t: Option<Time>| t.map(|t| t.to_string());
        assert_eq!(show(clock(date, time, None, 0)).as_deref(), Some("2022-02-28T23:59:58Z"));
        assert_eq!(show(clock(date, time, Some(199), 0)).as_deref(), Some("2022-02-28T23:59:59.99Z"));
        assert_eq!(show(clock(date, time, None, 180)).as_deref(), Some("2022-02-28T20:59:58Z"));
        assert_eq!(clock(42 << 9 | 2 << 5 | 30, time, None, 0), None);
        assert_eq!(clock(0, 0, None, 0), None);
    }
}
