//! Path patterns: `*` stands for any bytes but `/`, `**` for any bytes, `?` for one byte but `/`,
//! `{a,b}` for one of several. Bytes, not text: names need not be UTF-8.

/// Whether the whole of `path` fits `pattern`.
pub fn matches(pattern: &[u8], path: &[u8]) -> bool {
    if let Some(open) = pattern.iter().position(|b| *b == b'{')
        && let Some(close) = pattern.iter().skip(open).position(|b| *b == b'}').map(|c| c + open)
        && let (Some(head), Some(inner), Some(tail)) =
            (pattern.get(..open), pattern.get(open + 1..close), pattern.get(close + 1..))
    {
        return inner.split(|b| *b == b',').any(|one| matches(&[head, one, tail].concat(), path));
    }
    // The classic two-pointer walk, once for `*` and once for `**`: linear, no backtracking tree.
    let (mut p, mut s) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    let mut globstar: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), path.get(s)) {
            (Some(b'*'), _) if pattern.get(p + 1) == Some(&b'*') => {
                globstar = Some((p + 2, s));
                star = None;
                p += 2;
                continue;
            }
            (Some(b'*'), _) => {
                star = Some((p + 1, s));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(c)) if *c != b'/' => {
                p += 1;
                s += 1;
                continue;
            }
            (Some(a), Some(b)) if a == b => {
                p += 1;
                s += 1;
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        if let Some((after, at)) = star
            && path.get(at).is_some_and(|c| *c != b'/')
        {
            star = Some((after, at + 1));
            (p, s) = (after, at + 1);
        } else if let Some((after, at)) = globstar
            && at < path.len()
        {
            globstar = Some((after, at + 1));
            star = None;
            (p, s) = (after, at + 1);
        } else {
            return false;
        }
    }
}

/// The part of a pattern before its first wildcard, up to and including the last `/` in it.
pub(super) fn fixed_part(pattern: &str) -> &str {
    let wild = pattern.find(['*', '?', '{']).unwrap_or(pattern.len());
    let head = pattern.get(..wild).unwrap_or_default();
    if wild == pattern.len() {
        return head;
    }
    head.get(..=head.rfind('/').unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards() {
        for (pattern, path, fits) in [
            ("/etc/*.conf", "/etc/a.conf", true),
            ("/etc/*.conf", "/etc/a/b.conf", false),
            ("/etc/**.conf", "/etc/a/b.conf", true),
            ("/lib/modules/*/kernel/**/*.ko*", "/lib/modules/6.1/kernel/drivers/x/y.ko.xz", true),
            ("/home/*/.ssh/authorized_keys{,2}", "/home/a/.ssh/authorized_keys2", true),
            ("/home/*/.ssh/authorized_keys{,2}", "/home/a/.ssh/authorized_keys", true),
            ("/a?c", "/abc", true),
            ("/a?c", "/a/c", false),
            ("**", "/x/y", true),
            ("/x", "/xy", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), path.as_bytes()), fits, "{pattern} {path}");
        }
        assert_eq!(fixed_part("/etc/cron.d/*"), "/etc/cron.d/");
        assert_eq!(fixed_part("/etc/passwd"), "/etc/passwd");
        assert_eq!(fixed_part("/home/*/.ssh/x"), "/home/");
    }
}
