//! `mount`: the evidence as a folder for other tools, until interrupted.
use super::Outcome;
use crate::session::{self, Failure, MountWatch, Phase};
use clap::Args;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(50);

#[derive(Args)]
pub(super) struct Arguments {
    /// The images, each by its first segment, and the empty folder to mount at.
    #[arg(required = true, num_args = 2.., value_names = ["IMAGE", "DIR"])]
    paths: Vec<PathBuf>,
    /// What opens an encrypted volume: its id or UUID, and a file with the passphrase, key or recovery key.
    #[arg(long, value_name = "VOLUME=FILE", value_parser = super::examine::key)]
    key: Vec<(String, PathBuf)>,
    /// The images are raw dumps of NAND flash: bytes of a page and of the spare area behind it, as 2048+64;
    /// with the BCH code in that, if it has one (bits in bytes), as 2048+64,bch:4/512.
    #[arg(long, value_name = "PAGE+SPARE", value_parser = crate::base::Nand::parse)]
    nand: Option<crate::base::Nand>,
    #[command(flatten)]
    confinement: super::Confinement,
}

pub(super) fn run(a: &Arguments) -> Outcome {
    let Some((dir, images)) = a.paths.split_last() else { return Err(Failure::usage("name an image and a folder")) };
    let plan = session::Plan { keys: a.key.clone(), nand: a.nand, ..a.confinement.looking_at(images.to_vec()) };
    let watch = Arc::new(MountWatch::default());
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, watch.stop.clone())
            .map_err(|e| Failure::environment(format!("Ctrl-C cannot be waited for: {e}")))?;
    }
    std::thread::scope(|scope| {
        let mounting = std::thread::Builder::new()
            .name("mount".into())
            .spawn_scoped(scope, || session::mount(&plan, dir, &watch))
            .map_err(|e| Failure::environment(format!("no thread for the mount: {e}")))?;
        let (mut told, mut is_mounted) = (0, false);
        loop {
            let is_over = mounting.is_finished();
            if let (Phase::Mounted(at), false) = (watch.phase(), is_mounted) {
                is_mounted = true;
                let line = format!("mounted read-only at {}; Ctrl-C unmounts\n", at.display());
                super::print(&mut |to| to.write_all(line.as_bytes()))?;
            }
            let (count, notes) = watch.notes_after(told);
            told = count;
            notes.iter().for_each(|note| super::complain(note));
            if is_over {
                break;
            }
            std::thread::park_timeout(TICK);
        }
        mounting.join().unwrap_or_else(|_| Err(Failure::environment("the mount ended with a fault")))
    })?;
    super::tell_scratch(&plan);
    Ok(0)
}
