//! Java's own key stores (JKS, and JCEKS as far as it has the same entries): which certificates lie in one, and under
//! which names; they are not encrypted. Format: the JDK's `JavaKeyStore`: numbers big-endian, magic, version, entries
//! (1 a private key with its chain, 2 a trusted certificate), and a digest over it all that needs the store's password.
use crate::base::Run;

/// The store's own and JCE's.
const MAGIC: [[u8; 4]; 2] = [[0xfe, 0xed, 0xfe, 0xed], [0xce, 0xce, 0xce, 0xce]];
/// Entries of a store; certificates of a chain.
const MOST: u32 = 10_000;
const CHAIN: u32 = 100;

/// A certificate's DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The entry's name.
    pub alias: String,
    pub run: Run,
    /// It is of a private key that lies beside it.
    pub private_key: bool,
}

pub fn is_store(head: &[u8]) -> bool {
    MAGIC.iter().any(|m| head.starts_with(m)) && matches!(head.get(4..8), Some([0, 0, 0, 1 | 2]))
}

/// The certificates of a store, and why the rest was not read, where it was not, with the byte from which on.
pub fn certificates(content: &[u8]) -> (Vec<Stored>, Option<(u64, String)>) {
    let mut reader = Reader { content, at: 0 };
    let mut all = Vec::new();
    let fault = reader.store(&mut all).err().map(|what| (reader.at as u64, what.to_owned()));
    (all, fault)
}

struct Reader<'a> {
    content: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(len).ok_or("a length beyond the file")?;
        let bytes = self.content.get(self.at..end).ok_or("an entry that ends behind the file")?;
        self.at = end;
        Ok(bytes)
    }
    fn number(&mut self) -> Result<u32, &'static str> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |n, b| (n << 8) | u32::from(*b)))
    }
    fn text(&mut self) -> Result<String, &'static str> {
        let len = self.take(2)?.iter().fold(0_usize, |n, b| (n << 8) | usize::from(*b));
        Ok(String::from_utf8_lossy(self.take(len)?).into_owned())
    }
    fn bytes(&mut self) -> Result<Run, &'static str> {
        let len = self.number()?;
        let from = self.at as u64;
        self.take(usize::try_from(len).map_err(|_| "a length beyond the file")?)?;
        Ok(Run::new(from, u64::from(len)))
    }
    /// A certificate, before which later versions name its kind.
    /// One that is of another kind is told by who reads the certificate.
    fn certificate(&mut self, version: u32) -> Result<Run, &'static str> {
        if version >= 2 {
            self.text()?;
        }
        self.bytes()
    }
    fn store(&mut self, all: &mut Vec<Stored>) -> Result<(), &'static str> {
        self.take(4)?;
        let version = self.number()?;
        let count = self.number()?;
        for entry in 0..count {
            if entry >= MOST {
                return Err("budget: entries");
            }
            let tag = self.number()?;
            let alias = self.text()?;
            self.take(8)?; // when it was put there
            match tag {
                1 => {
                    self.bytes()?; // the encrypted key
                    let chain = self.number()?;
                    for _ in 0..chain.min(CHAIN) {
                        let run = self.certificate(version)?;
                        all.push(Stored { alias: alias.clone(), run, private_key: true });
                    }
                    if chain > CHAIN {
                        return Err("budget: a chain of certificates");
                    }
                }
                2 => {
                    let run = self.certificate(version)?;
                    all.push(Stored { alias, run, private_key: false });
                }
                3 => return Err("a secret key, whose length only Java's own reader knows"),
                _ => return Err("an entry of an unknown kind"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn store() -> Vec<u8> {
        let mut all = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0, 2];
        let text = |all: &mut Vec<u8>, t: &str| {
            all.extend(u16::try_from(t.len()).unwrap().to_be_bytes());
            all.extend(t.as_bytes());
        };
        let bytes = |all: &mut Vec<u8>, b: &[u8]| {
            all.extend(u32::try_from(b.len()).unwrap().to_be_bytes());
            all.extend(b);
        };
        all.extend([0, 0, 0, 2]);
        text(&mut all, "root");
        all.extend([0; 8]);
        text(&mut all, "X.509");
        bytes(&mut all, b"first");
        all.extend([0, 0, 0, 1]);
        text(&mut all, "server");
        all.extend([0; 8]);
        bytes(&mut all, b"key");
        all.extend([0, 0, 0, 1]);
        text(&mut all, "X.509");
        bytes(&mut all, b"second");
        all.extend([7; 20]);
        all
    }

    #[test]
    fn entries_of_both_kinds() {
        let store = store();
        assert!(is_store(&store) && !is_store(b"\xca\xfe\xba\xbe\0\0\0\x34"));
        let (all, fault) = certificates(&store);
        assert_eq!(fault, None);
        let shown: Vec<_> = all
            .iter()
            .map(|s| {
                let from = usize::try_from(s.run.offset).unwrap();
                let der = &store[from..from + usize::try_from(s.run.len).unwrap()];
                (s.alias.as_str(), String::from_utf8_lossy(der).into_owned(), s.private_key)
            })
            .collect();
        assert_eq!(shown, [("root", "first".to_owned(), false), ("server", "second".to_owned(), true)]);
    }

    #[test]
    fn cut_and_damaged_stores_say_where() {
        let store = store();
        for len in 0..store.len() - 20 {
            let (all, fault) = certificates(&store[..len]);
            assert!(all.len() < 2 && fault.is_some_and(|(at, _)| at <= len as u64), "{len}");
        }
        let mut many = store[..12].to_vec();
        many[8..12].copy_from_slice(&[0xff; 4]);
        assert!(certificates(&many).1.is_some());
        for at in 0..store.len() {
            for bit in [1, 0x80] {
                let mut bad = store.clone();
                bad[at] ^= bit;
                let _ = certificates(&bad);
            }
        }
    }
}
