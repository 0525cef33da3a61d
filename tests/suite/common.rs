//! What several tests need: the program itself, small disks made on the spot, the report as JSON.
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The program under test.
pub(crate) fn cranescope() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cranescope"))
}

/// Runs it in `folder` and gives exit code, standard output and standard error.
pub(crate) fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = cranescope().args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// Whether a program is on this machine; a test that needs it says so and is skipped.
pub(crate) fn have(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: {program} is not installed (see ci/setup.sh)");
    }
    found
}

/// Writes files below `root`.
pub(crate) fn plant(root: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = root.join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}

/// An ext4 disk without a table, made from a folder.
/// A cpio archive as kernels unpack it at boot (newc), of files with these texts.
pub(crate) fn newc(files: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (number, (name, text)) in files.iter().chain(&[("TRAILER!!!", "")]).enumerate() {
        let (mode, links) = if *name == "TRAILER!!!" { (0, 0) } else { (0o100_644, 1) };
        out.push_str("070701");
        for field in [number + 1, mode, 0, 0, links, 1_700_000_000, text.len(), 0, 0, 0, 0, name.len() + 1, 0] {
            out.push_str(&format!("{field:08x}"));
        }
        for part in [&format!("{name}\0"), *text] {
            out.push_str(part);
            out.push_str(&"\0".repeat(out.len().next_multiple_of(4) - out.len()));
        }
    }
    out
}
pub(crate) fn ext4(folder: &Path, root: &Path, name: &str) -> PathBuf {
    let image = folder.join(name);
    let made = Command::new("mke2fs")
        .args([
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            "4096",
            "-U",
            "6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00",
            "-E",
            "hash_seed=6a1ee7a0-7b1c-4f8e-9f43-0d1c5c8f1f00",
        ])
        .arg("-d")
        .arg(root)
        .arg(&image)
        .arg("16M")
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    image
}

/// An examination of `disk.img` in `at`, judged as of one day, its case beside the image.
pub(crate) fn plan(at: &Path, case: &str) -> cranescope::session::Plan {
    cranescope::session::Plan {
        images: vec![at.join("disk.img")],
        case: Some(at.join(case)),
        worker: Some(env!("CARGO_BIN_EXE_cranescope").into()),
        as_of: Some("2026-01-01".into()),
        ..Default::default()
    }
}

/// The files of a small system with a dial-up peer and a second root account.
pub(crate) const SMALL_SYSTEM: &[(&str, &str)] = &[
    ("/etc/os-release", "ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"),
    ("/etc/hostname", "crane-7\n"),
    ("/etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\nservice:x:0:0::/root:/bin/sh\n"),
    ("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n"),
    ("/etc/ppp/peers/wan", "/dev/ttyUSB3\n115200\nconnect \"/usr/sbin/chat -f /etc/chatscripts/wan\"\ndefaultroute\n"),
    ("/etc/chatscripts/wan", "OK 'AT+CGDCONT=1,\"IP\",\"m2m.example\"'\nOK ATD*99#\n"),
    ("/etc/network/interfaces", "auto wan\niface wan inet ppp\n    provider wan\n"),
    ("/bin/sh", "#!/bin/true\n"),
    ("/opt/岸桥/说明.txt", "crane\n"),
];

/// A report without the part that differs from run to run.
pub(crate) fn report(path: &Path) -> serde_json::Value {
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    json.as_object_mut().unwrap().shift_remove("run").unwrap();
    json
}

/// How often a test goes round: `short` in every run, `long` where `CRANESCOPE_LONG` is set.
pub(crate) fn rounds(short: u32, long: u32) -> u32 {
    if std::env::var_os("CRANESCOPE_LONG").is_some() { long } else { short }
}

/// Numbers that look random and are the same in every run (xorshift64).
pub(crate) struct Dice(u64);
impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }
}
