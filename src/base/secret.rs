//! Secrets in configuration text: which names hold them, and how a line is shown without them.
//! Too much hidden is a nuisance, too little a leak: where the end of a value is in doubt, the rest of
//! the line goes.

/// What stands in place of a secret.
pub const MASK: &str = "***";

/// Ends of names that hold no secret themselves.
const NOT: &[&str] = &[
    "flags",
    "file",
    "path",
    "authentication",
    "mode",
    "mgmt",
    "type",
    "userpass",
    "sshpass",
    "dir",
    "age",
    "source",
    "method",
];
/// Secret wherever it stands in a name.
const PART: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "presharedkey",
    "privatekey",
    "secret",
    "authtoken",
    "accesskey",
    "wepkey",
    "authorization",
    "community",
];
/// Secret at the end of a name.
const END: &[&str] =
    &["psk", "token", "pincode", "pass", "pwd", "vkey", "apikey", "authkey", "n2nkey", "connectionstring", "pin2"];
/// Secret as the whole name.
const WHOLE: &[&str] = &["pin", "puk", "simpin", "sk", "pw", "pkcs11pin", "authpassex", "encpwd", "vncpwd"];

/// Whether a setting of this name holds a secret (and not merely the name of a file that does).
pub fn is_secret(name: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    let plain: String = name.chars().filter(|c| !matches!(c, '-' | '_')).collect::<String>().to_ascii_lowercase();
    if NOT.iter().any(|n| plain.ends_with(n)) {
        return false;
    }
    PART.iter().any(|p| plain.contains(p)) || END.iter().any(|e| plain.ends_with(e)) || WHOLE.contains(&plain.as_str())
}

/// The line with the values of secrets replaced by `***`: settings (`key=value`, `key: value`,
/// `key value`), options (`--token x`), passwords in addresses (`//user:x@host`) and in AT commands
/// (`AT+CPIN=`, `AT+CGAUTH=`).
pub fn masked(line: &str) -> String {
    by_name(line, false)
}

/// As [`masked`], for sentences: there a word after `password` is a value only behind `=` or `:`, or
/// where `password` is an option.
pub fn masked_prose(line: &str) -> String {
    short_options(by_name(line, true))
}

fn by_name(line: &str, prose: bool) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    // Before the first name, only what may open a line of settings has been seen.
    let mut first = true;
    while let Some(start) = rest.find(is_name) {
        let (before, tail) = rest.split_at(start);
        if before.contains('{') {
            first = false;
        }
        out.push_str(before);
        let end = tail.find(|c| !is_name(c)).unwrap_or(tail.len());
        let (name, after) = tail.split_at(end);
        out.push_str(name);
        rest = after;
        let leads = matches!(name, "option" | "set" | "export" | "list");
        if is_secret(name.trim_start_matches('-')) || name == "--auth" {
            let (gap, value) = separator(after);
            let blank = !gap.contains(['=', ':']);
            let word = blank && (is_word(before, value) || prose && !name.starts_with('-'));
            if !value.is_empty() && !gap.is_empty() && !word && !is_switch(value) && !is_source(name, value) {
                out.push_str(gap);
                out.push_str(MASK);
                if first && !(prose && blank) {
                    return out;
                }
                rest = value.get(value_len(value)..).unwrap_or_default();
            }
        }
        first = first && leads;
    }
    out.push_str(rest);
    mask_at(&mask_pairs(&mask_userinfo(&out)))
}

/// Whether a secret's name with mere blanks behind it is something else here: a file (`/etc/passwd`),
/// a program with its options, a line of PAM.
fn is_word(before: &str, value: &str) -> bool {
    before.ends_with('/')
        || value.starts_with(['-', '[', '|', '>', '<', '&', ';'])
        || ["required", "requisite", "sufficient", "optional", "include", "substack"]
            .iter()
            .any(|w| value.starts_with(w))
}

/// `passwd: files sss`: where nsswitch.conf looks accounts up.
fn is_source(name: &str, value: &str) -> bool {
    let sources = ["files", "compat", "systemd", "sss", "db", "nis", "nisplus", "ldap", "winbind", "hesiod"];
    name == "passwd" && value.split_whitespace().all(|w| sources.contains(&w) || w.starts_with('['))
}

