//! `ls`, `cat` and `export`: looking inside an image without examining it.
use super::{Outcome, print};
use crate::session::{self, Failure, Listed, Plan};
use clap::Args;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct LsArguments {
    image: PathBuf,
    /// /path in the first system, N:/path in file system N.
    #[arg(default_value = "/")]
    path: String,
    /// What opens an encrypted volume: its id or UUID, and a file with the passphrase, key or recovery key.
    #[arg(long, value_name = "VOLUME=FILE", value_parser = super::examine::key)]
    key: Vec<(String, PathBuf)>,
    /// The image is a raw dump of NAND flash: bytes of a page and of the spare area behind it, as 2048+64;
    /// with the BCH code in that, if it has one (bits in bytes), as 2048+64,bch:4/512.
    #[arg(long, value_name = "PAGE+SPARE", value_parser = crate::base::Nand::parse)]
    nand: Option<crate::base::Nand>,
    #[command(flatten)]
    confinement: super::Confinement,
}
#[derive(Args)]
pub(super) struct CatArguments {
    image: PathBuf,
    path: String,
    /// What opens an encrypted volume: its id or UUID, and a file with the passphrase, key or recovery key.
    #[arg(long, value_name = "VOLUME=FILE", value_parser = super::examine::key)]
    key: Vec<(String, PathBuf)>,
    /// The image is a raw dump of NAND flash: bytes of a page and of the spare area behind it, as 2048+64;
    /// with the BCH code in that, if it has one (bits in bytes), as 2048+64,bch:4/512.
    #[arg(long, value_name = "PAGE+SPARE", value_parser = crate::base::Nand::parse)]
    nand: Option<crate::base::Nand>,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn ls(a: &LsArguments) -> Outcome {
    let plan = Plan { keys: a.key.clone(), nand: a.nand, ..a.confinement.looking_at(vec![a.image.clone()]) };
    let entries = session::list(&plan, &a.path)?;
    super::tell_scratch(&plan);
    print(&mut |to| entries.iter().try_for_each(|e| line(e, to)))?;
    Ok(0)
}

fn line(e: &Listed, to: &mut dyn Write) -> std::io::Result<()> {
    let kind = match e.kind.as_str() {
        "directory" => 'd',
        "symlink" => 'l',
        "char-device" => 'c',
        "block-device" => 'b',
        "fifo" => 'p',
        "socket" => 's',
        "file" => '-',
        _ => '?',
    };
    let deleted = if e.deleted { " (deleted)" } else { "" };
    let marked = e.name.is_marked() || e.target.as_ref().is_some_and(crate::base::Name::is_marked);
    let escaped = if marked { " (escaped)" } else { "" };
    let target = e.target.as_ref().map(|t| format!(" -> {t}")).unwrap_or_default();
    let time = e.modified.map(|t| t.to_string()).unwrap_or_default();
    writeln!(
        to,
        "{kind}{:04o} {:>5} {:>5} {:>12} {time:30} {:>9} {}{target}{deleted}{escaped}",
        e.mode, e.uid, e.gid, e.size, e.inode, e.name
    )
}

/// The true list of what can be read.
pub(super) fn formats() -> Outcome {
    let formats = session::formats()?;
    print(&mut |to| {
        for f in &formats {
            writeln!(to, "{:12} {:24} {}", f.layer, f.name, f.about)?;
            if !f.limits.is_empty() {
                writeln!(to, "{:38}{}", "", f.limits)?;
            }
        }
        Ok(())
    })?;
    Ok(0)
}

pub(super) fn cat(a: &CatArguments) -> Outcome {
    // To a terminal, a file of the evidence is text that steers nothing; anywhere else it is its bytes.
    let out = std::io::stdout().lock();
    let mut out: Box<dyn Write> =
        if out.is_terminal() { Box::new(crate::base::inert::Terminal::new(out)) } else { Box::new(out) };
    let plan = Plan { keys: a.key.clone(), nand: a.nand, ..a.confinement.looking_at(vec![a.image.clone()]) };
    session::read(&plan, &a.path, &mut |bytes| {
        out.write_all(bytes).map_err(|e| Failure::environment(format!("standard output: {e}")))
    })?;
    out.flush().map_err(|e| Failure::environment(format!("standard output: {e}")))?;
    super::tell_scratch(&plan);
    Ok(0)
}

#[derive(Args)]
pub(super) struct ExportArguments {
    image: PathBuf,
    /// /path in the first system, N:/path in file system N; folders with all that is below.
    #[arg(required = true)]
    path: Vec<String>,
    /// An empty folder; nothing is written outside it.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// What opens an encrypted volume: its id or UUID, and a file with the passphrase, key or recovery key.
    #[arg(long, value_name = "VOLUME=FILE", value_parser = super::examine::key)]
    key: Vec<(String, PathBuf)>,
    /// The image is a raw dump of NAND flash: bytes of a page and of the spare area behind it, as 2048+64.
    #[arg(long, value_name = "PAGE+SPARE", value_parser = crate::base::Nand::parse)]
    nand: Option<crate::base::Nand>,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn export(a: &ExportArguments) -> Outcome {
    let plan = Plan { keys: a.key.clone(), nand: a.nand, ..a.confinement.looking_at(vec![a.image.clone()]) };
    let written = session::export(&plan, &a.path, &a.to, &session::ExportWatch::default())?;
    super::tell_scratch(&plan);
    written.failures.iter().for_each(|(path, what)| super::complain(&format!("{path}: {what}")));
    print(&mut |to| {
        writeln!(
            to,
            "{} files, {} bytes; {} entries not read whole (manifest.json)",
            written.files, written.bytes, written.unread
        )
    })?;
    Ok(0)
}
