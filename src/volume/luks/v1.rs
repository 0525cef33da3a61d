//! LUKS1: a header of fixed fields with eight key slots. Numbers are big-endian.
use super::super::cipher::{Decrypted, SectorCipher};
use super::super::encryption::Content;
use super::slot::{MAX_KEY, Material, pbkdf2, volume_key};
use crate::base::Run;
use crate::image::{ReadError, Source, read_exact};
use std::sync::Arc;

const LEN: usize = 592;
const SLOTS: usize = 8;
const SLOT_LEN: usize = 48;
const ENABLED: u32 = 0x00ac_71f3;
const SECTOR: u64 = 512;

pub(super) struct Header {
    pub uuid: String,
    cipher: String,
    hash: String,
    /// Byte at which the encrypted data begins.
    payload: u64,
    key_len: usize,
    digest: Vec<u8>,
    salt: Vec<u8>,
    iterations: u64,
    slots: Vec<Slot>,
}
struct Slot {
    iterations: u64,
    salt: Vec<u8>,
    offset: u64,
    stripes: u64,
}

impl Header {
    pub(super) fn read(source: &Source) -> Result<Option<Self>, ReadError> {
        Ok(read_exact(&**source, 0, LEN)?.as_deref().and_then(Self::parse))
    }
    fn parse(b: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u64::from(u32::from_be_bytes(b.get(at..at.checked_add(4)?)?.try_into().ok()?)));
        let text = |at: usize, len: usize| {
            let bytes = b.get(at..at.checked_add(len)?)?.split(|c| *c == 0).next()?;
            Some(String::from_utf8_lossy(bytes).into_owned())
        };
        let mut slots = Vec::new();
        for n in 0..SLOTS {
            let at = n.checked_mul(SLOT_LEN)?.checked_add(208)?;
            if number(at)? == u64::from(ENABLED) {
                slots.push(Slot {
                    iterations: number(at.checked_add(4)?)?,
                    salt: b.get(at.checked_add(8)?..at.checked_add(40)?)?.to_vec(),
                    offset: number(at.checked_add(40)?)?.checked_mul(SECTOR)?,
                    stripes: number(at.checked_add(44)?)?,
                });
            }
        }
        Some(Self {
            cipher: format!("{}-{}", text(8, 32)?, text(40, 32)?),
            hash: text(72, 32)?,
            payload: number(104)?.checked_mul(SECTOR)?,
            key_len: usize::try_from(number(108)?).ok().filter(|n| *n > 0 && *n <= MAX_KEY)?,
            digest: b.get(112..132)?.to_vec(),
            salt: b.get(132..164)?.to_vec(),
            iterations: number(164)?,
            uuid: text(168, 40)?,
            slots,
        })
    }
    pub(super) fn about(&self) -> String {
        let bits = self.key_len.saturating_mul(8);
        format!("{}, key of {bits} bits, {} of {SLOTS} key slots in use, {}", self.cipher, self.slots.len(), self.hash)
    }
    /// The plain volume, if the key opens a slot.
    pub(super) fn open(&self, source: &Source, key: &[u8]) -> Result<Option<Content>, String> {
        let mut failed = None;
        for slot in &self.slots {
            match self.try_slot(source, slot, key) {
                Ok(Some(key)) => return self.content(source, &key).map(Some),
                Ok(None) => {}
                Err(what) => failed = Some(what),
            }
        }
        failed.map_or(Ok(None), Err)
    }
    fn try_slot(&self, source: &Source, slot: &Slot, key: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let slot_key = pbkdf2(&self.hash, key, &slot.salt, slot.iterations, self.key_len)?;
        let material = Material {
            offset: slot.offset,
            stripes: slot.stripes,
            key_len: self.key_len,
            cipher: &self.cipher,
            hash: &self.hash,
        };
        let key = volume_key(&**source, &slot_key, &material)?;
        let digest = pbkdf2(&self.hash, &key, &self.salt, self.iterations, self.digest.len())?;
        Ok((digest == self.digest).then_some(key))
    }
    fn content(&self, source: &Source, key: &[u8]) -> Result<Content, String> {
        let len = source.len().saturating_sub(self.payload);
        let run = Run::new(self.payload, len.saturating_sub(len.checked_rem(SECTOR).unwrap_or(0)));
        let cipher = SectorCipher::new(&self.cipher, key)?;
        let plain = Decrypted { source: source.clone(), run, cipher, unit: 512, first: 0 };
        Ok(Content { source: Arc::new(plain), offset: self.payload })
    }
}
