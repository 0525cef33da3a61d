//! The window's state and one frame of it. What is asked for while drawing is done in `apply`.
use super::command::Command;
use super::job::{Backend, Jobs};
use super::snapshot::Snapshot;
use super::state::{Settings, ViewState};
use super::theme::{self, Tokens};
use super::views;
use super::widgets::open_form::{self, OpenForm};
use super::widgets::shell::{self, Notice};
use super::widgets::{self, Cx, Previews};
use crate::session::{Stage, Watch};
use egui::{Key, Modifiers, Panel, Ui};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Settings outlive a crash but for the last of these.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// An examination under way.
pub(super) struct Run {
    pub watch: Arc<Watch>,
    pub images: Vec<PathBuf>,
    /// Where its case is written.
    pub case: Option<PathBuf>,
    pub cancelling: bool,
    /// The snapshot that was taken over last, to see when there is a newer one.
    pub taken: Arc<crate::case::CaseData>,
}

/// The window.
pub struct App {
    pub(super) jobs: Jobs,
    pub(super) ctx: egui::Context,
    pub(super) settings: Settings,
    pub(super) state: ViewState,
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// What is shown is not the whole result: it runs, was cancelled, or failed.
    pub(super) provisional: bool,
    /// A snapshot is being made; newer data wait in `next`.
    pub(super) building: bool,
    pub(super) next: Option<Arc<crate::case::CaseData>>,
    pub(super) generation: u64,
    pub(super) case: Option<PathBuf>,
    /// The case of an examination that was cancelled.
    pub(super) kept: Option<PathBuf>,
    pub(super) opening: Option<PathBuf>,
    pub(super) run: Option<Run>,
    pub(super) form: OpenForm,
    pub(super) form_open: bool,
    pub(super) help: bool,
    pub(super) notices: Vec<Notice>,
    pub(super) previews: Previews,
    /// The comparison with other cases.
    pub(super) comparing: super::comparing::Comparing,
    /// What leaves the window: mounts, saved files, reports, looks.
    pub(super) outside: super::outside::Outside,
    /// Set by a job when there is something to show; so that a busy job costs one repaint a frame.
    pub(super) woken: Arc<AtomicBool>,
}

impl App {
    /// A window with nothing open.
    pub fn new(ctx: &egui::Context, backend: Arc<dyn Backend>, settings: Settings) -> Self {
        theme::install(ctx);
        let app = Self {
            jobs: Jobs::new(ctx, backend),
            ctx: ctx.clone(),
            form: OpenForm {
                draft: super::command::PlanDraft {
                    examiner: settings.examiner.clone(),
                    baseline_keys: settings.baseline_keys.clone(),
                    ..Default::default()
                },
                focus: true,
                ..OpenForm::default()
            },
            settings,
            state: ViewState::default(),
            snapshot: None,
            provisional: false,
            building: false,
            next: None,
            generation: 0,
            case: None,
            kept: None,
            opening: None,
            run: None,
            form_open: false,
            help: false,
            notices: Vec::new(),
            previews: Previews::new(),
            comparing: super::comparing::Comparing::default(),
            outside: super::outside::Outside::default(),
            woken: Arc::default(),
        };
        app.set_look();
        app
    }