/// Values that switch something on or off, and secrets that are masked already.
fn is_switch(value: &str) -> bool {
    let word = value.get(..value_len(value)).unwrap_or(value).trim_matches(['"', '\'']);
    let rest = value.get(value_len(value)..).unwrap_or_default();
    rest.trim().is_empty()
        && matches!(
            word.to_ascii_lowercase().as_str(),
            "yes" | "no" | "true" | "false" | "on" | "off" | "none" | "null"
        )
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// Splits off closing quotes, blanks and one `=`, `:` or `:=` before a value; empty if there are none.
fn separator(text: &str) -> (&str, &str) {
    let mut seen = false;
    let end = text
        .char_indices()
        .find(|(at, c)| {
            let part = match c {
                '"' | '\'' => *at == 0,
                '=' | ':' => {
                    seen = true;
                    true
                }
                c => c.is_whitespace() || *c == ']',
            };
            !part
        })
        .map_or(text.len(), |(at, _)| at);
    text.split_at(end)
}

/// Length of a value within a line of several: a quoted text, or up to a blank, comma or bracket.
fn value_len(value: &str) -> usize {
    let mut chars = value.char_indices();
    match chars.next() {
        Some((_, q @ ('"' | '\''))) => {
            let mut escaped = false;
            for (at, c) in chars {
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    c if c == q => return at.saturating_add(1),
                    _ => {}
                }
            }
            value.len()
        }
        // `Authorization: Bearer …`
        Some(_) if let Some(at) = ["Bearer ", "Basic "].iter().find_map(|kind| value.strip_prefix(kind)) => {
            value.len().saturating_sub(at.len()).saturating_add(at.find(char::is_whitespace).unwrap_or(at.len()))
        }
        Some(_) => value.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | ']')).unwrap_or(value.len()),
        None => 0,
    }
}

/// `scheme://user:password@host` → `scheme://user:***@host`.
fn mask_userinfo(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at.saturating_add(3));
        out.push_str(head);
        let end = tail.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'')).unwrap_or(tail.len());
        let (authority, after) = tail.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                let name = user.split(':').next().unwrap_or_default();
                out.push_str(name);
                if user.contains(':') {
                    out.push(':');
                    out.push_str(MASK);
                }
                out.push('@');
                out.push_str(host);
            }
            // An excerpt may end before the `@`.
            None => match authority.rsplit_once(':') {
                Some((user, cut))
                    if after.is_empty()
                        && !cut.is_empty()
                        && !cut.ends_with(|c: char| c.is_ascii_digit() || c == ']') =>
                {
                    out.push_str(user);
                    out.push(':');
                    out.push_str(MASK);
                }
                _ => out.push_str(authority),
            },
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `user:password@host` without a scheme before it → `user:***@host`.
fn mask_pairs(line: &str) -> String {
    if !line.contains('@') {
        return line.to_owned();
    }
    line.split_inclusive(char::is_whitespace)
        .map(|word| match (word.find(':'), word.rfind('@')) {
            (Some(colon), Some(at)) if colon < at && !word.contains("://") => {
                let (user, rest) = (word.get(..=colon).unwrap_or_default(), word.get(at..).unwrap_or_default());
                format!("{user}{MASK}{rest}")
            }
            _ => word.to_owned(),
        })
        .collect()
}

/// A command line, with what the short options of some programs hold masked as well: PINs and
/// passwords of dialers, keys of tunnels.
pub fn masked_command(line: &str) -> String {
    short_options(masked(line))
}

