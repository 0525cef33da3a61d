//! `cranescope examine`: the main job.
use super::{Outcome, print};
use crate::case::CaseData;
use crate::judge::Severity;
use crate::session::{self, Came, Failure, Plan, Stage, Watch};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[derive(Args)]
pub(super) struct Arguments {
    /// Images: the first segment of each; archives; folders of loose files or of an unpacked system.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// The case to write; by default the image's name with .cranecase, in the current directory.
    #[arg(long)]
    case: Option<PathBuf>,
    /// Replace an existing case.
    #[arg(long)]
    overwrite: bool,
    /// Which crane, devices and exhibits the images belong to (TOML).
    #[arg(long)]
    intake: Option<PathBuf>,
    /// A known-good, known-bad or noteworthy set; may be given several times, asked in this order.
    #[arg(long)]
    baseline: Vec<PathBuf>,
    /// A public key (minisign) whose signatures under baselines count; may be given several times.
    #[arg(long, value_name = "FILE")]
    baseline_key: Vec<PathBuf>,
    /// The delivery policy (TOML): what the contract allows. Without one, conformity is not assessed.
    #[arg(long)]
    policy: Option<PathBuf>,
    /// A folder of further rules (TOML, and YARA over contents); may be given several times.
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Write the report JSON here; - for standard output.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the report for people here: one HTML file.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Compute the SHA-256 of each image, and compare the hashes of the imager's log.
    #[arg(long)]
    hash_image: bool,
    /// Read every ext file system a second time, with an independent reader, and compare.
    #[arg(long)]
    second_reader: bool,
    /// Show keys, passwords and PINs of the configuration as they are; the case then holds them. Otherwise they are masked.
    #[arg(long)]
    show_secrets: bool,
    /// What opens an encrypted volume: its id or UUID, and a file with the passphrase, key or recovery key.
    #[arg(long, value_name = "VOLUME=FILE", value_parser = key)]
    key: Vec<(String, PathBuf)>,
    /// The images are raw dumps of NAND flash: bytes of a page and of the spare area behind it, as 2048+64;
    /// with the BCH code in that, if it has one (bits in bytes), as 2048+64,bch:4/512.
    #[arg(long, value_name = "PAGE+SPARE", value_parser = crate::base::Nand::parse)]
    nand: Option<crate::base::Nand>,
    /// The day against which validity is judged: YYYY-MM-DD; by default today.
    #[arg(long, value_parser = day)]
    as_of: Option<String>,
    /// Threads; by default one for each processor.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Exit with 1 if there is a finding at or above this: info, low, medium, high, critical.
    #[arg(long, value_parser = severity)]
    fail_on: Option<Severity>,
    /// Exit with 6 if parts of the evidence were not read.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    confinement: super::Confinement,
    /// The examiner's name, for the case's log.
    #[arg(long, default_value = "")]
    examiner: String,
    /// No progress, no summary.
    #[arg(long)]
    quiet: bool,
}

/// `VOLUME=FILE`.
pub(super) fn key(text: &str) -> Result<(String, PathBuf), String> {
    let pair = text.split_once('=').filter(|(volume, file)| !volume.is_empty() && !file.is_empty());
    let (volume, file) = pair.ok_or("write VOLUME=FILE: a volume's id or UUID, and the file with its key")?;
    Ok((volume.to_owned(), file.into()))
}

pub(super) fn day(text: &str) -> Result<String, String> {
    let valid = text.len() == 10 && crate::base::Time::parse(&format!("{text}T00:00:00Z")).is_some();
    if valid { Ok(text.to_owned()) } else { Err("not a day: write YYYY-MM-DD".into()) }
}

pub(super) fn severity(text: &str) -> Result<Severity, String> {
    Ok(match text {
        "info" => Severity::Info,
        "low" => Severity::Low,
        "medium" => Severity::Medium,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => return Err("one of info, low, medium, high, critical".into()),
    })
}

