//! What is asked of rows and of their places: copied, exported, reviewed, their bytes shown, their files saved.
use super::app::App;
use super::command::{BytesAt, LookAt};
use super::csv;
use super::job::{Again, Done};
use crate::base::Time;
use crate::case::CaseData;
use crate::judge::Review;
use crate::session::Failure;
use std::path::{Path, PathBuf};
use std::sync::Arc;

impl App {
    pub(super) fn copy(&mut self, table: &'static str) {
        let Some(state) = self.state.tables.get(table) else { return };
        let Some(shown) = state.shown.clone() else { return };
        let selection = state.selection.clone();
        let hidden = self.settings.hidden.get(table).cloned().unwrap_or_default();
        self.jobs.spawn("copy", move || {
            let order = selection.in_order(&shown.order);
            let columns: Vec<usize> = (0..shown.rows.specs().len())
                .filter(|c| shown.rows.specs().get(*c).is_some_and(|s| !hidden.contains(s.name)))
                .collect();
            Some(Done::Copied(csv::tabbed(&*shown.rows, &order, &columns), order.len()))
        });
    }

    pub(super) fn export(&mut self, table: &'static str, path: PathBuf) {
        let Some(shown) = self.state.tables.get(table).and_then(|s| s.shown.clone()) else {
            self.error(format!("The table {table} has no rows to export yet."));
            return;
        };
        let backend = self.jobs.backend.clone();
        self.jobs.spawn("export", move || {
            let text = csv::text(&*shown.rows, &shown.order);
            let rows = super::widgets::plural(shown.order.len(), "row", "rows");
            let saved = backend.save_text(&path, &text);
            Some(Done::Saved(saved.map(|()| format!("{rows} of {table} were written to {}", path.to_string_lossy()))))
        });
    }

    pub(super) fn review(&mut self, finding: String, disposition: String, note: String) {
        let (Some(case), Some(snapshot)) = (self.case.clone(), &self.snapshot) else {
            self.state.review.sending = false;
            self.error("There is no case file to record the review in.");
            return;
        };
        let review = Review { examiner: self.settings.examiner.trim().to_owned(), disposition, note, at: Time::now() };
        let (backend, data) = (self.jobs.backend.clone(), snapshot.data.clone());
        self.jobs.spawn("review", move || {
            let recorded = backend.add_review(&case, &finding, review.clone()).map(|()| {
                let mut data = (*data).clone();
                if let Some(f) = data.findings.iter_mut().find(|f| f.id == finding) {
                    f.reviews.push(review);
                }
                data.verdict = data.verdict.again(&data.findings);
                Arc::new(data)
            });
            Some(Done::Reviewed(finding, recorded))
        });
    }

    /// Judges the case in sight by another policy, beside everything else.
    pub(super) fn judge_by(&mut self, policy: PathBuf) {
        let (Some(case), Some(snapshot)) = (self.case.clone(), &self.snapshot) else {
            self.error("There is no case file to judge again.");
            return;
        };
        if self.run.is_some() || self.state.policy.judging {
            self.error("Something is judged or examined already. Wait until it is done.");
            return;
        }
        self.state.policy.judging = true;
        let again = Again::of(policy, &snapshot.data.run.command);
        let backend = self.jobs.backend.clone();
        self.jobs.spawn("judge", move || {
            let judged = backend.judge_again(&case, &again).map(Arc::new);
            Some(Done::Judged(case, judged))
        });
    }

    pub(super) fn judged(&mut self, case: &Path, result: Result<Arc<CaseData>, Failure>) {
        // Another case may be in sight by now; the one that was judged holds the result.
        if self.case.as_deref() != Some(case) {
            return;
        }
        self.state.policy.judging = false;
        match result {
            Ok(data) => {
                let verdict = data.verdict.result.word();
                self.done(format!("Judged by the policy {}: {verdict}.", data.verdict.policy));
                self.show_data(data);
            }
            Err(failure) => self.error(failure.message),
        }
    }

    pub(super) fn preview(&mut self, at: BytesAt) {
        const MOST: usize = 64;
        if self.snapshot.is_none() || self.previews.contains_key(&at) {
            return;
        }
        if self.previews.len() >= MOST {
            self.previews.clear();
        }
        self.previews.insert(at, None);
        let plan = self.looking();
        let backend = self.jobs.backend.clone();
        self.jobs
            .spawn("preview", move || Some(Done::Preview(at, backend.preview(&plan, at.image, at.offset, at.len))));
    }

    /// The chosen rows of a table as files to be saved.
    pub(super) fn save_rows(&mut self, table: &'static str) {
        let Some(state) = self.state.tables.get(table) else { return };
        let Some(shown) = state.shown.clone() else { return };
        let selection = state.selection.clone();
        self.jobs.spawn("rows-to-save", move || {
            let rows = selection.in_order(&shown.order);
            let evidence = rows.iter().filter_map(|row| shown.rows.evidence(*row as usize).first());
            Some(Done::ToSave(evidence.filter_map(LookAt::of).map(|at| at.item()).collect()))
        });
    }
}
