//! Which files are searched: configuration by its place and name, small scripts, nothing that other readers tell
//! in full, no data, no documentation.
use crate::evidence::{Entry, System, matches};

/// Where configuration lies.
pub(super) const ROOTS: &[&str] = &[
    "/etc/**",
    "/opt/**",
    "/usr/local/**",
    "/srv/**",
    "/root/**",
    "/home/**",
    "/var/lib/**",
    "/data/**",
    "/mnt/**",
    "/var/www/**",
    "/boot/**.{txt,cfg,conf,env}",
];

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Settings.
    Settings,
    /// syslogd's lines: `*.* @host`.
    Rsyslog,
    /// syslog-ng: `network("host" port(514))`.
    SyslogNg,
    /// Settings in the form of a program's text, or a script with an ending.
    Code,
    /// May be a script; its first line tells.
    Script,
}

/// Places that are no configuration of what is reached, or that a reader of their own tells in full.
const NOT: &[&str] = &[
    "/etc/{alternatives,ssl/certs,fonts,X11/app-defaults,terminfo,bash_completion.d,vim,emacs,lintian,ld.so.conf.d,security,pam.d,selinux,apparmor.d,skel,rc*.d,console-setup,sensors.d,logcheck,groff,texmf,ImageMagick-*,java-*/security}/**",
    "/etc/{services,protocols,rpc,mime.types,magic,magic.mime,networks,hosts,hosts.allow,hosts.deny,resolv.conf,ethertypes,os-release,lsb-release,issue,issue.net,motd,passwd*,group*,shadow*,gshadow*,subuid*,subgid*,ca-certificates.conf*,gai.conf,mailcap,login.defs,shells,nanorc,inputrc,wgetrc,locale.alias,locale.gen,bindresvport.blacklist,e2scrub.conf,xattr.conf}",
    "/etc/{network,netplan,NetworkManager/system-connections,systemd/network,sysconfig/network-scripts,sysconfig/network,netctl,wicked,conf.d/net*,ufw,firewalld,shorewall*,ferm,iptables*,nftables*,arptables*,ebtables*}{,/**}",
    "/etc/{resolvconf,ssh}/**",
    "/etc/{nftables.conf,ufw/**,exports,exports.d/**,ethers,dhcpcd.conf,config/firewall,config/network,config/wireless}",
    "/usr/local/{share/doc,share/man,man,include,share/locale,lib/python*}/**",
    "/var/lib/{dpkg,apt,rpm,dnf,yum,pacman,apk,opkg,PackageKit,systemd,ucf,docker/overlay2,docker/image,docker/containers,containerd,containers/storage,kubelet/pods,lxc,lxd,machines,flatpak,snapd,mlocate,plocate,man-db,usbutils,misc,polkit-1,ieee-data,clamav,spamassassin,gems,dictionaries-common,ispell,aspell,emacsen-common,python,xml-core,sgml-base,ghostscript,texmf,apt-xapian-index,command-not-found,swcatalog,app-info,fwupd,bluetooth,dhcp,dhcpcd,dhclient,NetworkManager,connman,initramfs-tools,pam,ca-certificates-java,postgresql,mysql,mongodb,influxdb,prometheus,elasticsearch,jenkins}/**",
];

/// Folders of libraries, caches, documents, wherever they lie.
const FOLDERS: &[&str] = &[
    "node_modules",
    "bower_components",
    "site-packages",
    "dist-packages",
    "__pycache__",
    ".cache",
    ".cargo",
    ".rustup",
    ".npm",
    ".m2",
    ".gradle",
    ".nuget",
    ".vscode",
    ".vscode-server",
    "Trash",
    ".mozilla",
    "google-chrome",
    "chromium",
    ".thunderbird",
    "doc",
    "docs",
    "man",
    "locale",
    "locales",
    "i18n",
    "licenses",
    "LICENSES",
    "examples",
    "testdata",
    "fonts",
    "icons",
    "themes",
    "objects",
    "hooks",
    ".svn",
    ".hg",
    "overlay2",
];
/// Files that tell of a program's making, of keys, of what was done.
const FILES: &[&str] = &[
    "package.json",
    "package-lock.json",
    "npm-shrinkwrap.json",
    "composer.json",
    "composer.lock",
    "bower.json",
    "pyproject.toml",
    "Cargo.toml",
    "tsconfig.json",
    "tslint.json",
    ".eslintrc*",
    "*.min.js",
    "*.schema.json",
    "manifest.json",
    "*.desktop",
    "*.directory",
    "*.policy",
    "*.md",
    "*.css",
    "*.html",
    "*.htm",
    "*.rst",
    "README*",
    "LICENSE*",
    "COPYING*",
    "NOTICE*",
    "CHANGELOG*",
    "AUTHORS*",
    ".viminfo",
    ".lesshst",
    "*_history",
    ".wget-hsts",
    "*.log",
    "*.pem",
    "*.crt",
    "*.key",
    "*.pub",
    "*.asc",
    "*.gpg",
    "known_hosts*",
    "authorized_keys*",
    "*.dpkg-*",
    "*.rpmsave",
    "*.rpmorig",
    "*~",
];

