//! What opens a key slot: keys made from passphrases, and the anti-forensic splitter.
use super::super::cipher::SectorCipher;
use crate::image::{ReadAt, read_exact};
use argon2::{Algorithm, Argon2, Params, Version};
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// Longest volume key in bytes.
pub(super) const MAX_KEY: usize = 512;
/// Key material of a slot: a key of 64 bytes in 4000 stripes has 256,000.
const MAX_MATERIAL: usize = 16 << 20;
/// Iterations of PBKDF2; a fast computer makes some millions in the two seconds that cryptsetup measures.
const MAX_ITERATIONS: u64 = 50_000_000;
/// KiB of Argon2, and KiB times passes: what cryptsetup would ask for at most by itself.
const MAX_MEMORY: u64 = 1 << 20;
const MAX_WORK: u64 = 64 << 20;

/// A hash by LUKS's name of it, applied to parts one after the other.
pub(super) fn hash(name: &str, parts: &[&[u8]]) -> Result<Vec<u8>, String> {
    fn of<H: Digest>(parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().fold(H::new(), H::chain_update).finalize().to_vec()
    }
    Ok(match name {
        "sha1" => of::<Sha1>(parts),
        "sha224" => of::<Sha224>(parts),
        "sha256" => of::<Sha256>(parts),
        "sha384" => of::<Sha384>(parts),
        "sha512" => of::<Sha512>(parts),
        "ripemd160" => of::<Ripemd160>(parts),
        _ => return Err(format!("the hash {name} is not read")),
    })
}

/// PBKDF2 with HMAC of this hash.
pub(super) fn pbkdf2(name: &str, key: &[u8], salt: &[u8], rounds: u64, len: usize) -> Result<Vec<u8>, String> {
    if rounds == 0 || rounds > MAX_ITERATIONS {
        return Err(format!("budget: {rounds} iterations of PBKDF2"));
    }
    let rounds = u32::try_from(rounds).map_err(|e| e.to_string())?;
    let mut out = vec![0; len.min(MAX_KEY)];
    match name {
        "sha1" => pbkdf2::pbkdf2_hmac::<Sha1>(key, salt, rounds, &mut out),
        "sha224" => pbkdf2::pbkdf2_hmac::<Sha224>(key, salt, rounds, &mut out),
        "sha256" => pbkdf2::pbkdf2_hmac::<Sha256>(key, salt, rounds, &mut out),
        "sha384" => pbkdf2::pbkdf2_hmac::<Sha384>(key, salt, rounds, &mut out),
        "sha512" => pbkdf2::pbkdf2_hmac::<Sha512>(key, salt, rounds, &mut out),
        "ripemd160" => pbkdf2::pbkdf2_hmac::<Ripemd160>(key, salt, rounds, &mut out),
        _ => return Err(format!("the hash {name} is not read")),
    }
    Ok(out)
}

/// What an Argon2 slot asks for.
pub(super) struct Cost {
    pub passes: u64,
    /// KiB.
    pub memory: u64,
    pub lanes: u64,
}

pub(super) fn argon2(kind: &str, key: &[u8], salt: &[u8], cost: &Cost, len: usize) -> Result<Vec<u8>, String> {
    let algorithm = if kind == "argon2i" { Algorithm::Argon2i } else { Algorithm::Argon2id };
    if cost.memory > MAX_MEMORY || cost.memory.saturating_mul(cost.passes) > MAX_WORK {
        return Err(format!("budget: Argon2 over {} KiB, {} times", cost.memory, cost.passes));
    }
    let narrow = |n: u64| u32::try_from(n).map_err(|e| e.to_string());
    let mut out = vec![0; len.min(MAX_KEY)];
    let params = Params::new(narrow(cost.memory)?, narrow(cost.passes)?, narrow(cost.lanes)?, Some(out.len()));
    let params = params.map_err(|e| format!("Argon2: {e}"))?;
    let argon2 = Argon2::new(algorithm, Version::V0x13, params);
    argon2.hash_password_into(key, salt, &mut out).map_err(|e| format!("Argon2: {e}"))?;
    Ok(out)
}

/// Key material of a slot, where it is and how it is kept.
pub(super) struct Material<'a> {
    /// Byte of the volume.
    pub offset: u64,
    pub stripes: u64,
    /// Bytes of the volume key.
    pub key_len: usize,
    /// Cipher of the material.
    pub cipher: &'a str,
    /// Hash of the splitter.
    pub hash: &'a str,
}

/// The volume key, as the slot's key gives it; it may still be the wrong one.
pub(super) fn volume_key(source: &dyn ReadAt, slot_key: &[u8], material: &Material<'_>) -> Result<Vec<u8>, String> {
    let stripes = usize::try_from(material.stripes).unwrap_or(usize::MAX);
    let len = stripes.checked_mul(material.key_len).filter(|n| *n <= MAX_MATERIAL && *n > 0);
    let len = len.ok_or("the key material has an impossible size")?;
    let padded = len.next_multiple_of(512);
    let bytes = read_exact(source, material.offset, padded).map_err(|e| e.to_string())?;
    let mut bytes = bytes.ok_or("the key material lies beyond the end of the volume")?;
    SectorCipher::new(material.cipher, slot_key)?.decrypt_all(0, 512, &mut bytes);
    let mut key = vec![0; material.key_len];
    for (number, stripe) in bytes.get(..len).unwrap_or_default().chunks(material.key_len).enumerate() {
        key.iter_mut().zip(stripe).for_each(|(k, s)| *k ^= s);
        if number.saturating_add(1) < stripes {
            key = diffuse(material.hash, &key)?;
        }
    }
    Ok(key)
}

/// Each piece of a hash's length, hashed after its number.
fn diffuse(name: &str, block: &[u8]) -> Result<Vec<u8>, String> {
    let size = hash(name, &[])?.len();
    let mut out = Vec::with_capacity(block.len());
    for (number, piece) in (0_u32..).zip(block.chunks(size)) {
        let hashed = hash(name, &[&number.to_be_bytes(), piece])?;
        out.extend(hashed.iter().take(piece.len()));
    }
    Ok(out)
}
