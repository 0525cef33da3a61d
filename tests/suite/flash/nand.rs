//! A NAND dump with BCH codes of the kernel's own library (its Python binding `bchlib`): wrong bits are put right, and
//! what has too many is told.
use super::boot::{dump, examined_as};
use crate::look::{tool, tools};

const SCRIPT: &str = "
import bchlib, sys
code = bchlib.BCH(4, m=13)
erased = bytes(code.encode(b'\\xff' * 512))
mask = bytes(b ^ 0xff for b in erased)
plain, out = open('plain', 'rb').read(), open('flash.bin', 'wb')
for n in range(0, len(plain), 2048):
    page = bytearray(plain[n:n + 2048])
    codes = b''
    for step in range(0, 2048, 512):
        codes += bytes(a ^ b for a, b in zip(code.encode(bytes(page[step:step + 512])), mask))
    number = n // 2048
    if number % 7 == 0:
        for bit in (3, 900, 2500, 4000):
            page[bit // 8] ^= 1 << (bit % 8)
    if number == 400:
        for bit in range(0, 60, 3):
            page[512 + bit] ^= 1
    out.write(bytes(page) + b'\\xff' * (64 - len(codes)) + codes)
";

#[test]
fn bits_are_put_right_by_the_code_that_is_named() {
    if !tools(&["mkenvimage", "mkimage", "mkfs.jffs2", "python3"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let plain = dump(at);
    std::fs::write(at.join("plain"), &plain).unwrap();
    let made = tool("python3").current_dir(at).args(["-c", SCRIPT]).output().unwrap();
    if !made.status.success() {
        eprintln!("skipped: {}", String::from_utf8_lossy(&made.stderr).lines().last().unwrap_or_default());
        return;
    }
    let report = examined_as(at, "flash.bin", &["--nand", "2048+64,bch:4/512"]);
    let details = report["images"][0]["details"].to_string();
    // Every seventh of 2048 pages; erased ones among them are put right as erased.
    let pages = 2048_u64.div_ceil(7);
    assert!(details.contains(&format!("{} bits put right in {pages} pages", pages * 4)), "{details}");
    assert!(details.contains("1 pages with more wrong bits"), "{details}");
    let gaps = report["gaps"].to_string();
    assert!(
        gaps.contains("1 pages have more wrong bits than their code can put right; they are read as they are: 400"),
        "{gaps}"
    );
    assert!(!gaps.contains("do not fit their checksum") && !gaps.contains("bit errors are not put right"), "{gaps}");
    let files = report["inventory"]["files"].as_array().unwrap();
    let row = files.iter().find(|f| f["path"] == "/etc/hostname").unwrap();
    let hash: [u8; 32] = {
        use sha2::Digest as _;
        sha2::Sha256::digest(b"gateway-7\n").into()
    };
    let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(row["sha256"].as_str(), Some(hex.as_str()));
    // Another code than that of the dump puts nothing right.
    let report = examined_as(at, "flash.bin", &["--nand", "2048+64,bch:4/512,swapped"]);
    let told = report["gaps"].to_string();
    assert!(told.contains("does not fit most pages"), "{told}");
}
