# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's script language: a grub.cfg is a script, and its menu is what the script says when it is run.

Read as the GRUB manual's chapter "Writing full configuration files directly" describes it, without the commands that
ask a machine's firmware, screen or keyboard: those do nothing here, and conditions on them fail. So entries inside
an ``if``, variables in titles and files that are sourced count as they do for GRUB.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from ansible_collections.nspa.proaudio.plugins.module_utils._boot.model import BootLoaderError

#: Commands after which the script is stopped: a loop without an end would otherwise hold us up for ever.
LIMIT = 20000

_ORIGIN = re.compile(r"### BEGIN (\S+) ###")
_VARIABLE = re.compile(r"\$(?:\{(\w+|[?*@#])\}|([A-Za-z_]\w*|[0-9]+|[?*@#]))")
_LINUX = ("linux", "linux16", "linuxefi")
#: Options of menuentry and submenu that take a value.
_VALUED = ("--class", "--users", "--hotkey", "--source", "--id")
#: Words that begin no command (GRUB manual, "Shell-like scripting").
_RESERVED = ("then", "elif", "else", "fi", "do", "done", "in", "case", "esac", "select", "[[", "]]", "!")
#: Commands that ask the machine something that cannot be known from here: answered with no.
_UNKNOWN = ("false", "cmostest", "keystatus", "hwmatch", "regexp", "cpuid")


class ScriptError(BootLoaderError):
    """The text is not a script that GRUB would run."""


@dataclass
class Node:
    """An entry of the menu, or a submenu."""

    title: str
    id: str
    origin: str  #: the file that wrote it, where that is known
    submenu: Optional[List[Node]] = None
    linux: List[str] = field(default_factory=list)  #: the words behind ``linux``: the image and its arguments


@dataclass
class Outcome:
    """What a script made."""

    menu: List[Node] = field(default_factory=list)
    variables: Dict[str, str] = field(default_factory=dict)
    setters: Dict[str, str] = field(default_factory=dict)  #: the file that set each variable last


def run(text: str, variables: Dict[str, str], read: Callable[[str], Optional[str]], origin: str = "") -> Outcome:
    """Run a script.

    :param variables: what GRUB and its environment block have set before.
    :param read: the text of a file of the boot disk by the name that the script has for it; None: not there.
    :param origin: the script's own file.
    :raises ScriptError: for a text that GRUB would not run either.
    """
    outcome = Outcome(variables=dict(variables))
    runner = _Runner(outcome, read, origin)
    try:
        runner.block(_Parser(text).script())
    except _Leave:
        pass
    except RecursionError as error:
        raise ScriptError("it does not come to an end") from error
    return outcome


def words(text: str) -> List[str]:
    """Split a text into words as GRUB does, with every variable empty."""
    runner = _Runner(Outcome(), lambda _path: None, "")
    return [word for token in _tokens(text) if token.kind == "word" for word in runner.expand(token)]


