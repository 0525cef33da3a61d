//! Doing what was asked, and taking what the threads bring.
use super::app::{App, Run};
use super::command::{BytesAt, Command, PlanDraft};
use super::job::{Done, Ordered, Pick};
use super::snapshot::Snapshot;
use super::state::{Shown, TableState};
use super::widgets::open_form::is_case;
use super::widgets::shell::Notice;
use super::{csv, query, views};
use crate::base::Time;
use crate::case::CaseData;
use crate::judge::Review;
use crate::session::{Failure, Watch};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

impl App {
    pub(super) fn apply(&mut self, command: Command) {
        match command {
            Command::ShowOpen => {
                self.form_open = true;
                self.form.hint = false;
                self.form.focus = true;
            }
            Command::HideOpen => self.form_open = false,
            Command::PickImages => self.pick(Pick::Images),
            Command::PickCase => self.pick(Pick::Case),
            Command::PickSave { table } => self.pick(Pick::Save { table, name: format!("{table}.csv") }),
            Command::Offer(paths) => self.offer(&paths),
            Command::OpenCase(path) => self.open_case(path),
            Command::Examine(draft) => self.examine(*draft),
            Command::Cancel => {
                if let Some(run) = &mut self.run {
                    run.cancelling = true;
                    run.watch.cancel();
                }
            }
            Command::CloseCase => self.close(),
            Command::View(view) if view < views::ALL.len() => self.state.view = view,
            Command::View(_) => {}
            Command::Go { view, table } => {
                self.state.view = views::index(view).unwrap_or(self.state.view);
                self.state.tabs.insert(view, table);
            }
            Command::ShowRow { view, table, row } => {
                self.apply(Command::Go { view, table });
                self.show_row(table, row);
            }
            Command::ShowFinding(id) => self.show_finding(&id),
            Command::Query(table) => self.query(table),
            Command::Copy(table) => self.copy(table),
            Command::CopyText(text) => self.ctx.copy_text(text),
            Command::Export { table, path } => self.export(table, path),
            Command::AddReview { finding, disposition, note } => self.review(finding, disposition, note),
            Command::Preview(at) => self.preview(at),
            Command::SetDark(dark) => {
                self.settings.dark = dark;
                self.set_look();
            }
            Command::Examiner(name) => {
                self.form.draft.examiner.clone_from(&name);
                self.settings.examiner = name;
            }
            Command::Hide { table, column, hidden } => {
                let set = self.settings.hidden.entry(table.to_owned()).or_default();
                if hidden {
                    set.insert(column.to_owned());
                } else {
                    set.remove(column);
                }
                if set.is_empty() {
                    self.settings.hidden.remove(table);
                }
            }
            Command::Widths { table, widths } => {
                if widths.is_empty() {
                    self.settings.widths.remove(table);
                    if let Some(state) = self.state.tables.get_mut(table) {
                        // Measured anew with the next order.
                        state.widths_from = 0;
                        state.asked = None;
                    }
                } else {
                    self.settings.widths.insert(table.to_owned(), widths);
                }
            }
            Command::Help(shown) => self.help = shown,
            Command::Dismiss(n) => {
                if n < self.notices.len() {
                    self.notices.remove(n);
                }
            }
            Command::ForgetRecent(paths) => self.settings.recent.retain(|r| *r != paths),
        }
    }

    pub(super) fn error(&mut self, text: impl Into<String>) {
        let notice = Notice { error: true, text: text.into() };
        // The same words twice say nothing more.
        if !self.notices.contains(&notice) {
            self.notices.push(notice);
        }
    }
    fn done(&mut self, text: impl Into<String>) {
        self.notices.retain(|n| n.error);
        self.notices.push(Notice { error: false, text: text.into() });
    }

    fn pick(&mut self, what: Pick) {
        if self.form.picking {
            return;
        }
        self.form.picking = true;
        self.form.hint = false;
        let backend = self.jobs.backend.clone();
        self.jobs.spawn("dialog", move || {
            let picked = backend.pick(&what);
            Some(Done::Picked(what, picked))
        });
    }

