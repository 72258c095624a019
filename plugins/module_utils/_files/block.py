# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our block of lines in somebody else's file.

It stands at the end of the file, between two marks. All other lines are nobody's but theirs: what is taken out is
a whole block between its marks or, where one of the marks is gone, exactly the lines that we wrote. Lines count as
equal whether they end as on Linux or as on Windows (CRLF); ours end as the others in the file do.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple

from ansible_collections.nspa.proaudio.plugins.module_utils._files.look import HostFileError


class Others(NamedTuple):
    """A file without our blocks. `edited`: between our marks stood something that we did not write."""

    lines: bytes
    edited: bool


def text(role: str, content: bytes) -> bytes:
    """The block that holds `content`, as it is recorded."""
    begin, end = _marks(role)
    return b"".join(line + b"\n" for line in [begin, *content.splitlines(), end])


def put_in(lines: bytes, block: bytes) -> bytes:
    """The others' lines with a block behind them."""
    end = _line_end(lines)
    if lines and not lines.endswith(b"\n"):
        lines += end
    return lines + b"".join(line + end for line in block.splitlines())


def take_out(path: str, content: bytes, role: str, written: Sequence[bytes]) -> Others:
    """The others' lines of a file. `written`: the blocks that we put there, by the record.

    Raises HostFileError where a mark is missing and what stands at the other one is not what we wrote.
    """
    lines, known = content.splitlines(), [block.splitlines() for block in written]
    marks = _marks(role)
    ours: List[Tuple[int, int]] = []
    edited = False
    for position, line in enumerate(lines):
        free = ours[-1][1] if ours else 0
        if position < free or line not in marks:
            continue
        found = _whole(lines, position, marks)
        if found:
            edited = edited or lines[slice(*found)] not in known
        else:
            found = _half(lines, position, marks, known, free)
        if found is None:
            raise HostFileError(_incomplete(path, line, marks))
        ours.append(found)
    kept = content.splitlines(keepends=True)
    for start, stop in reversed(ours):
        del kept[start:stop]
    return Others(b"".join(kept), edited)


def has_mark(content: bytes, role: str) -> bool:
    """Whether one of our marks stands there."""
    return not set(_marks(role)).isdisjoint(content.splitlines())


def _whole(lines: List[bytes], position: int, marks: Tuple[bytes, bytes]) -> Optional[Tuple[int, int]]:
    """Where the block that begins at a position ends, if it has both its marks."""
    begin, end = marks
    following = next((index for index in range(position + 1, len(lines)) if lines[index] in marks), None)
    if lines[position] != begin or following is None or lines[following] != end:
        return None
    return position, following + 1


def _half(
    lines: List[bytes], position: int, marks: Tuple[bytes, bytes], known: List[List[bytes]], free: int
) -> Optional[Tuple[int, int]]:
    """Where a block that we wrote stands of which one mark is left, at `position`; what is before `free` is taken."""
    begin, _end = marks
    found = []
    for block in known:
        if lines[position] == begin:
            start, rest = position, block[:-1]
        else:
            start, rest = position + 2 - len(block), block[1:]
        if start >= free and lines[start : start + len(rest)] == rest:
            found.append((start, start + len(rest)))
    return max(found, key=lambda span: span[1] - span[0], default=None)


def _incomplete(path: str, mark: bytes, marks: Tuple[bytes, bytes]) -> str:
    begin, end = (item.decode() for item in marks)
    there, missing, side = (begin, end, "below") if mark == marks[0] else (end, begin, "above")
    return (
        f"In {path} stands the line '{there}', and '{missing}' is missing: which of the lines {side} it are this "
        f"collection's, and which are yours, cannot be told. Nothing was changed. Put the missing line back, so that "
        f"only lines that are not yours are between the two; or remove '{there}' and those lines. Then run again."
    )


def _marks(role: str) -> Tuple[bytes, bytes]:
    return f"# BEGIN nspa.proaudio {role}".encode(), f"# END nspa.proaudio {role}".encode()


def _line_end(lines: bytes) -> bytes:
    """How the lines of a file end: as most of them do."""
    return b"\r\n" if lines.count(b"\r\n") * 2 > lines.count(b"\n") else b"\n"
