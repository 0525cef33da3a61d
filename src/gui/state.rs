//! What the window remembers: settings that survive a restart, and the state of tables and views.
use super::query::Query;
use super::rows::Rows;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Kept between runs. Nothing of the evidence is in it but the paths that were opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub dark: bool,
    /// Opened last comes first: the images of one examination, or one case.
    pub recent: Vec<Vec<PathBuf>>,
    /// Columns that are not shown, by table.
    pub hidden: BTreeMap<String, BTreeSet<String>>,
    /// Widths of columns in points, by table, where the user set them.
    pub widths: BTreeMap<String, BTreeMap<String, f32>>,
    pub examiner: String,
    /// Public keys of those whose signatures under baselines count, one path a line.
    pub baseline_keys: String,
}
impl Default for Settings {
    fn default() -> Self {
        Self {
            dark: true,
            recent: Vec::new(),
            hidden: BTreeMap::new(),
            widths: BTreeMap::new(),
            examiner: String::new(),
            baseline_keys: String::new(),
        }
    }
}
impl Settings {
    pub const KEY: &'static str = "cranescope-window-1";
    const RECENT: usize = 12;

    pub fn remember(&mut self, paths: &[PathBuf]) {
        self.recent.retain(|r| r != paths);
        self.recent.insert(0, paths.to_vec());
        self.recent.truncate(Self::RECENT);
    }
}

/// The rows that are chosen in a table, by their number in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Selection {
    all: bool,
    rows: BTreeSet<u32>,
    /// Position in the shown order: what the arrows move and the detail shows.
    pub(super) cursor: Option<usize>,
    anchor: Option<usize>,
}
impl Selection {
    pub(super) fn contains(&self, row: u32) -> bool {
        self.all || self.rows.contains(&row)
    }
    pub(super) fn is_empty(&self) -> bool {
        !self.all && self.rows.is_empty()
    }
    pub(super) fn all(&mut self) {
        self.all = true;
        self.rows.clear();
    }
    pub(super) fn only(&mut self, at: usize, order: &[u32]) {
        *self = Self { cursor: Some(at), anchor: Some(at), ..Self::default() };
        self.rows.extend(order.get(at));
    }
    pub(super) fn toggle(&mut self, at: usize, order: &[u32]) {
        self.all = false;
        self.cursor = Some(at);
        self.anchor = Some(at);
        if let Some(row) = order.get(at)
            && !self.rows.remove(row)
        {
            self.rows.insert(*row);
        }
    }
    /// From where the last single choice was to here.
    pub(super) fn extend(&mut self, at: usize, order: &[u32]) {
        let from = self.anchor.unwrap_or(at);
        self.all = false;
        self.rows = order.get(from.min(at)..=from.max(at)).unwrap_or_default().iter().copied().collect();
        self.cursor = Some(at);
        self.anchor = Some(from);
    }
    /// The chosen rows, in the shown order.
    pub(super) fn in_order(&self, order: &[u32]) -> Vec<u32> {
        order.iter().copied().filter(|r| self.contains(*r)).collect()
    }
    /// How many are chosen, of so many shown.
    pub(super) fn len(&self, shown: usize) -> usize {
        if self.all { shown } else { self.rows.len() }
    }
}

/// Rows and their order, as they are drawn: always of the same snapshot.
#[derive(Clone)]
pub(crate) struct Shown {
    pub rows: Arc<dyn Rows>,
    pub order: Arc<Vec<u32>>,
    pub generation: u64,
    pub query: Query,
}

/// One table of the window.
#[derive(Default)]
pub(crate) struct TableState {
    /// What is wanted; `shown` follows as soon as a thread has answered.
    pub query: Query,
    pub shown: Option<Shown>,
    pub asked: Option<(Query, u64)>,
    /// Stops the answer that is no longer wanted.
    pub cancel: Option<Arc<AtomicBool>>,
    pub selection: Selection,
    /// First row in sight, with its fraction: exact at any number of rows, where points would not be.
    pub top: f64,
    pub left: f32,
    /// Widths by what the rows hold, for tables whose widths the user did not set.
    pub widths: HashMap<&'static str, super::query::Width>,
    /// Rows that the automatic widths were made from.
    pub widths_from: usize,
    pub reveal_cursor: bool,
    /// A row to choose as soon as there is an order of the newest snapshot.
    pub wanted: Option<u32>,
}
impl TableState {
    pub(super) fn of(table: &str) -> Self {
        Self { query: Query::of(table), ..Self::default() }
    }
    pub(super) fn busy(&self) -> bool {
        self.cancel.is_some()
    }
    /// Whether the shown order answers what is wanted of this snapshot.
    pub(super) fn is_stale(&self, generation: u64) -> bool {
        self.asked.as_ref().is_none_or(|(query, asked)| *query != self.query || *asked != generation)
    }
    pub(super) fn stop(&mut self) {
        if let Some(cancel) = self.cancel.take() {
            cancel.store(true, Ordering::Relaxed);
        }
    }
    /// The row under the cursor, in the rows that are shown.
    pub(super) fn current(&self) -> Option<(&Shown, usize)> {
        let shown = self.shown.as_ref()?;
        let row = shown.order.get(self.selection.cursor?)?;
        Some((shown, *row as usize))
    }
}

/// What an examiner is typing about a finding.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ReviewDraft {
    pub finding: String,
    /// One of the dispositions; none is proposed.
    pub disposition: Option<usize>,
    pub note: String,
    pub sending: bool,
}

/// The policy that the case is to be judged by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyDraft {
    /// As typed.
    pub path: String,
    pub judging: bool,
}

/// The state of everything that is drawn, apart from the evidence.
#[derive(Default)]
pub(crate) struct ViewState {
    pub view: usize,
    pub tables: HashMap<&'static str, TableState>,
    /// Chosen table of the views that have several.
    pub tabs: HashMap<&'static str, &'static str>,
    pub focus_search: bool,
    pub review: ReviewDraft,
    pub policy: PolicyDraft,
    /// Which evidence entry of the shown row has its bytes open.
    pub bytes_of: Option<(u64, usize)>,
    pub bytes_page: u64,
    /// Path typed for an export: table, path.
    pub export: Option<(&'static str, String)>,
}
