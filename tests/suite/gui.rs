//! The window, driven by label without a display: what it shows, what it asks for, what it does with answers.
use super::fixture;
use cranescope::case::CaseData;
use cranescope::gui::job::{Again, Backend, Pick};
use cranescope::gui::{App, Command, Settings, VIEWS};
use cranescope::judge::Review;
use cranescope::session::{Came, Examined, ExportWatch, Failure, MountWatch, Phase, Plan, Stage, Watch, Written};
use egui::Key;
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT, Queryable};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A session that answers at once, and writes down what it was asked.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) data: Option<CaseData>,
    /// What a comparison lays beside it.
    pub(crate) other: Option<CaseData>,
    pub(crate) refuse: Option<Failure>,
    /// What the desktop's dialog brings.
    pub(crate) picked: Option<Vec<PathBuf>>,
    pub(crate) reviews: Mutex<Vec<(PathBuf, String, Review)>>,
    pub(crate) saved: Mutex<Vec<(PathBuf, String)>>,
    pub(crate) plans: Mutex<Vec<Plan>>,
    /// What a file of the evidence holds.
    pub(crate) content: Vec<u8>,
    /// Programs that use the mount.
    pub(crate) users: Mutex<Vec<String>>,
    /// Looks, exports and mounts, in words.
    pub(crate) asked: Mutex<Vec<String>>,
    /// This machine cannot confine a worker.
    pub(crate) unconfined: bool,
}
impl Fake {
    fn confined(&self, plan: &Plan) -> Result<(), Failure> {
        if self.unconfined && !plan.no_sandbox {
            return Err(Failure::unconfined(&["Landlock: this kernel does not have it".to_owned()]));
        }
        Ok(())
    }
}
impl Backend for Fake {
    fn examine(&self, plan: Plan, watch: Arc<Watch>) -> Result<Examined, Failure> {
        let quick = plan.images[0].ends_with("quick.img");
        self.plans.lock().unwrap().push(plan);
        if let Some(failure) = &self.refuse {
            return Err(failure.clone());
        }
        let data = Arc::new(self.data.clone().unwrap_or_default());
        watch.stage(Stage::Contents, 1000, "files");
        watch.advance(250);
        watch.publish(data.clone());
        // Any other image takes until it is cancelled.
        if !quick {
            while !watch.is_cancelled() {
                std::thread::sleep(Duration::from_millis(5));
            }
            return Err(Failure::cancelled());
        }
        watch.stage(Stage::Done, 0, "");
        Ok(Examined { case: "/tmp/quick.cranecase".into(), data, past: Came::Nothing })
    }
    fn open_case(&self, _: &Path) -> Result<CaseData, Failure> {
        self.refuse.clone().map_or_else(|| Ok(self.data.clone().unwrap_or_default()), Err)
    }
    fn add_review(&self, case: &Path, finding: &str, review: Review) -> Result<(), Failure> {
        self.reviews.lock().unwrap().push((case.to_owned(), finding.to_owned(), review));
        Ok(())
    }
    fn judge_again(&self, _: &Path, again: &Again) -> Result<CaseData, Failure> {
        self.asked.lock().unwrap().push(format!("judge {again:?}"));
        if again.policy.ends_with("bad.toml") {
            return Err(Failure::usage("bad.toml:3: no key `colour` in listeners"));
        }
        Ok(fixture::breached())
    }
    fn preview(&self, plan: &Plan, _: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        self.confined(plan)?;
        Ok(fixture::bytes(offset, len as usize))
    }
    fn look(&self, plan: &Plan, place: &str, most: usize) -> Result<(Vec<u8>, bool), Failure> {
        self.confined(plan)?;
        self.asked.lock().unwrap().push(format!("look {place}"));
        let bytes = self.content.clone();
        Ok((bytes[..bytes.len().min(most)].to_vec(), bytes.len() <= most))
    }
    fn save_report(&self, path: &Path, format: &cranescope::report::Format, data: &CaseData) -> Result<(), Failure> {
        let mut out = Vec::new();
        (format.write)(data, &mut out).unwrap();
        self.save_text(path, &String::from_utf8(out).unwrap())
    }
    fn export(&self, plan: &Plan, places: &[String], to: &Path, watch: &ExportWatch) -> Result<Written, Failure> {
        self.confined(plan)?;
        self.asked.lock().unwrap().push(format!("export {} to {}", places.join(" "), to.display()));
        // Takes until it is cancelled where the folder's name says so.
        while to.ends_with("slow") {
            if watch.is_cancelled() {
                return Err(Failure { code: 5, ..Failure::usage("cancelled; 1 files, 5 bytes are in slow") });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Written {
            files: 3,
            bytes: 4096,
            unread: 1,
            failures: vec![("/srv/part-1".into(), "read error at the source".into())],
            manifest: to.join("manifest.json"),
        })
    }
    fn make_mount_place(&self, _: &Path) -> Result<bool, Failure> {
        Ok(true)
    }
    fn remove_mount_place(&self, at: &Path) {
        self.asked.lock().unwrap().push(format!("remove {}", at.display()));
    }
    fn mount(&self, plan: &Plan, at: &Path, watch: &MountWatch) -> Result<(), Failure> {
        self.confined(plan)?;
        self.asked.lock().unwrap().push(format!("mount {} at {}", plan.images[0].display(), at.display()));
        watch.set(Phase::Mounted(at.to_owned()));
        watch.note("2 things could not be read; gaps.txt names them".to_owned());
        while !watch.is_stopped() {
            std::thread::sleep(Duration::from_millis(5));
        }
        watch.set(Phase::Over);
        Ok(())
    }
    fn mount_users(&self, _: &Path) -> Vec<String> {
        self.users.lock().unwrap().clone()
    }
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure> {
        self.saved.lock().unwrap().push((path.to_owned(), text.to_owned()));
        Ok(())
    }
    fn compare(&self, plan: &cranescope::session::Together) -> Result<cranescope::compare::Comparison, Failure> {
        use cranescope::compare::{Machine, Means, Mode, Variation, compare};
        let machine = |data: &Option<CaseData>, name: &str, at: usize| Machine {
            name: name.into(),
            source: plan.sources[at].clone(),
            data: Arc::new(data.clone().unwrap()),
            notes: vec!["judged again for this comparison".into()],
            declared: std::collections::BTreeSet::new(),
        };
        let machines = vec![machine(&self.data, "crane", 0), machine(&self.other, "sister", 1)];
        let variation = Variation::built_in().unwrap();
        let baselines = cranescope::baseline::Baselines::default();
        self.asked.lock().unwrap().push(format!("{plan:?}"));
        let (mode, policy) = (Mode::Sisters, "");
        Ok(compare(machines, Means { variation: &variation, baselines: &baselines, mode, policy }))
    }
    fn pick(&self, _: &Pick) -> Option<Vec<PathBuf>> {
        self.picked.clone()
    }
}

pub(crate) type Window = Harness<'static, Option<App>>;

pub(crate) fn window(backend: Arc<Fake>) -> Window {
    let mut window = Harness::builder().with_size(egui::vec2(1280.0, 800.0)).with_max_steps(64).build_ui_state(
        move |ui, state: &mut Option<App>| match state {
            Some(app) => app.show(ui),
            // The fonts that the app sets count from the next frame on.
            None => *state = Some(App::new(ui.ctx(), backend.clone(), Settings::default())),
        },
        None,
    );
    window.step();
    window
}
pub(crate) fn app(window: &Window) -> &App {
    window.state().as_ref().unwrap()
}
pub(crate) fn command(window: &mut Window, command: Command) {
    window.state_mut().as_mut().unwrap().command(command);
}
pub(crate) fn click(window: &mut Window, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_steps(2);
    settle(window);
}
pub(crate) fn type_into(window: &mut Window, label: &str, text: &str) {
    window.get_by_role_and_label(Role::TextInput, label).focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, label).type_text(text);
    window.run_steps(2);
    settle(window);
}
/// The same into a field of several lines.
pub(crate) fn type_lines(window: &mut Window, label: &str, text: &str) {
    window.get_by_role_and_label(Role::MultilineTextInput, label).focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::MultilineTextInput, label).type_text(text);
    window.run_steps(2);
    settle(window);
}
/// Whether some text in sight contains this.
pub(crate) fn shows(window: &Window, text: &str) -> bool {
    window.query_all_by_label_contains(text).next().is_some()
}
/// The rows of the table in sight, from the top, each with its first cells.
pub(crate) fn rows(window: &Window) -> Vec<String> {
    let mut rows: Vec<(f32, String)> = window
        .query_all_by_role(Role::Row)
        .map(|n| (n.rect().top(), n.accesskit_node().label().unwrap_or_default()))
        .collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    rows.into_iter().map(|(_, label)| label).collect()
}

