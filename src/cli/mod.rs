//! The command line. Verbs, options and exit codes are the outside contract: others script against them.
mod baseline;
mod case;
mod compare;
mod evidence;
mod examine;
mod held;
mod mount;
mod policy;
mod rules;
mod signing;
mod variation;

use crate::session::Failure;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Forensic analyzer for disk images of port-crane computers. Without a verb it opens the window.
#[derive(Parser)]
#[command(name = "cranescope", version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Images or cases to open in the window.
    open: Vec<PathBuf>,
}

#[derive(Subcommand)]
enum Verb {
    /// Open, inventory and judge images; write a case and the reports asked for.
    Examine(examine::Arguments),
    /// One table of the inventory; without arguments, all tables with their columns.
    List(case::ListArguments),
    /// A folder of the evidence: /path in the first system, N:/path in file system N.
    Ls(evidence::LsArguments),
    /// A file of the evidence, to standard output.
    Cat(evidence::CatArguments),
    /// Files and folders of the evidence into an empty folder, with a manifest of names, hashes and image runs.
    Export(evidence::ExportArguments),
    /// The evidence as a read-only folder for other tools, until interrupted: files of every volume, systems, deleted
    /// files, decoded disks.
    Mount(mount::Arguments),
    /// Judge a saved case again, without its image.
    Judge(case::JudgeArguments),
    /// Known-good sets.
    Baseline(baseline::BaselineArguments),
    /// The delivery policy: check one, or draft one from a case.
    Policy(policy::PolicyArguments),
    /// What differs between cranes, or between two examinations of one.
    Compare(compare::Arguments),
    /// Rules of expected variation between machines of one kind.
    Variation(variation::Arguments),
    /// Reports from a saved case.
    Report(case::ReportArguments),
    /// The log of a case against its own hashes; the stored hashes of an image.
    Verify(case::VerifyArguments),
    /// A rule's or a finding's own words.
    Explain(rules::ExplainArguments),
    /// What can be read, with its limits.
    Formats,
    /// The rules; `rules test` runs their own tests.
    Rules(rules::RulesArguments),
}

/// Of every verb that parses evidence.
#[derive(Args)]
struct Confinement {
    /// Go on though the kernel lacks a part of what confines the process that parses the evidence.
    #[arg(long)]
    no_sandbox: bool,
    /// Where packed images that cannot be read from the middle are unpacked, into a file that is gone afterwards: a
    /// folder, or `none`. By default beside the case, else in TMPDIR or /var/tmp.
    #[arg(long, value_name = "DIR|none")]
    scratch: Option<PathBuf>,
}
impl Confinement {
    fn scratch(&self) -> crate::session::Scratch {
        self.scratch.as_deref().map(crate::session::Scratch::at).unwrap_or_default()
    }
    /// A plan that only looks.
    fn looking_at(&self, images: Vec<PathBuf>) -> crate::session::Plan {
        let plan = crate::session::looking_at(images);
        crate::session::Plan { no_sandbox: self.no_sandbox, scratch: self.scratch(), ..plan }
    }
}

/// Says what was unpacked into a temporary file, and where.
fn tell_scratch(plan: &crate::session::Plan) {
    if let Some(told) = plan.scratch.told() {
        complain(&told);
    }
}

/// Says of every baseline that no given key signed what it is worth.
fn tell_marks(data: &crate::case::CaseData) {
    for mark in data.run.baselines.iter().filter_map(crate::baseline::Used::mark) {
        complain(&mark);
    }
    for reason in data.verdict.reasons.iter().filter(|r| r.contains(crate::judge::NEED_CONTENT)) {
        complain(reason);
    }
}

/// What a verb ended with: an exit code, or a failure to be told.
type Outcome = Result<u8, Failure>;

/// Opens the window on images and cases.
pub type Window = fn(Vec<PathBuf>) -> Result<(), Failure>;

/// Runs the program; without a verb it opens `window`.
pub fn main(window: Window) -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(e) => {
            let code = if e.use_stderr() { 2 } else { 0 };
            drop(e.print());
            return ExitCode::from(code);
        }
    };
    let outcome = match arguments.verb {
        Some(Verb::Examine(a)) => examine::run(a),
        Some(Verb::List(a)) => case::list(&a),
        Some(Verb::Ls(a)) => evidence::ls(&a),
        Some(Verb::Cat(a)) => evidence::cat(&a),
        Some(Verb::Export(a)) => evidence::export(&a),
        Some(Verb::Mount(a)) => mount::run(&a),
        Some(Verb::Judge(a)) => case::judge(&a),
        Some(Verb::Baseline(a)) => baseline::run(&a),
        Some(Verb::Policy(a)) => policy::run(&a),
        Some(Verb::Compare(a)) => compare::run(&a),
        Some(Verb::Variation(a)) => variation::run(&a),
        Some(Verb::Report(a)) => case::report(&a),
        Some(Verb::Verify(a)) => case::verify(&a),
        Some(Verb::Explain(a)) => rules::explain(&a),
        Some(Verb::Formats) => evidence::formats(),
        Some(Verb::Rules(a)) => rules::run(&a),
        None => window(arguments.open).map(|()| 0),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            complain(&failure.message);
            ExitCode::from(failure.code)
        }
    }
}

/// Says on standard error what went wrong; whatever the evidence put into the words steers no terminal.
fn complain(what: &str) {
    eprintln!("cranescope: {}", crate::base::inert::lines(what));
}

/// Writes text to standard output, made inert once more on its way; a reader that went away ends the output, not the
/// program.
fn print(write: &mut dyn FnMut(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let mut out = crate::base::inert::Terminal::new(std::io::BufWriter::new(std::io::stdout().lock()));
    let written = write(&mut out).and_then(|()| std::io::Write::flush(&mut out));
    match written {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("standard output: {e}")))
        }
        _ => Ok(()),
    }
}
