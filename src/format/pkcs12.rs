//! PKCS #12 stores (`.p12`, `.pfx`, and Java's `cacerts` since JDK 9): which certificates lie in one. Format: RFC 7292;
//! what is encrypted by PBES2 (RFC 8018: PBKDF2 with HMAC, AES in CBC mode) is read where one of the passwords opens it
//! that stores of public certificates are shipped with; other passwords are not tried.
use crate::base::Run;
use crate::format::der::{self, Der, INTEGER, OCTET_STRING, OID, SEQUENCE};
use aes::cipher::{Block, BlockCipherDecrypt, KeyInit};

/// Java's documented password of its store of authorities, and none.
const SHIPPED: [&[u8]; 2] = [b"changeit", b""];
/// Rounds of PBKDF2 that are gone through for one of them; tools write 1 to 100,000.
const MOST_ROUNDS: u32 = 200_000;
/// Bags of a store.
const MOST: usize = 10_000;
/// Bytes of one encrypted part.
const MOST_SEALED: usize = 8 << 20;
/// Encrypted parts that are tried.
const MOST_PARTS: u32 = 4;

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const ENCRYPTED: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
const BAGS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const HMAC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2];
const AES_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 20];
const CONTEXT: u8 = 0xa0;
/// The same tag, of a value that is no structure.
const PLAIN_CONTEXT: u8 = 0x80;

/// A certificate's DER, and the bytes of the file that hold it or that it was decrypted from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The bag's friendly name; empty where it has none.
    pub alias: String,
    pub der: Vec<u8>,
    pub run: Run,
    /// A part that lies encrypted.
    pub sealed: bool,
}

#[derive(Default)]
pub struct Store {
    pub certificates: Vec<Stored>,
    /// Private keys, plain or shrouded, are in it.
    pub private_key: bool,
    /// Bytes of the file that were not read, and why.
    pub unread: Vec<(Run, String)>,
}

pub fn is_store(head: &[u8]) -> bool {
    // The outer length may reach behind the head: only what comes after it is looked at.
    let inner = match head {
        [SEQUENCE, first, rest @ ..] if *first < 0x80 => rest,
        [SEQUENCE, first @ 0x80..=0x84, rest @ ..] => rest.get(usize::from(first & 0x7f)..).unwrap_or_default(),
        _ => return false,
    };
    let Some(content) = inner.strip_prefix(&[INTEGER, 1, 3]) else { return false };
    // authSafe: a sequence, whose first value is the kind of its content.
    content.first() == Some(&SEQUENCE)
        && content
            .get(..24.min(content.len()))
            .is_some_and(|c| c.windows(8).any(|w| w == [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d]))
}

/// What a store holds, as far as it can be read.
pub fn read(content: &[u8]) -> Store {
    let mut reader = Reader { base: content, store: Store::default(), tries: 0, bags: 0 };
    if let Err(what) = reader.store(content) {
        reader.lose(content, None, what);
    }
    reader.store
}

struct Reader<'a> {
    base: &'a [u8],
    store: Store,
    tries: u32,
    bags: usize,
}

