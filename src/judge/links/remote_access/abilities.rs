//! Programs that no knowledge names, by what they are able to do: wait for connections, give out a terminal, start
//! programs. Of the programs that Debian and Ubuntu package, sshd, tmux, screen, socat and its tools and the interpreters
//! import all three; interpreters load their parts while they run, and a program under many names has many uses.
use super::View;
use crate::base::Name;
use crate::inventory::Binary;
use crate::judge::finding::Rung;
use crate::judge::links::frame::Piece;
use crate::judge::links::ground::Vouched;

/// The abilities, each by any of its functions. All are needed.
const SHELL_TO_CALLERS: &[&[&str]] = &[
    &["listen"],
    &["accept", "accept4"],
    &["forkpty", "openpty", "posix_openpt", "getpt"],
    &["execl", "execle", "execlp", "execv", "execve", "execvp", "execvpe", "fexecve", "posix_spawn", "posix_spawnp"],
];
/// Links from which on a program is one of many uses, told apart by its name.
const MANY: usize = 8;

impl View<'_> {
    /// A program that nothing vouches for and that could give a shell to whoever calls it.
    pub(super) fn abilities(&mut self, row: usize, b: &Binary, vouched: Vouched) {
        if !matches!(vouched, Vouched::Unowned | Vouched::NoDatabase)
            || &*b.format != "elf"
            || &*b.kind == "relocatable"
            || b.imports.iter().any(|i| i == "dlopen")
        {
            return;
        }
        let has = |any: &&[&str]| b.imports.iter().find(|i| any.contains(&i.as_str()));
        let found: Vec<&str> = SHELL_TO_CALLERS.iter().filter_map(has).map(String::as_str).collect();
        if found.len() < SHELL_TO_CALLERS.len() || self.has_many_names(&b.path) {
            return;
        }
        let mut rows = vec![(self.ids.binaries, row)];
        rows.extend(self.ground.file(self.system, &b.path).map(|(f, _)| (self.ids.files, f)));
        let told = format!(
            "the program {} is none that is known by name, and is built to wait for connections, open a terminal and start \
             programs ({}); it is {}",
            b.path,
            found.join(", "),
            vouched.words()
        );
        self.pieces.push(Piece {
            rows,
            rung: Some(if vouched.is_altered() { Rung::Altered } else { Rung::Installed }),
            chain: 1,
            keys: vec![format!("prog:{}", b.path.lossy())],
            name: Some((0, format!("program {}", b.path))),
            told,
            ..Piece::default()
        });
    }
    /// Many links lead to it, as to BusyBox.
    fn has_many_names(&self, path: &Name) -> bool {
        let name = path.file_name();
        let leads = |target: &Name| target.file_name() == name;
        let links = self.look.files.iter().filter(|f| f.system == self.system);
        links.filter(|f| f.target.as_ref().is_some_and(leads)).take(MANY).count() == MANY
    }
}
