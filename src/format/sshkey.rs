//! SSH keys: public key blobs (RFC 4253 §6.6), authorized_keys lines (sshd(8)), known_hosts lines,
//! OpenSSH certificates (PROTOCOL.certkeys), private key files (PROTOCOL.key, PEM, PuTTY, dropbear).
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// Longest blob that is taken for a key: a 16,384-bit RSA key has some 2 KiB, a certificate a few more.
const MAX_BLOB: usize = 64 << 10;

/// A public key or certificate, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// By the blob's own word: `ssh-ed25519`, `ecdsa-sha2-nistp256-cert-v01@openssh.com` …
    pub algorithm: String,
    /// The blob without what a certificate adds: what the fingerprint is made of.
    plain: Vec<u8>,
    pub certificate: Option<Certificate>,
}

/// What a certificate says, as far as it bears on who gets in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Certificate {
    pub host: bool,
    pub key_id: String,
    pub principals: Vec<String>,
    /// Seconds since 1970.
    pub valid_after: u64,
    /// `u64::MAX` stands for ever.
    pub valid_before: u64,
    /// Fingerprint of the authority that signed it.
    pub authority: String,
}

struct Reader<'a>(&'a [u8]);
impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }
    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_be_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_be_bytes)
    }
    fn string(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.u32()?).ok()?;
        self.take(len)
    }
    fn text(&mut self) -> Option<String> {
        self.string().map(|s| String::from_utf8_lossy(s).into_owned())
    }
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(part);
}

/// Number of strings that follow the algorithm in a public key, by the plain algorithm's name.
fn parts(algorithm: &str) -> Option<usize> {
    Some(match algorithm {
        "ssh-rsa" | "sk-ssh-ed25519@openssh.com" => 2,
        "ssh-ed25519" | "ssh-ed448" => 1,
        "ssh-dss" => 4,
        "sk-ecdsa-sha2-nistp256@openssh.com" => 3,
        _ if algorithm.starts_with("ecdsa-sha2-") => 2,
        _ => return None,
    })
}

/// `SHA256:` and the unpadded base64 of the digest, as `ssh-keygen -l` prints it.
fn digest(blob: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(blob)))
}

impl PublicKey {
    /// Decodes a blob; `None` if it is no key. Unknown algorithms are kept, as sshd's future ones may be.
    pub fn parse(blob: &[u8]) -> Option<Self> {
        let mut r = Reader(blob);
        let algorithm = r.text()?;
        let printable = |c: char| c.is_ascii_graphic();
        if algorithm.is_empty() || algorithm.len() > 64 || !algorithm.chars().all(printable) {
            return None;
        }
        let Some(stem) = algorithm.strip_suffix("-cert-v01@openssh.com") else {
            return Some(Self { plain: blob.to_vec(), algorithm, certificate: None });
        };
        // sk algorithms carry their domain after the certificate's suffix was replaced.
        let base = if stem.starts_with("sk-") { format!("{stem}@openssh.com") } else { stem.to_owned() };
        let count = parts(&base)?;
        let _nonce = r.string()?;
        let mut plain = Vec::new();
        put(&mut plain, base.as_bytes());
        for _ in 0..count {
            put(&mut plain, r.string()?);
        }
        let certificate = certificate(&mut r);
        Some(Self { algorithm, plain, certificate })
    }
    /// As `ssh-keygen -l` prints it; of a certificate, that of the certified key.
    pub fn fingerprint(&self) -> String {
        digest(&self.plain)
    }
    /// Size in bits where the format states one: of RSA and DSA keys.
    pub fn bits(&self) -> Option<u32> {
        let mut r = Reader(&self.plain);
        let modulus = match r.string()? {
            b"ssh-rsa" => {
                r.string()?;
                r.string()?
            }
            b"ssh-dss" => r.string()?,
            _ => return None,
        };
        let lead = modulus.iter().position(|b| *b != 0)?;
        let rest = modulus.get(lead..)?;
        let bits = u32::try_from(rest.len()).ok()?.checked_mul(8)?;
        bits.checked_sub(rest.first()?.leading_zeros())
    }
}

fn certificate(r: &mut Reader<'_>) -> Option<Certificate> {
    let _serial = r.u64()?;
    let host = r.u32()? == 2;
    let key_id = r.text()?;
    let mut names = Reader(r.string()?);
    let principals = std::iter::from_fn(|| names.text()).take(256).collect();
    let (valid_after, valid_before) = (r.u64()?, r.u64()?);
    let (_critical, _extensions, _reserved) = (r.string()?, r.string()?, r.string()?);
    let authority = digest(r.string()?);
    Some(Certificate { host, key_id, principals, valid_after, valid_before, authority })
}