impl Reader<'_> {
    /// Where bytes lie in the file.
    fn run(&self, part: &[u8]) -> Run {
        let from = part.as_ptr().addr().saturating_sub(self.base.as_ptr().addr());
        let from = if from <= self.base.len() { from } else { 0 };
        Run::new(from as u64, part.len() as u64)
    }
    /// `sealed` are the bytes of the file that the part was decrypted from.
    fn lose(&mut self, part: &[u8], sealed: Option<Run>, what: impl Into<String>) {
        let run = sealed.unwrap_or_else(|| self.run(part));
        self.store.unread.push((run, what.into()));
    }
    fn store(&mut self, content: &[u8]) -> Result<(), &'static str> {
        const CUT: &str = "a store that is cut short, or one of lengths that are not told (BER)";
        let (outer, _) = der::next(content).ok_or(CUT)?;
        let safe = *der::values(outer.content).get(1).ok_or("no content")?;
        let (kind, content) = kind_and_content(&safe).ok_or("no content that can be read")?;
        if kind != DATA {
            return Err("a store that is sealed by a public key");
        }
        let (octets, _) =
            der::next(content).filter(|(d, _)| d.tag == OCTET_STRING).ok_or("a content without octets")?;
        let (all, _) = der::next(octets.content).ok_or(CUT)?;
        for part in der::values(all.content) {
            match kind_and_content(&part) {
                Some((kind, content)) if kind == DATA => match der::next(content) {
                    Some((octets, _)) if octets.tag == OCTET_STRING => self.bags(octets.content, None),
                    _ => self.lose(part.content, None, "a part without octets"),
                },
                Some((kind, content)) if kind == ENCRYPTED => {
                    if let Err(what) = self.sealed(content) {
                        self.lose(part.content, None, what);
                    }
                }
                _ => self.lose(part.content, None, "a part of an unknown kind"),
            }
        }
        Ok(())
    }
    /// Bags of certificates and keys; `sealed` are the bytes of the file that they were decrypted from.
    fn bags(&mut self, content: &[u8], sealed: Option<Run>) {
        let Some((all, _)) = der::next(content) else {
            self.lose(content, sealed, "bags that cannot be read");
            return;
        };
        let mut rest = all.content;
        while let Some((bag, after)) = der::next(rest) {
            rest = after;
            self.bags = self.bags.saturating_add(1);
            if self.bags > MOST {
                self.lose(rest, sealed, "budget: bags");
                return;
            }
            let fields = der::values(bag.content);
            let kind = fields.first().filter(|d| d.tag == OID).and_then(|d| d.content.strip_prefix(BAGS));
            match kind {
                Some([1 | 2]) => self.store.private_key = true,
                Some([3]) => {
                    let Some(der) = fields.get(1).and_then(certificate) else {
                        self.lose(bag.content, sealed, "a bag of a certificate that cannot be read");
                        continue;
                    };
                    let run = sealed.unwrap_or_else(|| self.run(der));
                    let alias = fields.get(2).and_then(friendly_name).unwrap_or_default();
                    let sealed = sealed.is_some();
                    self.store.certificates.push(Stored { alias, der: der.to_vec(), run, sealed });
                }
                // Revocation lists and secrets name no certificate; bags of bags are written by no known tool.
                Some([4 | 5]) => {}
                _ => self.lose(bag.content, sealed, "a bag of another kind"),
            }
        }
        if !rest.is_empty() {
            self.lose(rest, sealed, "a bag that ends behind its part");
        }
    }
    /// An encrypted part: what it says of its cipher, and what it holds where a shipped password opens it.
    fn sealed(&mut self, content: &[u8]) -> Result<(), String> {
        const ODD: &str = "an encrypted part that cannot be read";
        let (outer, _) = der::next(content).ok_or(ODD)?;
        let info = *der::values(outer.content).get(1).ok_or(ODD)?;
        let fields = der::values(info.content);
        let (scheme, octets) = fields.get(1).zip(fields.get(2)).ok_or(ODD)?;
        if !matches!(octets.tag, PLAIN_CONTEXT) {
            return Err("an encrypted part in pieces (BER)".into());
        }
        let cipher = Cipher::of(scheme)?;
        if !(1..=MOST_ROUNDS).contains(&cipher.rounds) || octets.content.len() > MOST_SEALED || self.tries >= MOST_PARTS
        {
            return Err("budget: an encrypted part; the shipped passwords were not tried".into());
        }
        self.tries = self.tries.saturating_add(1);
        let run = self.run(octets.content);
        for password in SHIPPED {
            if let Some(plain) = cipher.open(password, octets.content) {
                self.bags(&plain, Some(run));
                return Ok(());
            }
        }
        Err(format!("an encrypted part ({}); no password that stores are shipped with opens it", cipher.name))
    }
}

