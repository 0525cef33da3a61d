//! Kernels: which version each image is, and what of a kernel's configuration bears on modems, links and on what may be
//! loaded into it. The configuration stands beside the kernel (`/boot/config-RELEASE`) or in it (`CONFIG_IKCONFIG`).
use crate::artifact::{Artifact, Content, Os, Out, Sight};
use crate::base::Evidence;
use crate::evidence::{Entry, System};
use crate::format::kernel_image;
use crate::inventory::Setting;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.kernel-configuration",
    about: "What kernels were built with, as far as it bears on modems, tunnels, and what may be loaded into them",
    os: Os::Linux,
    reads: &["/boot/config-*", "/{usr/,}lib/modules/*/config", "/{usr/,}lib/modules/*/build/.config"],
    references: &["Documentation/kbuild/kconfig.rst", "kernel_lockdown(7)"],
    extract,
};

pub(crate) const CONTENT: Content = Content {
    name: "linux.kernel-image",
    about: "Images of the kernel: their version, and the configuration in them where none lies beside",
    wants,
    consume,
};

/// Longer files are no kernels.
const MAX_LEN: u64 = 200 << 20;
/// What is told of a configuration, set or not.
const OPTIONS: &[&str] = &[
    "BPF_SYSCALL",
    "BPF_UNPRIV_DEFAULT_OFF",
    "BRIDGE",
    "BT_BNEP",
    "BT_RFCOMM",
    "CMDLINE",
    "CMDLINE_BOOL",
    "CMDLINE_FORCE",
    "CMDLINE_OVERRIDE",
    "DEVKMEM",
    "DEVMEM",
    "IKCONFIG",
    "INET_ESP",
    "IO_STRICT_DEVMEM",
    "IP_NF_TARGET_MASQUERADE",
    "KEXEC",
    "KEXEC_FILE",
    "KEXEC_SIG",
    "KPROBES",
    "L2TP",
    "LOCALVERSION",
    "LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY",
    "LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
    "LOCK_DOWN_KERNEL_FORCE_NONE",
    "MAGIC_SYSRQ_SERIAL",
    "MHI_BUS",
    "MHI_NET",
    "MHI_WWAN_CTRL",
    "MHI_WWAN_MBIM",
    "MODULES",
    "MODULE_FORCE_LOAD",
    "MODULE_SIG",
    "MODULE_SIG_ALL",
    "MODULE_SIG_FORCE",
    "MODULE_SIG_HASH",
    "MODULE_SIG_KEY",
    "MTK_T7XX",
    "NET_IPGRE",
    "NET_IPIP",
    "NF_NAT",
    "PPP",
    "PPPOE",
    "PPPOL2TP",
    "PPP_ASYNC",
    "PPTP",
    "QCOM_IPA",
    "QRTR",
    "RPMSG_WWAN_CTRL",
    "SECURITY_LOCKDOWN_LSM",
    "SECURITY_LOCKDOWN_LSM_EARLY",
    "STRICT_DEVMEM",
    "SYSTEM_TRUSTED_KEYS",
    "TUN",
    "USB_ACM",
    "USB_GADGET",
    "USB_HSO",
    "USB_IPHETH",
    "USB_NET_CDCETHER",
    "USB_NET_CDC_MBIM",
    "USB_NET_CDC_NCM",
    "USB_NET_HUAWEI_CDC_NCM",
    "USB_NET_QMI_WWAN",
    "USB_NET_RNDIS_HOST",
    "USB_SERIAL_OPTION",
    "USB_SERIAL_QUALCOMM",
    "USB_SERIAL_SIERRAWIRELESS",
    "USB_SERIAL_WWAN",
    "USB_SIERRA_NET",
    "USB_WDM",
    "VXLAN",
    "WIREGUARD",
    "WWAN",
];

fn extract(system: &System, out: &Out) {
    let patterns = ["/boot/config-*", "/{usr/,}lib/modules/*/config", "/{usr/,}lib/modules/*/build/.config"];
    out.each(system, &patterns, |text| {
        let path = text.entry.path.lossy();
        let release = match path.strip_prefix("/boot/config-") {
            Some(release) => release.to_owned(),
            None => path.split("/modules/").nth(1).and_then(|p| p.split('/').next()).unwrap_or_default().to_owned(),
        };
        for (number, line, run) in text.lines() {
            if let Some((name, value)) = option(&line) {
                out.push(setting(&release, name, value, text.line_at(number, run)));
            }
        }
    });
}

fn setting(scope: &str, name: &str, value: &str, evidence: Evidence) -> Setting {
    Setting {
        program: "kernel-configuration".into(),
        scope: scope.to_owned(),
        name: name.to_owned(),
        value: value.to_owned(),
        effective: true,
        evidence,
        ..Setting::default()
    }
}

/// `CONFIG_X=y`, or `# CONFIG_X is not set`, which is `n`.
fn option(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (name, value) = match line.strip_prefix("# ") {
        Some(rest) => (rest.strip_suffix(" is not set")?, "n"),
        None => line.split_once('=')?,
    };
    let short = name.strip_prefix("CONFIG_")?;
    OPTIONS.binary_search(&short).is_ok().then_some((name, value.trim_matches('"')))
}

fn is_named(path: &[u8]) -> bool {
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let starts: [&[u8]; 7] = [b"vmlinu", b"bzImage", b"zImage", b"Image", b"uImage", b"kernel", b"linux"];
    path.ends_with(b"/vmlinuz") || (path.starts_with(b"/boot/") && starts.iter().any(|s| name.starts_with(s)))
}

