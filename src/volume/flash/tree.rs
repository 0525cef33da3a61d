//! Flattened device trees: nodes and properties, as boot loaders hand them to the kernel, and as FIT images use them.
//! Format: Devicetree Specification, chapter "Flattened Devicetree (DTB) Format".
use crate::base::Run;
use crate::image::{Source, read_exact};

pub const MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];
/// Bytes of a tree that are read, nodes and properties of it, and depth.
const LONGEST: u32 = 256 << 20;
const MOST: usize = 200_000;
const DEEPEST: usize = 64;

/// A property; its value is a run of the tree's bytes.
pub struct Property {
    pub name: String,
    pub value: Run,
}
pub struct Node {
    /// Path from the root, `/` being that.
    pub path: String,
    pub properties: Vec<Property>,
}
pub struct DeviceTree {
    pub bytes: Vec<u8>,
    /// In the order of the tree.
    pub nodes: Vec<Node>,
    /// Bytes of the whole tree.
    pub size: u64,
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_be_bytes(*b))
}
fn word(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(be32(bytes, at)?).ok()
}

/// Bytes of the tree at the start of a source, by its header.
pub fn size(source: &Source) -> Option<u64> {
    let head = read_exact(&**source, 0, 40).ok()??;
    let (len, structure, strings) = (be32(&head, 4)?, be32(&head, 8)?, be32(&head, 12)?);
    let holds = head.starts_with(&MAGIC)
        && (40..=LONGEST).contains(&len)
        && structure < len
        && strings <= len
        && structure.is_multiple_of(4)
        && be32(&head, 24)? <= 17
        && (16..=17).contains(&be32(&head, 20)?);
    (holds && u64::from(len) <= source.len()).then_some(u64::from(len))
}

impl DeviceTree {
    /// The tree at the start of a source; `None` where its header or its structure contradicts the format.
    pub fn read(source: &Source) -> Option<Self> {
        let size = size(source)?;
        let bytes = read_exact(&**source, 0, usize::try_from(size).ok()?).ok()??;
        let mut this = Self { nodes: Vec::new(), bytes, size };
        this.walk()?;
        Some(this)
    }
    fn walk(&mut self) -> Option<()> {
        let (structure, strings) = (word(&self.bytes, 8)?, word(&self.bytes, 12)?);
        let mut at = structure;
        // Positions of the open nodes.
        let mut open: Vec<usize> = Vec::new();
        let mut count = 0_usize;
        loop {
            count = count.checked_add(1).filter(|c| *c <= MOST)?;
            let token = be32(&self.bytes, at)?;
            at = at.checked_add(4)?;
            match token {
                1 => {
                    let name = text(&self.bytes, at)?;
                    at = at.checked_add(name.len())?.checked_add(1)?.checked_next_multiple_of(4)?;
                    let above = open.last().and_then(|n| self.nodes.get(*n)).map(|n| n.path.as_str());
                    let path = match above {
                        None => "/".to_owned(),
                        Some("/") => format!("/{name}"),
                        Some(above) => format!("{above}/{name}"),
                    };
                    if open.len() >= DEEPEST || path.len() > 4096 {
                        return None;
                    }
                    open.push(self.nodes.len());
                    self.nodes.push(Node { path, properties: Vec::new() });
                }
                2 => {
                    open.pop()?;
                    if open.is_empty() {
                        return Some(());
                    }
                }
                3 => {
                    let (len, name) = (word(&self.bytes, at)?, word(&self.bytes, at.checked_add(4)?)?);
                    at = at.checked_add(8)?;
                    let name = text(&self.bytes, strings.checked_add(name)?)?;
                    self.bytes.get(at..at.checked_add(len)?)?;
                    let value = Run::new(at as u64, len as u64);
                    self.nodes.get_mut(*open.last()?)?.properties.push(Property { name, value });
                    at = at.checked_add(len)?.checked_next_multiple_of(4)?;
                }
                4 => {}
                _ => return None,
            }
        }
    }
    pub fn value(&self, run: Run) -> &[u8] {
        let from = usize::try_from(run.offset).unwrap_or(usize::MAX);
        let end = usize::try_from(run.end()).unwrap_or(usize::MAX);
        self.bytes.get(from..end).unwrap_or_default()
    }
    pub fn get<'a>(&'a self, node: &'a Node, name: &str) -> Option<&'a [u8]> {
        node.properties.iter().find(|p| p.name == name).map(|p| self.value(p.value))
    }
    pub fn node(&self, path: &str) -> Option<&Node> {
        self.nodes.iter().find(|n| n.path == path)
    }
    /// The texts of a property, which end with a zero each.
    pub fn texts(&self, node: &Node, name: &str) -> Vec<String> {
        let value = self.get(node, name).unwrap_or_default();
        let parts = value.split(|b| *b == 0).filter(|p| !p.is_empty());
        parts.map(|p| String::from_utf8_lossy(p).into_owned()).collect()
    }
    pub fn text(&self, node: &Node, name: &str) -> Option<String> {
        self.texts(node, name).into_iter().next()
    }
    pub fn number(&self, node: &Node, name: &str) -> Option<u64> {
        cells(self.get(node, name)?)
    }
    /// Nodes directly below a path.
    pub fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Node> {
        let prefix = if path == "/" { "/".to_owned() } else { format!("{path}/") };
        self.nodes
            .iter()
            .filter(move |n| n.path.strip_prefix(&prefix).is_some_and(|r| !r.is_empty() && !r.contains('/')))
    }
}

/// A number of one or two cells.
pub fn cells(value: &[u8]) -> Option<u64> {
    match value.len() {
        4 => be32(value, 0).map(u64::from),
        8 => value.first_chunk().map(|b| u64::from_be_bytes(*b)),
        _ => None,
    }
}

fn text(bytes: &[u8], at: usize) -> Option<String> {
    let rest = bytes.get(at..)?;
    let len = rest.iter().take(1024).position(|b| *b == 0)?;
    let name = rest.get(..len)?;
    // Names are printable by definition; the length must stay that of the bytes.
    name.is_ascii().then(|| String::from_utf8_lossy(name).into_owned())
}
