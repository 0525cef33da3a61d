//! The main job: open, read, judge, write the case.
use super::gap_ledger::GapLedger;
use super::intake::Intake;
use super::open::{OpenedImage, open_all};
use super::resume::{self, Past};
use super::rows::Rows;
use super::supervisor::{self, Taker};
use super::{Came, Examined, Failure, Plan, Watch};
use crate::base::{Evidence, FsId, Gap, Stage, Time};
use crate::baseline::{Baselines, Keys};
use crate::case::{Case, CaseData, CaseError, LeftOut, Run, SHOW_SECRETS, Taken, Tool};
use crate::inventory::portable::Ids;
use crate::inventory::{self, Row, Scene};
use crate::judge::{self, Knowledge, Policy, Review, Unexamined};
use crate::worker::protocol::Confinement;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rows in one transaction: what a kill can cost.
const TRANSACTION: usize = 20_000;
/// And how long one is kept open where rows come slowly.
const TRANSACTION_TIME: Duration = Duration::from_secs(1);

/// Makes reports of a finished examination.
pub type Report<'a> = dyn Fn(&CaseData) -> Result<(), Failure> + Sync + 'a;

/// Examines, and leaves a case. The reports are made from what this returns.
pub fn examine(plan: &Plan, watch: &Watch) -> Result<Examined, Failure> {
    examine_and(plan, watch, &|_| Ok(()))
}

/// The same; `report` is given what was found while it is written into the case.
pub fn examine_and(plan: &Plan, watch: &Watch, report: &Report<'_>) -> Result<Examined, Failure> {
    let started = Time::now();
    let knowledge = load_knowledge(&plan.rules)?;
    let baselines = load_baselines(&plan.baselines, &plan.baseline_keys)?;
    let policy = super::load_policy(plan.policy.as_deref())?;
    watch.stage(Stage::Opening, 0, Stage::Opening.unit());
    let intake = Intake::read(plan.intake.as_deref(), &plan.images)?;
    let images = open_all(&intake.images)?;
    super::keys::read(&plan.keys)?;
    let path = plan.case.clone().unwrap_or_else(|| default_case(&plan.images));
    outside_of_evidence(&path, &plan.images, "--case")?;
    plan.scratch.beside(&path);
    if let Some(folder) = plan.scratch.named() {
        outside_of_evidence(&folder.join("file"), &plan.images, "--scratch")?;
    }
    let hashes = baselines.more_hashes().or(plan.hashes);
    let identity = resume::identity(plan, &images, &knowledge);
    let (case, past, asked) = resume::take(&path, plan, &identity, &intake, hashes)?;
    let mut taking = Taking::new(&case, watch, (&knowledge, &baselines, &policy), plan);
    let mut behind = Taken::default();
    let came = match past {
        Past::Nothing => Came::Nothing,
        Past::Part(data, taken) => {
            behind = taken;
            taking.go_on(*data, &mut behind);
            Came::Items(behind.items.len())
        }
        Past::All(data) => {
            taking.go_on(*data, &mut behind);
            return again(taking, &intake, path, report);
        }
    };
    taking.data.run = Run {
        started: Some(started),
        host: host(),
        examiner: plan.examiner.clone(),
        command: command(plan),
        baselines: baselines.used(),
        ..Run::default()
    };
    case.write_run(&taking.data.run)?;
    taking.data.tool = tool(&knowledge);
    taking.gaps.add(images.iter().flat_map(|i| i.gaps.clone()));
    taking.gaps.add(intake.gaps.clone());
    taking.gaps.add(intake.size_gaps(&images));
    let outcome = supervisor::examine(plan, &asked, &images, &intake.stored, watch, &behind, &mut taking);
    taking.data.run.scratch = plan.scratch.told().unwrap_or_default();
    finish(outcome, taking, plan, &images, &intake, path, came, report)
}

