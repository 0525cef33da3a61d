//! The window, driven by label without a display: what it shows, what it asks for, what it does with answers.
use super::fixture;
use cranescope::case::CaseData;
use cranescope::gui::job::{Backend, Pick};
use cranescope::gui::{App, Command, Settings, VIEWS};
use cranescope::judge::Review;
use cranescope::session::{Examined, Failure, Plan, Stage, Watch};
use egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A session that answers at once, and writes down what it was asked.
#[derive(Default)]
struct Fake {
    data: Option<CaseData>,
    refuse: Option<Failure>,
    /// What the desktop's dialog brings.
    picked: Option<Vec<PathBuf>>,
    reviews: Mutex<Vec<(PathBuf, String, Review)>>,
    saved: Mutex<Vec<(PathBuf, String)>>,
    plans: Mutex<Vec<Plan>>,
}
impl Backend for Fake {
    fn examine(&self, plan: Plan, watch: Arc<Watch>) -> Result<Examined, Failure> {
        self.plans.lock().unwrap().push(plan);
        if let Some(failure) = &self.refuse {
            return Err(failure.clone());
        }
        let data = Arc::new(self.data.clone().unwrap_or_default());
        watch.stage(Stage::Contents, 1000, "files");
        watch.advance(250);
        watch.publish(data.clone());
        // Runs until it is cancelled or its images are called quick.
        while !self.plans.lock().unwrap()[0].images[0].ends_with("quick.img") {
            if watch.is_cancelled() {
                return Err(Failure::cancelled());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        watch.stage(Stage::Done, 0, "");
        Ok(Examined { case: "/tmp/quick.cranecase".into(), data })
    }
    fn open_case(&self, _: &Path) -> Result<CaseData, Failure> {
        match &self.refuse {
            Some(failure) => Err(failure.clone()),
            None => Ok(self.data.clone().unwrap_or_default()),
        }
    }
    fn add_review(&self, case: &Path, finding: &str, review: Review) -> Result<(), Failure> {
        self.reviews.lock().unwrap().push((case.to_owned(), finding.to_owned(), review));
        self.refuse.clone().map_or(Ok(()), Err)
    }
    fn preview(&self, _: &[PathBuf], _: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        Ok(fixture::bytes(offset, len as usize))
    }
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure> {
        self.saved.lock().unwrap().push((path.to_owned(), text.to_owned()));
        Ok(())
    }
    fn pick(&self, _: &Pick) -> Option<Vec<PathBuf>> {
        self.picked.clone()
    }
}

type Window = Harness<'static, Option<App>>;

fn window(backend: Arc<Fake>) -> Window {
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
fn app(window: &Window) -> &App {
    window.state().as_ref().unwrap()
}
fn command(window: &mut Window, command: Command) {
    window.state_mut().as_mut().unwrap().command(command);
}
fn click(window: &mut Window, label: &str) {
    window.get_by_role_and_label(Role::Button, label).click();
    window.run_steps(2);
    settle(window);
}

/// Frames until the condition holds; threads answer in between.
fn until(window: &mut Window, what: &str, holds: impl Fn(&Window) -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        window.step();
        if holds(window) {
            return;
        }
        assert!(Instant::now() < end, "never came: {what}");
        std::thread::sleep(Duration::from_millis(3));
    }
}
fn settle(window: &mut Window) {
    until(window, "an idle window", |w| !app(w).is_busy());
    window.run_steps(3);
    until(window, "an idle window", |w| !app(w).is_busy());
}

fn opened() -> (Window, Arc<Fake>) {
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
    let expected = [
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
    ];
    for (id, label) in expected {
        let title = VIEWS.iter().find(|v| v.id == id).unwrap().title;
        click(&mut window, title);
        assert!(window.query_all_by_label(label).next().is_some(), "{id} lacks {label}");
    }
}
