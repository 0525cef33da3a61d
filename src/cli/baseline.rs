//! `baseline build`: what is known to be good.
use super::{Outcome, case};
use crate::baseline::{self, About, Origin};
use crate::session;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct BaselineArguments {
    #[command(subcommand)]
    action: Action,
}
#[derive(Subcommand)]
enum Action {
    /// Make a baseline of a case or an image.
    Build(BuildArguments),
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
    #[arg(long, default_value = "")]
    by: String,
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    confinement: super::Confinement,
}
#[derive(Clone, Copy, ValueEnum)]
enum OriginArgument {
    Approved,
    Vendor,
    Delivery,
}

pub(super) fn run(a: &BaselineArguments) -> Outcome {
    let Action::Build(a) = &a.action;
    let origin = match a.origin {
        OriginArgument::Approved => Origin::Approved,
        OriginArgument::Vendor => Origin::Vendor,
        OriginArgument::Delivery => Origin::Delivery,
    };
    let data = case::load(&a.source, &a.confinement)?;
    let name = a.output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let about = About::new(&name, origin, &a.by, &a.reason, &data.scene);
    session::save(&a.output, &mut |to| baseline::build(&about, &data.inventory, &mut *to))?;
    Ok(0)
}