#[allow(clippy::too_many_arguments)]
fn finish(
    outcome: Result<bool, Failure>,
    mut taking: Taking<'_>,
    plan: &Plan,
    images: &[OpenedImage],
    intake: &Intake,
    path: PathBuf,
    came: Came,
    report: &Report<'_>,
) -> Result<Examined, Failure> {
    // What the environment refuses now it refuses for the documents as well; the case holds what was committed.
    if let Err(failure) = &outcome
        && failure.code == 4
    {
        return Err(failure.clone());
    }
    taking.rows.unpack(&mut taking.data.inventory)?;
    taking.stage(Stage::Joining, 0)?;
    taking.data.scope = intake.scope(&taking.data.scene);
    inventory::join(&mut taking.data.inventory);
    taking.data.inventory.sort();
    let outcome = outcome.and_then(|finished| taking.content_rules(plan, images).map(|()| finished));
    // After the last that is read of the evidence.
    taking.stamp(images);
    inventory::join_logs(&mut taking.data.scene.systems, &taking.data.inventory);
    taking.data.gaps = taking.gaps.list();
    taking.stage(Stage::Judging, 0)?;
    taking.data.scene.systems.iter_mut().for_each(|s| s.unowned.clear());
    taking.judge(Some(intake), true);
    taking.stage(Stage::Writing, 0)?;
    taking.data.run.finished = Some(Time::now());
    let finished = outcome.clone().unwrap_or(false);
    if let Err(failure) = outcome.and_then(|_| taking.has_read()) {
        taking.write_all(finished)?;
        return Err(failure);
    }
    taking.end_transaction()?;
    let (case, data) = (taking.case, &taking.data);
    let (ids, examiner) = (&taking.ids, &taking.examiner);
    std::thread::scope(|scope| {
        let beside = std::thread::Builder::new().name("report".into()).spawn_scoped(scope, || report(data));
        let written = write_all(case, data, ids, examiner, finished);
        let told = beside.ok().and_then(|b| b.join().ok()).unwrap_or_else(|| report(data));
        written.and(told)
    })?;
    done(taking, path, came)
}

/// All was read before: it is judged as it is asked for now, and written only if that gives something else.
fn again(mut taking: Taking<'_>, intake: &Intake, path: PathBuf, report: &Report<'_>) -> Result<Examined, Failure> {
    taking.stage(Stage::Judging, 0)?;
    inventory::join(&mut taking.data.inventory);
    let before = taking.data.clone();
    taking.data.tool = tool(taking.knowledge);
    taking.data.run.baselines = taking.baselines.used();
    taking.judge(Some(intake), true);
    taking.data.run = Run { baselines: taking.baselines.used(), ..before.run.clone() };
    if taking.data != before {
        let by = super::saved::by_policy(&taking.data);
        let what = format!("judged again as of {}{by}: {} findings", taking.as_of, taking.data.findings.len());
        taking.case.begin()?;
        taking.case.write_documents(&taking.data)?;
        taking.case.log(&taking.examiner, &what)?;
        taking.case.commit()?;
    }
    taking.has_read()?;
    report(&taking.data)?;
    done(taking, path, Came::All)
}

fn done(taking: Taking<'_>, case: PathBuf, past: Came) -> Result<Examined, Failure> {
    taking.has_read()?;
    let data = Arc::new(taking.data);
    taking.watch.publish(data.clone());
    taking.watch.stage(Stage::Done, 0, Stage::Done.unit());
    Ok(Examined { case, data, past })
}

