//! Remote-control programs whose files show that they were set up: an id, an account, a server of
//! one's own, a password for unattended access. Formats: the programs' own files, by their keys.
use super::{BY_UNIT, cite, once};
use crate::artifact::{Artifact, Os, Out};
use crate::base::secret::is_secret;
use crate::evidence::{System, Text};
use crate::format::ini::Ini;
use crate::inventory::Connection;

pub(crate) const ARTIFACT: Artifact = Artifact {
    name: "linux.remote-control",
    about: "Remote-control programs that were set up: TeamViewer, AnyDesk, RustDesk, ToDesk, Sunlogin, phddns, DWService, MeshAgent and others",
    os: Os::Linux,
    reads: &[
        "/etc/teamviewer/*.conf",
        "/etc/anydesk/*.conf",
        "/{root,home/*}/.anydesk/*.conf",
        "/{root,home/*}/.config/rustdesk/*.toml",
        "/opt/todesk/config/*",
        "/etc/orayconfig.conf",
        "/etc/phlinux.conf",
        "/usr/share/dwagent/config.json",
        "/**/meshagent.msh",
    ],
    references: &[
        "https://www.teamviewer.com",
        "https://support.anydesk.com",
        "https://github.com/rustdesk/rustdesk/wiki",
    ],
    extract,
};

/// A program: where its files lie, which keys show that it is set up, and which name the far side.
struct Program {
    name: &'static str,
    files: &'static [&'static str],
    keys: &'static [&'static str],
    endpoints: &'static [&'static str],
    account: &'static [&'static str],
    secrets: &'static [&'static str],
}
const PROGRAMS: &[Program] = &[
    Program {
        name: "teamviewer",
        files: &["/etc/teamviewer/global.conf", "/opt/teamviewer/config/global.conf"],
        keys: &["ClientID", "ClientIDString"],
        endpoints: &["ConfiguredServer"],
        account: &["OwningManagerAccountName", "OwningManagerAccountID"],
        secrets: &[
            "SecurityPasswordAES",
            "PermanentPassword",
            "SRPPasswordMachineIdentifier",
            "MIDAttestationPrivateKey",
        ],
    },
    Program {
        name: "anydesk",
        files: &[
            "/etc/anydesk/system.conf",
            "/etc/anydesk/service.conf",
            "/root/.anydesk/*.conf",
            "/home/*/.anydesk/*.conf",
        ],
        keys: &["ad.anynet.id", "ad.anynet.alias", "ad.anynet.pwd_hash"],
        endpoints: &["ad.anynet.last_relay", "ad.anynet.relay_host"],
        account: &["ad.anynet.alias"],
        secrets: &["ad.anynet.pwd_hash", "ad.anynet.pwd_salt", "ad.anynet.pkey", "ad.anynet.token_salt"],
    },
    Program {
        name: "rustdesk",
        files: &["/root/.config/rustdesk/*.toml", "/home/*/.config/rustdesk/*.toml"],
        keys: &["id", "enc_id", "custom-rendezvous-server", "relay-server", "rendezvous_server"],
        endpoints: &["custom-rendezvous-server", "relay-server", "api-server", "rendezvous_server"],
        account: &[],
        secrets: &["password", "enc_id", "key", "key_pair"],
    },
    Program {
        name: "todesk",
        files: &["/opt/todesk/config/config.ini", "/opt/todesk/config/todeskd.conf"],
        keys: &["clientId", "ClientId"],
        endpoints: &[],
        account: &["loginPhone", "user"],
        secrets: &["authPassEx", "tempAuthPassEx", "passUpdate"],
    },
    Program {
        name: "sunlogin",
        files: &["/etc/orayconfig.conf", "/usr/local/sunlogin/etc/*.conf", "/opt/sunlogin/**.conf"],
        keys: &["fastcode", "sunlogincode", "encry_pwd"],
        endpoints: &["hostname"],
        account: &["account", "userid"],
        secrets: &["encry_pwd", "fastcodehistroy"],
    },
    Program {
        name: "phddns",
        files: &["/etc/phlinux.conf"],
        keys: &["szUserID"],
        endpoints: &["szHost"],
        account: &["szUserID"],
        secrets: &["szUserPWD"],
    },
    Program {
        name: "dwservice",
        files: &["/usr/share/dwagent/config.json", "/opt/dwagent/config.json"],
        keys: &["key"],
        endpoints: &["url_primary"],
        account: &[],
        secrets: &["password", "key"],
    },
    Program {
        name: "meshagent",
        files: &["/usr/local/mesh_services/**.msh", "/usr/local/mesh/*.msh", "/opt/**.msh", "/root/**.msh"],
        keys: &["MeshServer", "MeshID"],
        endpoints: &["MeshServer"],
        account: &["MeshName"],
        secrets: &[],
    },
    Program {
        name: "remoteit",
        files: &["/etc/remoteit/config.json"],
        keys: &["uid", "device"],
        endpoints: &[],
        account: &[],
        secrets: &["secret"],
    },
    Program {
        name: "chrome-remote-desktop",
        files: &[
            "/root/.config/chrome-remote-desktop/host#*.json",
            "/home/*/.config/chrome-remote-desktop/host#*.json",
        ],
        keys: &["host_id"],
        endpoints: &[],
        account: &["host_owner", "xmpp_login"],
        secrets: &["host_secret_hash", "oauth_refresh_token", "private_key"],
    },
];