fn short_options(shown: String) -> String {
    // Taken apart once: this is asked of every command of a disk, for some forty programs.
    let names: Vec<&str> = shown
        .split_whitespace()
        .map(|w| w.trim_matches(['\'', '"', '`', '(', ')', '$', ';', '|', '&', '!']))
        .map(|w| w.rsplit(['/', '=']).next().unwrap_or(w))
        .collect();
    let has = |program: &str| names.iter().any(|w| w.eq_ignore_ascii_case(program));
    let dialer = ["quectel-CM", "simcom-cm", "simcom_cm", "meig-cm", "fibo-cm", "fibo_dial", "fibocom-dial"]
        .iter()
        .any(|p| has(p));
    let options: &[&str] = if dialer {
        &["-p"]
    } else if has("sshpass") || has("gs-netcat") {
        &["-p", "-s"]
    } else if has("edge") || ["ss-local", "ss-redir", "ss-tunnel", "ss-server"].iter().any(|p| has(p)) {
        &["-k"]
    } else if has("frpc") || has("ttyd") || has("gotty") || has("shellinaboxd") {
        &["-t", "-c"]
    } else if has("bore") || has("x11vnc") {
        &["-s", "-passwd"]
    } else if ["curl", "wget", "lftp", "ncftpget"].iter().any(|p| has(p)) {
        &["-u", "-U"]
    } else if ["mosquitto_pub", "mosquitto_sub", "ipmitool", "smbclient"].iter().any(|p| has(p)) {
        &["-P", "-U"]
    } else if ["mysql", "mysqldump", "mariadb", "mariadb-dump", "mysqladmin", "redis-cli"].iter().any(|p| has(p)) {
        &["-p", "-a"]
    } else if ["snmpget", "snmpwalk", "snmpset"].iter().any(|p| has(p)) {
        &["-c", "-A", "-X"]
    } else if has("openssl") {
        &["-k", "-K", "-pass", "-passin", "-passout", "-psk", "-srppass", "-proxy_pass"]
    } else {
        return shown;
    };
    // Options of these are whole words: `-connect` is no `-c`, `-key` names a file.
    let joins = !has("openssl");
    // Words that are left to hide, and words of an access point that may still pass.
    let (mut hide, mut pass) = (0_usize, 0_usize);
    let mut out = String::with_capacity(shown.len());
    for piece in shown.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let end = piece.get(word.len()..).unwrap_or_default();
        let plain = !word.is_empty() && !word.starts_with('-') && !matches!(word, "&" | ">" | "&&" | ";" | "|");
        let joined = options.iter().find(|o| word.len() > o.len() && word.starts_with(**o) && !word.starts_with("--"));
        if options.contains(&word) {
            (hide, pass) = (1, 0);
            out.push_str(piece);
        } else if dialer && word == "-s" {
            // APN, then user, password and kind of authentication.
            (hide, pass) = (3, 1);
            out.push_str(piece);
        } else if let Some(option) = joined.filter(|o| joins && o.len() == 2) {
            out.push_str(option);
            out.push_str(MASK);
            out.push_str(end);
        } else if plain && pass > 0 {
            pass = pass.saturating_sub(1);
            out.push_str(piece);
        } else if plain && hide > 0 {
            hide = hide.saturating_sub(1);
            out.push_str(MASK);
            out.push_str(end);
        } else {
            if !word.is_empty() {
                (hide, pass) = (0, 0);
            }
            out.push_str(piece);
        }
    }
    out
}

/// PINs and passwords in AT commands.
fn mask_at(line: &str) -> String {
    let mut out = line.to_owned();
    for command in ["+CPIN=", "+CGAUTH=", "^AUTHDATA=", "+QICSGP=", "+CLCK=", "+CPWD="] {
        let upper = out.to_ascii_uppercase();
        let mut from = 0;
        let mut built = String::new();
        while let Some(at) = upper.get(from..).and_then(|u| u.find(command)).map(|a| a.saturating_add(from)) {
            let start = at.saturating_add(command.len());
            let value = out.get(start..).unwrap_or_default();
            // The APN of QICSGP is wanted: context, type, APN come before user and password.
            let keep = if command == "+QICSGP=" { comma(value, 3) } else { 0 };
            let body = value.get(keep..).unwrap_or_default();
            let len = body.find(['\'', ' ', '\t', ';', '\\', '>']).unwrap_or(body.len());
            built.push_str(out.get(from..start.saturating_add(keep)).unwrap_or_default());
            if len > 0 {
                built.push_str(MASK);
            }
            from = start.saturating_add(keep).saturating_add(len);
        }
        if from > 0 {
            built.push_str(out.get(from..).unwrap_or_default());
            out = built;
        }
    }
    out
}

