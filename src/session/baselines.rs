//! Baselines made from what others made: lists of hashes.
use super::{Failure, save};
use crate::baseline::{About, Fault, Gathered, Gatherer, Image, importer_of};
use sha2::{Digest as _, Sha256};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Reads lists of hashes and writes a set of them; also the formats of the lists. Nothing is written unless all of them
/// were read to their ends. What is sorted meanwhile lies beside the output, in files without a name.
pub fn import_lists(
    files: &[PathBuf],
    format: Option<&str>,
    mut about: About,
    output: &Path,
) -> Result<(Gathered, Vec<&'static str>), Failure> {
    let folder = output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    let temporary = || tempfile::tempfile_in(&folder);
    let mut gatherer = Gatherer::new(&temporary);
    let mut formats = Vec::new();
    for path in files {
        let importer = importer_of(path, format).map_err(|e| Failure::usage(e.to_string()))?;
        let named = path.display();
        importer.read(path, &mut |hashes| gatherer.add(hashes)).map_err(|fault| match fault {
            Fault::List(0, what) => Failure::usage(format!("{named}: {what}")),
            Fault::List(line, what) => Failure::usage(format!("{named}:{line}: {what}")),
            Fault::Machine(e) => Failure::environment(format!("{}: {e}; nothing was written", folder.display())),
        })?;
        if !formats.contains(&importer.name) {
            formats.push(importer.name);
        }
        about.images.push(source(path)?);
    }
    if gatherer.is_empty() {
        return Err(Failure::usage("no entry of the lists has a SHA-256, SHA-1 or MD5; nothing was written"));
    }
    let mut waiting = Some(gatherer);
    let mut done = Gathered::default();
    save(output, &mut |to| {
        if let Some(gatherer) = waiting.take() {
            done = gatherer.finish(&about, &mut *to)?;
        }
        Ok(())
    })?;
    Ok((done, formats))
}

/// What a baseline says of a file that it was made from.
pub(super) fn source(path: &Path) -> Result<Image, Failure> {
    let hash = || -> io::Result<(u64, String)> {
        let mut from = std::fs::File::open(path)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        let mut size = 0_u64;
        loop {
            let n = from.read(&mut buffer)?;
            if n == 0 {
                return Ok((size, crate::base::hex(&hash.finalize())));
            }
            hash.update(buffer.get(..n).unwrap_or_default());
            size = size.saturating_add(n as u64);
        }
    };
    let (size, sha256) = hash().map_err(|e| Failure::usage(format!("{}: cannot be read: {e}", path.display())))?;
    Ok(Image { path: path.display().to_string(), size, sha256: Some(sha256) })
}