    fn offer(&mut self, paths: &[PathBuf]) {
        if self.run.is_some() {
            self.error(
                "An examination is running. Wait until it is done, or cancel it, before opening something else.",
            );
            return;
        }
        if let Some(case) = paths.iter().find(|p| is_case(p)) {
            self.open_case(case.clone());
            return;
        }
        self.form.take(paths);
        self.form_open = true;
    }

    fn open_case(&mut self, path: PathBuf) {
        if self.run.is_some() || self.opening.is_some() {
            self.error("Something else is being opened or examined. Wait until it is done, or cancel it.");
            return;
        }
        self.opening = Some(path.clone());
        let backend = self.jobs.backend.clone();
        self.jobs.spawn("open-case", move || {
            let opened = backend.open_case(&path).map(Arc::new);
            Some(Done::Opened(path, opened))
        });
    }

    fn examine(&mut self, draft: PlanDraft) {
        if self.run.is_some() || self.opening.is_some() {
            self.error("Something else is being opened or examined. Wait until it is done, or cancel it.");
            return;
        }
        self.close();
        self.form_open = false;
        if !draft.examiner.trim().is_empty() {
            draft.examiner.trim().clone_into(&mut self.settings.examiner);
        }
        let (ctx, woken) = (self.ctx.clone(), self.woken.clone());
        let watch = Arc::new(Watch::new(move || {
            if !woken.swap(true, Ordering::Relaxed) {
                ctx.request_repaint_after(Duration::from_millis(60));
            }
        }));
        let (backend, plan, watched) = (self.jobs.backend.clone(), draft.plan(), watch.clone());
        let case = (!draft.case.trim().is_empty()).then(|| PathBuf::from(draft.case.trim()));
        self.kept = None;
        self.run = Some(Run { taken: watch.snapshot(), watch, images: draft.images.clone(), case, cancelling: false });
        self.provisional = true;
        self.form.draft = draft;
        self.jobs.spawn("examine", move || Some(Done::Examined(backend.examine(plan, watched))));
    }

    fn close(&mut self) {
        if let Some(run) = &mut self.run {
            run.cancelling = true;
            run.watch.cancel();
            return;
        }
        for table in self.state.tables.values_mut() {
            table.stop();
        }
        self.state = super::state::ViewState::default();
        self.snapshot = None;
        self.case = None;
        self.kept = None;
        self.next = None;
        self.provisional = false;
        self.previews.clear();
        // A snapshot that is still being made belongs to what was closed.
        self.generation = self.generation.wrapping_add(1 << 32);
        self.building = false;
    }

    /// Makes a snapshot of these data on a thread; only the newest waits if one is being made.
    pub(super) fn show_data(&mut self, data: Arc<CaseData>) {
        if self.building {
            self.next = Some(data);
            return;
        }
        self.building = true;
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        self.jobs.spawn("snapshot", move || Some(Done::Snapshot(Arc::new(Snapshot::new(data, generation)))));
    }

    fn show_finding(&mut self, id: &str) {
        let row = self.snapshot.as_ref().and_then(|s| s.data.findings.iter().position(|f| f.id == id));
        if let Some(row) = row {
            self.apply(Command::ShowRow { view: "findings", table: "findings", row });
        }
    }

    /// Chooses a row of the newest snapshot, now or as soon as its order is known.
    fn show_row(&mut self, table: &'static str, row: usize) {
        let Some(snapshot) = &self.snapshot else { return };
        let Ok(row) = u32::try_from(row) else { return };
        let state = self.state.tables.entry(table).or_insert_with(|| TableState::of(table));
        let current = state.shown.as_ref().filter(|s| s.generation == snapshot.generation);
        match current.map(|s| (s.order.clone(), s.order.iter().position(|r| *r == row))) {
            Some((order, Some(at))) => {
                state.selection.only(at, &order);
                state.reveal_cursor = true;
            }
            shown => {
                // A search or filter leaves it out: it is asked for, so they give way.
                if shown.is_some() {
                    state.query.search.clear();
                    state.query.filters.clear();
                }
                state.wanted = Some(row);
            }
        }
    }

