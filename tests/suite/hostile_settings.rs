//! Every artifact on configuration that is none: a binary in the place of each file that it reads, files that include
//! themselves in every notation, a log line of 200 MB. All end, say what they could not read, and make nothing up.
use crate::coverage::{choices, example};
use crate::host_fs::system;
use cranescope::artifact::{self, Artifact, Out};
use cranescope::base::Gap;
use cranescope::evidence::System;
use cranescope::fs::MemFs;
use cranescope::inventory::Row;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// One path for each pattern that any artifact reads; none lies below another.
fn places() -> Vec<String> {
    let patterns = artifact::ALL.iter().flat_map(|a| a.reads).filter(|r| r.starts_with('/'));
    let all: BTreeSet<String> = patterns.flat_map(|r| choices(r)).map(|p| example(&p)).collect();
    let folders: BTreeSet<String> =
        all.iter().flat_map(|p| p.match_indices('/').map(|(at, _)| p[..at].to_owned()).collect::<Vec<_>>()).collect();
    all.into_iter().filter(|p| !folders.contains(p) && !p.ends_with('/')).collect()
}
/// Runs an artifact; one that does not end fails its test, not the whole run.
fn ran(system: &Arc<System>, artifact: &'static Artifact) -> (Vec<Row>, Vec<Gap>) {
    let (tell, told) = std::sync::mpsc::channel();
    let system = system.clone();
    std::thread::spawn(move || {
        let out = Out::new(Some(0), artifact.name);
        (artifact.extract)(&system, &out);
        drop(tell.send(out.take()));
    });
    told.recv_timeout(Duration::from_mins(2)).unwrap_or_else(|e| panic!("{}: {e}", artifact.name))
}

/// Those that may say nothing of a binary: where a program may lie as well (hooks, shells, dialing-commands), what another
/// reader tells of (endpoints, listeners, tunnel-settings, remote-control), files of the kernel and the boot loader that are
/// binaries themselves, logs, of which any name may be a database, and networkd, whose names must fit.
const MAY_BE_SILENT: &[&str] = &[
    "linux.boot-environment",
    "linux.dialing-commands",
    "linux.endpoints",
    "linux.hooks",
    "linux.kernel-cmdline",
    "linux.kernel-configuration",
    "linux.listeners",
    "linux.logs",
    "linux.networkd",
    "linux.remote-control",
    "linux.shells",
    "linux.tunnel-settings",
];

#[test]
fn a_binary_in_place_of_every_file_is_a_gap() {
    let mut seed = 7_u64;
    let mut noise = |len: usize| -> Vec<u8> {
        let mut all = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        while all.len() < len {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.extend_from_slice(&(seed >> 16).to_le_bytes()[..5]);
        }
        all
    };
    let mut fs = MemFs::parse("/etc/os-release\n    ID=debian\n");
    let places = places();
    assert!(places.len() > 300, "{}", places.len());
    for path in places.iter().filter(|p| *p != "/etc/os-release") {
        fs.add(path, noise(3000));
    }
    let system = Arc::new(system(Arc::new(fs)));
    let mut silent = Vec::new();
    for artifact in artifact::ALL {
        let (rows, gaps) = ran(&system, artifact);
        assert!(rows.len() < 2000, "{}: {} rows of noise", artifact.name, rows.len());
        if gaps.is_empty() && !MAY_BE_SILENT.contains(&artifact.name) {
            silent.push((artifact.name, rows.len()));
        }
    }
    assert!(silent.is_empty(), "no word of what they could not read, and rows of it: {silent:#?}");
}

#[test]
fn files_that_include_themselves_end() {
    let mut fs = MemFs::parse("/etc/os-release\n    ID=debian\n");
    for path in places().iter().filter(|p| *p != "/etc/os-release") {
        let folder = path.rsplit_once('/').unwrap().0;
        let mut text = String::new();
        for line in [
            "include SELF",
            "Include SELF",
            "include \"SELF\";",
            "include SELF;",
            "@include SELF",
            "@includedir DIR",
            "#include SELF",
            "#includedir DIR",
            "includedir DIR",
            "source SELF",
            ". SELF",
            "source-directory DIR",
            ".include SELF",
            "conf-file=SELF",
            "conf-dir=DIR",
            "!include SELF",
            "include = SELF",
            "files = SELF",
            "config SELF",
            "file SELF",
            "call x",
            "$IncludeConfig SELF",
            "include(file=\"SELF\")",
            "include_dir DIR",
            "include 'SELF'",
            "Include DIR/*",
            "include DIR/*",
            "includes: [SELF]",
            "EnvironmentFile=SELF",
            "auth include x",
            "auth substack x",
            "@include x",
            "exec SELF",
            "ExecStart=SELF",
            "Wants=x.service",
            "Requires=x",
            "[include]",
            "option include SELF",
            "config include",
            "use x",
            "import SELF",
        ] {
            text.push_str(&line.replace("SELF", path).replace("DIR", folder));
            text.push('\n');
        }
        fs.add(path, text.into_bytes());
    }
    let system = Arc::new(system(Arc::new(fs)));
    let mut told = 0;
    for artifact in artifact::ALL {
        let (rows, gaps) = ran(&system, artifact);
        assert!(rows.len() < 60_000, "{}: {} rows", artifact.name, rows.len());
        told += usize::from(gaps.iter().any(|g| {
            ["leads back", "leads to this file again", "circle", "nesting", "again"].iter().any(|w| g.what.contains(w))
        }));
    }
    assert!(told >= 2, "{told}");
}

#[test]
fn a_log_line_of_two_hundred_megabytes_costs_that_line() {
    let mut text = b"Nov  3 04:00:00 crane app[1]: ".to_vec();
    text.resize(200 << 20, b'a');
    text.extend_from_slice(b"\nNov  3 04:06:02 crane pppd[812]: local  IP address 10.64.12.7\n");
    let mut fs = MemFs::parse("/etc/os-release\n    ID=debian\n");
    fs.add("/var/log/syslog", text);
    let system = Arc::new(system(Arc::new(fs)));
    let logs = artifact::ALL.iter().find(|a| a.name == "linux.logs").unwrap();
    let (rows, gaps) = ran(&system, logs);
    let found =
        rows.iter().any(|r| matches!(r, Row::Event(e) if &*e.kind == "pppd-address" && e.evidence.line == Some(2)));
    assert!(found, "the line behind it is lost");
    assert!(gaps.len() == 1 && gaps[0].what.contains("longer than 64 KiB"), "{gaps:?}");
    assert!(gaps[0].bytes > 199 << 20, "{gaps:?}");
}
