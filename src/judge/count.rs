//! How many rows of one subject a rule asks for, and within which time: `[count]` with `at-least`, and `within` in seconds
//! of the table's column `time` (or another one, `of`). A row that stands for several, by its column `count`, counts as
//! so many; where a time is asked for, only if its column `last` is within it.
use super::rows::Match;
use crate::inventory::{AnyTable, CellRef, Kind, Table};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawCount {
    at_least: u32,
    within: Option<u32>,
    of: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Count {
    at_least: u64,
    within: Option<Window>,
    /// Column that says for how many a row stands.
    weight: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    seconds: i64,
    time: usize,
    /// Column of the last of the rows that one stands for.
    last: Option<usize>,
}

impl RawCount {
    /// The error says what is wrong.
    pub(super) fn check(&self, table: Option<&'static Table>) -> Result<Count, String> {
        let of_kind = |name: &str, kind: Kind| {
            let at = table.and_then(|t| t.column(name))?;
            table.and_then(|t| t.columns.get(at)).filter(|c| c.kind == kind).map(|_| at)
        };
        if self.at_least == 0 {
            return Err("`at-least` must be more than 0".into());
        }
        if self.within.is_none() && self.of.is_some() {
            return Err("`of` names the time that `within` is about".into());
        }
        let within = match self.within {
            None => None,
            Some(seconds) => {
                let name = self.of.as_deref().unwrap_or("time");
                let time = of_kind(name, Kind::Time).ok_or_else(|| format!("no column `{name}` with a time"))?;
                Some(Window { seconds: seconds.into(), time, last: of_kind("last", Kind::Time) })
            }
        };
        Ok(Count { at_least: self.at_least.into(), within, weight: of_kind("count", Kind::Number) })
    }
}

impl Count {
    /// Whether so many of these rows stand together. A row without a time stands alone.
    pub(super) fn holds(&self, table: &dyn AnyTable, matches: &[Match]) -> bool {
        let weight = |row: usize| {
            let cell = self.weight.map(|column| table.cell(row, column));
            match cell {
                Some(CellRef::Number(n)) => u64::try_from(n).unwrap_or(1).max(1),
                _ => 1,
            }
        };
        let Some(window) = self.within else {
            return matches.iter().map(|m| weight(m.row)).fold(0, u64::saturating_add) >= self.at_least;
        };
        let time = |row: usize, column: usize| match table.cell(row, column) {
            CellRef::Time(time) => Some(time.seconds),
            _ => None,
        };
        let mut all: Vec<(i64, u64)> = Vec::new();
        let mut alone = 0;
        for m in matches {
            let Some(first) = time(m.row, window.time) else {
                alone = 1;
                continue;
            };
            let last = window.last.and_then(|column| time(m.row, column));
            let together = last.is_some_and(|l| (0..=window.seconds).contains(&l.saturating_sub(first)));
            all.push((first, if together { weight(m.row) } else { 1 }));
        }
        all.sort_unstable();
        let (mut sum, mut most, mut from) = (0_u64, alone, all.iter());
        let mut oldest = from.next();
        for (now, many) in &all {
            sum = sum.saturating_add(*many);
            while let Some((_, gone)) = oldest.filter(|(then, _)| now.saturating_sub(*then) > window.seconds) {
                sum = sum.saturating_sub(*gone);
                oldest = from.next();
            }
            most = most.max(sum);
        }
        most >= self.at_least
    }
}