fn wants(entry: &Entry, head: &[u8]) -> bool {
    let path = entry.path.bytes();
    entry.is_file()
        && entry.len() <= MAX_LEN
        && entry.len() > 4096
        && (kernel_image::recognise(head).is_some()
            || (is_named(path) && (head.starts_with(b"\x7fELF") || head.starts_with(b"\x1f\x8b")))
            || super::modules::canonical(&entry.path.lossy()) == "configs" && super::modules::is_module_name(path))
}

fn consume(sight: &Sight<'_>, content: &[u8], out: &Out) {
    let entry = sight.entry;
    let path = entry.path.display();
    let tell = |configuration: &[u8]| {
        for (number, line) in (1..).zip(configuration.split(|b| *b == b'\n')) {
            if let Some((name, value)) = option(&String::from_utf8_lossy(line)) {
                let key = Some(format!("IKCFG line {number}"));
                out.push(setting(&path, name, value, Evidence { key, ..sight.evidence.clone() }));
            }
        }
    };
    if super::modules::is_module_name(entry.path.bytes()) {
        let format = crate::format::decompress::Compression::recognise(content);
        let decoded = format.map(|f| f.decode(content, MAX_LEN));
        match decoded {
            // Told by the reader of modules.
            Some(Err(_)) => {}
            Some(Ok(bytes)) => tell(&kernel_image::configuration(&bytes).unwrap_or_default()),
            None => tell(&kernel_image::configuration(content).unwrap_or_default()),
        }
        return;
    }
    let quick = kernel_image::read(content, false);
    let release = quick.version.split_whitespace().next().unwrap_or_default();
    let beside = sight.system.is_some_and(|s| {
        let there = |path: String| s.resolve(path).is_some_and(Entry::is_file);
        !release.is_empty()
            && (there(format!("/boot/config-{release}")) || there(format!("/lib/modules/{release}/config")))
    });
    // To decode a kernel takes a second, and its configuration lies beside it.
    let kernel = if beside || (!quick.version.is_empty() && quick.configuration.is_some()) {
        quick
    } else {
        kernel_image::read(content, true)
    };
    if !kernel.problems.is_empty() {
        out.gap(entry, format!("kernel image: {}", kernel.problems.join("; ")));
    }
    if !kernel.version.is_empty() {
        out.push(Setting {
            program: "kernel".into(),
            scope: path.clone(),
            name: "version".into(),
            value: kernel.version.clone(),
            effective: true,
            evidence: sight.evidence.clone(),
            ..Setting::default()
        });
    }
    if let Some(configuration) = &kernel.configuration {
        tell(configuration);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::super::testing::{rows, system, system_of};
    use super::*;
    use crate::fs::MemFs;
    use crate::inventory::Row;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn told(rows: &[Row]) -> Vec<String> {
        let one = |r: &Row| match r {
            Row::Setting(s) => format!("{} {} {}={}", s.program, s.scope, s.name, s.value),
            other => panic!("{other:?}"),
        };
        rows.iter().map(one).collect()
    }

    #[test]
    fn options_of_a_file() {
        assert!(OPTIONS.is_sorted());
        let s = system(
            "/boot/config-6.1.0\n    CONFIG_PPP=m\n    # CONFIG_MODULE_SIG_FORCE is not set\n    CONFIG_EXT4_FS=y\n    CONFIG_CMDLINE=\"init=/x\"\n    rubbish\n",
        );
        let (rows, gaps) = rows(&s, &ARTIFACT);
        let scope = "kernel-configuration 6.1.0";
        assert_eq!(
            told(&rows),
            [
                format!("{scope} CONFIG_PPP=m"),
                format!("{scope} CONFIG_MODULE_SIG_FORCE=n"),
                format!("{scope} CONFIG_CMDLINE=init=/x")
            ]
        );
        assert_eq!(rows[1].evidence().line, Some(2));
        assert!(gaps.is_empty());
    }

    #[test]
    fn an_image_with_its_configuration_in_it() {
        let mut to = GzEncoder::new(Vec::new(), flate2::Compression::default());
        to.write_all(b"CONFIG_TUN=y\n").unwrap();
        let mut image = vec![0; 0x38];
        image.extend(b"ARM\x64 Linux version 5.10.1 (x)\n IKCFG_ST");
        image.extend(to.finish().unwrap());
        image.resize(5000, 0);
        for (beside, count) in [("", 2), ("/boot/config-5.10.1\n    CONFIG_TUN=y\n", 2)] {
            let mut fs = MemFs::parse(beside);
            fs.add("/boot/Image", image.clone());
            let s = system_of(fs);
            let entry = s.get("/boot/Image").unwrap();
            assert!(wants(entry, &image[..4096]));
            let out = Out::new(Some(0), "linux.kernel-image");
            consume(&Sight { entry, system: Some(&s), evidence: s.evidence(entry) }, &image, &out);
            let (rows, gaps) = out.take();
            assert_eq!(rows.len(), count, "{rows:?}");
            assert_eq!(told(&rows)[0], "kernel /boot/Image version=5.10.1 (x)");
            assert_eq!(told(&rows)[1], "kernel-configuration /boot/Image CONFIG_TUN=y");
            assert!(gaps.is_empty());
        }
    }
}
