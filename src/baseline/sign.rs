//! Signing baselines: keys and signatures that minisign reads, and reading those that minisign makes.
//! Format: minisign's own description, "Secret key format".
use super::file::BaselineError;
use super::trust::{id, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};
use std::io::Read;
use std::path::Path;

/// A secret key, ready to sign.
pub struct Signer {
    secret: SecretKey,
}

impl Signer {
    /// Reads a secret key. One that is encrypted needs its passphrase: where none is given, it is asked for on the
    /// terminal.
    pub fn load(path: &Path, passphrase: Option<String>) -> Result<Self, BaselineError> {
        let fail = |what: String| BaselineError { file: path.display().to_string(), line: 0, what };
        let text = text(path)?;
        let raw = text.lines().nth(1).and_then(|line| STANDARD.decode(line.trim()).ok());
        // Algorithm (2 bytes), key derivation (2), checksum (2), salt (32), two limits (8 each), id (8), keys (64),
        // checksum (32).
        let raw = raw.filter(|b| b.len() == 158).ok_or_else(|| fail("not a secret key of minisign".into()))?;
        let secret = if raw.get(2..4) == Some(&[0, 0]) {
            // Not encrypted: minisign leaves its checksum empty. That its halves fit is seen when it signs.
            SecretKey::from_bytes(&raw)
        } else {
            SecretKeyBox::from_string(&text).and_then(|sealed| sealed.into_secret_key(passphrase))
        };
        Ok(Self { secret: secret.map_err(|e| fail(e.to_string()))? })
    }
    /// The key's id, as minisign writes it.
    pub fn id(&self) -> String {
        id(self.secret.keynum())
    }
    /// The text of a detached signature over all bytes of `from`. `comment` is covered by it.
    pub fn sign(&self, from: impl Read, comment: &str) -> Result<String, String> {
        let comment: String = comment.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let told = format!("signature from cranescope secret key {}", self.id());
        let public = PublicKey::from_secret_key(&self.secret).map_err(|e| e.to_string())?;
        let signed = minisign::sign(Some(&public), &self.secret, from, Some(comment.trim()), Some(&told));
        signed.map(|s| s.to_string()).map_err(|e| e.to_string())
    }
}

/// The files of a new pair of keys.
#[derive(Debug)]
pub struct NewPair {
    pub id: String,
    /// Text of the secret key's file, encrypted where there is a passphrase.
    pub secret: String,
    /// Text of the public key's file.
    pub public: String,
}

/// Makes a pair of keys.
pub fn new_pair(passphrase: Option<String>) -> Result<NewPair, String> {
    let pair = match passphrase {
        Some(passphrase) => KeyPair::generate_encrypted_keypair(Some(passphrase)),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let pair = pair.map_err(|e| e.to_string())?;
    let id = id(pair.pk.keynum());
    let secret = pair.sk.to_box(Some("minisign secret key made by cranescope")).map_err(|e| e.to_string())?;
    let public = pair.pk.to_box().map_err(|e| e.to_string())?;
    Ok(NewPair { id, secret: secret.into_string(), public: public.into_string() })
}