    fn query(&mut self, table: &'static str) {
        let Some(snapshot) = &self.snapshot else { return };
        let Some(rows) = snapshot.rows(table).cloned() else { return };
        let state = self.state.tables.entry(table).or_insert_with(|| TableState::of(table));
        if !state.is_stale(snapshot.generation) {
            return;
        }
        state.stop();
        let cancel = Arc::new(AtomicBool::new(false));
        state.cancel = Some(cancel.clone());
        let (query, generation) = (state.query.clone(), snapshot.generation);
        state.asked = Some((query.clone(), generation));
        let keep = state.current().map(|(shown, row)| (shown.rows.clone(), row));
        self.jobs.spawn("sort-and-filter", move || {
            let order = query::run(&*rows, &query, &cancel)?;
            let widths = query::widths(&*rows, &order);
            let cursor = keep.and_then(|(old, row)| {
                let wanted = old.identity(row);
                let same = Arc::ptr_eq(&old, &rows);
                order.iter().position(|r| if same { *r as usize == row } else { rows.identity(*r as usize) == wanted })
            });
            (!cancel.load(Ordering::Relaxed))
                .then(|| Done::Ordered(Box::new(Ordered { table, rows, query, generation, order, widths, cursor })))
        });
    }

    fn ordered(&mut self, found: Ordered) {
        let Some(state) = self.state.tables.get_mut(found.table) else { return };
        if state.asked.as_ref() != Some(&(found.query.clone(), found.generation)) {
            return;
        }
        state.cancel = None;
        let grown = found.rows.len() > state.widths_from.saturating_mul(3);
        if grown || state.widths.is_empty() {
            let names = found.rows.specs().iter().map(|s| s.name);
            state.widths = names.zip(found.widths).collect();
            state.widths_from = found.rows.len();
        }
        let was_sorted = state.shown.as_ref().map(|s| s.query.sort.clone());
        let order = Arc::new(found.order);
        let before = state.selection.cursor;
        let wanted = state.wanted.take().and_then(|row| order.iter().position(|r| *r == row));
        // A finding is there to be read: without a choice, the first is shown.
        let first = (found.table == "findings" && !order.is_empty()).then_some(0);
        match wanted.or(found.cursor).or(first) {
            Some(at) => {
                state.selection.only(at, &order);
                state.reveal_cursor = before != Some(at);
            }
            None => state.selection = super::state::Selection::default(),
        }
        if was_sorted.is_some_and(|sort| sort != found.query.sort) && found.cursor.is_none() {
            state.top = 0.0;
        }
        state.shown = Some(Shown { rows: found.rows, order, generation: found.generation, query: found.query });
    }

