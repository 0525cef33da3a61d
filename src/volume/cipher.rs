//! Sector ciphers of encrypted volumes: AES in the modes XTS and CBC, with the ways of dm-crypt to make an IV
//! from a sector's number (`Documentation/admin-guide/device-mapper/dm-crypt.rst` of the kernel), among them
//! those of BitLocker, and its diffuser (`elephant.rs`).
use super::elephant::Elephant;
use crate::base::{Piece, PieceKind, Run};
use crate::image::{ReadAt, ReadError, Source};
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes256};
use sha2::{Digest as _, Sha256, Sha512};
use xts_mode::Xts128;

pub(super) enum Aes {
    Short(Box<Aes128>),
    Long(Box<Aes256>),
}
impl Aes {
    pub(super) fn new(key: &[u8]) -> Result<Self, String> {
        match key.len() {
            16 => Aes128::new_from_slice(key).map(Box::new).map(Self::Short).map_err(|e| e.to_string()),
            32 => Aes256::new_from_slice(key).map(Box::new).map(Self::Long).map_err(|e| e.to_string()),
            n => Err(format!("a key of {n} bytes is not read")),
        }
    }
    pub(super) fn encrypt(&self, block: [u8; 16]) -> [u8; 16] {
        let mut block = Array(block);
        match self {
            Self::Short(aes) => aes.encrypt_block(&mut block),
            Self::Long(aes) => aes.encrypt_block(&mut block),
        }
        block.0
    }
    /// CBC over whole blocks.
    fn cbc(&self, iv: [u8; 16], data: &mut [u8]) {
        let cipher = data.to_vec();
        let (blocks, _) = Array::slice_as_chunks_mut(data);
        match self {
            Self::Short(aes) => aes.decrypt_blocks(blocks),
            Self::Long(aes) => aes.decrypt_blocks(blocks),
        }
        let before = iv.iter().chain(&cipher);
        data.iter_mut().zip(before).for_each(|(byte, b)| *byte ^= b);
    }
}

enum Mode {
    XtsShort(Box<Xts128<Aes128>>),
    XtsLong(Box<Xts128<Aes256>>),
    Cbc(Aes),
}

/// How a sector's number becomes an IV.
enum Iv {
    /// 32 bits of it, or 64.
    Plain(u32),
    /// Encrypted under a hash of the key.
    Essiv(Aes),
    /// The sector's byte, encrypted under the key itself: BitLocker's.
    Byte,
}

/// A cipher with its key.
pub(super) struct SectorCipher {
    mode: Mode,
    iv: Iv,
    diffuser: Option<Elephant>,
    /// Numbers count units of so many times 512 bytes.
    per_number: u64,
}

impl SectorCipher {
    /// By dm-crypt's name of it (`aes-xts-plain64`).
    pub(super) fn new(spec: &str, key: &[u8]) -> Result<Self, String> {
        let unknown = || format!("the cipher {spec} is not read");
        let mut words = spec.splitn(3, '-');
        let (Some("aes"), Some(mode), Some(iv)) = (words.next(), words.next(), words.next()) else {
            return Err(unknown());
        };
        let mode = match mode {
            "xts" => xts(key)?,
            "cbc" => Mode::Cbc(Aes::new(key)?),
            _ => return Err(unknown()),
        };
        let iv = match iv {
            "plain" => Iv::Plain(32),
            "plain64" => Iv::Plain(64),
            "essiv:sha256" => Iv::Essiv(Aes::new(&Sha256::digest(key))?),
            "essiv:sha512" => Iv::Essiv(Aes::new(Sha512::digest(key).get(..32).unwrap_or_default())?),
            _ => return Err(unknown()),
        };
        Ok(Self { mode, iv, diffuser: None, per_number: 1 })
    }
    /// By BitLocker's number of the method; `sector` has so many bytes, and the key may be longer than is used.
    pub(super) fn bitlocker(method: u16, key: &[u8], sector: usize) -> Result<Self, String> {
        let part = |from: usize, len: usize| {
            key.get(from..from.saturating_add(len)).ok_or_else(|| format!("a key of {} bytes is too short", key.len()))
        };
        let cbc = |len: usize| Ok::<_, String>(Mode::Cbc(Aes::new(part(0, len)?)?));
        let elephant = |len: usize| Ok::<_, String>(Some(Elephant::new(Aes::new(part(32, len)?)?)));
        let (mode, iv, diffuser) = match method {
            0x8000 => (cbc(16)?, Iv::Byte, elephant(16)?),
            0x8001 => (cbc(32)?, Iv::Byte, elephant(32)?),
            0x8002 => (cbc(16)?, Iv::Byte, None),
            0x8003 => (cbc(32)?, Iv::Byte, None),
            0x8004 => (xts(part(0, 32)?)?, Iv::Plain(64), None),
            0x8005 => (xts(part(0, 64)?)?, Iv::Plain(64), None),
            _ => return Err(format!("the encryption method {method:#06x} is not read")),
        };
        let per_number = (sector as u64).checked_div(512).unwrap_or(1).max(1);
        Ok(Self { mode, iv, diffuser, per_number })
    }
    /// Decrypts one unit; `number` counts sectors of 512 bytes.
    fn decrypt(&self, number: u64, unit: &mut [u8]) {
        let mut iv = [0; 16];
        let number = match &self.iv {
            Iv::Plain(32) => number & u64::from(u32::MAX),
            Iv::Byte => number.wrapping_mul(512),
            _ => number.checked_div(self.per_number).unwrap_or(number),
        };
        iv.iter_mut().zip(number.to_le_bytes()).for_each(|(to, from)| *to = from);
        let byte = iv;
        match (&self.iv, &self.mode) {
            (Iv::Essiv(aes), _) | (Iv::Byte, Mode::Cbc(aes)) => iv = aes.encrypt(iv),
            _ => {}
        }
        match &self.mode {
            Mode::XtsShort(xts) => xts.decrypt_sector(unit, Array(iv)),
            Mode::XtsLong(xts) => xts.decrypt_sector(unit, Array(iv)),
            Mode::Cbc(aes) => aes.cbc(iv, unit),
        }
        if let Some(diffuser) = &self.diffuser {
            diffuser.undo(byte, unit);
        }
    }
    /// Decrypts units one after the other, the first having the number `first`.
    pub(super) fn decrypt_all(&self, first: u64, unit: usize, data: &mut [u8]) {
        let step = unit.checked_div(512).unwrap_or(1) as u64;
        let mut number = first;
        for part in data.chunks_exact_mut(unit.max(16)) {
            self.decrypt(number, part);
            number = number.wrapping_add(step);
        }
    }
}