    /// What was named on the command line: a case is opened, images are examined at once.
    pub fn open_at_start(&mut self, paths: Vec<PathBuf>) {
        let (cases, images): (Vec<_>, Vec<_>) = paths.into_iter().partition(|p| open_form::is_case(p));
        if let Some(case) = cases.into_iter().next() {
            self.apply(Command::OpenCase(case));
        } else if !images.is_empty() {
            self.form.take(&images);
            let draft = self.form.draft.clone();
            self.apply(Command::Examine(Box::new(draft)));
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// The case as it is shown now.
    pub fn snapshot(&self) -> Option<&Arc<Snapshot>> {
        self.snapshot.as_ref()
    }
    /// An examination runs, or the window waits for a thread.
    pub fn is_busy(&self) -> bool {
        self.run.is_some()
            || self.building
            || self.opening.is_some()
            || self.state.tables.values().any(super::state::TableState::busy)
            || self.state.review.sending
            || self.state.policy.judging
            || self.comparing.running
            || self.outside.is_busy()
    }
    /// Does what a view could have asked for.
    pub fn command(&mut self, command: Command) {
        self.apply(command);
    }

    pub(super) fn set_look(&self) {
        self.ctx.set_theme(if self.settings.dark { egui::Theme::Dark } else { egui::Theme::Light });
    }

    /// One frame, into the whole window.
    pub fn show(&mut self, ui: &mut Ui) {
        self.woken.store(false, Ordering::Relaxed);
        self.take_results();
        self.follow_run();
        self.follow_exit();
        let mut commands = Vec::new();
        self.keys(&mut commands);
        self.dropped(&mut commands);
        let tokens = Tokens::of(if self.settings.dark { egui::Theme::Dark } else { egui::Theme::Light });
        let bar = |tokens: &Tokens| egui::Frame::new().fill(tokens.panel).inner_margin(egui::Margin::symmetric(10, 0));
        Panel::top("top").exact_size(38.0).frame(bar(tokens)).show(ui, |ui| {
            let (title, hover) = self.title();
            let shown = shell::Shown {
                dark: self.settings.dark,
                data: self.snapshot.as_ref().map(|s| &*s.data),
                running: self.run.is_some(),
            };
            shell::top(ui, tokens, (&title, &hover), &shown, &mut commands);
        });
        Panel::bottom("status").exact_size(30.0).frame(bar(tokens)).show(ui, |ui| {
            let running =
                self.run.as_ref().map(|r| shell::Running { status: r.watch.status(), cancelling: r.cancelling });
            let verdict = self.snapshot.as_ref().map(|s| s.data.verdict.result);
            let beside = self.outside.beside();
            shell::status(ui, tokens, running.as_ref(), &self.idle(), (verdict, beside.as_ref()), &mut commands);
        });
        match self.snapshot.clone() {
            Some(snapshot) => self.case_ui(ui, tokens, &snapshot, &mut commands),
            None => self.start_ui(ui, tokens, &mut commands),
        }
        self.modals(tokens, &mut commands);
        shell::notices(&self.ctx, tokens, &self.notices, &mut commands);
        self.drop_hint(tokens);
        if !commands.is_empty() {
            // Settings are saved with a frame; without one, a change would wait for the next movement.
            self.ctx.request_repaint_after(SAVE_EVERY + Duration::from_secs(1));
        }
        for command in commands {
            self.apply(command);
        }
    }

    fn case_ui(&mut self, ui: &mut Ui, tokens: &'static Tokens, snapshot: &Arc<Snapshot>, commands: &mut Vec<Command>) {
        let mut cx = Cx {
            snapshot,
            state: &mut self.state,
            comparing: &mut self.comparing,
            settings: &self.settings,
            tokens,
            previews: &self.previews,
            commands,
            case: self.case.as_deref(),
            running: self.run.is_some(),
            unconfined_word: self.outside.access.no_sandbox,
            provisional: self.provisional,
        };
        let frame = egui::Frame::new().fill(tokens.panel).inner_margin(egui::Margin::symmetric(6, 4));
        Panel::left("views").resizable(false).exact_size(theme::NAVIGATION).frame(frame).show(ui, |ui| {
            egui::ScrollArea::vertical().show(ui, |ui| shell::navigation(&mut cx, ui));
        });
        let frame = egui::Frame::new().fill(tokens.base).inner_margin(egui::Margin::symmetric(10, 8));
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            if let Some(view) = views::ALL.get(cx.state.view) {
                ui.push_id(view.id, |ui| (view.draw)(&mut cx, ui, view));
            }
        });
    }

