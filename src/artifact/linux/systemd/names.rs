//! Names of units (systemd.unit(5)): type, template, instance.

pub(super) const TYPES: &[&str] =
    &["service", "socket", "target", "device", "mount", "automount", "swap", "timer", "path", "slice", "scope"];

/// The type, if this is a name a unit can have.
pub(super) fn kind(name: &str) -> Option<&str> {
    let (stem, kind) = name.rsplit_once('.')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    (TYPES.contains(&kind) && !stem.is_empty() && !stem.starts_with('@') && name.len() < 256 && stem.chars().all(fits))
        .then_some(kind)
}
/// `a@.service` of `a@b.service` and of itself.
pub(super) fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (_, kind) = rest.rsplit_once('.')?;
    Some(format!("{prefix}@.{kind}"))
}
pub(super) fn is_template(name: &str) -> bool {
    name.split_once('@').is_some_and(|(_, rest)| rest.starts_with('.') && !rest.trim_start_matches('.').contains('.'))
}
pub(super) fn is_instance(name: &str) -> bool {
    name.contains('@') && !is_template(name)
}
/// The instance of a name, or nothing.
pub(super) fn instance(name: &str) -> &str {
    let stem = name.rsplit_once('.').map_or(name, |(s, _)| s);
    stem.split_once('@').map_or("", |(_, i)| i)
}
/// A template's name with an instance put in.
pub(super) fn with_instance(template: &str, instance: &str) -> String {
    match template.split_once("@.") {
        Some((prefix, kind)) => format!("{prefix}@{instance}.{kind}"),
        None => template.to_owned(),
    }
}
/// The same name with another type.
pub(super) fn with_kind(name: &str, kind: &str) -> String {
    format!("{}.{kind}", name.rsplit_once('.').map_or(name, |(s, _)| s))
}
/// Whether a link of the first name to a unit of the second makes it another name of that unit:
/// types that know aliases, and an instance only for the same instance or for the template.
pub(super) fn may_alias(name: &str, of: &str) -> bool {
    let kinds = kind(name) == kind(of)
        && matches!(kind(of), Some("service" | "socket" | "target" | "device" | "timer" | "path"));
    kinds
        && match (is_template(name), is_instance(name)) {
            (true, _) => is_template(of),
            (_, true) => is_template(of) || (is_instance(of) && instance(of) == instance(name)),
            _ => !of.contains('@'),
        }
}
/// Names whose `.d` folders hold drop-ins for a unit, most specific first: itself, its template,
/// its prefixes at dashes; the type comes last.
pub(super) fn dropin_names(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned()];
    let Some((stem, kind)) = name.rsplit_once('.') else { return all };
    let mut prefix = stem;
    if let Some((p, instance)) = stem.split_once('@') {
        if !instance.is_empty() {
            all.push(format!("{p}@.{kind}"));
        }
        prefix = p;
    }
    let mut rest = prefix.trim_end_matches('-');
    while let Some(cut) = rest.rfind('-').filter(|c| *c > 0) {
        rest = rest.get(..cut).unwrap_or_default();
        all.push(format!("{rest}-.{kind}"));
        rest = rest.trim_end_matches('-');
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(kind("a@b.service"), Some("service"));
        for bad in ["a", ".service", "a.conf", "a b.service", "@a.service"] {
            assert_eq!(kind(bad), None, "{bad}");
        }
        assert_eq!(template("a@b.c.service").as_deref(), Some("a@.service"));
        assert!(is_template("a@.service") && is_instance("a@b.service") && !is_instance("a.service"));
        assert_eq!(instance("a@tty1.x.service"), "tty1.x");
        assert_eq!(with_instance("a@.service", "b"), "a@b.service");
        assert_eq!(dropin_names("a-b-c.service"), ["a-b-c.service", "a-b-.service", "a-.service"]);
        assert_eq!(dropin_names("a-b@c-d.socket"), ["a-b@c-d.socket", "a-b@.socket", "a-.socket"]);
    }
}