/// Position after the n-th comma, or the whole text if it has fewer.
fn comma(text: &str, n: usize) -> usize {
    text.match_indices(',').nth(n.saturating_sub(1)).map_or(text.len(), |(at, _)| at.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_show() {
        for (line, shown) in [
            ("password=hunter2 and more", "password=***"),
            ("  psk=\"a b\"c\"", "  psk=***"),
            ("\t#psk=\"abc\"", "\t#psk=***"),
            ("PrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=", "PrivateKey = ***"),
            ("auth.token = \"x\"", "auth.token = ***"),
            ("  \"password\": \"x\",", "  \"password\": ***"),
            ("{\"server\":\"h\",\"password\":\"a\\\"b\",\"port\":1}", "{\"server\":\"h\",\"password\":***,\"port\":1}"),
            ("option pincode '1234'", "option pincode ***"),
            ("export APN_PASS=foo", "export APN_PASS=***"),
            ("frpc --token abc --server h", "frpc --token *** --server h"),
            ("npc -server=h:8024 -vkey=abc -type=tcp", "npc -server=h:8024 -vkey=*** -type=tcp"),
            ("http_proxy=http://u:p@h:3128/", "http_proxy=http://u:***@h:3128/"),
            ("OK 'AT+CPIN=1234' OK", "OK 'AT+CPIN=***' OK"),
            ("AT+CPIN=\"1234\";+CSQ", "AT+CPIN=***;+CSQ"),
            ("AT+QICSGP=1,1,\"apn\",\"u\",\"p\",1", "AT+QICSGP=1,1,\"apn\",***"),
            ("wpa_passphrase=abc", "wpa_passphrase=***"),
            ("secretKey: abc", "secretKey: ***"),
            ("pin=1234", "pin=***"),
            // Names of files and flags are facts.
            ("password-flags=0", "password-flags=0"),
            ("auth-user-pass /etc/openvpn/up", "auth-user-pass /etc/openvpn/up"),
            ("PrivateKeyFile=/etc/k", "PrivateKeyFile=/etc/k"),
            ("key-mgmt=wpa-psk", "key-mgmt=wpa-psk"),
            ("apn=cmnet", "apn=cmnet"),
            ("pinctl=1", "pinctl=1"),
        ] {
            assert_eq!(masked(line), shown);
        }
        for (line, shown) in [
            ("/opt/bin/quectel-CM -s cmnet user pw 2 -p 1234 &", "/opt/bin/quectel-CM -s cmnet *** *** *** -p *** &"),
            ("quectel-CM -s cmnet -i wwan0", "quectel-CM -s cmnet -i wwan0"),
            ("sh -c 'sshpass -p hunter2 ssh h'", "sh -c 'sshpass -p *** ssh h'"),
            ("sshpass -phunter2 ssh -p 22 h", "sshpass -p*** ssh -p *** h"),
            ("edge -c net -k key -l h:1", "edge -c net -k *** -l h:1"),
            ("chisel client --auth u:p https://h R:1", "chisel client --auth *** https://h R:1"),
            ("openssl s_client -quiet -connect 198.51.100.7:443", "openssl s_client -quiet -connect 198.51.100.7:443"),
            (
                "openssl s_client -cert c.pem -key k.pem -CAfile a.pem -connect h:1",
                "openssl s_client -cert c.pem -key k.pem -CAfile a.pem -connect h:1",
            ),
            ("openssl enc -aes-256-cbc -k hunter2 -in a", "openssl enc -aes-256-cbc -k *** -in a"),
            ("openssl rsa -passin pass:hunter2 -in a", "openssl rsa -passin *** -in a"),
            ("openssl s_client -psk 1a2b -connect h:1", "openssl s_client -psk *** -connect h:1"),
            ("snmpget -v2c -cpublic h sysDescr.0", "snmpget -v2c -c*** h sysDescr.0"),
            ("snmpwalk -c public -A hunter2 h", "snmpwalk -c *** -A *** h"),
            ("gost -L=admin:pw@:8080", "gost -L=admin:***@:8080"),
            ("ssh -R 22:localhost:22 user@h", "ssh -R 22:localhost:22 user@h"),
        ] {
            assert_eq!(masked_command(line), shown);
        }
        for (line, shown) in [
            ("curl -u bob:x1 https://h/x", "curl -u *** https://h/x"),
            ("curl -H 'Authorization: Bearer abc' https://h", "curl -H 'Authorization: *** https://h"),
            ("mysqldump -uroot -phunter2 db", "mysqldump -uroot -p*** db"),
            ("PGPASSWORD=abc psql -h h", "PGPASSWORD=***"),
            // Names of files, programs and kinds of line.
            ("cp /etc/passwd /root/x", "cp /etc/passwd /root/x"),
            ("/bin/systemd-ask-password --no-tty", "/bin/systemd-ask-password --no-tty"),
            ("password requisite pam_deny.so", "password requisite pam_deny.so"),
            ("PermitEmptyPasswords yes", "PermitEmptyPasswords yes"),
            ("see https://u:pass", "see https://u:***"),
            ("see https://h:8080", "see https://h:8080"),
        ] {
            assert_eq!(masked_command(line), shown);
        }
        for (line, shown) in [
            (
                "sshd[1]: Accepted password for root from 192.0.2.1",
                "sshd[1]: Accepted password for root from 192.0.2.1",
            ),
            ("Password agent", "Password agent"),
            ("cron: CMD (x --token abc)", "cron: CMD (x --token ***"),
            ("pppd: sent [PAP AuthReq user=\"x\" password=\"y\"]", "pppd: sent [PAP AuthReq user=\"x\" password=***]"),
        ] {
            assert_eq!(masked_prose(line), shown);
        }
    }

    #[test]
    fn masking_twice_changes_nothing() {
        for line in [
            "quectel-CM -s cmnet user pw 2 -p 1234 &",
            "psk=\"a b\"c\"",
            "{\"server\":\"h\",\"password\":\"a\\\"b\",\"port\":1}",
            "http_proxy=http://u:p@h:3128/",
            "AT+QICSGP=1,1,\"apn\",\"u\",\"p\",1",
            "curl -u bob:pw https://h/x",
            "gost -L=admin:pw@:8080",
        ] {
            let once = masked_command(line);
            assert_eq!(masked_command(&once), once);
        }
    }
}
