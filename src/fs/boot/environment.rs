//! The environment of U-Boot: see `volume::flash::environment`.
use super::{BY, Body, File, Parts, info};
use crate::base::{Gaps, Name, Run};
use crate::fs::FsError;
use crate::fs::raw::corrupt;
use crate::image::Source;
use crate::volume::flash::environment;

pub(super) fn size(source: &Source) -> Option<u64> {
    environment::read(source, 0).map(|e| e.size)
}

pub(super) fn open(source: &Source, gaps: &Gaps) -> Result<Parts, FsError> {
    let found = environment::read(source, 0).ok_or_else(|| corrupt(0, "no environment whose checksum fits"))?;
    let mut text = Vec::new();
    let mut end = 4;
    for (name, value, run) in &found.variables {
        text.extend([name.as_slice(), b"=", value, b"\n"].concat());
        end = run.end();
    }
    let mut features = vec![format!("variables-{}", found.variables.len())];
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
