//! The main job: open, read, judge, write the case.
use super::intake::Intake;
use super::open::{OpenedImage, open_all};
use super::supervisor::{self, Taker};
use super::{Examined, Failure, Plan, Watch};
use crate::base::{Gap, Stage, Time};
use crate::baseline::Baselines;
use crate::case::{Case, CaseData, CaseError, Run, SHOW_SECRETS, Tool};
use crate::inventory::portable::Ids;
use crate::inventory::{self, Row, Scene};
use crate::judge::{self, Knowledge, Unexamined};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Rows in one transaction: what a kill can cost.
const TRANSACTION: usize = 20_000;
/// Gaps kept one by one; beyond that they are counted.
const MAX_GAPS: usize = 100_000;

/// Examines, and leaves a case. The reports are made from what this returns.
pub fn examine(plan: &Plan, watch: &Watch) -> Result<Examined, Failure> {
    let started = Time::now();
    let knowledge = load_knowledge(&plan.rules)?;
    let baselines = load_baselines(&plan.baselines)?;
    watch.stage(Stage::Opening, 0, Stage::Opening.unit());
    let intake = Intake::read(plan.intake.as_deref(), &plan.images)?;
    let images = open_all(&intake.images)?;
    let path = plan.case.clone().unwrap_or_else(|| default_case(&plan.images));
    let case = Case::create(&path, plan.overwrite)?;
    case.log(&plan.examiner, &format!("examination begun: {}", plan.command.join(" ")))?;
    let mut taking = Taking::new(&case, watch, &knowledge, &baselines, plan);
    taking.data.run = Run {
        started: Some(started),
        host: host(),
        examiner: plan.examiner.clone(),
        command: command(plan),
        ..Run::default()
    };
    taking.data.tool = tool(&knowledge);
    taking.data.run.sandbox =
        "a process of its own, evidence open read-only; no further confinement in this version".into();
    for image in &images {
        taking.add_gaps(image.gaps.clone());
    }
    taking.add_gaps(intake.gaps.clone());
    taking.add_gaps(intake.size_gaps(&images));
    let outcome = supervisor::examine(plan, &images, &intake.stored, watch, &mut taking);
    finish(outcome, taking, &images, &intake, path)
}

fn finish(
    outcome: Result<(), Failure>,
    mut taking: Taking<'_>,
    images: &[OpenedImage],
    intake: &Intake,
    path: PathBuf,
) -> Result<Examined, Failure> {
    for change in images.iter().flat_map(OpenedImage::changed) {
        let what = format!("the evidence changed during the examination: {change}");
        taking.add_gaps(vec![Gap { at: crate::base::Place::default(), by: "evidence".into(), what, bytes: 0 }]);
    }
    taking.stage(Stage::Joining, 0)?;
    taking.data.scope = intake.scope(&taking.data.scene);
    inventory::join(&mut taking.data.inventory);
    taking.data.inventory.sort();
    taking.data.gaps.sort();
    taking.data.gaps.dedup();
    taking.stage(Stage::Judging, 0)?;
    taking.judge(true);
    for (id, role) in intake.not_imaged() {
        let excerpt = Some("named by the intake, without an image".to_owned());
        let named_by = crate::base::Evidence { excerpt, filesystem: crate::base::FsId(u32::MAX), ..Default::default() };
        taking.data.unexamined.push(Unexamined { device: format!("{id} {role}").trim().to_owned(), named_by });
    }
    taking.stage(Stage::Writing, 0)?;
    taking.data.run.finished = Some(Time::now());
    taking.write_all(outcome.is_ok())?;
    outcome?;
    let unread = taking.data.scene.images.iter().all(|i| i.size == 0);
    if unread {
        return Err(Failure::evidence("nothing of the evidence could be read; the case's gaps say why"));
    }
    let data = Arc::new(taking.data);
    taking.watch.publish(data.clone());
    taking.watch.stage(Stage::Done, 0, Stage::Done.unit());
    Ok(Examined { case: path, data })
}

