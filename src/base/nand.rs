//! The geometry of a raw NAND dump: each page with its spare area behind it, and the code in that.
use serde::{Deserialize, Serialize};
use std::fmt;

/// A BCH code in the spare areas: how many bits it puts right in how many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bch {
    pub bits: u16,
    pub step: u32,
    /// Byte of the spare area at which the codes begin; `None`: they are its last bytes.
    pub place: Option<u32>,
    /// The bits of each byte are taken from the other end.
    pub swapped: bool,
    /// The code is stored as it is; otherwise so that an erased page fits it.
    pub plain: bool,
}
impl Bch {
    /// Reads `BITS/STEP[@PLACE][,swapped][,plain]`.
    fn parse(text: &str, page: u32) -> Result<Self, String> {
        let mut words = text.split(',');
        let first = words.next().unwrap_or_default();
        let (numbers, place) = match first.split_once('@') {
            Some((numbers, place)) => (numbers, Some(place.parse().map_err(|_| "no place of the codes")?)),
            None => (first, None),
        };
        let pair = numbers.split_once('/').and_then(|(b, s)| Some((b.parse().ok()?, s.parse().ok()?)));
        let (bits, step): (u16, u32) = pair.ok_or("write bch:BITS/STEP, as bch:4/512")?;
        if !(1..=80).contains(&bits) || !step.is_power_of_two() || !(256..=2048).contains(&step) || step > page {
            return Err(format!("{bits} bits in {step} bytes: 1 to 80 bits in 256, 512, 1024 or 2048 bytes"));
        }
        let mut this = Self { bits, step, place, swapped: false, plain: false };
        for word in words {
            match word {
                "swapped" => this.swapped = true,
                "plain" => this.plain = true,
                other => return Err(format!("{other}: write swapped or plain")),
            }
        }
        Ok(this)
    }
}
impl fmt::Display for Bch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bch:{}/{}", self.bits, self.step)?;
        if let Some(place) = self.place {
            write!(f, "@{place}")?;
        }
        let words = [(self.swapped, ",swapped"), (self.plain, ",plain")];
        words.iter().filter(|(is, _)| *is).try_for_each(|(_, word)| f.write_str(word))
    }
}

/// Bytes of a page and of its spare area, as they follow each other in the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nand {
    pub page: u32,
    pub spare: u32,
    /// The code of the spare areas, where the examiner gave one.
    pub ecc: Option<Bch>,
}
impl Nand {
    /// Without a code.
    pub const fn of(page: u32, spare: u32) -> Self {
        Self { page, spare, ecc: None }
    }
    /// Reads `PAGE+SPARE[,bch:BITS/STEP[@PLACE][,swapped][,plain]]`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (text, code) = text.split_once(",bch:").map_or((text, None), |(text, code)| (text, Some(code)));
        let pair = text.split_once('+').and_then(|(p, s)| Some((p.parse().ok()?, s.parse().ok()?)));
        let (page, spare): (u32, u32) = pair.ok_or("write PAGE+SPARE in bytes, as 2048+64")?;
        if !(page.is_power_of_two() && (256..=65_536).contains(&page)) {
            return Err(format!("a page of {page} bytes: pages have 256 to 65536, a power of two"));
        }
        if spare == 0 || spare > page {
            return Err(format!("a spare area of {spare} bytes: it has 1 byte to as many as the page"));
        }
        let ecc = code.map(|code| Bch::parse(code, page)).transpose()?;
        Ok(Self { page, spare, ecc })
    }
    /// Bytes of both.
    pub fn both(self) -> u64 {
        u64::from(self.page).saturating_add(u64::from(self.spare))
    }
}
impl fmt::Display for Nand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.page, self.spare)?;
        self.ecc.map_or(Ok(()), |code| write!(f, ",{code}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(Nand::parse("2048+64"), Ok(Nand::of(2048, 64)));
        assert_eq!(Nand::of(4096, 224).to_string(), "4096+224");
        for text in ["2048+64,bch:4/512", "4096+224,bch:8/512@2,swapped", "2048+64,bch:1/256,swapped,plain"] {
            assert_eq!(Nand::parse(text).map(|n| n.to_string()), Ok(text.to_owned()));
        }
        for wrong in [
            "2048+64,bch",
            "2048+64,bch:4",
            "2048+64,bch:0/512",
            "2048+64,bch:4/500",
            "512+16,bch:4/1024",
            "2048+64,bch:4/512,x",
        ] {
            assert!(Nand::parse(wrong).is_err(), "{wrong}");
        }
        for wrong in ["2048", "2048+", "2000+64", "2048+0", "512+1024", "128+4", "-1+2", "99999999999+1"] {
            assert!(Nand::parse(wrong).is_err(), "{wrong}");
        }
    }
}