fn blob(text: &str) -> Option<PublicKey> {
    if text.len() > MAX_BLOB.saturating_mul(2) {
        return None;
    }
    let bytes = STANDARD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok()?;
    PublicKey::parse(&bytes)
}

/// A line of authorized_keys, of a `.pub` file, or the tail of a known_hosts line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLine {
    pub options: String,
    pub key: PublicKey,
    pub comment: String,
}
impl KeyLine {
    /// `[options] algorithm base64 [comment]`; `None` if no key stands in it. Options may hold
    /// quoted blanks.
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.trim();
        let (first, rest) = split_word(line);
        if let Some(key) = key_after(first, rest) {
            return Some(Self { options: String::new(), key: key.0, comment: key.1 });
        }
        let (options, rest) = split_options(line);
        let (algorithm, rest) = split_word(rest);
        let (key, comment) = key_after(algorithm, rest)?;
        Some(Self { options: options.to_owned(), key, comment })
    }
}

fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find([' ', '\t']).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word, rest.trim_start())
}

fn key_after(algorithm: &str, rest: &str) -> Option<(PublicKey, String)> {
    let (body, comment) = split_word(rest);
    let key = blob(body)?;
    (key.algorithm == algorithm).then(|| (key, comment.trim().to_owned()))
}

fn split_options(line: &str) -> (&str, &str) {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => {
                let (options, rest) = line.split_at(at);
                return (options, rest.trim_start());
            }
            _ => {}
        }
    }
    (line, "")
}

/// A line of known_hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLine {
    /// `@cert-authority`, `@revoked` or empty.
    pub marker: String,
    /// Host list as written; empty if it is hashed.
    pub hosts: String,
    pub hashed: bool,
    pub key: PublicKey,
    pub comment: String,
}
impl HostLine {
    pub fn parse(line: &str) -> Option<Self> {
        let (mut first, mut rest) = split_word(line.trim());
        let mut marker = "";
        if first.starts_with('@') {
            marker = first;
            (first, rest) = split_word(rest);
        }
        let (algorithm, rest) = split_word(rest);
        let (key, comment) = key_after(algorithm, rest)?;
        let hashed = first.starts_with("|1|");
        let hosts = if hashed { String::new() } else { first.to_owned() };
        Some(Self { marker: marker.to_owned(), hosts, hashed, key, comment })
    }
}

/// A private key file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateKey {
    pub algorithm: String,
    /// Needs a passphrase.
    pub encrypted: bool,
    /// Its public half, where the file states it in clear.
    pub public: Option<PublicKey>,
    pub comment: String,
}

impl PrivateKey {
    /// Whether these first bytes look like a private key in text form.
    pub fn looks_like(head: &[u8]) -> bool {
        let head = head.get(..head.len().min(256)).unwrap_or_default();
        let text = String::from_utf8_lossy(head);
        text.starts_with("PuTTY-User-Key-File-")
            || text
                .find("-----BEGIN ")
                .and_then(|a| text.get(a..))
                .is_some_and(|t| t.lines().next().is_some_and(|l| l.trim_end().ends_with("PRIVATE KEY-----")))
    }
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        if text.starts_with("PuTTY-User-Key-File-") {
            return putty(&text);
        }
        let start = text.find("-----BEGIN ")?;
        let body = text.get(start..)?;
        let title = body.lines().next()?.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        let plain = |algorithm: &str| Self {
            algorithm: algorithm.to_owned(),
            encrypted: body.contains("Proc-Type: 4,ENCRYPTED"),
            public: None,
            comment: String::new(),
        };
        match title {
            "OPENSSH PRIVATE KEY" => openssh(&armored(body)?),
            "RSA PRIVATE KEY" => {
                let key = plain("ssh-rsa");
                let public = if key.encrypted { None } else { armored(body).and_then(|der| rsa_public(&der)) };
                Some(Self { public, ..key })
            }
            "EC PRIVATE KEY" => Some(plain("ecdsa")),
            "DSA PRIVATE KEY" => Some(plain("ssh-dss")),
            "ENCRYPTED PRIVATE KEY" => Some(Self { encrypted: true, ..plain("pkcs8") }),
            "PRIVATE KEY" => Some(plain("pkcs8")),
            "SSH2 ENCRYPTED PRIVATE KEY" => Some(Self { encrypted: true, ..plain("ssh2") }),
            _ => None,
        }
    }
    /// A dropbear key file: the algorithm, then the key's numbers, never encrypted.
    pub fn parse_dropbear(bytes: &[u8]) -> Option<Self> {
        let mut r = Reader(bytes);
        let algorithm = r.text()?;
        let count = match algorithm.as_str() {
            // 64 bytes: seed and public key.
            "ssh-ed25519" => {
                let public = r.string()?.get(32..64)?;
                let mut blob = Vec::new();
                put(&mut blob, algorithm.as_bytes());
                put(&mut blob, public);
                let public = PublicKey::parse(&blob);
                return Some(Self { algorithm, encrypted: false, public, comment: String::new() });
            }
            other => parts(other)?,
        };
        let mut blob = Vec::new();
        put(&mut blob, algorithm.as_bytes());
        for _ in 0..count {
            put(&mut blob, r.string()?);
        }
        Some(Self { public: PublicKey::parse(&blob), algorithm, encrypted: false, comment: String::new() })
    }
}

