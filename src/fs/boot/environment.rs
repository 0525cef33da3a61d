//! The environment of U-Boot: see `volume::flash::environment`.
use super::{BY, Body, File, Parts, info};
use crate::base::{Gaps, Name, Run};
use crate::fs::FsError;
use crate::fs::raw::corrupt;
use crate::image::Source;
use crate::volume::flash::environment;

/// Longest volume of which the whole may be a damaged environment, and variables that one has at least.
const LONGEST: u64 = 1 << 20;
const FEWEST: usize = 3;

/// Whether a volume that nothing recognises is an environment whose checksum does not fit.
pub(super) fn is_damaged(source: &Source) -> bool {
    let found = (source.len() <= LONGEST).then(|| environment::sized(source, 0, source.len())).flatten();
    found.is_some_and(|e| {
        let holds = |(name, value, run): &(Vec<u8>, Vec<u8>, Run)| {
            let printable = name.iter().all(u8::is_ascii_graphic) && !name.is_empty();
            printable && run.len > name.len() as u64 && value.iter().all(|b| *b >= b' ' || b.is_ascii_whitespace())
        };
        e.variables.iter().take_while(|v| holds(v)).count() >= FEWEST
    })
}

pub(super) fn size(source: &Source) -> Option<u64> {
    environment::read(source, 0).map(|e| e.size)
}

pub(super) fn open(source: &Source, gaps: &Gaps) -> Result<Parts, FsError> {
    let whole = || environment::sized(source, 0, source.len());
    let found = environment::read(source, 0).or_else(whole).ok_or_else(|| corrupt(0, "no environment"))?;
    let mut text = Vec::new();
    let mut end = 4;
    for (name, value, run) in &found.variables {
        text.extend([name.as_slice(), b"=", value, b"\n"].concat());
        end = run.end();
    }
    let mut features = vec![format!("variables-{}", found.variables.len()), format!("size-{}", found.size)];
    if !found.fits {
        features.push("checksum-differs".to_owned());
        let what = "the environment does not fit its checksum: a boot loader that checks it does not use this copy";
        gaps.add_at(BY, "volume_offset", 0, what, 0);
    }
    features.extend(found.flag.map(|flag| format!("flag-{flag}")));
    for name in ["bootcmd", "bootargs", "mtdparts", "ver", "board", "board_name"] {
        let value = found.get(name).filter(|v| v.len() <= 400);
        features
            .extend(value.map(|v| format!("{name}={}", crate::base::secret::masked_command(&Name::new(v).display()))));
    }
    if found.variables.is_empty() {
        gaps.add_at(BY, "volume_offset", 0, "environment without a variable", 0);
    }
    let run = Run::new(4, end.saturating_sub(4));
    let files = vec![File { name: "uboot.env".to_owned(), body: Body::Text(text, run) }];
    Ok(Parts { files, info: info("u-boot-env", String::new(), None, features), size: found.size })
}
