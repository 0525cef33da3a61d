//! Doing what was asked, and taking what the threads bring.
use super::access::Access;
use super::app::{App, Run};
use super::command::{Command, Leave, PlanDraft};
use super::job::{Done, Ordered, Pick};
use super::snapshot::Snapshot;
use super::state::{Shown, TableState};
use super::widgets::open_form::is_case;
use super::widgets::shell::Notice;
use super::{query, views};
use crate::case::CaseData;
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
            Command::Pick(what) => self.pick(what),
            Command::Offer(paths) => self.offer(&paths),
            Command::OpenCase(path) => self.open_case(path),
            Command::Examine(draft) => self.examine(*draft),
            Command::Cancel => {
                if let Some(run) = &mut self.run {
                    run.cancelling = true;
                    run.watch.cancel();
                }
            }
            Command::CloseCase => self.leave(Leave::CloseCase),
            Command::Leave(what) => self.leave(what),
            Command::Answer(yes) => self.answer_leaving(yes),
            Command::ShowMount(shown) => self.show_mount(shown),
            Command::Mount => self.mount(),
            Command::SaveAs(items) => self.save_as(items),
            Command::SaveRows(table) => self.save_rows(table),
            Command::HideSave => self.outside.saving.shown = false,
            Command::Save => self.save(),
            Command::CancelSave => self.outside.saving.watch.iter().for_each(|w| w.cancel()),
            Command::ShowReport(shown) => self.show_report(shown),
            Command::SaveReport { format, path } => self.save_report(format, path),
            Command::Look(at) => self.look(*at),
            Command::LookAs(encoding) => {
                self.outside.looking.iter_mut().for_each(|l| l.encoding = encoding);
                self.decode();
            }
            Command::LookHex(hex) => self.outside.looking.iter_mut().for_each(|l| l.as_hex = hex),
            Command::CloseLook => self.outside.looking = None,
            Command::Unconfined => self.allow_unconfined(),
            command @ (Command::Compare
            | Command::CompareWith(_)
            | Command::CompareWithout(_)
            | Command::CompareContents { .. }
            | Command::CompareAnew
            | Command::ComparePick) => self.comparing_command(command),
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
            Command::JudgeBy(path) => self.judge_by(path),
            Command::Preview(at) => self.preview(at),
            Command::SetDark(dark) => {
                self.settings.dark = dark;
                self.set_look();
            }
            Command::BaselineKeys(paths) => {
                self.form.draft.baseline_keys.clone_from(&paths);
                self.settings.baseline_keys = paths;
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
    pub(super) fn done(&mut self, text: impl Into<String>) {
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

    /// Says so, if the evidence in sight is mounted or read from: another case would leave that behind.
    fn is_held_open(&mut self) -> bool {
        let words = match (&self.outside.mounting.watch, &self.outside.saving.watch) {
            (Some(_), _) => {
                "The evidence in sight is mounted for other tools. Unmount it before opening something else."
            }
            (_, Some(_)) => "Files of the evidence in sight are being saved. Wait until that is done, or cancel it.",
            (None, None) => return false,
        };
        self.error(words);
        true
    }

    fn open_case(&mut self, path: PathBuf) {
        if self.run.is_some() || self.opening.is_some() {
            self.error("Something else is being opened or examined. Wait until it is done, or cancel it.");
            return;
        }
        if self.is_held_open() {
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
        if self.is_held_open() {
            return;
        }
        self.close();
        self.outside.access = draft.access.clone();
        self.form_open = false;
        if !draft.examiner.trim().is_empty() {
            draft.examiner.trim().clone_into(&mut self.settings.examiner);
        }
        draft.baseline_keys.trim().clone_into(&mut self.settings.baseline_keys);
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

    pub(super) fn close(&mut self) {
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
        self.outside = super::outside::Outside::default();
        self.comparing = super::comparing::Comparing::default();
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
        let comparison = self.comparing.result.clone();
        self.jobs.spawn("snapshot", move || {
            Some(Done::Snapshot(Arc::new(Snapshot::new(data, generation).beside(comparison))))
        });
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

    /// Everything that threads brought since the last frame.
    pub(super) fn take_results(&mut self) {
        while let Some(done) = self.jobs.poll() {
            match done {
                Done::Examined(result) => self.examined(result),
                Done::Opened(path, result) => self.opened(path, result),
                Done::Snapshot(snapshot) => self.take_snapshot(snapshot),
                Done::Ordered(found) => self.ordered(*found),
                Done::Preview(at, result) => {
                    self.previews.insert(at, Some(result));
                }
                Done::Picked(what, paths) => self.picked(&what, paths),
                Done::Saved(Ok(words)) => self.done(words),
                Done::Saved(Err(failure)) => self.error(failure.message),
                Done::Judged(case, result) => self.judged(&case, result),
                Done::Reviewed(finding, result) => self.reviewed(&finding, result),
                Done::Copied(text, rows) => {
                    self.ctx.copy_text(text);
                    self.done(format!("{} copied.", super::widgets::plural(rows, "row", "rows")));
                }
                Done::MountOver(made, outcome) => self.mount_over(made.as_deref(), outcome),
                Done::Users(users) => self.users_found(users),
                Done::ToSave(items) => self.save_as(items),
                Done::FilesSaved(ended) => self.files_saved(ended),
                Done::Compared(result) => self.compared(result),
                Done::Contents(line, pair, lines) => self.contents_read(line, pair, lines),
                Done::Looked(at, found) => self.looked(&at, found),
                Done::Decoded(at, encoding, text) => self.decoded(&at, encoding, text),
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
                self.form.draft.access = Access::default();
                self.form.draft.show_secrets = false;
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
                self.outside.access = Access::of_command(&data.run.command);
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
            Pick::Images | Pick::Folder => self.offer(&paths),
            Pick::Compare => self.compare_with(&paths),
            Pick::MountFolder | Pick::SaveFolder | Pick::Report { .. } => {
                paths.first().into_iter().for_each(|path| self.pick_folder_for(what, path));
            }
            Pick::Policy => {
                let first = paths.first().map(|p| p.to_string_lossy().into_owned());
                self.state.policy.path = first.unwrap_or_default();
            }
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
            "judge" => self.state.policy.judging = false,
            "mount" => self.outside.mounting.watch = None,
            "save-files" => self.outside.saving.watch = None,
            "look" | "decode" => self.outside.looking = None,
            "sort-and-filter" => self.state.tables.values_mut().for_each(super::state::TableState::stop),
            _ => {}
        }
        self.error(format!("A part of the window failed ({job}: {why}). What is shown stays; please report this."));
    }
}
