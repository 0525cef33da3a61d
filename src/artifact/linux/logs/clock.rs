//! Absolute times for lines without a year or a zone.
//!
//! The year comes from the end of the file backwards: its last line is no later than the file's last
//! change and no later than the first line of the next newer file of the rotation; where the month jumps
//! back between two lines, a year began.
use crate::base::{Digits, Time};
use crate::format::syslog::{Clock, Stamp, days};
use jiff::tz::TimeZone;

const DAY: i64 = 86_400;

/// A line's time with the count of new years before it in its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct When {
    pub(super) stamp: Stamp,
    pub(super) turn: i32,
}

/// Counts new years while a file is read.
#[derive(Default)]
pub(super) struct Turns {
    turn: i32,
    last: Option<i32>,
}
impl Turns {
    pub(super) fn see(&mut self, stamp: Stamp) -> When {
        if let Stamp::Yearless(clock) = stamp {
            let day = i32::from(clock.month) * 31 + i32::from(clock.day);
            // Clocks step back by hours or days; half a year back is a new year. Half a year ahead
            // after one takes it back: a machine that began at its clock's zero and was then set.
            match self.last {
                Some(last) if last - day > 186 => self.turn = self.turn.saturating_add(1),
                Some(last) if day - last > 186 && self.turn > 0 => self.turn = self.turn.saturating_sub(1),
                _ => {}
            }
            self.last = Some(day);
        }
        self.now(stamp)
    }
    pub(super) fn now(&self, stamp: Stamp) -> When {
        When { stamp, turn: self.turn }
    }
}

/// Resolves the times of one file.
pub(super) struct Resolver<'a> {
    zone: &'a TimeZone,
    /// Year of the lines of the last turn.
    base: Option<(i32, i32)>,
    bound: Option<i64>,
}

impl<'a> Resolver<'a> {
    /// `last` is the last line with a time; nothing in the file is later than `bound` (seconds since 1970).
    pub(super) fn new(zone: &'a TimeZone, last: When, bound: Option<i64>) -> Self {
        let base = match (last.stamp, bound) {
            (Stamp::Yearless(clock), Some(bound)) => {
                let newest =
                    jiff::Timestamp::from_second(bound).ok().map(|t| i32::from(t.to_zoned(zone.clone()).year()));
                newest.and_then(|y| {
                    // A leap day may need to look back eight years.
                    (0..=8).filter_map(|back| y.checked_add(1)?.checked_sub(back)).find_map(|year| {
                        let at = local(zone, year, clock)?;
                        (at.seconds <= bound.saturating_add(DAY)).then_some((year, last.turn))
                    })
                })
            }
            _ => None,
        };
        Self { zone, base, bound }
    }
    pub(super) fn time(&self, when: When) -> Option<Time> {
        match when.stamp {
            Stamp::Exact(time) => Some(time),
            Stamp::Local(year, clock) => local(self.zone, year, clock),
            Stamp::Yearless(clock) => {
                let (year, turn) = self.base?;
                let time = local(self.zone, year.checked_sub(turn.checked_sub(when.turn)?)?, clock)?;
                // Later than the file's end: written while the clock was wrong, so of no known year.
                self.bound.is_none_or(|b| time.seconds <= b.saturating_add(DAY)).then_some(time)
            }
            Stamp::None | Stamp::Uptime(_) => None,
        }
    }
}

/// Local time in the system's zone; of a repeated hour the earlier, of a skipped one the later.
fn local(zone: &TimeZone, year: i32, clock: Clock) -> Option<Time> {
    let Clock { month, day, second, nanos, digits } = clock;
    days(year, month, day)?;
    let date = jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let second = second.min(86_399);
    let part = |n: u32| i8::try_from(n).ok();
    let time = date.ok()?.at(part(second / 3600)?, part(second / 60 % 60)?, part(second % 60)?, 0);
    let at = zone.to_ambiguous_timestamp(time).compatible().ok()?;
    Some(Time { seconds: at.as_second(), nanos, digits: Digits::of(digits.into()) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::format::syslog::parse;

    fn times(zone: &str, bound: &str, lines: &[&str]) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let mut turns = Turns::default();
        let seen: Vec<When> = lines.iter().map(|l| turns.see(parse(l.as_bytes()).stamp)).collect();
        let bound = Time::parse(bound).unwrap().seconds;
        let resolver = Resolver::new(&zone, *seen.last().unwrap(), Some(bound));
        seen.iter().map(|w| resolver.time(*w).map_or_else(|| "-".to_owned(), |t| t.to_string())).collect()
    }

    #[test]
    fn years_run_back_from_the_files_end() {
        let lines =
            ["Nov 30 10:00:00 h a: x", "Dec 31 23:59:59 h a: x", "Jan  1 00:00:01 h a: x", "Feb  3 00:00:00 h a: x"];
        assert_eq!(
            times("UTC", "2024-02-03T00:00:05Z", &lines),
            ["2023-11-30T10:00:00Z", "2023-12-31T23:59:59Z", "2024-01-01T00:00:01Z", "2024-02-03T00:00:00Z"]
        );
        assert_eq!(times("UTC", "2024-01-31T00:00:00Z", &lines).last().unwrap(), "2023-02-03T00:00:00Z");
        assert_eq!(times("Asia/Shanghai", "2024-02-04T00:00:00Z", &lines).last().unwrap(), "2024-02-02T16:00:00Z");
        assert_eq!(times("UTC", "2026-01-05T00:00:00Z", &["Feb 29 01:00:00 h a: x"]), ["2024-02-29T01:00:00Z"]);
    }

    #[test]
    fn a_clock_that_started_at_zero_does_not_shift_the_rest() {
        let lines = ["Nov  1 10:00:00 h a: x", "Jan  1 00:00:10 h a: x", "Nov  2 10:00:00 h a: x"];
        assert_eq!(times("UTC", "2024-11-02T11:00:00Z", &lines), ["2024-11-01T10:00:00Z", "-", "2024-11-02T10:00:00Z"]);
    }
}