/// Ends the case: what was judged and joined, and what became of it.
fn write_all(case: &Case, data: &CaseData, ids: &Ids, examiner: &str, finished: bool) -> Result<(), Failure> {
    case.begin()?;
    case.write_documents(data)?;
    if finished {
        // What was joined is written again, but for files; everything else stays as it came.
        case.replace_table(&*data.inventory.packages, ids)?;
        case.replace_table(&*data.inventory.listeners, ids)?;
        case.replace_table(&*data.inventory.starts, ids)?;
        case.replace_table(&*data.inventory.components, ids)?;
        case.replace_table(&*data.inventory.certificates, ids)?;
        case.replace_table(&*data.inventory.endpoints, ids)?;
        case.replace_table(&*data.inventory.content_matches, ids)?;
        case.finish()?;
    }
    let word = if finished { "finished" } else { "stopped" };
    let by = super::saved::by_policy(data);
    let what = format!("examination {word}{by}: {} findings, {} gaps", data.findings.len(), data.gaps.len());
    if !data.run.scratch.is_empty() {
        case.log(examiner, &data.run.scratch)?;
    }
    case.log(examiner, &what)?;
    case.commit()?;
    Ok(())
}

/// What workers send, on its way into the inventory and the case.
struct Taking<'a> {
    case: &'a Case,
    watch: &'a Watch,
    knowledge: &'a Knowledge,
    baselines: &'a Baselines,
    policy: &'a Policy,
    as_of: String,
    examiner: String,
    data: CaseData,
    rows: Rows,
    ids: Ids,
    gaps: GapLedger,
    /// Of the findings that a case had before.
    reviews: HashMap<String, Vec<Review>>,
    /// What the open transaction holds, and since when it is open.
    pending: Pending,
    stage: (Stage, Instant),
}

#[derive(Default)]
struct Pending {
    since: Option<Instant>,
    rows: usize,
    items: Vec<u64>,
    gaps: Vec<Gap>,
}

