//! `baseline build` and `import`: what is known to be good, or bad.
use super::{Outcome, case, print, signing};
use crate::baseline::{self, About, Kind, Origin};
use crate::inventory::Scene;
use crate::session;
use clap::{Args, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct BaselineArguments {
    #[command(subcommand)]
    action: Action,
}
#[derive(Subcommand)]
enum Action {
    /// Make a baseline of a case or an image.
    Build(BuildArguments),
    /// Make a set of hashes from lists that other tools made.
    Import(ImportArguments),
    /// What a baseline says of itself, what it holds, and what its signature is worth.
    Show(signing::ShowArguments),
    /// Check a baseline and its signature: 0 only where it is whole and signed by a given key.
    Verify(signing::ShowArguments),
    /// Sign a baseline: writes FILE.minisig, which minisign reads as well.
    Sign(signing::SignArguments),
    /// Make a pair of keys: FILE, which is secret, and FILE.pub.
    NewKey(signing::NewKeyArguments),
}
#[derive(Args)]
struct BuildArguments {
    /// A case, or an image.
    source: PathBuf,
    #[arg(short, long)]
    output: PathBuf,
    /// Who vouches for it; what the examined party delivered itself never lowers a finding.
    #[arg(long, value_enum, default_value = "approved")]
    origin: OriginArgument,
    #[command(flatten)]
    about: AboutArguments,
    #[command(flatten)]
    confinement: super::Confinement,
}
#[derive(Args)]
struct ImportArguments {
    /// Lists: NSRL RDS 3, hashdeep, sha256sum and its kin, mtree, AIDE, CycloneDX, SPDX, CSV.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(short, long)]
    output: PathBuf,
    /// The format of the lists; by default each is recognised by its beginning.
    #[arg(long, value_name = "FORMAT")]
    from: Option<String>,
    /// Who vouches for it; what the examined party delivered itself never lowers a finding.
    #[arg(long, value_enum, default_value = "vendor")]
    origin: OriginArgument,
    #[command(flatten)]
    about: AboutArguments,
}
#[derive(Args)]
struct AboutArguments {
    /// What it says of what it holds.
    #[arg(long, value_enum, default_value = "known-good")]
    kind: KindArgument,
    /// What it is called in findings; by default the name of its file.
    #[arg(long)]
    name: Option<String>,
    #[arg(long, default_value = "")]
    by: String,
    #[arg(long, default_value = "")]
    reason: String,
}
impl AboutArguments {
    fn of(&self, output: &Path, origin: OriginArgument, scene: &Scene) -> About {
        let stem = || output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let name = self.name.clone().unwrap_or_else(stem);
        About {
            kind: self.kind.into(),
            made: crate::base::Time::now().to_string(),
            ..About::new(&name, origin.into(), &self.by, &self.reason, scene)
        }
    }
}
#[derive(Clone, Copy, ValueEnum)]
enum OriginArgument {
    Approved,
    Vendor,
    Delivery,
}
impl From<OriginArgument> for Origin {
    fn from(a: OriginArgument) -> Self {
        match a {
            OriginArgument::Approved => Self::Approved,
            OriginArgument::Vendor => Self::Vendor,
            OriginArgument::Delivery => Self::Delivery,
        }
    }
}
#[derive(Clone, Copy, ValueEnum)]
enum KindArgument {
    KnownGood,
    KnownBad,
    Noteworthy,
}
impl From<KindArgument> for Kind {
    fn from(a: KindArgument) -> Self {
        match a {
            KindArgument::KnownGood => Self::KnownGood,
            KindArgument::KnownBad => Self::KnownBad,
            KindArgument::Noteworthy => Self::Noteworthy,
        }
    }
}

pub(super) fn run(a: &BaselineArguments) -> Outcome {
    match &a.action {
        Action::Build(a) => build(a),
        Action::Import(a) => import(a),
        Action::Show(a) => signing::show(a),
        Action::Verify(a) => signing::verify(a),
        Action::Sign(a) => signing::sign(a),
        Action::NewKey(a) => signing::new_key(a),
    }
}

fn build(a: &BuildArguments) -> Outcome {
    let data = case::load(&a.source, &a.confinement)?;
    let about = a.about.of(&a.output, a.origin, &data.scene);
    session::save(&a.output, &mut |to| baseline::build(&about, &data.inventory, &mut *to))?;
    Ok(0)
}

fn import(a: &ImportArguments) -> Outcome {
    let about = a.about.of(&a.output, a.origin, &Scene::default());
    let (done, formats) = session::import_lists(&a.files, a.from.as_deref(), about, &a.output)?;
    if done.sha256 == 0 {
        let what = "no entry has a SHA-256: files are hashed with SHA-256, so that none can be held against this set";
        super::complain(&format!("{}: {what}", a.output.display()));
    }
    print(&mut |to| {
        let baseline::Gathered { entries, without, sha256, sha1, md5 } = done;
        writeln!(to, "{entries} entries ({}), {without} of them without a hash that can be used", formats.join(", "))?;
        writeln!(to, "{sha256} SHA-256, {sha1} SHA-1 alone, {md5} MD5 alone: {}", a.output.display())
    })?;
    Ok(0)
}
