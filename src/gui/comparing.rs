//! A comparison in the window: what is to be compared, the matrix of its result, and two contents line by line.
use super::app::App;
use super::command::{Command, LookAt, paths};
use super::file_text::{Encoding, text};
use super::job::{Done, Looked, Pick};
use super::rows::{Rows, Spec};
use crate::base::Evidence;
use crate::compare::{Comparison, Difference, Machine, Mode, write};
use crate::inventory::{Kind, Value};
use crate::session::{Failure, Plan, Together};
use similar::{Algorithm, DiffOp, capture_diff_slices_deadline};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The table of the matrix.
pub(crate) const TABLE: &str = "comparison";

/// Names of the matrix's columns of machines; the legend above it says which is which.
const MACHINES: [&str; 24] = [
    "crane_1", "crane_2", "crane_3", "crane_4", "crane_5", "crane_6", "crane_7", "crane_8", "crane_9", "crane_10",
    "crane_11", "crane_12", "crane_13", "crane_14", "crane_15", "crane_16", "crane_17", "crane_18", "crane_19",
    "crane_20", "crane_21", "crane_22", "crane_23", "crane_24",
];

/// What is to be compared, and what of the result is looked at.
#[derive(Default)]
pub(crate) struct Comparing {
    pub path: String,
    /// Beside the case in sight.
    pub sources: Vec<PathBuf>,
    /// Paths, one a line.
    pub baseline: String,
    pub policy: String,
    pub variation: String,
    pub running: bool,
    pub result: Option<Arc<Comparison>>,
    /// Left and right machine of the two panes; `None`: a usual one and the odd one.
    pub pair: Option<(usize, usize)>,
    pub contents: Option<Contents>,
}

/// Two contents of one file.
pub(crate) struct Contents {
    pub line: usize,
    pub pair: (usize, usize),
    /// `None` while they are being read.
    pub lines: Option<Result<Arc<Vec<Pair>>, String>>,
}

/// One line of the two panes; `None` where the other side has a line more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub left: Option<(usize, String)>,
    pub right: Option<(usize, String)>,
    pub changed: bool,
}

/// Lines of two texts side by side. A search for the smallest difference that takes too long ends with a larger one.
pub(crate) fn side_by_side(left: &[String], right: &[String]) -> Vec<Pair> {
    let until = Instant::now().checked_add(Duration::from_secs(2));
    let side = |lines: &[String], at: usize| lines.get(at).map(|l| (at.saturating_add(1), l.clone()));
    let mut pairs = Vec::new();
    for op in capture_diff_slices_deadline(Algorithm::Myers, left, right, until) {
        let (a, b) = (op.old_range(), op.new_range());
        let changed = !matches!(op, DiffOp::Equal { .. });
        for n in 0..a.len().max(b.len()) {
            pairs.push(Pair {
                left: (n < a.len()).then(|| side(left, a.start.saturating_add(n))).flatten(),
                right: (n < b.len()).then(|| side(right, b.start.saturating_add(n))).flatten(),
                changed,
            });
        }
    }
    pairs
}

/// Where a row of the matrix stands in the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum At {
    Shared(usize),
    Difference(usize),
    Below(usize, usize),
    Expected(usize),
}

/// The matrix: rows are what is told, columns the machines.
pub(crate) struct Matrix {
    pub comparison: Arc<Comparison>,
    lines: Vec<At>,
    specs: Vec<Spec>,
}

