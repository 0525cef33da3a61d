//! `baseline show`, `verify`, `sign` and `new-key`: what a baseline is worth, and to make it worth more.
use super::{Outcome, print};
use crate::baseline::{BaselineError, Baselines, Keys, Set, Signer, new_pair, signature_of};
use crate::session::{self, Failure};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct ShowArguments {
    file: PathBuf,
    /// A public key (minisign) whose signatures count; may be given several times.
    #[arg(long, value_name = "PUBLICKEY")]
    key: Vec<PathBuf>,
}
#[derive(Args)]
pub(super) struct SignArguments {
    file: PathBuf,
    /// The secret key, as minisign or `baseline new-key` made it.
    #[arg(long, value_name = "SECRETKEY")]
    key: PathBuf,
    /// A file with the key's passphrase; without it, the passphrase is asked for on the terminal.
    #[arg(long, value_name = "FILE")]
    passphrase: Option<PathBuf>,
    /// A comment that the signature covers; by default time and name, as minisign writes them.
    #[arg(long)]
    comment: Option<String>,
}
#[derive(Args)]
pub(super) struct NewKeyArguments {
    /// The secret key's file; the public key goes beside it, with .pub at the end.
    #[arg(short, long)]
    output: PathBuf,
    /// A file with the passphrase that encrypts the secret key.
    #[arg(long, value_name = "FILE")]
    passphrase: Option<PathBuf>,
    /// Do not encrypt the secret key: who reads the file can sign.
    #[arg(long, conflicts_with = "passphrase", required_unless_present = "passphrase")]
    no_passphrase: bool,
}

fn usage(e: &BaselineError) -> Failure {
    Failure::usage(e.to_string())
}

fn load(a: &ShowArguments) -> Result<Set, BaselineError> {
    Set::load(&a.file, &Keys::load(&a.key)?)
}

pub(super) fn show(a: &ShowArguments) -> Outcome {
    let set = load(a).map_err(|e| usage(&e))?;
    let counts: Vec<(String, u64)> = set.counts().into_iter().map(|(what, n)| (what.to_owned(), n)).collect();
    let images = set.about.images.clone();
    let baselines = Baselines::new(vec![set]);
    print(&mut |to| {
        for used in baselines.used() {
            let facts = [
                ("name", used.name.as_str()),
                ("kind", used.kind.word()),
                ("origin", &used.origin),
                ("by", &used.by),
                ("reason", &used.reason),
                ("made", &used.made),
                ("with", &used.tool),
                ("signature", &used.trust.words()),
            ];
            for (what, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
                writeln!(to, "{what:10} {value}")?;
            }
        }
        for image in &images {
            let hash = image.sha256.as_deref().unwrap_or("not hashed");
            writeln!(to, "{:10} {}, {} bytes, SHA-256 {hash}", "of", image.path, image.size)?;
        }
        counts.iter().try_for_each(|(what, n)| writeln!(to, "{what:10} {n}"))
    })?;
    Ok(0)
}

pub(super) fn verify(a: &ShowArguments) -> Outcome {
    let file = a.file.display();
    let keys = Keys::load(&a.key).map_err(|e| usage(&e))?;
    let (words, signed) = match Set::load(&a.file, &keys) {
        Ok(set) => (format!("{file}: whole; {}", set.trust().words()), set.trust().is_signed()),
        Err(e) => (e.to_string(), false),
    };
    print(&mut |to| writeln!(to, "{words}"))?;
    Ok(u8::from(!signed))
}

/// The passphrase that a file holds, without its line end.
fn passphrase(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|e| Failure::usage(format!("{}: cannot be read: {e}", file.display())))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

pub(super) fn sign(a: &SignArguments) -> Outcome {
    // Only what is whole is signed. No key is given here, so that an old signature is in the way of nothing.
    Set::load(&a.file, &Keys::default()).map_err(|e| usage(&e))?;
    let signer = Signer::load(&a.key, passphrase(a.passphrase.as_deref())?).map_err(|e| usage(&e))?;
    let fail = |e: String| Failure::usage(format!("{}: {e}", a.file.display()));
    let open = || std::fs::File::open(&a.file).map_err(|e| fail(e.to_string()));
    let comment = a.comment.clone().unwrap_or_else(|| {
        let now = crate::base::Time::now();
        let name = a.file.file_name().unwrap_or_default().to_string_lossy();
        format!("timestamp:{}\tfile:{name}\thashed", now.seconds)
    });
    let text = signer.sign(std::io::BufReader::with_capacity(1 << 16, open()?), &comment).map_err(fail)?;
    let beside = signature_of(&a.file);
    session::save_text(&beside, &text)?;
    print(&mut |to| writeln!(to, "signed by key {}: {}", signer.id(), beside.display()))?;
    Ok(0)
}

pub(super) fn new_key(a: &NewKeyArguments) -> Outcome {
    let pair = new_pair(passphrase(a.passphrase.as_deref())?);
    let pair = pair.map_err(|e| Failure::environment(format!("no key could be made: {e}")))?;
    let mut public = a.output.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    if public.exists() {
        return Err(Failure::usage(format!("{}: is there already; name another file", public.display())));
    }
    session::save_secret(&a.output, &pair.secret)?;
    session::save_text(&public, &pair.public)?;
    print(&mut |to| writeln!(to, "key {}: secret {}, public {}", pair.id, a.output.display(), public.display()))?;
    Ok(0)
}