/// Frames until the condition holds; threads answer in between.
pub(crate) fn until(window: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let end = Instant::now() + Duration::from_mins(1);
    loop {
        window.step();
        if holds(window) {
            return;
        }
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
pub(crate) fn settle(window: &mut Window) {
    for _ in 0..2 {
        until(window, "an idle window", |w| !app(w).is_busy());
        window.run_steps(3);
    }
    until(window, "an idle window", |w| !app(w).is_busy());
}

pub(crate) fn opened() -> (Window, Arc<Fake>) {
    let fake = Arc::new(Fake { data: Some(fixture::rich()), ..Fake::default() });
    let mut window = window(fake.clone());
    command(&mut window, Command::OpenCase("/tmp/crane.cranecase".into()));
    until(&mut window, "the case", |w| app(w).snapshot().is_some());
    settle(&mut window);
    (window, fake)
}

#[test]
fn every_view_shows_its_rows() {
    let (mut window, _) = opened();
    for (id, label) in [
        ("overview", "Exhibit and hash"),
        ("findings", "sort by severity"),
        ("binaries", "sort by machine"),
        ("services", "sort by state"),
        ("network", "sort by method"),
        ("drivers", "sort by kernel"),
        ("packages", "sort by version"),
        ("accounts", "sort by shell"),
        ("events", "sort by class"),
        ("files", "sort by allocated"),
        ("gaps", "sort by what"),
    ] {
        let title = VIEWS.iter().find(|v| v.id == id).unwrap().title;
        click(&mut window, title);
        assert!(shows(&window, label), "{id} lacks {label}");
        assert!(id == "overview" || !rows(&window).is_empty(), "{id} has no rows");
    }
}

#[test]
fn every_table_of_the_inventory_has_a_view() {
    let shown: Vec<&str> = VIEWS.iter().flat_map(|v| v.tables.iter().copied()).collect();
    let (mut window, _) = opened();
    for table in cranescope::inventory::TABLES {
        // What no view claims stands under Other, which is made from what is left.
        let Some(view) = VIEWS.iter().find(|v| v.tables.contains(&table.name)) else {
            assert!(!shown.contains(&table.name));
            continue;
        };
        command(&mut window, Command::Go { view: view.id, table: table.name });
        settle(&mut window);
        assert!(!rows(&window).is_empty(), "{} shows nothing", table.name);
    }
}

#[test]
fn the_overview_answers_in_the_order_in_which_is_asked() {
    let (window, _) = opened();
    let questions = [
        "Exhibit and hash",
        "Share of the disk",
        "Device and role",
        "Cloning and clock",
        "Days of the logs",
        "Ways out and in",
        "Starts that nothing vouches for",
        "Who can log in",
        "Named but not imaged",
        "Next step",
    ];
    let at = |q: &str| window.query_all_by_label(q).map(|n| n.rect().top()).fold(f32::INFINITY, f32::min);
    let places: Vec<f32> = questions.iter().map(|q| at(q)).collect();
    assert!(places.windows(2).all(|p| p[0] < p[1]), "{places:?}");
    for answer in [
        "differs from the imager's log",
        "encrypted 8.6 %",
        "QC-07 岸桥",
        "machine-id is older than the installation",
        "silent from",
        "岸桥远程维护",
        "no package owns it",
        "no package owns the file that says so",
        "Of 3 enabled starts that were looked at.",
        "sudo without password",
        "PLC 10.20.0.50",
        "without a review",
    ] {
        assert!(shows(&window, answer), "no answer: {answer}");
    }
    // What is vouched for is not told, nor the scripts that each package has for its own installation.
    assert!(shows(&window, "netd.service") && !shows(&window, "cron.service") && !shows(&window, "cron.postinst"));
}

#[test]
fn a_finding_says_what_it_shows_and_what_not() {
    let (mut window, _) = opened();
    click(&mut window, "Findings");
    settle(&mut window);
    for text in [
        "Observed",
        "Supports",
        "Does not show",
        "Ordinary explanations",
        "Check by hand",
        "Evidence (2)",
        "line 7",
        "ExecStart=/usr/local/bin/netd -c /etc/netd.toml",
        "image 0 offset",
        "Reviews (0)",
    ] {
        assert!(shows(&window, text), "lacks {text}");
    }
    // The bytes are read by the session, and shown with the image's own offsets.
    let button = window.query_all_by_role_and_label(Role::Button, "Show bytes").next().unwrap();
    button.click();
    until(&mut window, "the bytes", |w| shows(w, "5b 55 6e 69") || shows(w, "  6e 65 74") || shows(w, "0000"));
    assert!(window.query_all_by_role_and_label(Role::Button, "Close bytes").next().is_some());
}

#[test]
fn a_review_is_recorded_under_its_examiner() {
    let (mut window, fake) = opened();
    click(&mut window, "Findings");
    settle(&mut window);
    window.get_by_role_and_label(Role::Button, "Record review").scroll_to_me();
    window.run_steps(4);
    type_into(&mut window, "examiner", "李 Examiner");
    // Nothing is decided for the examiner.
    assert!(window.get_by_role_and_label(Role::Button, "Record review").accesskit_node().is_disabled());
    click(&mut window, "benign");
    let note = window.get_by_label("note of the review");
    note.focus();
    window.run_steps(2);
    window.get_by_label("note of the review").type_text("agreed maintenance link");
    window.run_steps(2);
    click(&mut window, "Record review");
    until(&mut window, "the review", |w| shows(w, "Reviews (1)"));
    let reviews = fake.reviews.lock().unwrap();
    let (case, finding, review) = &reviews[0];
    assert_eq!(case, Path::new("/tmp/crane.cranecase"));
    assert_eq!(*finding, fixture::rich().findings[0].id);
    assert_eq!((review.examiner.as_str(), review.disposition.as_str()), ("李 Examiner", "benign"));
    assert_eq!(review.note, "agreed maintenance link");
}

#[test]
fn keys_lead_to_views_and_the_look_changes() {
    let (mut window, _) = opened();
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::Num2);
    settle(&mut window);
    assert!(shows(&window, "sort by severity"));
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::F);
    settle(&mut window);
    assert!(window.get_by_role_and_label(Role::TextInput, "search all columns").is_focused());
    click(&mut window, "Light");
    assert!(!app(&window).settings().dark);
    assert!(!window.ctx.global_style().visuals.dark_mode);
    window.key_press_modifiers(egui::Modifiers::COMMAND, Key::O);
    settle(&mut window);
    assert!(shows(&window, "Choose images…"));
}