/// The bytes between the armor lines; PEM headers (`Proc-Type: …`) are left out.
fn armored(body: &str) -> Option<Vec<u8>> {
    let lines = body.lines().skip(1).take_while(|l| !l.starts_with("-----END"));
    let text: String = lines.map(str::trim).filter(|l| !l.contains(':')).collect();
    if text.len() > MAX_BLOB.saturating_mul(2) {
        return None;
    }
    STANDARD.decode(text).ok()
}

fn openssh(bytes: &[u8]) -> Option<PrivateKey> {
    let mut r = Reader(bytes.strip_prefix(b"openssh-key-v1\0")?);
    let cipher = r.text()?;
    let (_kdf, _options, _count) = (r.string()?, r.string()?, r.u32()?);
    let public = PublicKey::parse(r.string()?)?;
    let encrypted = cipher != "none";
    let comment = if encrypted { None } else { r.string().and_then(|p| private_comment(p, &public)) };
    Some(PrivateKey {
        algorithm: public.algorithm.clone(),
        encrypted,
        public: Some(public),
        comment: comment.unwrap_or_default(),
    })
}

/// The comment behind the private numbers of an unencrypted OpenSSH key.
fn private_comment(private: &[u8], public: &PublicKey) -> Option<String> {
    let mut r = Reader(private);
    r.take(8)?;
    let algorithm = r.text()?;
    let numbers = match algorithm.as_str() {
        "ssh-rsa" => 6,
        "ssh-ed25519" => 2,
        "ssh-dss" => 5,
        _ if algorithm.starts_with("ecdsa-sha2-") => 3,
        _ => return None,
    };
    if algorithm != public.algorithm {
        return None;
    }
    for _ in 0..numbers {
        r.string()?;
    }
    r.text()
}

/// The public half of a PKCS #1 key (RFC 8017 A.1.2): SEQUENCE { version, n, e, … }.
fn rsa_public(der: &[u8]) -> Option<PublicKey> {
    fn element<'a>(r: &mut Reader<'a>, tag: u8) -> Option<&'a [u8]> {
        if r.take(1)? != [tag] {
            return None;
        }
        let first = *r.take(1)?.first()?;
        let len = if first < 0x80 {
            usize::from(first)
        } else {
            let bytes = r.take(usize::from(first & 0x7f)).filter(|b| b.len() <= 4)?;
            bytes.iter().fold(0_usize, |n, b| (n << 8) | usize::from(*b))
        };
        r.take(len)
    }
    let mut body = Reader(element(&mut Reader(der), 0x30)?);
    element(&mut body, 2)?;
    let (n, e) = (element(&mut body, 2)?, element(&mut body, 2)?);
    let mut blob = Vec::new();
    put(&mut blob, b"ssh-rsa");
    put(&mut blob, e);
    put(&mut blob, n);
    PublicKey::parse(&blob)
}

fn putty(text: &str) -> Option<PrivateKey> {
    let value = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)).map(|v| v.trim().to_owned());
    let algorithm = text.lines().next()?.split_once(": ")?.1.trim().to_owned();
    let count: usize = value("Public-Lines:")?.parse().ok().filter(|n| *n < 1000)?;
    let body: String =
        text.lines().skip_while(|l| !l.starts_with("Public-Lines:")).skip(1).take(count).map(str::trim).collect();
    Some(PrivateKey {
        algorithm,
        encrypted: value("Encryption:").is_some_and(|e| e != "none"),
        public: blob(&body),
        comment: value("Comment:").unwrap_or_default(),
    })
}