pub(super) fn run(a: Arguments) -> Outcome {
    let plan = Plan {
        images: a.images,
        case: a.case,
        overwrite: a.overwrite,
        intake: a.intake,
        baselines: a.baseline,
        baseline_keys: a.baseline_key,
        policy: a.policy,
        rules: a.rules,
        hash_image: a.hash_image,
        second_reader: a.second_reader,
        show_secrets: a.show_secrets,
        keys: a.key,
        nand: a.nand,
        as_of: a.as_of,
        threads: a.threads,
        no_sandbox: a.confinement.no_sandbox,
        scratch: a.confinement.scratch(),
        examiner: a.examiner,
        command: std::env::args().collect(),
        ..Plan::default()
    };
    let watch = Arc::new(Watch::unattended());
    let over = Arc::new(AtomicBool::new(false));
    let bar = (!a.quiet && std::io::stderr().is_terminal()).then(|| draw(watch.clone(), over.clone())).transpose()?;
    let (json, html) = (a.json.as_deref(), a.html.as_deref());
    let report = |data: &CaseData| {
        html.map_or(Ok(()), |path| session::save(path, &mut |to| crate::report::html(data, to)))?;
        match json {
            Some(path) if path.as_os_str() == "-" => print(&mut |to| crate::report::json(data, to)),
            Some(path) => session::save(path, &mut |to| crate::report::json(data, to)),
            None => Ok(()),
        }
    };
    let examined = session::examine_and(&plan, &watch, &report);
    over.store(true, Ordering::Relaxed);
    if let Some(bar) = bar {
        drop(bar.join());
    }
    let examined = examined?;
    let data = &examined.data;
    super::tell_marks(data);
    // The program ends: the system takes back at once what would be freed row by row.
    std::mem::forget(data.clone());
    if !a.quiet && a.json.as_deref().is_none_or(|p| p.as_os_str() != "-") {
        print(&mut |to| {
            summary(data, &examined.case, to)?;
            match examined.past {
                Came::Nothing => Ok(()),
                Came::Items(n) => writeln!(to, "resumed: {n} files and artifacts were in the case already"),
                Came::All => writeln!(
                    to,
                    "already examined: evidence, tool version and rules are those of the case, nothing was read again"
                ),
            }
        })?;
    }
    let fails = a.fail_on.is_some_and(|at| data.findings.iter().any(|f| f.severity >= at));
    let code = if fails { 1 } else { u8::from(a.strict && !data.gaps.is_empty()).saturating_mul(6) };
    // The program ends here: to free a hundred thousand rows one by one first would only take time.
    std::mem::forget(examined);
    Ok(code)
}

/// Stage, amount, rate and time left on stderr, until `over`.
fn draw(watch: Arc<Watch>, over: Arc<AtomicBool>) -> Result<std::thread::JoinHandle<()>, Failure> {
    let run = move || {
        let style = |bytes: bool| {
            let counts = if bytes {
                "{msg:24} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left"
            } else {
                "{msg:24} {bar:30} {pos}/{len} {per_sec} {eta} left"
            };
            ProgressStyle::with_template(counts).unwrap_or_else(|_| ProgressStyle::default_bar())
        };
        let bar = ProgressBar::new(0);
        let mut stage = None;
        while !over.load(Ordering::Relaxed) {
            let status = watch.status();
            if stage != Some(status.stage) {
                stage = Some(status.stage);
                bar.set_style(style(status.unit == "bytes"));
                bar.reset();
                bar.set_message(status.stage.label());
            }
            bar.set_length(status.total.max(status.done));
            bar.set_position(status.done);
            if status.stage == Stage::Done {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bar.finish_and_clear();
    };
    let spawned = std::thread::Builder::new().name("progress-bar".into()).spawn(run);
    spawned.map_err(|e| Failure::environment(format!("cannot start a thread: {e}")))
}

/// What the policy says, if there is one.
fn verdict(data: &CaseData, to: &mut dyn std::io::Write) -> std::io::Result<()> {
    let Some(by) = &data.verdict.assessment else { return Ok(()) };
    writeln!(to, "conformity to the policy {} ({}): {}", by.name, by.file, data.verdict.result.word())?;
    for reason in data.verdict.reasons.iter().take(REASONS) {
        writeln!(to, "  {}", crate::base::Name::from(reason.as_str()).display_text())?;
    }
    let more = data.verdict.reasons.len().saturating_sub(REASONS);
    if more > 0 {
        writeln!(to, "  and {more} more reasons, in the report")?;
    }
    Ok(())
}

/// Reasons of a verdict that the summary tells.
const REASONS: usize = 20;

/// What an analyst wants to see at once.
pub(super) fn summary(data: &CaseData, case: &std::path::Path, to: &mut dyn std::io::Write) -> std::io::Result<()> {
    for system in &data.scene.systems {
        writeln!(to, "system {}: {} {} ({})", system.id, system.os.name, system.hostname, system.architecture)?;
    }
    for change in data.scene.images.iter().flat_map(|i| &i.changed) {
        writeln!(to, "EVIDENCE CHANGED during the examination: {change}")?;
    }
    verdict(data, to)?;
    let count = |s| data.count(s);
    writeln!(
        to,
        "{} findings: {} critical, {} high, {} medium, {} low, {} info; {} gaps",
        data.findings.len(),
        count(Severity::Critical),
        count(Severity::High),
        count(Severity::Medium),
        count(Severity::Low),
        count(Severity::Info),
        data.gaps.len()
    )?;
    for f in data.findings.iter().filter(|f| f.severity >= Severity::Medium) {
        let word = format!("{:?}", f.severity).to_lowercase();
        let subject = crate::base::secret::masked_command(&f.subject);
        let subject = crate::base::Name::from(subject.as_str()).display_text();
        writeln!(to, "  {word:8} {}  {}: {subject}", f.id, f.title)?;
        if let Some(e) = f.evidence.first() {
            let line = e.line.map(|l| format!(", line {l}")).unwrap_or_default();
            writeln!(to, "           {}{line}", e.path)?;
        }
    }
    if !data.run.scratch.is_empty() {
        writeln!(to, "{}", data.run.scratch)?;
    }
    writeln!(to, "case: {}", case.display())
}
