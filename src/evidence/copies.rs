//! Copies of U-Boot's environment among the file systems: of two the boot loader uses one; the other is what was set
//! before, and tells nothing of what is started.
use super::identify::Candidate;
use crate::base::{FsId, NodeId, Run};
use crate::volume::flash::environment::{self, Copied};

/// The kind of file system that an environment in flash is.
pub const ENVIRONMENT: &str = "u-boot-env";
/// Names of the files that U-Boot keeps on a file system, as ends of paths.
pub const ENVIRONMENT_FILES: [&[u8]; 2] = [b"/uboot.env", b"/uboot-redund.env"];
/// Copies of one examination; more is an attack.
const MOST: usize = 256;

/// The copies that are not used, of those of which another one is.
pub(super) fn unused(candidates: &[Candidate<'_>]) -> Vec<(FsId, NodeId)> {
    let mut found: Vec<(FsId, NodeId, Copied)> = Vec::new();
    for candidate in candidates {
        let features = &candidate.filesystem.features;
        let number = |name: &str| features.iter().find_map(|f| f.strip_prefix(name)?.parse::<u64>().ok());
        let is_flash = candidate.filesystem.kind == ENVIRONMENT;
        let entries = candidate.tree.entries.iter().filter(|e| !e.deleted && e.is_file());
        for entry in entries.filter(|e| ENVIRONMENT_FILES.iter().any(|n| e.path.bytes().ends_with(n))) {
            // A file that cannot be opened is a gap of the pass over all contents.
            let Ok(source) = candidate.tree.open(entry) else { continue };
            let place = source.locate(Run::new(0, 1));
            let (image, offset) = place.first().map_or((0, 0), |p| (p.image, p.offset));
            let copied = if is_flash {
                let flag = number("flag-").and_then(|n| u8::try_from(n).ok());
                let fits = !features.iter().any(|f| f == "checksum-differs");
                Copied { image, offset, size: number("size-").unwrap_or(0), flag, fits }
            } else {
                let Some(read) = environment::sized(&source, 0, source.len()) else { continue };
                Copied { image, offset, size: read.size, flag: read.flag, fits: read.fits }
            };
            if found.len() < MOST {
                found.push((candidate.tree.id, entry.node, copied));
            }
        }
    }
    let list: Vec<Copied> = found.iter().map(|(.., copied)| *copied).collect();
    let mut lost = Vec::new();
    for group in environment::groups(&list).into_iter().filter(|group| group.len() > 1) {
        let own: Vec<Copied> = group.iter().filter_map(|n| list.get(*n).copied()).collect();
        let Some(used) = environment::used(&own) else { continue };
        let others = group.into_iter().enumerate().filter(|(at, _)| *at != used);
        lost.extend(others.filter_map(|(_, n)| found.get(n).map(|(fs, node, _)| (*fs, *node))));
    }
    lost
}
