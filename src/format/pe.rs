//! PE files, by their header alone: machine and kind. Format: Microsoft's "PE Format".

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pe {
    /// executable or shared.
    pub kind: &'static str,
    pub machine: String,
    pub bits: u32,
}

/// Whether a PE header stands where the DOS header points, as far as these first bytes reach.
pub fn recognise(head: &[u8]) -> bool {
    head.starts_with(b"MZ")
        && header(head).is_some_and(|at| match head.get(at..) {
            Some(rest) if rest.len() >= 4 => rest.starts_with(b"PE\0\0"),
            // Beyond what was given: the whole file decides.
            _ => at < 1 << 20,
        })
}

/// `None` if this is no PE file.
pub fn parse(bytes: &[u8]) -> Option<Pe> {
    if !bytes.starts_with(b"MZ") {
        return None;
    }
    let pe = bytes.get(header(bytes)?..)?;
    if !pe.starts_with(b"PE\0\0") {
        return None;
    }
    let u16_at = |at: usize| pe.get(at..at.checked_add(2)?)?.try_into().ok().map(u16::from_le_bytes);
    let machine = match u16_at(4)? {
        0x14c => "x86".into(),
        0x8664 => "x86-64".into(),
        0xaa64 => "aarch64".into(),
        0x1c0 | 0x1c2 | 0x1c4 => "arm".into(),
        0x200 => "ia64".into(),
        0xebc => "efi-bytecode".into(),
        0x5064 => "riscv64".into(),
        0x6264 => "loongarch".into(),
        other => format!("machine {other:#x}"),
    };
    let flags = u16_at(22)?;
    let bits = match u16_at(24) {
        Some(0x20b) => 64,
        _ => 32,
    };
    Some(Pe { kind: if flags & 0x2000 != 0 { "shared" } else { "executable" }, machine, bits })
}

/// Where the PE header should be.
fn header(bytes: &[u8]) -> Option<usize> {
    let raw: [u8; 4] = bytes.get(0x3c..0x40)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(raw)).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn image(machine: u16, flags: u16, magic: u16) -> Vec<u8> {
        let mut bytes = vec![0; 0x80];
        bytes.splice(0..2, *b"MZ");
        bytes.splice(0x3c..0x40, 0x80_u32.to_le_bytes());
        bytes.extend(b"PE\0\0");
        bytes.extend(machine.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend(flags.to_le_bytes());
        bytes.extend(magic.to_le_bytes());
        bytes
    }

    #[test]
    fn reads_machine_and_kind() {
        let dll = image(0x8664, 0x2022, 0x20b);
        assert!(recognise(&dll) && recognise(dll.get(..0x60).unwrap()));
        assert_eq!(parse(&dll), Some(Pe { kind: "shared", machine: "x86-64".into(), bits: 64 }));
        assert_eq!(parse(&image(0x14c, 2, 0x10b)).unwrap().kind, "executable");
        assert_eq!(parse(dll.get(..0x70).unwrap()), None);
        let mut dos = dll;
        dos.splice(0x80..0x82, *b"NE");
        assert!(!recognise(&dos));
        assert_eq!(parse(&dos), None);
    }
}