const SETTINGS: &[&str] = &[
    "conf",
    "cfg",
    "cnf",
    "config",
    "ini",
    "inf",
    "json",
    "json5",
    "yaml",
    "yml",
    "toml",
    "xml",
    "properties",
    "props",
    "env",
    "service",
    "socket",
    "mount",
    "timer",
    "network",
    "netdev",
    "nmconnection",
    "list",
    "sources",
    "repo",
    "container",
    "kube",
    "pod",
    "plist",
    "settings",
    "opts",
    "options",
    "rc",
    "reg",
    "url",
    "rdp",
    "remmina",
    "vnc",
    "ovpn",
    "target",
    "cf",
    "local",
    "prefs",
    "project",
    "st",
    "dat-conf",
    "default",
    "jsonc",
    "hcl",
    "lua-conf",
];
const CODE: &[&str] =
    &["sh", "py", "js", "lua", "pl", "php", "rb", "tcl", "bat", "cmd", "ps1", "awk", "expect", "node"];

/// The files to be searched, in the order of their paths.
pub(super) fn files(system: &System) -> Vec<(&Entry, Kind)> {
    let mut found: Vec<(&Entry, Kind)> = Vec::new();
    for entry in system.entries().iter().filter(|e| e.is_file() && !e.is_empty()) {
        let path = entry.path.bytes();
        let root = ROOTS.iter().any(|r| {
            let fixed = r.split('*').next().unwrap_or(r).as_bytes();
            path.starts_with(fixed) && matches(r.as_bytes(), path)
        });
        if root
            && let Some(kind) = kind(path, entry)
            && !is_left_out(path, entry)
        {
            found.push((entry, kind));
        }
    }
    found
}

/// Whether a file lies where nothing is looked for.
fn is_left_out(path: &[u8], entry: &Entry) -> bool {
    let placed = |n: &&'static str| {
        let fixed = n.split(['*', '{']).next().unwrap_or(n);
        path.starts_with(fixed.as_bytes()) && matches(n.as_bytes(), path)
    };
    NOT.iter().any(placed)
        || entry.path.parent().split(|b| *b == b'/').any(|part| FOLDERS.iter().any(|f| f.as_bytes() == part))
        || FILES.iter().any(|f| matches(f.as_bytes(), entry.path.file_name()))
}

fn kind(path: &[u8], entry: &Entry) -> Option<Kind> {
    let name = String::from_utf8_lossy(entry.path.file_name()).to_ascii_lowercase();
    let below = |root: &str| path.starts_with(root.as_bytes());
    if below("/etc/rsyslog") || below("/etc/syslog.conf") || below("/etc/syslogd.conf") {
        return Some(Kind::Rsyslog);
    }
    if below("/etc/syslog-ng/") {
        return Some(Kind::SyslogNg);
    }
    let ending = name.rsplit_once('.').map_or("", |(_, e)| e);
    let hidden = name.starts_with('.') && name.len() > 1;
    if CODE.contains(&ending) {
        return (entry.len() <= 256 << 10).then_some(Kind::Code);
    }
    if SETTINGS.contains(&ending) {
        return Some(Kind::Settings);
    }
    if below("/etc/") {
        // Here everything is configuration, but what is a program of its own.
        let code = ["/etc/init.d/", "/etc/cron.", "/etc/rc.local", "/etc/profile", "/etc/ppp/", "/etc/kernel/"];
        return Some(if code.iter().any(|c| below(c)) { Kind::Code } else { Kind::Settings });
    }
    if below("/var/lib/") || entry.len() > 64 << 10 {
        return None;
    }
    let dotfile = hidden && (ending == name.trim_start_matches('.') || ending.ends_with("rc"));
    if dotfile || name == "config" || name == "hosts" || name.ends_with("config") || name.ends_with("rc") {
        return Some(Kind::Settings);
    }
    (!name.contains('.')).then_some(Kind::Script)
}

/// Whether the first line names an interpreter.
pub(super) fn is_script(bytes: &[u8]) -> bool {
    bytes.starts_with(b"#!")
}

/// The program or kind of setting that a file belongs to, by its place.
pub(super) fn program(path: &str) -> String {
    const HOMES: &[&str] = &[".config", ".local", "share", "etc", "conf", "config", "default", "sysconfig", "system"];
    let file = path.rsplit('/').next().unwrap_or(path);
    if path.contains("/.git/") || file.starts_with(".git") {
        return "git".into();
    }
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let skip = match parts.as_slice() {
        ["usr", "local", ..] | ["var", "lib" | "www", ..] | ["home", ..] => 2,
        _ => 1,
    };
    let own = parts.iter().skip(skip).find(|p| !HOMES.contains(p) && !p.starts_with("bin") && !p.starts_with("sbin"));
    let own = own.copied().unwrap_or(file);
    if own == "systemd" || own == "cron.d" || own == "init.d" || own == "profile.d" || own == "logrotate.d" {
        return file.to_owned();
    }
    let own = own.trim_start_matches('.');
    let plain = own.strip_suffix(".d").unwrap_or(own);
    plain.rsplit_once('.').map_or(plain, |(stem, _)| if stem.is_empty() { plain } else { stem }).to_owned()
}
