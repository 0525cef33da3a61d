//! Files that only their owner may read.
use super::Failure;
use std::io::Write as _;
use std::path::Path;

/// Writes a secret into a new file that its owner alone can read; a file that is there already is not touched.
pub fn save_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let fail = |e: std::io::Error| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::usage(format!("{}: is there already; name another file", path.display()))
        }
        _ => Failure::environment(format!("{}: {e}", path.display())),
    };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(fail)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(fail)
}
