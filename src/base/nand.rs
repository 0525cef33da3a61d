//! The geometry of a raw NAND dump: each page with its spare area behind it.
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a page and of its spare area, as they follow each other in the dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nand {
    pub page: u32,
    pub spare: u32,
}
impl Nand {
    /// Reads `PAGE+SPARE`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let pair = text.split_once('+').and_then(|(p, s)| Some((p.parse().ok()?, s.parse().ok()?)));
        let (page, spare): (u32, u32) = pair.ok_or("write PAGE+SPARE in bytes, as 2048+64")?;
        if !(page.is_power_of_two() && (256..=65_536).contains(&page)) {
            return Err(format!("a page of {page} bytes: pages have 256 to 65536, a power of two"));
        }
        if spare == 0 || spare > page {
            return Err(format!("a spare area of {spare} bytes: it has 1 byte to as many as the page"));
        }
        Ok(Self { page, spare })
    }
    /// Bytes of both.
    pub fn both(self) -> u64 {
        u64::from(self.page).saturating_add(u64::from(self.spare))
    }
}
impl fmt::Display for Nand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.page, self.spare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(Nand::parse("2048+64"), Ok(Nand { page: 2048, spare: 64 }));
        assert_eq!(Nand { page: 4096, spare: 224 }.to_string(), "4096+224");
        for wrong in ["2048", "2048+", "2000+64", "2048+0", "512+1024", "128+4", "-1+2", "99999999999+1"] {
            assert!(Nand::parse(wrong).is_err(), "{wrong}");
        }
    }
}