impl Matrix {
    pub(crate) fn new(comparison: Arc<Comparison>) -> Self {
        let c = &comparison;
        let mut lines: Vec<At> = (0..c.unvouched.len()).map(At::Shared).collect();
        for (at, d) in c.differences.iter().enumerate() {
            lines.push(At::Difference(at));
            lines.extend((0..d.below.len()).map(|below| At::Below(at, below)));
        }
        lines.extend((0..c.expected.len()).map(At::Expected));
        let text = |name, about| Spec::new(name, about, Kind::Text);
        let mut specs = vec![
            Spec::new("rank", "Place in the order of how telling it is.", Kind::Number),
            text(
                "part",
                "shared (by all, vouched for by nobody independent), difference, below (follows from the one above), expected.",
            ),
            text("bears_on", "What it bears on."),
            text("table", "The table of the inventory."),
            Spec::new("key", "What identifies the row.", Kind::Text),
            text("odd", "The cranes that are not as most are."),
        ];
        let names = MACHINES.iter().take(c.machines.len());
        specs.extend(names.map(|name| text(name, "has, has not, other (other values).")));
        specs.push(text("columns", "The columns that differ."));
        if c.mode == Mode::Time {
            specs.push(text("hand", "By whose hand, as far as the later image tells."));
            specs.push(text("when", "When it was changed."));
        }
        specs.push(text("check", "What the crane's own package database says of the file it was read from."));
        specs.push(text("source", "The file it was read from."));
        specs.push(text("explained", "The rules of expected variation that explain it."));
        Self { comparison, lines, specs }
    }
    pub(crate) fn at(&self, row: usize) -> Option<At> {
        self.lines.get(row).copied()
    }
    pub(crate) fn difference(&self, row: usize) -> Option<&Difference> {
        match self.at(row)? {
            At::Shared(_) => None,
            At::Difference(at) => self.comparison.differences.get(at),
            At::Below(at, below) => self.comparison.differences.get(at)?.below.get(below),
            At::Expected(at) => self.comparison.expected.get(at),
        }
    }
    fn shared(&self, at: usize, name: &str) -> Value {
        let Some(u) = self.comparison.unvouched.get(at) else { return Value::Null };
        match name {
            "part" => word("shared"),
            "bears_on" => word(u.class.words()),
            "table" => word(u.table),
            "key" => word(&write::label(&u.key)),
            "odd" => word("shared by all"),
            "check" => word(&u.check),
            "source" => word(&u.source),
            name if MACHINES.contains(&name) => word("has"),
            _ => Value::Null,
        }
    }
}

fn word(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::Text(text.into()) }
}

impl Rows for Matrix {
    fn name(&self) -> &'static str {
        TABLE
    }
    fn about(&self) -> &'static str {
        "What all share and nobody vouches for, then what differs, the most telling first."
    }
    fn specs(&self) -> &[Spec] {
        &self.specs
    }
    fn len(&self) -> usize {
        self.lines.len()
    }
    fn value(&self, row: usize, column: usize) -> Value {
        let name = self.specs.get(column).map_or("", |s| s.name);
        let Some(at) = self.at(row) else { return Value::Null };
        if let At::Shared(at) = at {
            return self.shared(at, name);
        }
        let Some(d) = self.difference(row) else { return Value::Null };
        let hand = d.hand.as_ref();
        match name {
            "rank" => match at {
                At::Difference(at) | At::Below(at, _) => Value::Number((at as i128).saturating_add(1)),
                _ => Value::Null,
            },
            "part" => word(match at {
                At::Below(..) => "below",
                At::Expected(_) => "expected",
                _ => "difference",
            }),
            "bears_on" => word(d.class.words()),
            "table" => word(d.table),
            "key" => word(&write::key(d)),
            "odd" => word(&write::odd(&self.comparison, d)),
            "columns" => word(&d.columns.iter().map(|(c, _)| *c).collect::<Vec<_>>().join(", ")),
            "hand" => hand.map_or(Value::Null, |h| word(h.whose.words())),
            "when" => hand.map_or(Value::Null, |h| word(&h.when)),
            "check" => word(&d.check),
            "source" => word(&d.source),
            "explained" => word(&d.explained.join(", ")),
            name => {
                let machine = MACHINES.iter().position(|m| *m == name);
                machine.map_or(Value::Null, |m| word(write::stands(d, m)))
            }
        }
    }
    /// Rows of other cases: their bytes are not those of the case in sight.
    fn evidence(&self, _: usize) -> &[Evidence] {
        &[]
    }
    fn identity(&self, row: usize) -> u64 {
        super::rows::hash(self.at(row))
    }
}

/// The file that a row was read from on a machine.
fn place(d: &Difference, machine: usize, of: &Machine) -> Option<LookAt> {
    let row = d.rows.get(machine).copied().flatten()?;
    LookAt::of(of.data.inventory.table(d.table)?.evidence(row)?)
}

/// How a machine's evidence is read.
fn looking(of: &Machine, no_sandbox: bool) -> Plan {
    let images = of.data.scene.images.iter().map(|i| PathBuf::from(&i.path)).collect();
    let plan = crate::session::looking_at(images);
    let of_case = crate::session::is_case(&of.source).then(|| of.source.clone());
    Plan { of_case, no_sandbox, ..plan }
}