impl<'a> Taking<'a> {
    fn new(
        case: &'a Case,
        watch: &'a Watch,
        (knowledge, baselines, policy): (&'a Knowledge, &'a Baselines, &'a Policy),
        plan: &Plan,
    ) -> Self {
        let today = || Time::now().to_string().chars().take(10).collect();
        Self {
            case,
            watch,
            knowledge,
            baselines,
            policy,
            as_of: plan.as_of.clone().unwrap_or_else(today),
            examiner: plan.examiner.clone(),
            data: CaseData::default(),
            rows: Rows::default(),
            ids: Ids::default(),
            gaps: GapLedger::default(),
            reviews: HashMap::new(),
            pending: Pending::default(),
            stage: (Stage::Opening, Instant::now()),
        }
    }
    /// Takes over what the case holds.
    fn go_on(&mut self, data: CaseData, behind: &mut Taken) {
        self.ids = Ids::of(&data.scene);
        self.reviews = resume::reviews(&data);
        self.gaps.add(std::mem::take(&mut behind.gaps));
        self.data = data;
    }
    /// Runs the examiner's rules over contents, if there are any and anything to run them over.
    fn content_rules(&mut self, plan: &Plan, images: &[OpenedImage]) -> Result<(), Failure> {
        self.data.inventory.content_matches = Arc::default();
        let targets = judge::content_targets(&self.data.inventory, self.baselines);
        if self.knowledge.content_rules().is_empty() || targets.is_empty() {
            return Ok(());
        }
        self.stage(Stage::ContentRules, targets.len() as u64)?;
        let inventory = &self.data.inventory;
        let ran = super::content_rules::run(plan, self.knowledge, images, inventory, &targets, self.watch)?;
        self.data.inventory.content_matches = Arc::new(ran.rows);
        self.data.inventory.sort();
        self.gaps.add(ran.gaps);
        Ok(())
    }
    /// `whole`: every content was read.
    fn judge(&mut self, intake: Option<&Intake>, whole: bool) {
        let data = &mut self.data;
        let (knowledge, baselines, as_of) = (self.knowledge, self.baselines, &self.as_of);
        let (scene, inventory, gaps) = (&data.scene, &data.inventory, &data.gaps);
        let judged = if whole {
            let policy = self.policy.about(data.scope.delivered());
            judge::judge(knowledge, baselines, &policy, as_of, scene, inventory, gaps)
        } else {
            judge::judge_so_far(knowledge, baselines, as_of, scene, inventory, gaps)
        };
        data.findings = judged.findings;
        resume::keep_reviews(data, &self.reviews);
        data.searched = judged.searched;
        data.unexamined = judged.unexamined;
        data.unexamined.extend(intake.map(not_imaged).unwrap_or_default());
        data.verdict = crate::case::Verdict::of(data, judged.reasons, judged.assessment);
    }
    fn write_all(&mut self, finished: bool) -> Result<(), Failure> {
        self.end_transaction()?;
        write_all(self.case, &self.data, &self.ids, &self.examiner, finished)
    }
    /// An examination that read nothing of its evidence is a failure.
    fn has_read(&self) -> Result<(), Failure> {
        // A folder of empty files was read all the same.
        if self.data.scene.images.iter().all(|i| i.size == 0 && i.container != "folder") {
            return Err(Failure::evidence("nothing of the evidence could be read; the case's gaps say why"));
        }
        Ok(())
    }
    /// Where evidence is no longer what was opened, the report says so: at the image, and as a gap.
    fn stamp(&mut self, images: &[OpenedImage]) {
        for (number, image) in (0_u32..).zip(images) {
            let changed = image.changed();
            let gap = |change: &String| {
                let what = format!("the evidence changed during the examination: {change}");
                let at = crate::base::Place { image: Some(number), ..Default::default() };
                Gap { at, by: "evidence".into(), what, bytes: 0 }
            };
            self.gaps.add(changed.iter().map(gap));
            if let Some(info) = self.data.scene.images.get_mut(number as usize) {
                info.changed.extend(changed);
            }
        }
    }
    fn transaction(&mut self) -> Result<(), Failure> {
        if self.pending.since.is_none() {
            self.case.begin()?;
            self.pending.since = Some(Instant::now());
        }
        Ok(())
    }
    fn end_transaction(&mut self) -> Result<(), Failure> {
        if self.pending.since.is_none() {
            return Ok(());
        }
        let Pending { items, gaps, .. } = std::mem::take(&mut self.pending);
        if !items.is_empty() {
            self.case.add_items(&items, &gaps, &self.data.scene, &self.ids)?;
        }
        self.case.commit()?;
        Ok(())
    }
}

impl Taker for Taking<'_> {
    fn scene(&mut self, scene: Scene) -> Result<(), Failure> {
        let ids = Ids::of(&scene);
        // Rows lie by these ids, keys of items by their numbers: both must mean the same as when they were taken.
        if self.data.inventory.rows() > 0 {
            let (now, before) = (&ids.filesystems, &self.ids.filesystems);
            if ids.images != self.ids.images || now.iter().zip(before).any(|(now, before)| now != before) {
                return Err(Failure::evidence(
                    "the evidence gives other file systems than before, so what was read cannot be gone on with; \
                     check the medium, and use --overwrite or another --case",
                ));
            }
            // Of what lies in files an earlier life knew; this one has not come so far yet.
            if now.len() < before.len() {
                return Ok(());
            }
        }
        self.transaction()?;
        // A worker knows the systems a little later than the file systems; theirs stay until then.
        let systems = if scene.systems.is_empty() && ids.filesystems == self.ids.filesystems {
            std::mem::take(&mut self.data.scene.systems)
        } else {
            Vec::new()
        };
        let before = std::mem::replace(&mut self.data.scene, scene).systems;
        // A later worker does not read again what gave rows.
        for (now, before) in self.data.scene.systems.iter_mut().zip(before) {
            if now.unowned.is_empty() && before.id == now.id {
                now.unowned = before.unowned;
            }
        }
        if !systems.is_empty() {
            self.data.scene.systems = systems;
        }
        self.ids = Ids::of(&self.data.scene);
        self.case.write_scene(&self.data.scene)?;
        Ok(())
    }
    fn commit(&mut self, items: Vec<u64>, rows: Vec<Row>, gaps: Vec<Gap>) -> Result<(), Failure> {
        self.gaps.add(gaps.iter().cloned());
        if items.is_empty() && rows.is_empty() {
            // What every life of a worker tells again.
            return Ok(());
        }
        self.transaction()?;
        self.case.add_rows(&rows, &self.ids)?;
        self.pending.rows = self.pending.rows.saturating_add(rows.len());
        self.pending.items.extend(items);
        self.pending.gaps.extend(gaps);
        self.rows.take(rows, &mut self.data.inventory)?;
        let since = self.pending.since.map(|s| s.elapsed()).unwrap_or_default();
        if self.pending.rows >= TRANSACTION || since >= TRANSACTION_TIME {
            self.end_transaction()?;
        }
        Ok(())
    }
    fn left_out(&mut self, item: u64, what: LeftOut, gap: Gap) -> Result<(), Failure> {
        self.transaction()?;
        self.case.add_left_out(item, what)?;
        self.case.add_items(&[], std::slice::from_ref(&gap), &self.data.scene, &self.ids)?;
        self.gaps.add([gap]);
        self.end_transaction()
    }
    fn gap(&mut self, gap: Gap) {
        self.gaps.add([gap]);
    }
    fn confined(&mut self, how: &Confinement) {
        self.data.run.sandbox = how.words();
    }
    fn stage(&mut self, stage: Stage, total: u64) -> Result<(), Failure> {
        let (last, since) = std::mem::replace(&mut self.stage, (stage, Instant::now()));
        self.data.run.timings.push((last.label().to_owned(), since.elapsed().as_secs_f64()));
        self.watch.stage(stage, total, stage.unit());
        // At the end of a phase: what is known so far is judged and shown, provisionally.
        if stage > Stage::Configuration && stage < Stage::Judging && self.watch.is_watched() {
            self.rows.unpack(&mut self.data.inventory)?;
            self.data.gaps = self.gaps.list();
            self.judge(None, stage > Stage::Contents);
            self.watch.publish(Arc::new(self.data.clone()));
        }
        Ok(())
    }
}