fn kind_and_content<'a>(info: &Der<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let fields = der::values(info.content);
    let (kind, content) = (fields.first()?, fields.get(1)?);
    (kind.tag == OID && content.tag == CONTEXT).then_some((kind.content, content.content))
}
/// The DER of a bag's certificate.
fn certificate<'a>(value: &Der<'a>) -> Option<&'a [u8]> {
    let (bag, _) = der::next(value.content)?;
    let content = *der::values(bag.content).get(1)?;
    let (octets, _) = der::next(content.content)?;
    (octets.tag == OCTET_STRING).then_some(octets.content)
}
/// A bag's name.
fn friendly_name(attributes: &Der<'_>) -> Option<String> {
    der::values(attributes.content).iter().find_map(|attribute| {
        let fields = der::values(attribute.content);
        let value = fields.first().filter(|d| d.content == FRIENDLY_NAME).and(fields.get(1))?;
        Some(der::text(&der::next(value.content)?.0))
    })
}

/// How a part is encrypted.
struct Cipher<'a> {
    name: String,
    salt: &'a [u8],
    rounds: u32,
    digest: u8,
    key: usize,
    start: [u8; 16],
}

impl<'a> Cipher<'a> {
    fn of(scheme: &Der<'a>) -> Result<Self, String> {
        const ODD: &str = "an encrypted part whose cipher cannot be read";
        let fields = der::values(scheme.content);
        let kind = fields.first().ok_or(ODD)?;
        if kind.content != PBES2 {
            return Err("an encrypted part of an older cipher than PBES2".into());
        }
        let parts = der::values(fields.get(1).ok_or(ODD)?.content);
        let (derive, encrypt) = parts.first().zip(parts.get(1)).ok_or(ODD)?;
        let (derive, encrypt) = (der::values(derive.content), der::values(encrypt.content));
        let (by, how) = derive.first().zip(derive.get(1)).ok_or(ODD)?;
        if by.content != PBKDF2 {
            return Err("an encrypted part whose key is made by another function than PBKDF2".into());
        }
        let how = der::values(how.content);
        let (salt, rounds) = how.first().zip(how.get(1)).ok_or(ODD)?;
        let rounds = rounds.content.iter().fold(0_u32, |n, b| n.saturating_mul(256).saturating_add(u32::from(*b)));
        // Without one it is HMAC with SHA-1.
        let digest = how
            .iter()
            .filter(|d| d.tag == SEQUENCE)
            .find_map(|d| der::next(d.content)?.0.content.strip_prefix(HMAC)?.first().copied())
            .unwrap_or(7);
        let (cipher, start) = encrypt.first().zip(encrypt.get(1)).ok_or(ODD)?;
        let (name, key) = match cipher.content.strip_prefix(AES_CBC) {
            Some([2]) => ("AES-128", 16),
            Some([22]) => ("AES-192", 24),
            Some([42]) => ("AES-256", 32),
            _ => return Err("an encrypted part of PBES2 with another cipher than AES".into()),
        };
        let start = start.content.try_into().map_err(|_| ODD)?;
        Ok(Self { name: format!("{name}, {rounds} rounds of PBKDF2"), salt: salt.content, rounds, digest, key, start })
    }
    /// The content, where its padding and its first value say that the password is right.
    fn open(&self, password: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let mut key = [0_u8; 32];
        let key = key.get_mut(..self.key)?;
        match self.digest {
            7 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, self.salt, self.rounds, key),
            9 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password, self.salt, self.rounds, key),
            10 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>(password, self.salt, self.rounds, key),
            11 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>(password, self.salt, self.rounds, key),
            _ => return None,
        }
        let mut plain = match key.len() {
            16 => cbc(&aes::Aes128::new_from_slice(key).ok()?, self.start, sealed),
            24 => cbc(&aes::Aes192::new_from_slice(key).ok()?, self.start, sealed),
            _ => cbc(&aes::Aes256::new_from_slice(key).ok()?, self.start, sealed),
        };
        let pad = usize::from(*plain.last()?);
        let len = plain.len().checked_sub(pad).filter(|_| (1..=16).contains(&pad))?;
        plain.truncate(len);
        let (first, rest) = der::next(&plain)?;
        (first.tag == SEQUENCE && rest.is_empty()).then_some(plain)
    }
}

