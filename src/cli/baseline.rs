//! `baseline build` and `import`: what is known to be good, or bad.
use super::{Outcome, case, held, print, signing};
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
    /// Hold every file of a case against baselines: known, changed, or unknown and what kind of file it is.
    Check(held::CheckArguments),
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
    /// A case or an image; or packages (.deb, .rpm, .apk, .ipk, .pkg.tar.*), singly or as folders of them.
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    #[arg(short, long)]
    output: PathBuf,
    /// Who vouches for it; what the examined party delivered itself never lowers a finding.
    #[arg(long, value_enum, default_value = "approved")]
    origin: OriginArgument,
    /// Leave packages out that are damaged, instead of making nothing.
    #[arg(long)]
    leave_out_damaged: bool,
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
        Action::Check(a) => held::check(a),
        Action::Show(a) => signing::show(a),
        Action::Verify(a) => signing::verify(a),
        Action::Sign(a) => signing::sign(a),
        Action::NewKey(a) => signing::new_key(a),
    }
}

fn build(a: &BuildArguments) -> Outcome {
    if let Some(packages) = session::packages_of(&a.sources) {
        return build_packages(a, &packages);
    }
    let [source] = a.sources.as_slice() else {
        return Err(session::Failure::usage("several sources make a baseline only where all of them are packages"));
    };
    let data = case::load(source, &a.confinement)?;
    let about = a.about.of(&a.output, a.origin, &data.scene);
    session::save(&a.output, &mut |to| baseline::build(&about, &data.inventory, &mut *to))?;
    Ok(0)
}

fn build_packages(a: &BuildArguments, files: &[PathBuf]) -> Outcome {
    let mut about = a.about.of(&a.output, a.origin, &Scene::default());
    about.schema = baseline::PACKAGES_SCHEMA.into();
    let plan = a.confinement.looking_at(Vec::new());
    let built = session::build_from_packages(files, about, &a.output, &plan, a.leave_out_damaged)?;
    for (file, why) in &built.refused {
        super::complain(&format!("{}: {why}; left out", file.display()));
    }
    print(&mut |to| {
        let files = built.rows.saturating_sub(built.packages as u64);
        writeln!(to, "{} packages, {files} files: {}", built.packages, a.output.display())
    })?;
    Ok(0)
}

fn import(a: &ImportArguments) -> Outcome {
    let about = a.about.of(&a.output, a.origin, &Scene::default());
    let (done, formats) = session::import_lists(&a.files, a.from.as_deref(), about, &a.output)?;
    if done.sha256 == 0 {
        let what = "no entry has a SHA-256: an examination with this set also makes the hashes that it has, and a case \
                    that was made without it cannot be held against it";
        super::complain(&format!("{}: {what}", a.output.display()));
    }
    print(&mut |to| {
        let baseline::Gathered { entries, without, sha256, sha1, md5 } = done;
        writeln!(to, "{entries} entries ({}), {without} of them without a hash that can be used", formats.join(", "))?;
        writeln!(to, "{sha256} SHA-256, {sha1} SHA-1 alone, {md5} MD5 alone: {}", a.output.display())
    })?;
    Ok(0)
}
