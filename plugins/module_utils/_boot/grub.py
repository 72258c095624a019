# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB 2 as Debian and its derivatives set it up.

Its menu is a script, /boot/grub/grub.cfg, and is read as GRUB runs it. grub-mkconfig makes it from /etc/default/grub,
from the drop-ins in /etc/default/grub.d, and from what the scripts in /etc/grub.d find; we write drop-ins alone. Each
script's part of the menu stands between marks with its name: 10_linux writes the entries of this system, others write
those of other systems, of memory tests, or whatever somebody put there by hand.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from pathlib import Path
from typing import Callable, ClassVar, Dict, List, Optional, Sequence, Set, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline, grub_script
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.grub_script import Node
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import (
    BootLoaderError,
    Entry,
    Loader,
    Menu,
    Signs,
    Step,
)
from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc, programs
from ansible_collections.nspa.proaudio.plugins.module_utils._core.disk import sync_directory
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files

CONFIG = "boot/grub/grub.cfg"
#: Read after /etc/default/grub, in the order of their names.
DROP_INS = "etc/default/grub.d"
#: Seconds; os-prober looks at every disk.
TIMEOUT = 600

#: File systems, as grub-probe names them, whose files GRUB can write.
_WRITABLE = ("ext2", "fat", "exfat", "xfs", "jfs", "reiserfs")

_HEADER = "# Written by nspa.proaudio (role {role}): change the role's variables, not this file.\n"
_PARAMETERS = """\
# In front of a "--": what stands behind it is init's, not the kernel's.
nspa_line=" $GRUB_CMDLINE_LINUX_DEFAULT "
nspa_kernel="${{nspa_line%% -- *}}"
GRUB_CMDLINE_LINUX_DEFAULT="$nspa_kernel {parameters}${{nspa_line#"$nspa_kernel"}}"
"""
# Reads the settings as grub-mkconfig does, with one drop-in as it is going to be, and says what each file set.
_TRACE = r"""
set -e
exec 3>&1 >&2
nspa_path=$1 nspa_text=$2
shift 2
for nspa_file; do
    if [ "$nspa_file" = "$nspa_path" ]; then eval "$nspa_text"; else . "$nspa_file"; fi
    printf '%s\0' "$nspa_file" "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT" "$GRUB_DEFAULT" >&3
done
"""