/// What workers send, on its way into the inventory and the case.
struct Taking<'a> {
    case: &'a Case,
    watch: &'a Watch,
    knowledge: &'a Knowledge,
    baselines: &'a Baselines,
    as_of: String,
    data: CaseData,
    ids: Ids,
    pending: usize,
    dropped_gaps: u64,
    stage: (Stage, Instant),
}

impl<'a> Taking<'a> {
    fn new(case: &'a Case, watch: &'a Watch, knowledge: &'a Knowledge, baselines: &'a Baselines, plan: &Plan) -> Self {
        let today = || Time::now().to_string().chars().take(10).collect();
        Self {
            case,
            watch,
            knowledge,
            baselines,
            as_of: plan.as_of.clone().unwrap_or_else(today),
            data: CaseData::default(),
            ids: Ids::default(),
            pending: 0,
            dropped_gaps: 0,
            stage: (Stage::Opening, Instant::now()),
        }
    }
    fn add_gaps(&mut self, gaps: Vec<Gap>) {
        let room = MAX_GAPS.saturating_sub(self.data.gaps.len());
        self.dropped_gaps = self.dropped_gaps.saturating_add(gaps.len().saturating_sub(room) as u64);
        self.data.gaps.extend(gaps.into_iter().take(room));
    }
    /// `whole`: every content was read.
    fn judge(&mut self, whole: bool) {
        let data = &mut self.data;
        let judge = if whole { judge::judge } else { judge::judge_so_far };
        let judged = judge(self.knowledge, self.baselines, &self.as_of, &data.scene, &data.inventory, &data.gaps);
        data.findings = judged.findings;
        data.searched = judged.searched;
        data.unexamined = judged.unexamined;
        data.verdict = crate::case::Verdict::without_policy(data, judged.reasons);
    }
    fn write_all(&mut self, finished: bool) -> Result<(), Failure> {
        if self.dropped_gaps > 0 {
            let what = format!("{} further gaps are not listed one by one", self.dropped_gaps);
            self.data.gaps.push(Gap { at: crate::base::Place::default(), by: "session".into(), what, bytes: 0 });
        }
        self.end_transaction()?;
        self.case.begin()?;
        // What was joined is written again; everything else stays as it came.
        self.case.replace_table(&*self.data.inventory.packages, &self.ids)?;
        self.case.replace_table(&*self.data.inventory.listeners, &self.ids)?;
        self.case.write_documents(&self.data)?;
        if finished {
            self.case.finish()?;
        }
        let word = if finished { "finished" } else { "stopped" };
        let what = format!("examination {word}: {} findings, {} gaps", self.data.findings.len(), self.data.gaps.len());
        self.case.log(&self.data.run.examiner, &what)?;
        self.case.commit()?;
        Ok(())
    }
    fn end_transaction(&mut self) -> Result<(), Failure> {
        if self.pending > 0 {
            self.case.commit()?;
            self.pending = 0;
        }
        Ok(())
    }
}

impl Taker for Taking<'_> {
    fn scene(&mut self, scene: Scene) -> Result<(), Failure> {
        self.ids = Ids::of(&scene);
        let before = std::mem::replace(&mut self.data.scene, scene);
        // A later worker does not read the logs again.
        for (now, before) in self.data.scene.systems.iter_mut().zip(before.systems) {
            if now.logs.first.is_none() && before.id == now.id {
                now.logs = before.logs;
            }
        }
        Ok(())
    }
    fn rows(&mut self, rows: Vec<Row>, gaps: Vec<Gap>) -> Result<(), Failure> {
        self.add_gaps(gaps);
        if rows.is_empty() {
            return Ok(());
        }
        if self.pending == 0 {
            self.case.begin()?;
        }
        self.pending = self.pending.saturating_add(rows.len());
        self.case.add_rows(&rows, &self.ids)?;
        rows.into_iter().for_each(|row| self.data.inventory.push(row));
        if self.pending >= TRANSACTION {
            self.end_transaction()?;
        }
        Ok(())
    }
    fn stage(&mut self, stage: Stage, total: u64) -> Result<(), Failure> {
        let (last, since) = std::mem::replace(&mut self.stage, (stage, Instant::now()));
        self.data.run.timings.push((last.label().to_owned(), since.elapsed().as_secs_f64()));
        self.watch.stage(stage, total, stage.unit());
        // At the end of a phase: what is known so far is judged and shown, provisionally.
        if stage > Stage::Configuration && stage < Stage::Judging && self.watch.is_watched() {
            self.judge(stage > Stage::Contents);
            self.watch.publish(Arc::new(self.data.clone()));
        }
        Ok(())
    }
}

