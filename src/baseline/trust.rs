//! Who stands behind a baseline: a detached signature beside it (`FILE.minisig`), made by minisign or by
//! `baseline sign`, checked against the public keys that the analyst gave.
//! Format: minisign's own description, "Signature format" and "Public key format".
use super::file::BaselineError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{PublicKey, SignatureBox};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

/// Longest key or signature file that is read, in bytes; real ones have a few hundred.
pub(super) const LONGEST: u64 = 1 << 16;
/// Longest baseline whose signature is over the bytes themselves (minisign before 0.10), which takes them all into
/// memory.
const LONGEST_LEGACY: u64 = 256 << 20;

/// What the signature beside a baseline is worth.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Trust {
    /// There is no signature: whoever could write the file could change it.
    #[default]
    Unsigned,
    /// Signed by one of the given keys, over these very bytes.
    Signed {
        /// The key's id, 16 hex digits as minisign writes them.
        key: String,
        /// The comment that the signature covers.
        comment: String,
    },
    /// Signed by a key that was not given: nothing was checked.
    UnknownKey { key: String },
    /// There is a signature, but it is none that can be read.
    Broken { why: String },
}
impl Trust {
    pub fn is_signed(&self) -> bool {
        matches!(self, Self::Signed { .. })
    }
    /// For people, without the name of the baseline.
    pub fn words(&self) -> String {
        match self {
            Self::Unsigned => "unsigned: whoever could write the file could change it".into(),
            Self::Signed { key, comment } if comment.is_empty() => format!("signed by key {key}"),
            Self::Signed { key, comment } => format!("signed by key {key} ({comment})"),
            Self::UnknownKey { key } => {
                format!("signed by key {key}, which was not given with --baseline-key: the signature was not checked")
            }
            Self::Broken { why } => format!("its signature cannot be read ({why}): it counts as unsigned"),
        }
    }
}

/// Public keys of those whose signatures count.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<PublicKey>);

impl Keys {
    /// Reads files of public keys, as minisign and `baseline new-key` write them, or the key's line alone.
    pub fn load(files: &[PathBuf]) -> Result<Self, BaselineError> {
        files.iter().map(|f| public(f)).collect::<Result<_, _>>().map(Self)
    }
}

fn fail(path: &Path, what: impl Into<String>) -> BaselineError {
    BaselineError { file: path.display().to_string(), line: 0, what: what.into() }
}

/// The text of a small file.
pub(super) fn text(path: &Path) -> Result<String, BaselineError> {
    let mut text = String::new();
    let read = File::open(path).and_then(|f| f.take(LONGEST).read_to_string(&mut text));
    read.map_err(|e| fail(path, format!("cannot be read: {e}")))?;
    Ok(text)
}

fn public(path: &Path) -> Result<PublicKey, BaselineError> {
    const WRONG: &str = "not a public key of minisign (the second line of its .pub file begins with RW)";
    let text = text(path)?;
    let line = text.lines().map(str::trim).find(|l| l.starts_with("RW")).ok_or_else(|| fail(path, WRONG))?;
    let bytes = STANDARD.decode(line).ok().filter(|b| b.len() == 42).ok_or_else(|| fail(path, WRONG))?;
    PublicKey::from_bytes(&bytes).map_err(|e| fail(path, format!("{WRONG}: {e}")))
}

/// A key's id as minisign writes it.
pub(super) fn id(number: &[u8]) -> String {
    number.iter().rev().map(|b| format!("{b:02X}")).collect()
}

/// Where the signature of a file lies.
pub fn signature_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    name.into()
}

/// Checks the signature beside `path` over the bytes of `file`, from where it stands. The error is for a signature of a
/// given key that is not of these bytes: such a baseline is not used.
pub(super) fn check(path: &Path, file: &File, keys: &Keys) -> Result<Trust, BaselineError> {
    let beside = signature_of(path);
    let broken = |why: String| Ok(Trust::Broken { why });
    let text = match std::fs::symlink_metadata(&beside) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Trust::Unsigned),
        Err(e) => return broken(e.to_string()),
        Ok(_) => match text(&beside) {
            Ok(text) => text,
            Err(e) => return broken(e.what),
        },
    };
    let signature = match parse(&text) {
        Ok(signature) => signature,
        Err(why) => return broken(why),
    };
    let key = id(signature.keynum());
    let ours: Vec<&PublicKey> = keys.0.iter().filter(|k| k.keynum() == signature.keynum()).collect();
    if ours.is_empty() {
        return Ok(Trust::UnknownKey { key });
    }
    let len = file.metadata().map_err(|e| fail(path, format!("cannot be read: {e}")))?.len();
    if !signature.is_prehashed() && len > LONGEST_LEGACY {
        return Err(fail(path, "its signature is of the form before minisign 0.10; sign it again"));
    }
    let mut why = String::new();
    for public in ours {
        let mut from = BufReader::with_capacity(1 << 16, file);
        from.rewind().map_err(|e| fail(path, format!("cannot be read: {e}")))?;
        match minisign::verify(public, &signature, from, true, false, true) {
            Ok(()) => {
                let comment = signature.trusted_comment().unwrap_or_default();
                return Ok(Trust::Signed { key, comment });
            }
            Err(e) => why = e.to_string(),
        }
    }
    let what = format!("the signature in {} by key {key} is not of this content: {why}", beside.display());
    Err(fail(path, format!("{what}; the file or its signature was changed, take both anew from who signed them")))
}

/// A signature, whose parts have the lengths that they must have.
fn parse(text: &str) -> Result<SignatureBox, String> {
    let lines: Vec<&str> = text.lines().collect();
    let has = |at: usize, len: usize| {
        let line = lines.get(at).copied().unwrap_or_default();
        STANDARD.decode(line.trim()).is_ok_and(|b| b.len() == len)
    };
    // Algorithm, id and signature; the signature of these and the comment.
    if !has(1, 74) || !has(3, 64) {
        return Err("not a signature of minisign, or cut short".into());
    }
    SignatureBox::from_string(text).map_err(|e| e.to_string())
}