impl App {
    pub(super) fn compare(&mut self) {
        let Some(case) = self.case.clone().filter(|_| !self.comparing.running && self.run.is_none()) else { return };
        let form = &mut self.comparing;
        if form.sources.is_empty() {
            return self.error("Name at least one other case or image to compare with.");
        }
        let path = |text: &str| (!text.trim().is_empty()).then(|| PathBuf::from(text.trim()));
        let mut sources = vec![case];
        sources.extend(form.sources.iter().cloned());
        let plan = Together {
            sources,
            baselines: paths(&form.baseline),
            baseline_keys: paths(&self.settings.baseline_keys),
            policy: path(&form.policy),
            variation: path(&form.variation).into_iter().collect(),
            no_sandbox: self.outside.access.no_sandbox,
            ..Together::default()
        };
        form.running = true;
        let backend = self.jobs.backend.clone();
        self.jobs.spawn("compare", move || Some(Done::Compared(backend.compare(&plan).map(Arc::new))));
    }

    pub(super) fn compared(&mut self, result: Result<Arc<Comparison>, Failure>) {
        self.comparing.running = false;
        match result {
            Ok(comparison) => {
                self.comparing.result = Some(comparison);
                self.comparing.pair = None;
                self.comparing.contents = None;
                self.show_comparison();
            }
            Err(failure) => self.error(failure.message),
        }
    }

    /// The matrix as a table of the case in sight.
    pub(super) fn show_comparison(&mut self) {
        if let Some(data) = self.snapshot.as_ref().map(|s| s.data.clone()) {
            self.show_data(data);
        }
    }

    pub(super) fn compare_contents(&mut self, line: usize, pair: (usize, usize)) {
        let Some(comparison) = self.comparing.result.clone() else { return };
        self.comparing.contents = Some(Contents { line, pair, lines: None });
        let (backend, no_sandbox) = (self.jobs.backend.clone(), self.outside.access.no_sandbox);
        self.jobs.spawn("compare-contents", move || {
            let matrix = Matrix::new(comparison);
            let read = |machine: usize| -> Result<Vec<String>, String> {
                let of = matrix.comparison.machines.get(machine).ok_or("no such crane")?;
                let d = matrix.difference(line).ok_or("no such row")?;
                let Some(at) = place(d, machine, of) else { return Ok(Vec::new()) };
                let (bytes, _) = backend
                    .look(&looking(of, no_sandbox), &at.place, Looked::MOST)
                    .map_err(|f| format!("{}: {}", of.name, f.message))?;
                let encoding = Encoding::guess(&bytes);
                let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
                if head.contains(&0) && !matches!(encoding, Encoding::Utf16Le | Encoding::Utf16Be) {
                    return Err(format!("{}: the content is no text", of.name));
                }
                Ok(text(&bytes, encoding).lines)
            };
            let lines = read(pair.0).and_then(|left| Ok(Arc::new(side_by_side(&left, &read(pair.1)?))));
            Some(Done::Contents(line, pair, lines))
        });
    }

    pub(super) fn contents_read(&mut self, line: usize, pair: (usize, usize), lines: Result<Arc<Vec<Pair>>, String>) {
        if let Some(contents) = self.comparing.contents.as_mut().filter(|c| c.line == line && c.pair == pair) {
            contents.lines = Some(lines);
        }
    }

    pub(super) fn compare_with(&mut self, paths: &[PathBuf]) {
        for path in paths {
            if !self.comparing.sources.contains(path) && self.case.as_ref() != Some(path) {
                self.comparing.sources.push(path.clone());
            }
        }
    }

    pub(super) fn comparing_command(&mut self, command: Command) {
        match command {
            Command::Compare => self.compare(),
            Command::CompareWith(paths) => self.compare_with(&paths),
            Command::CompareWithout(at) if at < self.comparing.sources.len() => {
                self.comparing.sources.remove(at);
            }
            Command::CompareContents { line, pair } => self.compare_contents(line, pair),
            Command::CompareAnew => {
                self.comparing.result = None;
                self.comparing.contents = None;
                self.show_comparison();
            }
            Command::ComparePick => self.apply(Command::Pick(Pick::Compare)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_beside_each_other() {
        let lines = |all: &[&str]| all.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        let pairs = side_by_side(&lines(&["a", "b", "c"]), &lines(&["a", "x", "y", "c"]));
        let shown: Vec<(Option<usize>, Option<usize>, bool)> =
            pairs.iter().map(|p| (p.left.as_ref().map(|l| l.0), p.right.as_ref().map(|r| r.0), p.changed)).collect();
        assert_eq!(
            shown,
            [(Some(1), Some(1), false), (Some(2), Some(2), true), (None, Some(3), true), (Some(3), Some(4), false)]
        );
        assert_eq!(side_by_side(&[], &[]), []);
    }
}