/// The built-in rules and knowledge, and the rules of further folders.
pub fn load_knowledge(rules: &[PathBuf]) -> Result<Knowledge, Failure> {
    Knowledge::load(rules).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    })
}

pub(super) fn load_baselines(files: &[PathBuf]) -> Result<Baselines, Failure> {
    Baselines::load(files).map_err(|e| Failure::usage(e.to_string()))
}

pub(super) fn tool(knowledge: &Knowledge) -> Tool {
    Tool {
        name: "cranescope".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        rules: knowledge.rule_count(),
        rules_sha256: knowledge.rules_sha256().to_owned(),
        knowledge_sha256: knowledge.knowledge_sha256().to_owned(),
    }
}

/// The first image's name with `.cranecase`, in the current directory.
fn default_case(images: &[PathBuf]) -> PathBuf {
    let name = images.first().and_then(|i| i.file_stem()).unwrap_or_default();
    PathBuf::from(name).with_extension("cranecase")
}

/// As typed; that secrets are shown stands in it however it was asked for.
fn command(plan: &Plan) -> Vec<String> {
    let mut words = plan.command.clone();
    words.retain(|w| plan.show_secrets || w != SHOW_SECRETS);
    if plan.show_secrets && !words.iter().any(|w| w == SHOW_SECRETS) {
        words.push(SHOW_SECRETS.to_owned());
    }
    words
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|s| s.trim().to_owned()).unwrap_or_default()
}

impl From<CaseError> for Failure {
    fn from(e: CaseError) -> Self {
        match e {
            CaseError::NotACase(_) => Self::evidence(e.to_string()),
            CaseError::Exists(_) => Self::usage(e.to_string()),
            CaseError::Busy(_) | CaseError::Environment(_) => Self::environment(e.to_string()),
        }
    }
}

/// A saved case, or an image examined into a case that is not kept. Secrets are shown if `show_secrets`
/// is given and the case holds them; a case that holds them is not shown without it.
pub fn open_or_examine(path: &Path, show_secrets: bool) -> Result<CaseData, Failure> {
    match super::open_case(path) {
        Err(failure) if failure.code == 3 && path.is_file() => {}
        Err(failure) => return Err(failure),
        Ok(data) => return allowed(path, data, show_secrets),
    }
    let folder = std::env::temp_dir().join(format!("cranescope-{}", std::process::id()));
    let fail = |e: std::io::Error| Failure::environment(format!("{}: {e}", folder.display()));
    std::fs::create_dir(&folder).map_err(fail)?;
    let case = Some(folder.join("case.cranecase"));
    let plan = Plan { images: vec![path.to_owned()], case, show_secrets, ..Plan::default() };
    let examined = examine(&plan, &Watch::unattended());
    std::fs::remove_dir_all(&folder).map_err(fail)?;
    examined.map(|e| Arc::unwrap_or_clone(e.data))
}

/// Refuses to show what a case holds of secrets unasked, and to promise what it does not hold.
pub fn allowed(path: &Path, data: CaseData, show_secrets: bool) -> Result<CaseData, Failure> {
    match (data.shows_secrets(), show_secrets) {
        (true, false) => Err(Failure::usage(format!(
            "{}: examined with {SHOW_SECRETS}, so it holds secrets; list and report show it with {SHOW_SECRETS} only",
            path.display()
        ))),
        (false, true) => Err(Failure::usage(format!(
            "{}: examined without {SHOW_SECRETS}, so it holds no secrets; examine the image again with it",
            path.display()
        ))),
        _ => Ok(data),
    }
}
