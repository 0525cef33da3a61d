//! Paths followed as the running system follows them: through links, inside the evidence only.
use super::tree::Entry;
use crate::base::Name;
use crate::fs::NodeKind;

/// Links followed before a chain counts as a loop; Linux uses the same number.
const MAX_LINKS: usize = 40;
/// Longer paths than Linux accepts (PATH_MAX) lead nowhere.
pub(super) const MAX_PATH: usize = 4096;

/// Goes `path` from a directory that is canonical already: where it leads, or `None` if nothing is there.
/// `aliased` tells where the entries stand of a folder that is mounted in two places. No recursion: a hostile
/// link can hold thousands of components.
pub(super) fn walk<'a>(
    from: Name,
    path: &[u8],
    get: &dyn Fn(&[u8]) -> Option<&'a Entry>,
    target: &dyn Fn(&Entry) -> Option<Name>,
    aliased: &dyn Fn(&[u8]) -> Option<Name>,
) -> Option<Name> {
    let mut links = MAX_LINKS;
    let mut here = from;
    let mut rest: Vec<Vec<u8>> = path.rsplit(|b| *b == b'/').map(<[u8]>::to_vec).collect();
    while let Some(name) = rest.pop() {
        match name.as_slice() {
            b"" | b"." => {}
            b".." => here = if here.parent().is_empty() { Name::from("/") } else { Name::new(here.parent()) },
            name => {
                let next = here.join(name);
                if let Some(elsewhere) = aliased(next.bytes()) {
                    links = links.checked_sub(1)?;
                    here = elsewhere;
                    continue;
                }
                let entry = get(next.bytes())?;
                if entry.kind() != NodeKind::Symlink {
                    here = next;
                    continue;
                }
                links = links.checked_sub(1)?;
                let target = target(entry).filter(|t| t.bytes().len() <= MAX_PATH && !t.is_empty())?;
                if target.bytes().starts_with(b"/") {
                    here = Name::from("/");
                }
                rest.extend(target.bytes().rsplit(|b| *b == b'/').map(<[u8]>::to_vec));
            }
        }
    }
    Some(here)
}