    fn start_ui(&mut self, ui: &mut Ui, tokens: &'static Tokens, commands: &mut Vec<Command>) {
        let frame = egui::Frame::new().fill(tokens.base).inner_margin(20);
        egui::CentralPanel::default().frame(frame).show(ui, |ui| {
            if self.run.is_some() || self.opening.is_some() || self.building {
                let what = self.opening.as_ref().map_or_else(
                    || "The first results appear here as soon as there are any.".to_owned(),
                    |path| path.to_string_lossy().into_owned(),
                );
                widgets::nothing(ui, tokens, "Reading…", &what);
                return;
            }
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                let width = ui.available_width().min(760.0);
                ui.horizontal_top(|ui| {
                    ui.add_space(((ui.available_width() - width) / 2.0).max(0.0));
                    ui.vertical(|ui| {
                        ui.set_max_width(width);
                        ui.add_space(24.0);
                        open_form::show(ui, &mut self.form, &self.settings, tokens, commands);
                    });
                });
            });
        });
    }

    /// The form over a case, and the export's path.
    fn modals(&mut self, tokens: &'static Tokens, commands: &mut Vec<Command>) {
        let frame = egui::Frame::popup(&self.ctx.global_style()).inner_margin(16);
        self.form.busy = self.run.is_some();
        if self.form_open && self.snapshot.is_some() {
            let modal = egui::Modal::new(egui::Id::unique("open form")).frame(frame).show(&self.ctx, |ui| {
                ui.set_width(680.0);
                open_form::show(ui, &mut self.form, &self.settings, tokens, commands);
            });
            if modal.should_close() {
                commands.push(Command::HideOpen);
            }
        }
        super::widgets::outside_forms::show(&self.ctx, frame, &mut self.outside, self.form.picking, tokens, commands);
        if self.help {
            let modal = egui::Modal::new(egui::Id::unique("help")).frame(frame).show(&self.ctx, |ui| {
                ui.set_width(720.0);
                widgets::help::show(ui, tokens, commands);
            });
            if modal.should_close() {
                commands.push(Command::Help(false));
            }
        }
        if let Some((table, mut path)) = self.state.export.take() {
            let mut keep = true;
            let modal = egui::Modal::new(egui::Id::unique("export form")).frame(frame).show(&self.ctx, |ui| {
                ui.set_width(560.0);
                ui.label(widgets::heading(tokens, format!("Export {} as CSV", table.replace('_', " "))));
                ui.label(widgets::dim(tokens, "The rows as they are shown, in their order, with all columns. Cells that a spreadsheet would take for a formula get an apostrophe in front."));
                let edit = egui::TextEdit::singleline(&mut path).hint_text("Path of the CSV file").desired_width(f32::INFINITY);
                ui.add(edit).accessible_name("path of the CSV file");
                ui.horizontal(|ui| {
                    if ui.add_enabled(!path.trim().is_empty(), egui::Button::new("Write file")).clicked() {
                        commands.push(Command::Export { table, path: PathBuf::from(path.trim()) });
                        keep = false;
                    }
                    if ui.button("Choose…").clicked() {
                        commands.push(Command::Pick(super::job::Pick::Save { table, name: format!("{table}.csv") }));
                    }
                    keep &= !ui.button("Cancel export").clicked();
                });
            });
            if keep && !modal.should_close() {
                self.state.export = Some((table, path));
            }
        }
    }

    /// Files held over the window: says what dropping them does.
    fn drop_hint(&self, tokens: &Tokens) {
        if self.ctx.input(|i| i.raw.hovered_files.is_empty()) {
            return;
        }
        let rect = self.ctx.content_rect();
        let painter =
            self.ctx.layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop hint")));
        painter.rect_filled(rect, 0.0, tokens.base.gamma_multiply(0.85));
        let text = "Drop images, folders or a case to open them";
        painter.text(rect.center(), egui::Align2::CENTER_CENTER, text, theme::medium(20.0), tokens.text_strong);
    }

    fn keys(&mut self, commands: &mut Vec<Command>) {
        const DIGITS: [Key; 10] = [
            Key::Num1,
            Key::Num2,
            Key::Num3,
            Key::Num4,
            Key::Num5,
            Key::Num6,
            Key::Num7,
            Key::Num8,
            Key::Num9,
            Key::Num0,
        ];
        let modal = self.ctx.memory(|m| m.top_modal_layer().is_some());
        let typing = self.ctx.memory(|m| m.focused().is_some());
        let pressed = |key| self.ctx.input_mut(|i| i.consume_key(Modifiers::COMMAND, key));
        if pressed(Key::O) {
            commands.push(Command::ShowOpen);
        }
        if self.ctx.input_mut(|i| i.consume_key(Modifiers::NONE, Key::F1)) {
            commands.push(Command::Help(!self.help));
        }
        if modal {
            return;
        }
        for (n, key) in DIGITS.into_iter().enumerate() {
            if pressed(key) {
                commands.push(Command::View(n));
            }
        }
        if pressed(Key::F) {
            self.state.focus_search = true;
        }
        let table = views::ALL.get(self.state.view).and_then(|v| views::current_table(&self.state.tabs, v));
        if pressed(Key::E)
            && self.snapshot.is_some()
            && let Some(table) = table
        {
            self.state.export = Some((table, widgets::grid::default_export(table)));
        }
        if self.ctx.input(|i| i.key_pressed(Key::Escape)) && !typing {
            if let Some(last) = self.notices.len().checked_sub(1) {
                commands.push(Command::Dismiss(last));
            } else if let Some(state) = table.and_then(|t| self.state.tables.get_mut(t)) {
                state.query.search.clear();
                state.query.filters.clear();
            }
        }
    }

    fn dropped(&self, commands: &mut Vec<Command>) {
        let paths: Vec<PathBuf> = self.ctx.input(|i| i.raw.dropped_files.iter().map(|f| f.path().to_owned()).collect());
        if !paths.is_empty() {
            commands.push(Command::Offer(paths));
        }
    }

    fn title(&self) -> (String, String) {
        let named =
            |paths: &[PathBuf]| paths.iter().map(|p| p.to_string_lossy().into_owned()).collect::<Vec<_>>().join(", ");
        let images = match (&self.run, &self.snapshot) {
            (Some(run), _) => named(&run.images),
            (None, Some(s)) => s.data.scene.images.iter().map(|i| i.path.clone()).collect::<Vec<_>>().join(", "),
            (None, None) => return ("No case open".to_owned(), "Ctrl+O opens images or a case".to_owned()),
        };
        let crane = self.snapshot.as_ref().map(|s| s.data.scope.crane.as_str()).filter(|c| !c.is_empty());
        let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let short = images.split(", ").map(last).collect::<Vec<_>>().join(", ");
        let title = crane.map_or_else(|| short.clone(), |crane| format!("{crane} · {short}"));
        (title, images)
    }

    fn idle(&self) -> String {
        if let Some(path) = &self.opening {
            return format!("Opening {}…", path.to_string_lossy());
        }
        match (&self.snapshot, &self.case) {
            (Some(_), None) if self.kept.is_some() => {
                let kept = self.kept.as_deref().unwrap_or(std::path::Path::new(""));
                format!("Cancelled; what was finished is in {}", kept.to_string_lossy())
            }
            (Some(_), Some(case)) if self.provisional => format!("Unfinished case {}", case.to_string_lossy()),
            (None, _) => "Ready. Ctrl+O opens images or a case; files can be dropped here.".to_owned(),
            (Some(_), Some(case)) => format!("Case {}", case.to_string_lossy()),
            (Some(_), None) => "No case file".to_owned(),
        }
    }

    fn follow_run(&mut self) {
        let Some(run) = &mut self.run else { return };
        // The time left moves also when nothing is reported.
        self.ctx.request_repaint_after(Duration::from_millis(250));
        let newest = run.watch.snapshot();
        if !Arc::ptr_eq(&newest, &run.taken) {
            run.taken = newest.clone();
            if run.watch.status().stage != Stage::Done {
                self.provisional = true;
            }
            self.show_data(newest);
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        self.show(ui);
    }
    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, Settings::KEY, &self.settings);
    }
    fn auto_save_interval(&self) -> Duration {
        SAVE_EVERY
    }
    /// Only [`Settings`] are kept: egui's own memory would carry scroll positions from one case to another.
    fn persist_egui_memory(&self) -> bool {
        false
    }
}