    fn copy(&mut self, table: &'static str) {
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

    fn export(&mut self, table: &'static str, path: PathBuf) {
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

    fn review(&mut self, finding: String, disposition: String, note: String) {
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
                Arc::new(data)
            });
            Some(Done::Reviewed(finding, recorded))
        });
    }

    fn preview(&mut self, at: BytesAt) {
        const MOST: usize = 64;
        let Some(snapshot) = &self.snapshot else { return };
        if self.previews.contains_key(&at) {
            return;
        }
        if self.previews.len() >= MOST {
            self.previews.clear();
        }
        self.previews.insert(at, None);
        let images: Vec<PathBuf> = snapshot.data.scene.images.iter().map(|i| PathBuf::from(&i.path)).collect();
        let backend = self.jobs.backend.clone();
        self.jobs
            .spawn("preview", move || Some(Done::Preview(at, backend.preview(&images, at.image, at.offset, at.len))));
    }

    /// Everything that threads brought since the last frame.
    pub(super) fn take_results(&mut self) {
        while let Some(done) = self.jobs.poll() {
            match done {
                Done::Examined(result) => self.examined(result),
                Done::Opened(path, result) => self.opened(path, result),
                Done::Snapshot(snapshot) => self.take_snapshot(snapshot),
                Done::Ordered(found) => self.ordered(*found),
                Done::Preview(at, result) => {
                    self.previews.insert(at, Some(result.map_err(|f| f.message)));
                }
                Done::Picked(what, paths) => self.picked(&what, paths),
                Done::Saved(Ok(words)) => self.done(words),
                Done::Saved(Err(failure)) => self.error(failure.message),
                Done::Reviewed(finding, result) => self.reviewed(&finding, result),
                Done::Copied(text, rows) => {
                    self.ctx.copy_text(text);
                    self.done(format!("{} copied.", super::widgets::plural(rows, "row", "rows")));
                }
                Done::Broken(job, why) => self.broken(job, &why),
            }
        }
    }

    fn take_snapshot(&mut self, snapshot: Arc<Snapshot>) {
        if snapshot.generation != self.generation {
            return;
        }
        self.building = false;
        self.snapshot = Some(snapshot);
        if let Some(next) = self.next.take() {
            self.show_data(next);
        }
    }

    fn examined(&mut self, result: Result<crate::session::Examined, Failure>) {
        let run = self.run.take();
        match result {
            Ok(examined) => {
                self.provisional = false;
                self.settings.remember(std::slice::from_ref(&examined.case));
                if let Some(run) = run {
                    self.settings.remember(&run.images);
                }
                self.case = Some(examined.case);
                self.form.draft.images.clear();
                self.form.draft.case.clear();
                // The word was for that evidence only.
                self.form.draft.no_sandbox = false;
                self.form.unconfined = None;
                self.show_data(examined.data);
            }
            Err(failure) if failure.code == 5 => {
                // What was finished is in its case; reviews wait for an examination that is whole.
                self.kept = run.and_then(|run| run.case);
                self.done(failure.message);
            }
            Err(failure) => {
                if failure.is_unconfined {
                    self.form.unconfined = Some(failure.message.clone());
                }
                self.error(failure.message);
                self.form_open = true;
                self.form.options = true;
            }
        }
    }

    fn opened(&mut self, path: PathBuf, result: Result<Arc<CaseData>, Failure>) {
        self.opening = None;
        match result {
            Ok(data) => {
                self.close();
                self.form_open = false;
                self.settings.remember(std::slice::from_ref(&path));
                self.case = Some(path);
                self.provisional = data.run.finished.is_none();
                self.show_data(data);
            }
            Err(failure) => self.error(failure.message),
        }
    }

    fn picked(&mut self, what: &Pick, paths: Option<Vec<PathBuf>>) {
        self.form.picking = false;
        let Some(paths) = paths.filter(|p| !p.is_empty()) else {
            self.form.hint = true;
            return;
        };
        match what {
            Pick::Images => self.offer(&paths),
            Pick::Case => paths.into_iter().take(1).for_each(|path| self.open_case(path)),
            Pick::Save { table, .. } => {
                self.state.export = paths.first().map(|p| (*table, p.to_string_lossy().into_owned()));
            }
        }
    }

    fn reviewed(&mut self, finding: &str, result: Result<Arc<CaseData>, Failure>) {
        self.state.review.sending = false;
        match result {
            Ok(data) => {
                if self.state.review.finding == finding {
                    self.state.review.note.clear();
                    self.state.review.disposition = None;
                }
                self.show_data(data);
            }
            Err(failure) => self.error(failure.message),
        }
    }

    fn broken(&mut self, job: &str, why: &str) {
        // Whatever waited for that thread must not wait on.
        match job {
            "examine" => self.run = None,
            "open-case" => self.opening = None,
            "snapshot" => self.building = false,
            "dialog" => self.form.picking = false,
            "review" => self.state.review.sending = false,
            "sort-and-filter" => self.state.tables.values_mut().for_each(super::state::TableState::stop),
            _ => {}
        }
        self.error(format!("A part of the window failed ({job}: {why}). What is shown stays; please report this."));
    }
}