/// Cipher block chaining (NIST SP 800-38A); bytes behind the last whole block are left out.
fn cbc<C: BlockCipherDecrypt>(cipher: &C, start: [u8; 16], sealed: &[u8]) -> Vec<u8> {
    let mut before = start;
    let mut plain = Vec::with_capacity(sealed.len());
    for piece in sealed.chunks_exact(16) {
        let Ok(mut block) = Block::<C>::try_from(piece) else { return Vec::new() };
        cipher.decrypt_block(&mut block);
        plain.extend(block.iter().zip(before).map(|(b, a)| b ^ a));
        before.copy_from_slice(piece);
    }
    plain
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::path::Path;
    use std::process::Command;

    fn openssl(at: &Path, arguments: &str) -> bool {
        let done = Command::new("timeout").args(["60", "openssl"]).args(arguments.split(' ')).current_dir(at).output();
        done.is_ok_and(|d| d.status.success())
    }
    /// Stores as openssl makes them: with this password and these options.
    fn made(options: &str) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let key = "req -x509 -newkey ed25519 -nodes -subj /CN=crane-gateway -keyout k.pem -out c.pem";
        if !openssl(dir.path(), key) || !openssl(dir.path(), &format!("pkcs12 -export -in c.pem {options} -out s.p12"))
        {
            eprintln!("skipped: no openssl on this machine");
            return None;
        }
        Some(std::fs::read(dir.path().join("s.p12")).unwrap())
    }

    #[test]
    fn what_openssl_puts_into_a_store() {
        // Without encryption of certificates: as Java 18 ships its authorities.
        let plain = "-nokeys -certpbe NONE -passout pass:";
        // With the password of Java's store; with one that nobody knows; with an older cipher.
        let java = "-nokeys -passout pass:changeit";
        let named = "-inkey k.pem -name root -passout pass:changeit";
        let own = "-inkey k.pem -name mine -passout pass:Zx81-own";
        let old = "-nokeys -certpbe PBE-SHA1-3DES -passout pass:changeit";
        for (options, certificates, sealed, key, unread) in [
            (plain, 1, false, false, ""),
            (java, 1, true, false, ""),
            (named, 1, true, true, ""),
            (own, 0, false, true, "an encrypted part (AES-256, 2048 rounds of PBKDF2); no password"),
            (old, 0, false, false, "an encrypted part of an older cipher"),
        ] {
            let Some(bytes) = made(options) else { return };
            assert!(is_store(&bytes) && is_store(&bytes[..64]), "{options}");
            let store = read(&bytes);
            assert_eq!((store.certificates.len(), store.private_key), (certificates, key), "{options}");
            assert_eq!(store.unread.is_empty(), unread.is_empty(), "{options}: {:?}", store.unread);
            assert!(store.unread.iter().all(|(_, what)| what.starts_with(unread)), "{:?}", store.unread);
            for stored in &store.certificates {
                assert_eq!(stored.sealed, sealed);
                let read = crate::format::x509::read(&stored.der).unwrap();
                // openssl names the certificate of a key only.
                let alias = if key { "root" } else { "" };
                assert_eq!((read.subject.as_str(), stored.alias.as_str()), ("CN=crane-gateway", alias));
                let from = usize::try_from(stored.run.offset).unwrap();
                let there = &bytes[from..usize::try_from(stored.run.end()).unwrap()];
                assert_eq!(there == stored.der, !sealed, "plain ones lie in the file as they are");
            }
        }
    }

    #[test]
    fn cut_and_damaged_stores_end() {
        for options in ["-nokeys -certpbe NONE -passout pass:", "-nokeys -passout pass:changeit"] {
            let Some(bytes) = made(options) else { return };
            for len in 0..bytes.len() {
                let store = read(&bytes[..len]);
                assert!(!store.unread.is_empty() && store.certificates.is_empty(), "{len}");
            }
            for at in 0..bytes.len() {
                let mut bad = bytes.clone();
                bad[at] ^= 0x81;
                let _ = read(&bad);
            }
        }
        assert!(!is_store(b"\x30\x82\x01\x00\x30\x82") && !is_store(b"") && !is_store(b"\x30\x03\x02\x01\x03"));
    }
}