/// Devices that the intake names and no image covers.
fn not_imaged(intake: &Intake) -> Vec<Unexamined> {
    let device = |(id, role): (String, String)| {
        let excerpt = Some("named by the intake, without an image".to_owned());
        let named_by = Evidence { excerpt, filesystem: FsId(u32::MAX), ..Default::default() };
        Unexamined { device: format!("{id} {role}").trim().to_owned(), named_by }
    };
    intake.not_imaged().into_iter().map(device).collect()
}

/// The built-in rules and knowledge, and the rules of further folders.
pub fn load_knowledge(rules: &[PathBuf]) -> Result<Knowledge, Failure> {
    Knowledge::load(rules).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::usage(lines.join("\n"))
    })
}

pub(super) fn load_baselines(files: &[PathBuf], keys: &[PathBuf]) -> Result<Baselines, Failure> {
    let load = || Baselines::load(files, &Keys::load(keys)?);
    load().map_err(|e| Failure::usage(e.to_string()))
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
    let name = |path: &Path| path.file_stem().map(PathBuf::from);
    let first = images.first();
    // A folder named `.` has its name only where it lies.
    let name = first.and_then(|i| name(i).or_else(|| name(&i.canonicalize().ok()?))).unwrap_or_default();
    name.with_extension("cranecase")
}

/// Nothing is written into a folder that is evidence.
fn outside_of_evidence(case: &Path, images: &[PathBuf], option: &str) -> Result<(), Failure> {
    let folder = case.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A folder that is not there is told when the case is made.
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let within = images.iter().find(|i| i.is_dir() && i.canonicalize().is_ok_and(|i| folder.starts_with(i)));
    within.map_or(Ok(()), |evidence| {
        let (case, evidence) = (case.display(), evidence.display());
        Err(Failure::usage(format!("{case}: lies in the evidence folder {evidence}; name another place with {option}")))
    })
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
            CaseError::Exists { .. } => Self::usage(e.to_string()),
            CaseError::Busy(_) | CaseError::Environment(_) => Self::environment(e.to_string()),
        }
    }
}
