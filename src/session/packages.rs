//! Packages of distributions into a baseline: a worker reads them, one after the other; the parent writes.
use super::{Failure, Plan, save};
use crate::baseline::{About, Image, build_packages};
use crate::inventory::PackageManifest;
use std::path::{Path, PathBuf};

/// Packages that one worker reads: their descriptors travel together.
const AT_ONCE: usize = 64;
/// More packages than any distribution has.
const MOST: usize = 500_000;

/// What became of packages.
#[derive(Clone, Debug, Default)]
pub struct BuiltPackages {
    pub packages: usize,
    /// Lines of the baseline: packages and files.
    pub rows: u64,
    /// Packages that are damaged, and why: none of them is in the baseline.
    pub refused: Vec<(PathBuf, String)>,
}

/// Whether a name is that of a package.
fn is_package(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = ["deb", "udeb", "rpm", "apk", "ipk"].iter().any(|e| name.ends_with(&format!(".{e}")));
    plain
        || name
            .rsplit_once(".pkg.tar")
            .is_some_and(|(_, rest)| rest.is_empty() || !rest.trim_start_matches('.').contains('.'))
}

/// The packages among the sources: each is one, or a folder (of any depth) that holds some and is no system. `None` if
/// the sources are something else.
pub fn packages_of(sources: &[PathBuf]) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    for source in sources {
        if source.is_dir() {
            if ["etc", "Windows"].iter().any(|f| source.join(f).is_dir()) {
                return None;
            }
            let before = found.len();
            let mut folders = vec![source.clone()];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).ok()?.filter_map(Result::ok) {
                    let (path, kind) = (entry.path(), entry.file_type().ok()?);
                    if kind.is_dir() {
                        folders.push(path);
                    } else if is_package(&path) && found.len() < MOST {
                        found.push(path);
                    }
                }
            }
            if found.len() == before {
                return None;
            }
        } else if is_package(source) {
            found.push(source.clone());
        } else {
            return None;
        }
    }
    found.sort();
    found.dedup();
    Some(found)
}

/// Reads packages and writes a baseline of what they ship. A damaged one ends it, and nothing is written, unless
/// `leave_out` says that such are left out as a whole.
pub fn build_from_packages(
    files: &[PathBuf],
    mut about: About,
    output: &Path,
    plan: &Plan,
    leave_out: bool,
) -> Result<BuiltPackages, Failure> {
    let mut manifests = Vec::new();
    let mut built = BuiltPackages::default();
    for batch in files.chunks(AT_ONCE) {
        let told = match read(plan, batch) {
            Ok(told) => told,
            // What brought the worker down is found out one by one.
            Err(_) if batch.len() > 1 => {
                let alone = |file: &PathBuf| {
                    let told = read(plan, std::slice::from_ref(file));
                    told.unwrap_or_else(|e| vec![Err(e.message)])
                };
                batch.iter().flat_map(alone).collect()
            }
            Err(e) => batch.iter().map(|_| Err(e.message.clone())).collect(),
        };
        for (n, file) in batch.iter().enumerate() {
            match told.get(n) {
                Some(Ok(manifest)) => {
                    about.images.push(super::baselines::source(file)?);
                    manifests.push(manifest.clone());
                }
                Some(Err(why)) => built.refused.push((file.clone(), why.clone())),
                None => built.refused.push((file.clone(), "the worker did not come so far".into())),
            }
        }
    }
    if !built.refused.is_empty() && !leave_out {
        let lines: Vec<String> = built.refused.iter().map(|(f, why)| format!("{}: {why}", f.display())).collect();
        let what = "nothing was written; get these anew, or leave them out with --leave-out-damaged";
        return Err(Failure::evidence(format!("{}\n{what}", lines.join("\n"))));
    }
    if manifests.is_empty() {
        return Err(Failure::evidence("no package could be read; nothing was written"));
    }
    if about.images.len() > 16 {
        about.images = vec![all(&about.images)];
    }
    built.packages = manifests.len();
    save(output, &mut |to| {
        built.rows = build_packages(&about, &mut manifests, &mut *to)?;
        Ok(())
    })?;
    Ok(built)
}

/// Many packages told as one: their number, bytes, and the hash of their hashes.
fn all(images: &[Image]) -> Image {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    for image in images {
        hash.update(image.sha256.as_deref().unwrap_or_default());
        hash.update("\n");
    }
    Image {
        path: format!("{} packages; the SHA-256 is of theirs, one a line, in the order of their paths", images.len()),
        size: images.iter().map(|i| i.size).fold(0, u64::saturating_add),
        sha256: Some(crate::base::hex(&hash.finalize())),
    }
}

type Told = Vec<Result<PackageManifest, String>>;

/// One worker and some packages.
fn read(plan: &Plan, files: &[PathBuf]) -> Result<Told, Failure> {
    let plan = Plan { images: files.to_vec(), ..plan.clone() };
    super::look::packages(&plan)
}