#[test]
fn a_name_on_the_overview_leads_to_its_row() {
    let (mut window, _) = opened();
    let data = app(&window).snapshot().unwrap().data.clone();
    let row = data.inventory.connections.iter().position(|c| c.name == "岸桥远程维护").unwrap();
    let link = |w: &Window| w.query_all_by_role_and_label(Role::Link, "岸桥远程维护").next().unwrap().rect().center();
    window.query_all_by_role_and_label(Role::Link, "岸桥远程维护").next().unwrap().scroll_to_me();
    window.run_steps(4);
    let at = link(&window);
    window.drag_at(at);
    window.step();
    window.drop_at(at);
    until(&mut window, "the row", |w| rows(w).iter().any(|r| r.contains("岸桥远程维护")));
    settle(&mut window);
    // The detail below the table is that row's: its place in the evidence.
    let place = data.inventory.connections[row].evidence.path.display();
    assert!(shows(&window, &place), "{place}");
    // A search that leaves the row out gives way.
    type_into(&mut window, "search all columns", "nothing like it");
    assert!(rows(&window).is_empty());
    command(&mut window, Command::ShowRow { view: "network", table: "connections", row });
    until(&mut window, "the row again", |w| rows(w).iter().any(|r| r.contains("岸桥远程维护")));
    settle(&mut window);
    assert!(shows(&window, &place));
}

#[test]
fn a_box_of_the_picture_leads_to_what_it_rests_on() {
    let (mut window, _) = opened();
    let picture = cranescope::report::Picture::of(&fixture::rich());
    let is_network = |n: &&cranescope::report::Node| n.row.is_some_and(|(table, _)| table == "interfaces");
    let node = picture.nodes.iter().find(is_network).unwrap();
    let row = node.row.unwrap().1;
    click(&mut window, "Ways through");
    let words = [std::slice::from_ref(&node.title), &node.lines].concat().join("\n");
    click(&mut window, &words);
    until(&mut window, "the row", |w| rows(w).iter().any(|r| r.contains(&node.title)));
    settle(&mut window);
    let place = fixture::rich().inventory.interfaces[row].evidence.path.display();
    assert!(shows(&window, "sort by method") && shows(&window, &place), "{place}");
}

#[test]
fn help_tells_the_keys_and_goes_away() {
    let (mut window, _) = opened();
    window.key_press(Key::F1);
    settle(&mut window);
    assert!(shows(&window, "export the rows shown as CSV") && shows(&window, env!("CARGO_PKG_VERSION")));
    window.key_press(Key::Escape);
    settle(&mut window);
    assert!(!shows(&window, "export the rows shown as CSV"));
}