fn xts(key: &[u8]) -> Result<Mode, String> {
    let wrong = || format!("a key of {} bytes is not read", key.len());
    let (one, two) = key.split_at_checked(key.len().div_euclid(2)).ok_or_else(wrong)?;
    match (Aes::new(one)?, Aes::new(two)?) {
        (Aes::Short(a), Aes::Short(b)) => Ok(Mode::XtsShort(Box::new(Xts128::new(*a, *b)))),
        (Aes::Long(a), Aes::Long(b)) => Ok(Mode::XtsLong(Box::new(Xts128::new(*a, *b)))),
        _ => Err(wrong()),
    }
}

/// The plain bytes of a run of encrypted ones.
pub(super) struct Decrypted {
    pub source: Source,
    /// Where the encrypted bytes are; a whole number of units.
    pub run: Run,
    pub cipher: SectorCipher,
    /// Bytes that are encrypted together, a multiple of 512.
    pub unit: usize,
    /// Number of the first sector, counted in 512 bytes.
    pub first: u64,
}

impl Decrypted {
    /// Decrypts whole units from byte `at` on, which is a unit's border.
    fn units(&self, at: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let from = self.run.offset.saturating_add(at);
        let n = self.source.read_at(from, buf).map_err(|e| ReadError { offset: at, what: e.what })?;
        if n < buf.len() {
            return Err(ReadError {
                offset: at.saturating_add(n as u64),
                what: "the encrypted volume ends here".into(),
            });
        }
        let number = at.checked_div(512).unwrap_or(0).wrapping_add(self.first);
        self.cipher.decrypt_all(number, self.unit, buf);
        Ok(())
    }
}

impl ReadAt for Decrypted {
    fn len(&self) -> u64 {
        self.run.len
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, ReadError> {
        let unit = self.unit as u64;
        let end = offset.saturating_add(buf.len() as u64).min(self.run.len);
        let mut at = offset;
        while at < end {
            let from = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
            let skip = usize::try_from(at.checked_rem(unit).unwrap_or(0)).unwrap_or(0);
            let whole = left.checked_div(self.unit).unwrap_or(0).saturating_mul(self.unit);
            let done = if skip == 0 && whole > 0 {
                let Some(part) = buf.get_mut(from..from.saturating_add(whole)) else { break };
                self.units(at, part)?;
                whole
            } else {
                let mut one = vec![0; self.unit];
                self.units(at.saturating_sub(skip as u64), &mut one)?;
                let n = self.unit.saturating_sub(skip).min(left);
                let to = buf.get_mut(from..from.saturating_add(n));
                let (Some(to), Some(plain)) = (to, one.get(skip..skip.saturating_add(n))) else { break };
                to.copy_from_slice(plain);
                n
            };
            at = at.saturating_add(done as u64);
        }
        Ok(usize::try_from(at.saturating_sub(offset)).unwrap_or(0))
    }
    /// Where the encrypted bytes lie, of which these are made.
    fn locate(&self, bytes: Run) -> Vec<Piece> {
        let offset = bytes.offset.min(self.run.len);
        let len = bytes.len.min(self.run.len.saturating_sub(offset));
        let mut pieces = self.source.locate(Run::new(self.run.offset.saturating_add(offset), len));
        for piece in pieces.iter_mut().filter(|p| p.kind == PieceKind::Stored) {
            piece.kind = PieceKind::Decoded;
        }
        pieces
    }
}