fn extract(system: &System, out: &Out) {
    for program in PROGRAMS {
        out.each(system, program.files, |text| one(text, program, out));
    }
}

fn one(text: &Text<'_>, program: &Program, out: &Out) {
    let entries: Vec<(String, String, u32, crate::base::Run)> = if text.bytes.first() == Some(&b'{') {
        crate::format::tree::Tree::json(&text.bytes)
            .leaves
            .into_iter()
            .map(|l| (l.key().to_owned(), l.value, l.line, l.run))
            .collect()
    } else {
        // TeamViewer writes `[strng] ClientID = "…"`: the type in brackets before each key.
        Ini::parse(&plain(&text.bytes))
            .sections
            .into_iter()
            .flat_map(|s| s.entries)
            .map(|e| (e.key, e.value.trim_matches(['"', '\'']).to_owned(), e.line, e.run))
            .collect()
    };
    let find = |keys: &[&str]| {
        entries.iter().find(|(k, v, ..)| !v.is_empty() && keys.iter().any(|w| w.eq_ignore_ascii_case(k)))
    };
    let Some((key, value, line, run)) = find(program.keys) else { return };
    // The bytes differ from the text where the type was taken away: the line still fits.
    let run =
        text.lines().find(|(n, ..)| n == line).filter(|_| text.bytes.first() != Some(&b'{')).map_or(*run, |(.., r)| r);
    let mut c = Connection {
        name: text.entry.path.display(),
        manager: program.name.into(),
        kind: "remote-control".into(),
        enabled: false,
        enabled_by: vec![BY_UNIT.into()],
        username: find(program.account).map(|(_, v, ..)| v.clone()).unwrap_or_default(),
        evidence: cite(text, *line, run, key),
        ..Connection::default()
    };
    if program.secrets.iter().any(|s| s.eq_ignore_ascii_case(key)) || is_secret(key) {
        c.evidence.excerpt = Some(format!("{key}={}", out.secret(value)));
    }
    for (k, v, ..) in &entries {
        if v.is_empty() {
            continue;
        }
        if program.secrets.iter().any(|s| s.eq_ignore_ascii_case(k)) || is_secret(k) {
            once(&mut c.secrets, k);
        } else if program.endpoints.iter().any(|e| e.eq_ignore_ascii_case(k)) {
            once(&mut c.endpoints, v);
        } else if program.keys.iter().any(|e| e.eq_ignore_ascii_case(k)) {
            once(&mut c.details, &format!("{k}={v}"));
        }
    }
    out.push(c);
}

/// Takes the type in brackets away from the start of each line.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(bytes.len());
    for line in bytes.split(|b| *b == b'\n') {
        let cut = line.starts_with(b"[").then(|| line.iter().position(|b| *b == b']')).flatten();
        let rest = cut.and_then(|at| line.get(at.saturating_add(1)..)).filter(|r| r.contains(&b'='));
        all.extend_from_slice(rest.unwrap_or(line));
        all.push(b'\n');
    }
    all
}