class Grub:
    """GRUB's menu, its settings, and the order to make the menu anew."""

    signs: ClassVar[Signs] = Signs("grub", ("grub", "shim"), (CONFIG, "boot/grub2/grub.cfg"))
    mend: ClassVar[str] = "run update-grub"

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self.config = root / CONFIG
        self.parameters_file = str(root / DROP_INS / "70-nspa-cmdline.cfg")
        self.default_file = str(root / DROP_INS / "71-nspa-default.cfg")
        self.environment = root / Path(CONFIG).parent / "grubenv"

    # -- recognising

    @classmethod
    def examine(cls, root: Path = Path("/")) -> Loader:
        """Say whether the GRUB of this machine can be managed."""
        config = root / CONFIG
        if not config.is_file():
            return Loader("grub", False, f"GRUB started this machine, but its menu /{CONFIG} is not there")
        made = _made_by_mkconfig(config)
        if root == Path("/") and made:
            program = shutil.which("grub-mkconfig", path=programs.environment()["PATH"])
            if program is None:
                return Loader("grub", False, f"/{CONFIG} is there, but grub-mkconfig is not installed")
            if b"default/grub.d" not in Path(program).read_bytes():
                return Loader("grub", False, f"the grub-mkconfig of this machine reads no drop-ins in /{DROP_INS}")
        if not made:
            return Loader("grub", False, f"/{CONFIG} was not made by grub-mkconfig, which would overwrite it")
        return Loader("grub", True, f"/{CONFIG}")

    # -- reading

    def menu(self) -> Menu:
        """Read the menu as it stands.

        :raises BootLoaderError: when it cannot be read.
        """
        return self._menu(self._text())

    def default(self) -> Optional[Entry]:
        """Return what boots next when nobody touches the keyboard; None if that is nothing."""
        return self.menu().next

    def _text(self) -> str:
        try:
            return self.config.read_text(encoding="utf-8", errors="replace")
        except PermissionError as error:
            raise BootLoaderError("GRUB's menu can only be read by root: run as root (become: true)") from error
        except OSError as error:
            raise BootLoaderError(
                f"GRUB's menu cannot be read: {error}. As root, {self.mend} and try again."
            ) from error

    def _menu(self, text: str) -> Menu:
        try:
            outcome = self._run(text)
            # What grub-reboot asked for, once: then the script would choose otherwise.
            once = self._environment().get("next_entry")
            later = self._run(text, once=False) if once else outcome
        except grub_script.ScriptError as error:
            return Menu(trouble=f"GRUB cannot read it: {error}")
        if not outcome.menu:
            return Menu(trouble="it is empty")
        return self._resolve(outcome, later)

    def _resolve(self, outcome: grub_script.Outcome, later: grub_script.Outcome) -> Menu:
        nodes = outcome.menu
        roots = self._roots(nodes)
        entries: Dict[int, Entry] = {}
        self._collect(nodes, [], roots, entries)
        menu = Menu(list(entries.values()), chosen_by=later.setters.get("default", ""))
        chosen = [_choose(nodes, script.variables.get("default", "")) for script in (outcome, later)]
        menu.next, menu.default = (entries[id(node)] if node else None for node in chosen)
        gone = [entry.kernel for node, entry in _pairs(nodes, entries) if self._dangles(node)]
        if gone:
            menu.trouble = f"it names the kernel {gone[0]}, which is not in /boot"
        return menu

    def _run(self, text: str, once: bool = True) -> grub_script.Outcome:
        def read(path: str) -> Optional[str]:
            content = self._boot_file(path)
            if content is not None and path.endswith("/grubenv") and not once:
                content = re.sub(r"^next_entry=.*\n", "", content, flags=re.MULTILINE)
            return content

        # What GRUB's core sets before it runs the script.
        efi = (self.root / "sys/firmware/efi").is_dir()
        folder = f"/{Path(CONFIG).parent}"
        variables = {"prefix": folder, "config_directory": folder, "grub_platform": "efi" if efi else "pc"}
        return grub_script.run(text, variables, read, f"/{CONFIG}")

    def _boot_file(self, path: str) -> Optional[str]:
        """A file by the name that GRUB has for it: a device in round brackets, and a path on a disk."""
        name = re.sub(r"^\([^)]*\)", "", path).lstrip("/")
        for place in (self.root / name, self.root / "boot" / name):
            try:
                if place.is_dir():
                    return ""
                if place.is_file():
                    return place.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
        return None

    def _environment(self) -> Dict[str, str]:
        return grub_script.environment(self._boot_file(f"/{Path(CONFIG).parent}/grubenv") or "")

    def _roots(self, nodes: List[Node]) -> Set[str]:
        """The root devices of this system, as entries name them: that which runs, and that which 10_linux found."""
        found = {_root(proc.command_line(self.root))}
        for node in _flat(nodes):
            if _script(node).startswith("10_linux"):
                found.add(_root(grub_script.kernel_line(node.linux[1:])))
        return found - {""}

    def _collect(self, nodes: List[Node], above: List[Node], roots: Set[str], entries: Dict[int, Entry]) -> None:
        for node in nodes:
            path = [*above, node]
            if node.submenu is not None:
                self._collect(node.submenu, path, roots, entries)
                continue
            line = grub_script.kernel_line(node.linux[1:])
            name = ">".join(part.id.replace(">", ">>") for part in path)
            entries[id(node)] = Entry(
                id=name,
                title=">".join(part.title for part in path),
                kernel=self._release(node),
                cmdline=line,
                origin=node.origin,
                recovery="-recovery-" in node.id or "single" in cmdline.split(line),
                ours=self._made_from_settings(node) and bool(self._release(node)) and _root(line) in roots,
                follows="-simple-" in node.id,
            )

    def _release(self, node: Node) -> str:
        """The release of the kernel that an entry boots, from its file's name; empty if it boots no kernel."""
        if not node.linux:
            return ""
        name = node.linux[0].rpartition("/")[2]
        if "-" not in name:
            name = os.path.basename(os.path.realpath(self.root / name))  # Debian's links /vmlinuz and /vmlinuz.old
        match = re.fullmatch(r"(?:vmlinu[xz]|kernel|linux|bzImage)-(.+?)(?:\.efi\.signed)?", name)
        return match[1] if match else ""

    def _made_from_settings(self, node: Node) -> bool:
        """Whether the script that wrote an entry gives it the parameters for normal entries."""
        if not node.origin.startswith("/etc/grub.d/"):
            return False
        text = proc.read(node.origin, self.root)
        return _script(node).startswith("10_linux") if text is None else "GRUB_CMDLINE_LINUX_DEFAULT" in text

    def _dangles(self, node: Node) -> bool:
        """Whether an entry that grub-mkconfig finds by itself boots a kernel that is not there any more."""
        if not node.linux or not _script(node).startswith("10_linux"):
            return False
        name = node.linux[0].rpartition("/")[2]
        return not any((folder / name).exists() for folder in (self.root / "boot", self.root))

    # -- settings

    def parameters(self, role: str, parameters: List[str]) -> files.Wanted:
        """The file that puts kernel parameters on every normal entry of this system."""
        text = _HEADER.format(role=role) + _PARAMETERS.format(parameters=" ".join(parameters))
        return files.Wanted(self.parameters_file, text.encode())

    def choice(self, role: str, entry: Optional[Entry]) -> files.Wanted:
        """The file that makes an entry the default; None: one that is not in the menu yet."""
        text = _HEADER.format(role=role)
        if entry:
            text += "GRUB_DEFAULT='{}'\n".format(entry.id.replace("'", "'\\''"))
        return files.Wanted(self.default_file, text.encode())

    def steps(self, path: str, content: Optional[bytes]) -> List[Step]:
        """Read the settings as grub-mkconfig will, with `content` at `path`; None: with nothing there.

        :raises BootLoaderError: when the shell does not get through them.
        """
        names = {str(name) for name in (self.root / DROP_INS).glob("*.cfg")} - {path}
        sources = sorted(names if content is None else names | {path})
        main = self.root / "etc/default/grub"
        if main.exists():
            sources.insert(0, str(main))
        text = (content or b"").decode("utf-8", "replace")
        done = programs.run("sh", "-c", _TRACE, "sh", path, text, *sources, timeout=60, instead=_language(self.root))
        fields = done.stdout.split("\0")[:-1]
        if done.returncode or len(fields) < 3 * len(sources):
            broken = sources[min(len(fields) // 3, len(sources) - 1)]
            said = done.stderr.strip() or "it ends early"
            raise BootLoaderError(
                f"{broken} cannot be read by sh, so no menu can be made: {said}. Mend that file; nothing was changed."
            )
        found = []
        for file, line, default in zip(fields[::3], fields[1::3], fields[2::3]):
            found.append(Step(file, grub_script.kernel_line(grub_script.words(line)), default or "0"))
        return found

    def foresee(self, path: str, content: Optional[bytes]) -> Menu:
        """Say what the menu will be once it has been made with `content` at `path`; None: with nothing there.

        :raises BootLoaderError: when it cannot be made.
        """
        stands = files.look(path)
        before = self.steps(path, stands.content if stands.state else None)
        after = self.steps(path, content)
        default = after[-1].default if after else "0"
        try:
            text = _with_default(self._text(), "${saved_entry}" if default == "saved" else default)
            outcome, later = self._run(text), self._run(text, once=False)
        except grub_script.ScriptError as error:
            return Menu(trouble=str(error))
        if not outcome.menu:
            return Menu(trouble="it is empty")
        old, new = (grub_script.words(steps[-1].cmdline) if steps else [] for steps in (before, after))
        for node in _flat(outcome.menu):
            if node.linux and self._made_from_settings(node) and "-recovery-" not in node.id:
                node.linux = [node.linux[0], *_exchange(node.linux[1:], old, new)]
        self._prune(outcome.menu)
        return self._resolve(outcome, later)

    def _prune(self, nodes: List[Node]) -> None:
        """Leave out what names a kernel that is gone; the entry that follows the newest gets the next one."""
        there = [node for node in _flat(nodes) if node.linux and not self._dangles(node)]
        for node in list(nodes):
            if node.submenu is not None:
                self._prune(node.submenu)
                if not node.submenu:
                    nodes.remove(node)
            elif self._dangles(node):
                heirs = [other for other in there if _script(other).startswith("10_linux")]
                if "-simple-" in node.id and heirs:
                    node.linux = list(heirs[0].linux)
                else:
                    nodes.remove(node)

    # -- one boot

    def once_problem(self) -> str:
        """Why GRUB cannot boot an entry for one time: half a sentence; empty if it can.

        It has to forget the order as it carries it out, and it writes its environment block only through plain sectors
        of a disk (GRUB's manual, "Environment block"; grub-core/commands/loadenv.c, check_blocklists).
        """
        if "save_env next_entry" not in self._text():
            return f"/{CONFIG} does not forget what was asked for once (/etc/grub.d/00_header does that)"
        folder = str(self.root / Path(CONFIG).parent)
        below = self._probe("abstraction", folder)
        if below:
            return f"/{Path(CONFIG).parent} is on {below}, where GRUB cannot write"
        filesystem = self._probe("fs", folder)
        if filesystem not in _WRITABLE:
            return f"/{Path(CONFIG).parent} is on {filesystem or 'an unknown file system'}, where GRUB cannot write"
        return ""

    def once(self, entry: Optional[Entry]) -> None:
        """Boot an entry next, and only next, as grub-reboot does; None: take that back.

        :raises BootLoaderError: when the order does not reach the menu.
        """
        if entry is None and not self.environment.exists():
            return
        order = ["set", f"next_entry={entry.id}"] if entry else ["unset", "next_entry"]
        for command in ([] if self.environment.exists() else [["create"]]) + [order]:
            done = programs.run("grub-editenv", str(self.environment), *command, timeout=60)
            if done.returncode:
                said = done.stderr.strip() or f"status {done.returncode}"
                raise BootLoaderError(f"GRUB's environment block {self.environment} cannot be written: {said}.")
        with self.environment.open("rb") as stream:
            os.fsync(stream.fileno())
        sync_directory(self.environment.parent)

    def trial_file(self, role: str, parameters: List[str]) -> files.Wanted:
        """The file that puts kernel parameters on every normal entry for the time of a trial."""
        text = _HEADER.format(role=role) + _PARAMETERS.format(parameters=" ".join(parameters))
        return files.Wanted(str(self.root / DROP_INS / "69-nspa-trial.cfg"), text.encode())

    def _probe(self, target: str, folder: str) -> str:
        done = programs.run("grub-probe", f"--target={target}", folder, timeout=60)
        if done.returncode:
            raise BootLoaderError(f"grub-probe cannot say what {folder} is on: {done.stderr.strip()}")
        return done.stdout.strip()

    # -- making the menu

    def make(self, accept: Callable[[Menu], None]) -> Menu:
        """Make the menu anew from its settings and the installed kernels.

        It is made beside the one that stands, shown to `accept`, and put into place in one step if that raises
        nothing, so that at any time there is a whole menu.
        :raises HostError: with the menu as it was.
        """
        target = Path(os.path.realpath(self.config))
        made = target.with_name(f"{target.name}.nspa-proaudio")
        litter = (made, made.with_name(f"{made.name}.new"))
        _remove(litter)
        try:
            self._mkconfig(made)
            menu = self._menu(made.read_text(encoding="utf-8", errors="replace"))
            if menu.trouble:
                raise BootLoaderError(f"GRUB's menu was made anew and is no good: {menu.trouble}. It is as it was.")
            accept(menu)
            _replace(made, target)
            return menu
        except OSError as error:
            raise BootLoaderError(
                f"GRUB's menu cannot be written: {error.strerror}. It is as it was. Make room, or remount /boot "
                f"if it is read-only, and run again."
            ) from error
        finally:
            _remove(litter)

    def _mkconfig(self, made: Path) -> None:
        command = ["grub-mkconfig", "-o", str(made)]
        try:
            done = programs.run(*command, timeout=TIMEOUT, instead=_language(self.root))
        except HostError as error:
            raise BootLoaderError(f"{error}. GRUB's menu is as it was.") from error
        if done.returncode or not made.exists():
            said = " ".join(done.stderr.splitlines()[-6:]) or "it made nothing"
            raise BootLoaderError(f"{' '.join(command)} failed; GRUB's menu is as it was: {said}")


def _made_by_mkconfig(config: Path) -> bool:
    """Whether a menu has the marks of grub-mkconfig. One that is empty, or not for our eyes, may be its work too."""
    try:
        text = config.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return not text.strip() or "automatically generated by grub-mkconfig" in text or "### BEGIN /etc/grub.d/" in text


def _language(root: Path) -> Dict[str, str]:
    """The machine's LANG: grub-mkconfig writes the menu in that language, whoever calls it."""
    for place in ("etc/default/locale", "etc/locale.conf"):
        found = re.search(r"^LANG=[\"']?([^\"'\s]+)", proc.read(place, root) or "", re.MULTILINE)
        if found:
            return {"LANG": found.group(1)}
    return {}


def _replace(made: Path, target: Path) -> None:
    """Put a menu into the place of the one that stands, with its mode and owner."""
    info = target.stat()
    made.chmod(info.st_mode & 0o7777)
    with contextlib.suppress(PermissionError):  # a FAT file system knows no owners
        os.chown(made, info.st_uid, info.st_gid)
    with made.open("rb") as stream:
        os.fsync(stream.fileno())
    made.replace(target)
    sync_directory(target.parent)


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


def _with_default(text: str, default: str) -> str:
    """A menu with another GRUB_DEFAULT, which 00_header writes into it."""
    return re.sub(r'^(\s*set default=)"(?!\$\{next_entry\}")[^"\n]*"', lambda m: f'{m[1]}"{default}"', text, flags=re.M)


def _choose(nodes: List[Node], default: str) -> Optional[Node]:
    """The entry that GRUB boots for a value of ``default`` (grub-core/normal/menu.c: get_entry_number, run_menu).

    By its place, or by title or id; in submenus with ``>`` between the levels (``>>`` is a ``>`` in a name). What is
    not found, or not given, is the first.
    """
    while nodes:
        index, _rest = grub_script.number(default)
        parts = re.split(r"(?<!>)>(?!>)", default.replace(">>", "\0"), maxsplit=1)
        name = parts[0].replace("\0", ">")
        if index is None:
            index = next((place for place, node in enumerate(nodes) if name in (node.title, node.id)), 0)
        node = nodes[index if index < len(nodes) else 0]
        if node.submenu is None:
            return node
        nodes, default = node.submenu, parts[1].replace("\0", ">>") if len(parts) > 1 else ""
    return None


def _flat(nodes: List[Node]) -> List[Node]:
    found = []
    for node in nodes:
        found += [node] if node.submenu is None else _flat(node.submenu)
    return found


def _pairs(nodes: List[Node], entries: Dict[int, Entry]) -> List[Tuple[Node, Entry]]:
    return [(node, entries[id(node)]) for node in _flat(nodes)]


def _script(node: Node) -> str:
    return node.origin.rpartition("/")[2]


def _root(line: str) -> str:
    """The root device that a command line names; the last one counts."""
    return next((item.value or "" for item in reversed(cmdline.parameters(line)) if item.name == "root"), "")


def _exchange(arguments: List[str], old: List[str], new: List[str]) -> List[str]:
    """The arguments of an entry with other settings."""
    kept = arguments[: len(arguments) - len(old)]
    if kept + old != arguments:
        # The menu is older than the settings: what 10_linux itself puts first stays.
        kept = arguments[: next((place for place, word in enumerate(arguments) if word in ("ro", "rw")), -1) + 1]
    return kept + new