def environment(text: str) -> Dict[str, str]:
    """Read GRUB's environment block (grubenv): lines ``name=value``, padded with ``#``."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value for name, _equals, value in pairs}


def kernel_line(arguments: Sequence[str]) -> str:
    """What GRUB hands to the kernel for the arguments of ``linux`` (grub-core/lib/cmdline.c)."""
    quoted = [
        re.sub(r"\\x[0-9A-Fa-f]{2}|[\\'\"]", lambda m: m[0] if len(m[0]) > 1 else f"\\{m[0]}", word)
        for word in arguments
    ]
    return " ".join(f'"{word}"' if " " in word else word for word in quoted)


# -- from text to words


class _Part(NamedTuple):
    text: str
    variable: bool = False
    quoted: bool = False


class _Token(NamedTuple):
    kind: str  #: ``word``, ``end`` of a command, ``{``, ``}``, or ``origin``: a mark of grub-mkconfig
    parts: Tuple[_Part, ...] = ()

    @property
    def plain(self) -> str:
        """The word if it is one piece without quotes, as keywords are."""
        return self.parts[0].text if len(self.parts) == 1 and self.parts[0][1:] == (False, False) else ""


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while at < len(text):
        letter = text[at]
        if letter in " \t\r":
            at += 1
        elif text.startswith("\\\n", at):
            at += 2
        elif letter == "#":
            end = text.find("\n", at) if "\n" in text[at:] else len(text)
            mark = _ORIGIN.match(text, at, end)
            if mark:
                yield _Token("origin", (_Part(mark[1]),))
            at = end
        elif letter in "\n;":
            yield _Token("end")
            at += 1
        elif letter in "{}":
            yield _Token(letter)
            at += 1
        elif letter in "|&<>":
            raise ScriptError(f"'{letter}' stands alone in line {text.count(chr(10), 0, at) + 1}")
        else:
            parts, at = _word(text, at)
            yield _Token("word", tuple(parts))


def _word(text: str, at: int) -> Tuple[List[_Part], int]:
    parts: List[_Part] = []
    while at < len(text) and text[at] not in " \t\r\n;{}|&<>":
        letter = text[at]
        if letter == "\\":
            if text[at + 1 : at + 2] != "\n":
                parts.append(_Part(text[at + 1 : at + 2], quoted=True))
            at += 2
        elif letter == "'":
            end = _closing(text, at, "'")
            parts.append(_Part(text[at + 1 : end], quoted=True))
            at = end + 1
        elif letter == '"':
            inner, at = _double_quoted(text, at + 1)
            parts += inner
        elif letter == "$":
            part, at = _dollar(text, at, quoted=False)
            parts.append(part)
        else:
            match = re.compile(r"[^\\'\"$\s;{}|&<>]+").match(text, at)
            end = match.end() if match else at + 1
            parts.append(_Part(text[at:end]))
            at = end
    return parts, at


def _double_quoted(text: str, at: int) -> Tuple[List[_Part], int]:
    start, parts = at, [_Part("", quoted=True)]
    while text[at : at + 1] != '"':
        letter = text[at : at + 1]
        if not letter:
            _closing(text, start - 1, '"')
        elif letter == "\\" and text[at + 1 : at + 2] in ("$", '"', "\\", "\n"):
            if text[at + 1] != "\n":
                parts.append(_Part(text[at + 1], quoted=True))
            at += 2
        elif letter == "$":
            part, at = _dollar(text, at, quoted=True)
            parts.append(part)
        else:
            parts.append(_Part(letter, quoted=True))
            at += 1
    return parts, at + 1


def _dollar(text: str, at: int, quoted: bool) -> Tuple[_Part, int]:
    match = _VARIABLE.match(text, at)
    if not match:
        return _Part("$", quoted=quoted), at + 1
    return _Part(match[1] or match[2], variable=True, quoted=quoted), match.end()


def _closing(text: str, at: int, quote: str) -> int:
    end = text.find(quote, at + 1)
    if end < 0:
        raise ScriptError(f"the {quote} in line {text.count(chr(10), 0, at) + 1} is not closed")
    return end


# -- from words to commands


class _Command(NamedTuple):
    words: List[_Token]
    block: Optional[_Block]
    negated: bool = False


class _If(NamedTuple):
    branches: List[Tuple[_Block, _Block]]
    otherwise: _Block


class _Loop(NamedTuple):
    kind: str
    words: List[_Token]
    condition: _Block
    body: _Block


class _Function(NamedTuple):
    name: str
    body: _Block


class _Origin(NamedTuple):
    path: str


_Statement = Union[_Command, _If, _Loop, _Function, _Origin]
_Block = List[_Statement]


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0

    def script(self) -> _Block:
        block = self._until()
        if self.at < len(self.tokens):
            raise ScriptError("a } has no { before it")
        return block

    def _until(self, *ends: str) -> _Block:
        """Statements up to one of the keywords, or to the } that closes this block; that one is not taken."""
        block: _Block = []
        while self.at < len(self.tokens):
            token = self.tokens[self.at]
            if token.kind == "}" or (token.plain and token.plain in ends):
                return block
            if token.kind == "end":
                self.at += 1
            elif token.kind == "origin":
                self.at += 1
                block.append(_Origin(token.parts[0].text))
            else:
                block.append(self._statement())
        if ends:
            raise ScriptError(f"'{ends[-1]}' is missing")
        return block

    def _statement(self) -> _Statement:
        keyword = self.tokens[self.at].plain
        if keyword == "if":
            return self._if()
        if keyword in ("while", "until", "for"):
            return self._loop(keyword)
        if keyword == "function":
            self.at += 1
            name = self._plain()
            self.at += 1
            self._skip_ends()
            return _Function(name, self._braces())
        return self._command()

    def _command(self) -> _Command:
        found: List[_Token] = []
        block = None
        negated = self._plain() == "!"
        self.at += negated
        if not negated and self._plain() in _RESERVED:
            raise ScriptError(f"'{self._plain()}' stands where a command is wanted")
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "word":
            found.append(self.tokens[self.at])
            self.at += 1
        if self.at < len(self.tokens) and self.tokens[self.at].kind == "{":
            block = self._braces()
        return _Command(found, block, negated)

    def _braces(self) -> _Block:
        if self.at >= len(self.tokens) or self.tokens[self.at].kind != "{":
            raise ScriptError("a { is missing")
        self.at += 1
        block = self._until()
        if self.at >= len(self.tokens):
            raise ScriptError("a } is missing at the end")
        self.at += 1
        return block

    def _if(self) -> _If:
        branches: List[Tuple[_Block, _Block]] = []
        otherwise: _Block = []
        self.at += 1
        while True:
            condition = self._until("then")
            self._take("then")
            branches.append((condition, self._until("elif", "else", "fi")))
            keyword = self._take("elif", "else", "fi")
            if keyword == "else":
                otherwise = self._until("fi")
                keyword = self._take("fi")
            if keyword == "fi":
                return _If(branches, otherwise)

    def _loop(self, kind: str) -> _Loop:
        self.at += 1
        named: List[_Token] = []
        condition: _Block = []
        if kind == "for":
            named = self._command().words
            self._skip_ends()
        else:
            condition = self._until("do")
        self._take("do")
        body = self._until("done")
        self._take("done")
        return _Loop(kind, named, condition, body)

    def _take(self, *keywords: str) -> str:
        found = self._plain()
        if found not in keywords:
            raise ScriptError(f"'{keywords[-1]}' is missing")
        self.at += 1
        return found

    def _plain(self) -> str:
        return self.tokens[self.at].plain if self.at < len(self.tokens) else ""

    def _skip_ends(self) -> None:
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "end":
            self.at += 1


# -- running


class _Leave(Exception):
    """return, break, continue and exit."""


class _Runner:
    def __init__(self, outcome: Outcome, read: Callable[[str], Optional[str]], origin: str) -> None:
        self.outcome, self.read, self.origin = outcome, read, origin
        self.variables = outcome.variables
        self.menu = outcome.menu
        self.functions: Dict[str, _Block] = {}
        self.exported = set(self.variables)
        self.arguments: List[str] = []
        self.linux: List[str] = []
        self.left = LIMIT

    def block(self, block: _Block) -> int:
        """Run some commands; the status of the last one."""
        status = 0
        for statement in block:
            self.left -= 1
            if self.left < 0:
                raise ScriptError("it does not come to an end")
            if isinstance(statement, _Origin):
                self.origin = statement.path
            elif isinstance(statement, _Function):
                self.functions[statement.name] = statement.body
            elif isinstance(statement, _If):
                status = self._if(statement)
            elif isinstance(statement, _Loop):
                self._loop(statement)
            else:
                status = self._command(statement)
                if statement.negated:
                    status = 0 if status else 1
                self.variables["?"] = str(status)
        return status

    def _if(self, statement: _If) -> int:
        for condition, body in statement.branches:
            if self.block(condition) == 0:
                return self.block(body)
        return self.block(statement.otherwise)

    def _loop(self, loop: _Loop) -> None:
        try:
            if loop.kind == "for":
                named = [word for token in loop.words for word in self.expand(token)]
                for value in named[2:]:
                    self.variables[named[0]] = value
                    self.block(loop.body)
            else:
                while (self.block(loop.condition) == 0) == (loop.kind == "while"):
                    self.block(loop.body)
        except _Leave:
            pass

    def expand(self, token: _Token) -> List[str]:
        """The words that a word becomes: an unquoted variable can be none, or several."""
        found: List[str] = []
        current: Optional[str] = None
        for part in token.parts:
            value = self._value(part.text) if part.variable else part.text
            if not part.variable or part.quoted:
                current = (current or "") + value
                continue
            pieces = value.split()
            if value[:1].isspace() and current is not None:
                found.append(current)
                current = None
            for number, piece in enumerate(pieces):
                if number and current is not None:
                    found.append(current)
                    current = None
                current = (current or "") + piece
            if pieces and value[-1:].isspace() and current is not None:
                found.append(current)
                current = None
        return found if current is None else [*found, current]

    def _value(self, name: str) -> str:
        if name.isdigit():
            number = int(name)
            return self.arguments[number - 1] if 0 < number <= len(self.arguments) else ""
        if name in ("*", "@"):
            return " ".join(self.arguments)
        if name == "#":
            return str(len(self.arguments))
        # What this GRUB can do (grub-core/normal/main.c): a new enough one can do all that grub-mkconfig asks for.
        return self.variables.get(name, "y" if name.startswith("feature_") else "")

    def _command(self, command: _Command) -> int:
        arguments = [word for token in command.words for word in self.expand(token)]
        if not arguments:
            return 0
        name, rest = arguments[0], arguments[1:]
        if name in ("menuentry", "submenu"):
            self._entry(name, rest, command.block or [])
        elif name in self.functions:
            return self._call(self.functions[name], rest)
        elif name in _LINUX:
            self.linux = rest
        elif name == "set":
            for item in rest:
                self._set(item)
        elif name == "unset":
            for key in rest:
                self.variables.pop(key, None)
        elif name == "export":
            self.exported.update(rest)
        elif name in ("source", ".", "configfile"):
            return self._source(rest)
        elif name in ("[", "test"):
            return 0 if _Test(rest[:-1] if name == "[" else rest, self.read).true() else 1
        elif name == "load_env":
            self.variables.update(environment(self.read(f"{self.variables.get('prefix', '')}/grubenv") or ""))
        elif name in ("return", "break", "continue", "exit"):
            raise _Leave
        elif "=" in name:
            self._set(name)
        elif name == "fwsetup" and rest == ["--is-supported"]:
            return 0 if self.variables.get("grub_platform") == "efi" else 1
        elif name in _UNKNOWN:
            return 1
        return 0

    def _set(self, assignment: str) -> None:
        key, _equals, value = assignment.partition("=")
        self.variables[key] = value
        self.outcome.setters[key] = self.origin

    def _call(self, body: _Block, arguments: List[str]) -> int:
        before, self.arguments = self.arguments, arguments
        try:
            return self.block(body)
        except _Leave:
            return 0
        finally:
            self.arguments = before

    def _source(self, names: List[str]) -> int:
        text = self.read(names[0]) if names else None
        if text is None:
            return 1
        before, self.origin = self.origin, names[0]
        status = self.block(_Parser(text).script())
        self.origin = before
        return status

    def _entry(self, kind: str, rest: List[str], block: _Block) -> None:
        values: Dict[str, str] = {}
        plain: List[str] = []
        items = iter(rest)
        for item in items:
            option, equals, value = item.partition("=")
            if option in _VALUED:
                values[option] = value if equals else next(items, "")
            elif not item.startswith("--"):
                plain.append(item)
        title = plain[0] if plain else ""
        node = Node(title, values.get("--id") or title, self.origin)
        inner = _Runner(Outcome(variables=dict(self.variables)), self.read, self.origin)
        inner.functions, inner.arguments, inner.left = dict(self.functions), plain[1:], self.left
        if kind == "submenu":
            # A submenu sees the variables that were exported, and GRUB's own.
            inner.variables = {key: value for key, value in self.variables.items() if key in self.exported}
            node.submenu = inner.menu
        inner.exported = set(self.exported)
        with contextlib.suppress(_Leave):
            inner.block(block)
        self.left = inner.left
        node.linux = inner.linux
        self.menu.append(node)


_STRINGS: Dict[str, Callable[[str, str], bool]] = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
}
_NUMBERS: Dict[str, Callable[[int, int], bool]] = {
    "-eq": lambda a, b: a == b,
    "-ne": lambda a, b: a != b,
    "-lt": lambda a, b: a < b,
    "-gt": lambda a, b: a > b,
    "-le": lambda a, b: a <= b,
    "-ge": lambda a, b: a >= b,
}


class _Test:
    """The expression of ``test`` and ``[`` (GRUB manual, "test")."""

    def __init__(self, words: List[str], read: Callable[[str], Optional[str]]) -> None:
        self.words, self.read = list(words), read

    def true(self) -> bool:
        value = self._all()
        while self.words and self.words[0] == "-o":
            self.words.pop(0)
            value = self._all() or value
        return value

    def _all(self) -> bool:
        value = self._one()
        while self.words and self.words[0] not in ("-o", ")"):
            if self.words[0] == "-a":
                self.words.pop(0)
            value = self._one() and value
        return value

    def _one(self) -> bool:
        if not self.words:
            return False
        if len(self.words) >= 3 and (self.words[1] in _STRINGS or self.words[1] in _NUMBERS):
            left, operator, right = self.words[:3]
            del self.words[:3]
            if operator in _STRINGS:
                return _STRINGS[operator](left, right)
            return _NUMBERS[operator](number(left)[0] or 0, number(right)[0] or 0)
        word = self.words.pop(0)
        if word == "!":
            return not self._one()
        if word == "(":
            value = self.true()
            del self.words[:1]
            return value
        if word in ("-n", "-z") and self.words:
            return bool(self.words.pop(0)) == (word == "-n")
        if word in ("-e", "-f", "-d", "-s") and self.words:
            return self.read(self.words.pop(0)) is not None
        return bool(word)


def number(text: str) -> Tuple[Optional[int], str]:
    """The number that a text begins with, as GRUB reads one (grub_strtoul with base 0), and what follows it."""
    match = re.match(r"\s*(?:0x([0-9A-Fa-f]+)|0([0-7]+)|([0-9]+))", text)
    if not match:
        return None, text
    base, digits = next((base, digits) for base, digits in zip((16, 8, 10), match.groups()) if digits)
    return int(digits, base), text[match.end() :]
