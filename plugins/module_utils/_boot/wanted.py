# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine boots next, what runs now, and what is wanted: the kernel and its command line.

A change of the boot menu is a file of ours among the boot loader's settings, and a menu made anew. Whether a new menu
is due is seen from the menu itself, not from the times of files: it lacks what is wanted, it names a kernel that is
gone, or a run was interrupted before it had made it (the manifest says so).
"""

from __future__ import annotations

import contextlib
import enum
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from ansible_collections.nspa.proaudio.plugins.module_utils._boot import cmdline, kernels, loaders, trial
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.loaders import BootLoader
from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import BootLoaderError, Entry, Menu, Step
from ansible_collections.nspa.proaudio.plugins.module_utils._core import proc
from ansible_collections.nspa.proaudio.plugins.module_utils._core.change import Concern, Purpose
from ansible_collections.nspa.proaudio.plugins.module_utils._core.errors import HostError
from ansible_collections.nspa.proaudio.plugins.module_utils._core.manifest import Manifest
from ansible_collections.nspa.proaudio.plugins.module_utils._files import files
from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import Seen
from ansible_collections.nspa.proaudio.plugins.module_utils._packages import manager as package_manager
from ansible_collections.nspa.proaudio.plugins.module_utils._packages.manager import PackageManager

#: Entries by owner: a boot menu that has yet to be made from the settings as they are.
KIND = "boot_menu"


class _BootChange:
    """What differs, of either concern. Without a boot loader that we manage nothing differs but files of ours."""

    concern = ""

    def __init__(self, manifest: Manifest, role: str, wanted: bool, purpose: Purpose, root: Path) -> None:
        self.role, self.purpose, self.root = role, purpose, root
        # A role may own other files too, and both concerns.
        self.owner = f"{role}/{self.concern}"
        self.warnings: List[str] = []
        self.loader = loaders.detect(root)
        self.boot: Optional[BootLoader] = loaders.manager(self.loader, root)
        self.menu = self.boot.menu() if self.boot else Menu()
        self.file = self._file(self.boot) if self.boot and wanted else None
        self.setting: Optional[files.FilesChange] = None
        if self.boot or not wanted:
            self.setting = files.compare(manifest, self.owner, [*([self.file] if self.file else []), *self._besides()])
        self.due = bool(self.boot) and bool(manifest.entries(KIND) or self.menu.trouble or self._lacking(self.menu))
        self.before = self.next_boot = self._shown(self.menu)
        if self.boot and self.changed and purpose is Purpose.PREDICT:
            self.next_boot = self._shown(self._foresee(self.boot))

    # -- what each concern says

    def _file(self, boot: BootLoader) -> Optional[files.Wanted]:
        """Our file as it is wanted; None: none."""
        raise NotImplementedError

    def _path(self, boot: BootLoader) -> str:
        """Where our file is."""
        raise NotImplementedError

    def _besides(self) -> List[files.Wanted]:
        """Further files that are wanted with it."""
        return []

    def _lacking(self, menu: Menu) -> str:
        """What is wanted and not in a menu; empty if all of it is."""
        raise NotImplementedError

    def _blame(self, menu: Menu) -> str:
        """Say what in the menu itself goes by no settings, and what to do."""
        raise NotImplementedError

    def _lost(self, step: Step) -> bool:
        """Whether the settings no longer say what is wanted when this file of them has been read."""
        raise NotImplementedError

    def _shown(self, menu: Menu) -> str:
        """What boots next, as the module returns it."""
        raise NotImplementedError

    def _running(self) -> str:
        """What runs, as the module returns it."""
        raise NotImplementedError

    def _reasons(self, running: str, next_boot: str) -> List[str]:
        """Why a reboot is due."""
        raise NotImplementedError

    # -- the protocol of changes

    @property
    def changed(self) -> bool:
        """Whether the machine differs from what is wanted."""
        return bool(self.setting and self.setting.changed) or self.due

    def apply(self, manifest: Manifest) -> None:
        """Write our file and make the menu anew; if the menu does not become what is wanted, all is as it was."""
        if self.setting is None or not self.changed:
            return
        if self.boot is None:
            self._write(manifest, self.setting)
            return
        marks = manifest.entries(KIND)
        manifest.record(KIND, self.owner, self.owner, None)
        manifest.save()
        earlier = files.look(self._path(self.boot))
        try:
            self._prepare(manifest, self.boot)
            self._write(manifest, self.setting)
            self.menu = self.boot.make(self._accept("What was tried was put back."))
        except HostError:
            self._undo(manifest, self._path(self.boot), earlier, self.owner in marks)
            raise
        for owner in manifest.entries(KIND):
            manifest.forget(KIND, owner)
        self.next_boot = self._shown(self.menu)

    def result(self) -> Dict[str, Any]:
        """What the modules return."""
        running = self._running()
        return {
            "loader": asdict(self.loader),
            "running": running,
            "next_boot": self.next_boot,
            "reboot_reasons": self._reasons(running, self.next_boot) if self.boot else [],
        }

    def diff(self) -> List[Dict[str, str]]:
        """The file, and what boots next."""
        shown = files.diff(self.setting) if self.setting else []
        if self.before != self.next_boot:
            shown.append(
                {
                    "before_header": "what boots next",
                    "after_header": "what boots next",
                    "before": f"{self.before}\n",
                    "after": f"{self.next_boot}\n",
                }
            )
        return shown

    # -- details

    def _prepare(self, manifest: Manifest, boot: BootLoader) -> None:
        """What has to be done before the file can be written."""

    def _write(self, manifest: Manifest, setting: files.FilesChange) -> None:
        for edit in files.apply(manifest, setting):
            self.warnings.append(f"{edit['path']} had been edited; the edited file is kept as {edit['copy']}.")

    def _undo(self, manifest: Manifest, path: str, earlier: Seen, marked: bool) -> None:
        """Put our file back as it was. The menu stands as it did before, so that no new one is due for our sake."""
        wanted = [files.Wanted(path, earlier.content)] if earlier.state else []
        # If even this fails, the mark stays, and the next run finds it.
        with contextlib.suppress(HostError):
            files.apply(manifest, files.compare(manifest, self.owner, wanted))
            if not marked:
                manifest.forget(KIND, self.owner)
            manifest.save()

    def _foresee(self, boot: BootLoader) -> Menu:
        menu = boot.foresee(self._path(boot), self.file.content if self.file else None)
        if not menu.trouble:
            self._accept("Nothing was changed.")(menu)
        return menu

    def _accept(self, otherwise: str) -> Callable[[Menu], None]:
        def accept(menu: Menu) -> None:
            lacking = self._lacking(menu)
            if lacking:
                raise BootLoaderError(f"{lacking} does not reach the boot menu: {self._culprit(menu)} {otherwise}")

        return accept

    def _culprit(self, menu: Menu) -> str:
        """Say what takes away what we set, and what to do."""
        steps = self.boot.steps(self.file.path, self.file.content) if self.boot and self.file else []
        ours = next((place for place, step in enumerate(steps) if self.file and step.file == self.file.path), 0)
        lost = next((place for place in range(ours, len(steps)) if self._lost(steps[place])), None)
        if lost is not None and lost > ours:
            return (
                f"{steps[lost].file}, which is read after ours, sets something else. Let it keep what was set before "
                f"it, or give it a name that sorts before {Path(steps[ours].file).name}."
            )
        if lost is not None:
            ended = next((step.file for step in steps if "--" in step.cmdline.split()), "")
            if not ended:
                return f"what is set before {steps[ours].file} swallows it. Look for a quote there that is not closed."
            return (
                f'{ended} puts a "--" on the kernel command line, and all behind it goes to init instead. '
                f"Move it behind all that the kernel shall read."
            )
        return self._blame(menu)


class _Parameters(_BootChange):
    """Kernel parameters on every normal entry of this system."""

    concern = "kernel_cmdline"

    def __init__(
        self, manifest: Manifest, role: str, parameters: List[str], purpose: Purpose, root: Path = Path("/")
    ) -> None:
        self.parameters = parameters
        super().__init__(manifest, role, bool(parameters), purpose, root)

    def _file(self, boot: BootLoader) -> Optional[files.Wanted]:
        return boot.parameters(self.role, self.parameters)

    def _path(self, boot: BootLoader) -> str:
        return boot.parameters_file

    def _lacking(self, menu: Menu) -> str:
        lines = [entry.cmdline for entry in self._concerned(menu)]
        if self.parameters and not lines:
            return " ".join(self.parameters)
        lacking = {word for line in lines for word in cmdline.missing(self.parameters, line)}
        return " ".join(word for word in self.parameters if word in lacking)

    def _concerned(self, menu: Menu) -> List[Entry]:
        """The normal entries, and that which is chosen if it boots one of the same kernels."""
        chosen, normal = menu.default, menu.normal
        if chosen and not chosen.recovery and chosen not in normal and _same_system(chosen, normal):
            return [*normal, chosen]
        return normal

    def _blame(self, menu: Menu) -> str:
        found = [entry for entry in self._concerned(menu) if cmdline.missing(self.parameters, entry.cmdline)]
        if not found:
            return "it has no entry for this system's own kernels. Look at what makes the menu, then run this again."
        return (
            f"its entry '{found[0].title}' comes from {found[0].origin}, which does not go by the settings. "
            f"Change that file, or choose another default entry."
        )

    def _lost(self, step: Step) -> bool:
        return bool(cmdline.missing(self.parameters, step.cmdline))

    def _shown(self, menu: Menu) -> str:
        return menu.next.cmdline if menu.next else ""

    def _running(self) -> str:
        return proc.command_line(self.root)

    def _reasons(self, running: str, next_boot: str) -> List[str]:
        now, then = cmdline.split(running), cmdline.split(next_boot)
        parameters_now, parameters_then = cmdline.parameters(running), cmdline.parameters(next_boot)
        # A trial's own parameter comes and goes with the trial, and is nobody's wish.
        coming = [w for w in then if cmdline.parse(w) not in parameters_now and w != trial.PARAMETER]
        going = [w for w in now if cmdline.parse(w) not in parameters_then and w != trial.PARAMETER]
        reasons = []
        if coming:
            reasons.append(f"the kernel runs without {' '.join(coming)}")
        if going:
            reasons.append(f"the kernel still runs with {' '.join(going)}")
        return reasons


class _Stage(enum.Enum):
    """How far a kernel has come on its way to be the default."""

    CHOSEN = "chosen"  #: it is the default, tried or not
    HELD = "held"  #: it is not installed yet; the one that runs is held, which an installation would replace at once
    DUE = "due"  #: it is to get its one boot
    ARMED = "armed"  #: it boots next, once
    RUNNING = "running"  #: it has its one boot now, and is looked at
    FELL_BACK = "fell back"  #: it had its boot and did not show that it works; that has yet to be noted
    FAILED = "failed"  #: that is noted


class _Default(_BootChange):
    """The newest kernel of some packages as that which boots by default, from the first or after a trial."""

    concern = "boot_default"

    def __init__(
        self,
        manifest: Manifest,
        role: str,
        packages: Sequence[str],
        purpose: Purpose,
        root: Path,
        find: Callable[[], PackageManager],
        on_trial: str = "never",
        retry: bool = False,
    ) -> None:
        self.packages = list(packages)
        self.find = find
        self.on_trial, self.retry = on_trial, retry
        self.release = ""
        self.trial = trial.recorded(manifest)
        self.stage = _Stage.CHOSEN
        super().__init__(manifest, role, bool(packages), purpose, root)

    # -- the trial

    def _how_far(self, boot: BootLoader) -> _Stage:
        """The stage of the wanted kernel."""
        known = self.trial if self.trial and self.trial.release == self.release else None
        runs = self._running() == self.release
        if runs and (known is None or known.state == trial.CONFIRMED):
            return _Stage.CHOSEN
        if runs and known and known.lasts:
            return _Stage.RUNNING
        if self.on_trial == "never":
            return _Stage.CHOSEN
        if not self.release:
            return _Stage.HELD if self.purpose is Purpose.APPLY else _Stage.CHOSEN
        if known and known.state == trial.ARMED:
            if known.boot != trial.boot_id(self.root):
                return _Stage.FELL_BACK
            if self.menu.next and self.menu.next.kernel == self.release:
                return _Stage.ARMED
        if known and not known.lasts and known.image == trial.image_of(self.release, self.root):
            if known.state == trial.CONFIRMED:
                return _Stage.CHOSEN
            if not self.retry:
                return _Stage.FAILED
        if runs:  # it can only be tried again from another kernel
            return _Stage.FAILED
        return _Stage.DUE if self._can_be_tried(boot) else _Stage.CHOSEN

    def _can_be_tried(self, boot: BootLoader) -> bool:
        """Whether there is a way back; BootLoaderError if there is none and a trial is a must."""
        running = self._running()
        problem = f"the kernel that runs, {running}, has no entry in the boot menu, so that there is no way back"
        if self.menu.entry_of(running):
            # What the loader can do is asked of its programs, which only a run that changes something may start.
            problem = "" if self.purpose is Purpose.JUDGE else boot.once_problem()
        if problem and self.on_trial == "always":
            raise BootLoaderError(f"{self.release} cannot be tried: {problem}. Nothing was changed.")
        if problem:
            self.warnings.append(f"{self.release} becomes the default without a trial: {problem}.")
        return not problem

    @property
    def _lasts(self) -> bool:
        return self.stage in (_Stage.DUE, _Stage.ARMED, _Stage.RUNNING)

    @property
    def _default_release(self) -> str:
        """The kernel that is to be the default at this stage."""
        if self.stage is _Stage.CHOSEN:
            return self.release
        if self.stage in (_Stage.HELD, _Stage.DUE) or not self.trial:
            return self._running()
        return self.trial.earlier

    @property
    def _outlived(self) -> bool:
        """Whether the recorded trial is of no interest any more: nothing, or another kernel, is wanted and runs."""
        if self.trial is None:
            return False
        return not self.packages or (self.stage is _Stage.CHOSEN and self.trial.release != self.release)

    @property
    def changed(self) -> bool:
        """Whether the machine differs from what is wanted."""
        if self._outlived:
            return True
        return super().changed or self.stage in (_Stage.DUE, _Stage.FELL_BACK)

    def apply(self, manifest: Manifest) -> None:
        """As for any change; a trial is told to the loader last, when there is a way back."""
        if self.stage is _Stage.DUE:
            self.trial = trial.begin(self.release, self._running(), self.root)
            trial.record(manifest, self.owner, self.trial)
        super().apply(manifest)
        if self.boot is None:
            return
        if self.stage is _Stage.DUE and self.trial:
            self._arm(manifest, self.boot, self.trial)
        elif self.stage is _Stage.FELL_BACK and self.trial:
            trial.record(manifest, self.owner, trial.ended(self.trial, trial.FAILED, self._fell_back(self.trial)))
        elif self._outlived and self.trial:
            if self.trial.lasts:
                self.boot.once(None)
                self.next_boot = self._shown(self.boot.menu())
            trial.drop(manifest)
            self.trial = None

    def _arm(self, manifest: Manifest, boot: BootLoader, begun: trial.Trial) -> None:
        entry = self.menu.entry_of(self.release)
        boot.once(entry)
        self.menu = boot.menu()
        if not (entry and self.menu.next and self.menu.next.id == entry.id):
            boot.once(None)
            raise BootLoaderError(
                f"{boot.signs.name} was told to boot {self.release} once, and would not. {begun.earlier} stays the "
                f"default. Set linux_nspa_trial to never to make {self.release} the default without a trial."
            )
        trial.record(manifest, self.owner, begun._replace(state=trial.ARMED))
        self.next_boot = self._shown(self.menu)

    def _fell_back(self, known: trial.Trial) -> str:
        return f"the machine came back with {self._running()} before {known.release} had shown that it works"

    def _besides(self) -> List[files.Wanted]:
        if not self._lasts or not self.boot:
            return []
        return [self.boot.trial_file(self.role, [trial.PARAMETER]), trial.watchdog(self.role, self.root)]

    # -- the default

    def _file(self, boot: BootLoader) -> Optional[files.Wanted]:
        self.release = kernels.newest(self.packages, self.find(), self.root)
        self.stage = self._how_far(boot)
        if self.stage is _Stage.HELD:
            running = self.menu.entry_of(self._running())
            return boot.choice(self.role, running) if running else None
        if not self.release and self.purpose is Purpose.APPLY:
            raise BootLoaderError(
                f"{' '.join(self.packages)} shall be booted, and no installed package of that name brought a kernel "
                f"that is there. Install it first, or correct the name. Nothing was changed."
            )
        return boot.choice(self.role, self.menu.entry_of(self._default_release))

    def _path(self, boot: BootLoader) -> str:
        return boot.default_file

    def _lacking(self, menu: Menu) -> str:
        if not self.packages or not self.file or (self._default_release and self._chosen(menu)):
            return ""
        return self._default_release or f"the kernel of {' '.join(self.packages)}"

    def _chosen(self, menu: Menu) -> bool:
        entry = menu.entry_of(self._default_release)
        return entry is not None and menu.default is not None and menu.default.id == entry.id

    def _blame(self, menu: Menu) -> str:
        chosen = f"'{menu.default.title}'" if menu.default else "nothing"
        return f"{menu.chosen_by or 'the menu itself'} chooses {chosen} there. Let it keep what the settings chose."

    def _lost(self, step: Step) -> bool:
        entry = self.menu.entry_of(self._default_release)
        return entry is not None and step.default != entry.id

    def _shown(self, menu: Menu) -> str:
        return menu.next.kernel if menu.next else ""

    def _running(self) -> str:
        return proc.read("/proc/sys/kernel/osrelease", self.root) or os.uname().release

    def _reasons(self, running: str, next_boot: str) -> List[str]:
        if not next_boot or running == next_boot or self.stage is _Stage.RUNNING:
            return []
        once = ", once" if self._lasts else ""
        return [f"{running} runs, and {next_boot} boots next{once}"]

    def result(self) -> Dict[str, Any]:
        """What the module returns."""
        known = self.trial if self.boot else None
        return {**super().result(), "trial": {"state": known.state, "told": known.told()} if known else None}

    def _foresee(self, boot: BootLoader) -> Menu:
        if not self.packages or (self.menu.entry_of(self.release) and self.stage is not _Stage.DUE):
            return super()._foresee(boot)
        # A kernel that is yet to come, or to get its entry.
        name = self.release or f"the kernel of {' '.join(self.packages)}"
        return Menu(next=Entry("", name, kernel=name))

    def _prepare(self, manifest: Manifest, boot: BootLoader) -> None:
        if not self.packages or self.stage is _Stage.HELD or self.menu.entry_of(self.release):
            return
        # Its entry has no name before there is one.
        self.menu = boot.make(lambda _menu: None)
        if self.menu.entry_of(self.release) is None:
            raise BootLoaderError(
                f"{self.release} is installed, and the boot menu has no entry for it, not even made anew. Look "
                f"whether its image is in /boot, reinstall its package if not, and {boot.mend}."
            )
        self.file = boot.choice(self.role, self.menu.entry_of(self._default_release))
        self.setting = files.compare(manifest, self.owner, [self.file, *self._besides()])


def compare_parameters(
    manifest: Manifest, role: str, wanted: Optional[Mapping[str, Any]], purpose: Purpose, root: Path = Path("/")
) -> _Parameters:
    """Compare kernel parameters with the boot menu and the running kernel.

    :raises HostError: when a parameter is not one, the menu cannot be read, or what is wanted would not reach it.
    """
    parameters: List[str] = list(wanted["parameters"]) if wanted else []
    for parameter in parameters:
        problem = cmdline.problem(parameter)
        if problem:
            raise BootLoaderError(f"'{parameter}': {problem}. Nothing was changed.")
    contradiction = cmdline.contradiction(parameters)
    if contradiction:
        raise BootLoaderError(f"{contradiction}. Nothing was changed.")
    return _Parameters(manifest, role, parameters, purpose, root)


def compare_default(
    manifest: Manifest,
    role: str,
    wanted: Optional[Mapping[str, Any]],
    purpose: Purpose,
    root: Path = Path("/"),
    find: Callable[[], PackageManager] = package_manager.find,
) -> _Default:
    """Compare the default boot entry with the newest kernel of some packages.

    :raises HostError: when they brought none, the menu cannot be read, or what is wanted would not reach it.
    """
    if wanted is not None and not wanted["packages"]:
        raise BootLoaderError("packages is empty: name the kernel package to boot, for example linux-image-rt-amd64")
    if wanted is None:
        return _Default(manifest, role, [], purpose, root, find)
    return _Default(manifest, role, wanted["packages"], purpose, root, find, wanted["trial"], wanted["retry"])


def _same_system(entry: Entry, normal: Sequence[Entry]) -> bool:
    """Whether an entry that does not come from the settings boots a kernel of ours with our root all the same."""

    def root(line: str) -> List[Optional[str]]:
        return [item.value for item in cmdline.parameters(line) if item.name == "root"][-1:]

    return any(entry.kernel == other.kernel and root(entry.cmdline) == root(other.cmdline) for other in normal)


KERNEL_CMDLINE = Concern(
    "kernel_cmdline",
    {"parameters": {"type": "list", "elements": "str", "default": []}},
    compare_parameters,
)
BOOT_DEFAULT = Concern(
    "boot_default",
    {
        "packages": {"type": "list", "elements": "str", "default": []},
        "trial": {"type": "str", "choices": ["auto", "always", "never"], "default": "never"},
        "retry": {"type": "bool", "default": False},
    },
    compare_default,
)
