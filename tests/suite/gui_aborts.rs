//! A hundred workers abort while the window examines and looks: the window stays, and what it had stays.
#![cfg(unix)]
use super::gui::{Window, app, command, settle, shows, until};
use crate::common::{SMALL_SYSTEM, ext4, have, plant};
use cranescope::case::CaseData;
use cranescope::gui::job::{Again, Backend, Session};
use cranescope::gui::{App, Command, LookAt, PlanDraft, Settings};
use cranescope::judge::Review;
use cranescope::report::Format;
use cranescope::session::{self, Examined, ExportWatch, Failure, MountWatch, Plan, Watch, Written};
use egui_kittest::Harness;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const ABORTS: u32 = 100;

/// The session, whose workers are started by a script that makes the next ones abort.
struct Mortal {
    worker: PathBuf,
}
impl Mortal {
    fn plan(&self, plan: &Plan) -> Plan {
        Plan { worker: Some(self.worker.clone()), ..plan.clone() }
    }
}
impl Backend for Mortal {
    fn examine(&self, plan: Plan, watch: Arc<Watch>) -> Result<Examined, Failure> {
        session::examine(&self.plan(&plan), &watch)
    }
    fn open_case(&self, path: &Path) -> Result<CaseData, Failure> {
        Session.open_case(path)
    }
    fn add_review(&self, case: &Path, finding: &str, review: Review) -> Result<(), Failure> {
        Session.add_review(case, finding, review)
    }
    fn judge_again(&self, case: &Path, again: &Again) -> Result<CaseData, Failure> {
        Session.judge_again(case, again)
    }
    fn preview(&self, plan: &Plan, image: u32, offset: u64, len: u32) -> Result<Vec<u8>, Failure> {
        session::preview(&self.plan(plan), image, offset, len)
    }
    fn look(&self, plan: &Plan, place: &str, most: usize) -> Result<(Vec<u8>, bool), Failure> {
        session::read_start(&self.plan(plan), place, most)
    }
    fn save_text(&self, path: &Path, text: &str) -> Result<(), Failure> {
        Session.save_text(path, text)
    }
    fn save_report(&self, path: &Path, format: &Format, data: &CaseData) -> Result<(), Failure> {
        Session.save_report(path, format, data)
    }
    fn export(&self, plan: &Plan, places: &[String], to: &Path, watch: &ExportWatch) -> Result<Written, Failure> {
        session::export(&self.plan(plan), places, to, watch)
    }
    fn make_mount_place(&self, at: &Path) -> Result<bool, Failure> {
        Session.make_mount_place(at)
    }
    fn remove_mount_place(&self, at: &Path) {
        Session.remove_mount_place(at);
    }
    fn mount(&self, plan: &Plan, at: &Path, watch: &MountWatch) -> Result<(), Failure> {
        session::mount(&self.plan(plan), at, watch)
    }
    fn mount_users(&self, at: &Path) -> Vec<String> {
        Session.mount_users(at)
    }
}

/// Aborts a worker after a while, as long as `left` says that some are to be aborted; counts them.
fn worker(at: &Path) -> PathBuf {
    let script = at.join("worker");
    let text = format!(
        "#!/bin/bash\ncd {at}\nleft=$(cat left)\nif [ \"$left\" -le 0 ]; then exec {bin} worker; fi\n\
         echo $((left-1)) >left\nn=$(cat count)\necho $((n+1)) >count\n{bin} worker <&0 & pid=$!\n\
         /bin/sleep 0.0$((n*7%9))\nkill -ABRT $pid\nwait $pid\nkill -ABRT $$\n",
        at = at.display(),
        bin = env!("CARGO_BIN_EXE_cranescope"),
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(at.join("left"), "0").unwrap();
    std::fs::write(at.join("count"), "0").unwrap();
    script
}

fn draft(at: &Path, case: &str) -> PlanDraft {
    PlanDraft {
        images: vec![at.join("disk.img")],
        case: at.join(case).to_string_lossy().into_owned(),
        overwrite: true,
        ..PlanDraft::default()
    }
}

#[test]
fn the_window_outlives_a_hundred_aborted_workers() {
    if !have("mke2fs") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().to_owned();
    plant(&at.join("root"), SMALL_SYSTEM);
    ext4(&at, &at.join("root"), "disk.img");
    let backend = Arc::new(Mortal { worker: worker(&at) });
    let mut window: Window = Harness::builder().with_size(egui::vec2(1280.0, 800.0)).with_max_steps(64).build_ui_state(
        move |ui, state: &mut Option<App>| match state {
            Some(app) => app.show(ui),
            None => *state = Some(App::new(ui.ctx(), backend.clone(), Settings::default())),
        },
        None,
    );
    window.step();
    let number = |name: &str| std::fs::read_to_string(at.join(name)).unwrap().trim().parse::<u32>().unwrap();
    let examine = |window: &mut Window, case: &str, aborts: u32| {
        std::fs::write(at.join("left"), aborts.to_string()).unwrap();
        command(window, Command::Examine(Box::new(draft(&at, case))));
        until(window, "the result", |w| app(w).snapshot().is_some() && !app(w).is_busy());
        settle(window);
        assert!(!shows(window, "This did not work"), "{case}");
        let data = app(window).snapshot().unwrap().data.clone();
        (data.findings.clone(), data.inventory.clone(), data.gaps.clone())
    };
    let whole = examine(&mut window, "whole.cranecase", 0);
    assert!(!whole.0.is_empty());
    let mut round = 0;
    // More deaths that no item explains would end one examination; so there are several.
    let mut last = whole.clone();
    while number("count") < ABORTS - 8 {
        round += 1;
        last = examine(&mut window, &format!("{round}.cranecase"), 4);
        // An item in whose hands two workers ended is a gap that says so; without one nothing is missing.
        let named = last.2.iter().any(|g| g.what.contains("the worker died"));
        assert!(last == whole || named, "round {round} lost something without a word");
        assert!(!last.0.is_empty() && last.1.rows() > whole.1.rows() / 2, "round {round}");
        assert!(round < 60, "workers do not abort");
    }
    // Workers of looks abort as well: that is said where the bytes would stand, and the case in sight stays.
    let data = app(&window).snapshot().unwrap().data.clone();
    let file = data.inventory.files.iter().find(|f| f.path.bytes() == b"/etc/hostname").unwrap();
    while number("count") < ABORTS {
        std::fs::write(at.join("left"), "1").unwrap();
        command(&mut window, Command::Look(Box::new(LookAt::of(&file.evidence).unwrap())));
        settle(&mut window);
        assert!(shows(&window, "It cannot be shown: the worker died") || shows(&window, "crane-7"));
        command(&mut window, Command::CloseLook);
        settle(&mut window);
    }
    assert!(number("count") >= ABORTS);
    let after = app(&window).snapshot().unwrap().data.clone();
    assert!((after.findings.clone(), after.inventory.clone(), after.gaps.clone()) == last, "earlier results stay");
    command(&mut window, Command::Look(Box::new(LookAt::of(&file.evidence).unwrap())));
    settle(&mut window);
    assert!(shows(&window, "crane-7"), "and the next worker does its work");
}
