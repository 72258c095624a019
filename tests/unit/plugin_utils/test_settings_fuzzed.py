# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever an inventory has for a setting is taken, or refused in words: by name, in one short line, and at once.

What is taken is put through the programs that read it in tests/unit/test_accepted_settings.py.
"""

from __future__ import annotations

import datetime
from typing import Any, Dict, List

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.nspa.proaudio.plugins.module_utils._host import priority_plan
from ansible_collections.nspa.proaudio.plugins.plugin_utils import _setting_rules, _setting_types, _settings

try:  # ansible-core 2.19 and later: what an inventory has is marked as a template
    from ansible.template import trust_as_template
except ImportError:

    def trust_as_template(value):
        return value


OPTIONS: Dict[str, Dict[str, Any]] = {
    name: option for role in _settings.SPECS.values() for name, option in role.items()
}

#: What people paste, what shells, YAML and Jinja read, and what breaks lines, terminals and parsers.
NASTY = [
    *("", " ", "\n", "\0", "\t", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "\ud800", "\udcff", "ä", "\U0001f3b9"),
    *("-", "--", "-rf", "--help", "../../etc/passwd", "/", "//", "~", "~root", "*", "?", "%", "%n", "%(x)s", "$HOME"),
    *(
        "$(reboot)",
        "`reboot`",
        "${IFS}",
        "a;reboot",
        "a|b",
        "a&&b",
        "a\nb",
        "a\r\nb",
        "'",
        '"',
        "'\"'",
        "\\",
        "a\\",
        "#",
    ),
    *(
        "null",
        "None",
        "true",
        "yes",
        "False",
        "[]",
        "{}",
        "[1, 2]",
        '{"a": 1}',
        "- a",
        "a: b",
        "!!python/none",
        "&a",
        "*a",
    ),
    *(
        "{{ nowhere }}",
        "{{ 1 / 0 }}",
        "{{",
        "}}",
        "{% for %}",
        "{# a #}",
        "{{ [] }}",
        "{{ {} }}",
        "{{ none }}",
        "{{ 95 }}",
    ),
    *(
        "95",
        "-20",
        "+5",
        " 5",
        "5 ",
        "05",
        "0x10",
        "5.0",
        "1e2",
        "9_5",
        "\uff19\uff15",
        "\u0661",
        "inf",
        "nan",
        "1e999999999",
        "-0",
    ),
    *("unlimited", "Unlimited", "infinity", "8GB", "8 388 608", "root", "sudo", "a" * 10000, "{" * 3000, "9" * 5000),
    *(
        "wine=1:2",
        "wine-",
        "threadirqs",
        "threadirq",
        "init=/bin/sh",
        "http://",
        "https://a b/c",
        "file:///x",
        "cap_sys_nice",
    ),
]
NUMBERS = st.one_of(
    st.integers(),
    st.integers(-30, 300),
    st.sampled_from([2**31, 2**32, 2**63, 2**64, -(2**63), 10**17, 10**18, 10**4000]),
    st.floats(allow_nan=True, allow_infinity=True),
)
TEXTS = st.one_of(
    st.sampled_from(NASTY),
    st.text(max_size=30),
    st.text(st.characters(codec=None, exclude_categories=()), max_size=8),  # with lone surrogates
    st.text("abAZ09_-+.:=/%,@^~!{}[]()<>|&; '\"\\$`#*?\n", max_size=12),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, TEXTS, st.just(datetime.date(2026, 1, 31)), st.binary(max_size=4)
)
KEYS = st.one_of(
    TEXTS, st.booleans(), st.integers(), st.none(), st.sampled_from(["src", "sha256", "path", "capabilities"])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def likely(option: Dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values of the right shape, whose parts may be anything."""
    if option.get("choices"):
        return st.sampled_from(option["choices"])
    if option["type"] == "list" and option["elements"] == "dict":
        parts = dict.fromkeys(option["options"], TEXTS)
        return st.lists(st.fixed_dictionaries(parts) | st.fixed_dictionaries({}, optional=parts), max_size=3)
    shapes = {
        "int": NUMBERS,
        "bool": st.booleans() | TEXTS,
        "list": st.lists(SCALARS, max_size=3) | TEXTS,
        "dict": st.dictionaries(KEYS, SCALARS, max_size=3),
    }
    return shapes.get(option["type"], TEXTS)


@st.composite
def inventories(draw: st.DrawFn) -> Dict[str, Any]:
    """One to three settings with anything at all."""
    names = draw(st.lists(st.sampled_from(sorted(OPTIONS)), min_size=1, max_size=3, unique=True))
    return {name: draw(likely(OPTIONS[name]) | JUNK) for name in names}


def trusted(value: Any) -> Any:
    """As Ansible reads an inventory."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, dict):
        return {trusted(key): trusted(item) for key, item in value.items()}
    return [trusted(item) for item in value] if isinstance(value, list) else value


def ask(variables: Dict[str, Any]) -> Dict[str, Any]:
    """What preflight does with the settings, with Ansible's own templates."""
    variables = {name: trusted(value) for name, value in variables.items()}
    return _settings.checked(variables, Templar(loader=DataLoader(), variables=variables).template)


def told_well(error: _settings.SettingsError, *names: str) -> None:
    """Each problem has the name of a variable that was given, and fits in a line of a terminal's log."""
    assert error.problems
    for problem in error.problems:
        assert any(name in problem for name in names), problem
        assert len(problem) <= _setting_types.LONGEST_LINE
        assert problem.isprintable(), repr(problem)
    str(error).encode()


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(inventories())
def test_anything_is_taken_or_refused_in_words(variables: Dict[str, Any]) -> None:
    try:
        values = ask(variables)
    except _settings.SettingsError as error:
        told_well(error, *variables)
        return
    for name, option in OPTIONS.items():
        kinds = {"int": int, "str": str, "bool": bool, "list": list, "dict": dict, "raw": object}
        assert values[name] is None or type(values[name]) is bool or isinstance(values[name], kinds[option["type"]])
        assert (type(values[name]) is bool) == (option["type"] == "bool") or option["type"] == "raw", name
    # What was taken is what is meant: it is taken again, and is the same.
    assert _settings.checked(values, lambda value: value) == values


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_nothing_nasty_gets_through_any_setting(name: str) -> None:
    option = OPTIONS[name]
    for text in NASTY:
        for value in _shapes(option, text):
            try:
                values = ask({name: value})
            except _settings.SettingsError as error:
                told_well(error, name)
            else:
                _plain_text(values[name], option)


def _shapes(option: Dict[str, Any], text: str) -> List[Any]:
    """A text in every place that a setting has for one, and where it has none."""
    if option["type"] == "dict":
        return [text, {text: "1"}, {"A": text}, {"A": f"a{text}a"}]
    if option["type"] != "list":
        return [text, [text]]
    if option["elements"] == "str":
        return [text, [text], [f"a{text}"], [[text]]]
    return [[dict.fromkeys(option["options"], text)], [text], {text: text}]


def _plain_text(value: Any, option: Dict[str, Any]) -> None:
    """Nothing that was taken can end a line of a file or write to a terminal."""
    if option["type"] == "raw":
        return
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for item in value:
            _plain_text(item, {"type": ""})
    assert not isinstance(value, str) or value.isprintable(), repr(value)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_setting_without_a_value_is_refused_unless_that_means_something(name: str) -> None:
    if name in _settings.NULLABLE:
        assert ask({name: None})[name] is None
        assert "Null leaves it alone" in OPTIONS[name]["description"]
    else:
        with pytest.raises(_settings.SettingsError, match=f"{name} (has no value|is)"):
            ask({name: None})


def test_every_setting_is_confined() -> None:
    """By its choices, its type, the priority plan, or a rule of its own."""
    plan = {priority_plan.LIMIT, *(name for name, _who in priority_plan.ORDER)}
    free = {name for name, option in OPTIONS.items() if not option.get("choices") and option["type"] != "bool"}
    assert set(_setting_rules.RULES) == free - plan - {"nspa_hosts"}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_slip_of_the_pen_in_a_name_is_noticed(name: str) -> None:
    slips = {name[:at] + name[at + 1 :] for at in range(1, len(name))}
    slips |= {name[:at] + name[at] + name[at:] for at in range(1, len(name))}
    slips |= {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(1, len(name) - 1)}
    slips |= {name.upper(), name.replace("_", "", 1)}
    slips -= set(OPTIONS)
    found = _settings.problems(dict.fromkeys(slips, 1), _settings.effective({}, lambda value: value))
    lacking = [slip for slip in slips if not any(problem.startswith(f"{slip} (value 1)") for problem in found)]
    if len(name) > 11:  # in a shorter one, two letters that changed places are too much of a difference
        assert lacking == []
    assert len(lacking) < len(slips) / 5


def test_other_peoples_variables_are_left_alone() -> None:
    theirs = ["wine_version", "rtlimits", "users", "linux", "my_rt_limits_users", "scheduler_tuning", "ansible_user"]
    assert ask(dict.fromkeys(theirs, 1))


def test_a_thousand_wrong_names_are_no_thousand_lines() -> None:
    with pytest.raises(_settings.SettingsError) as caught:
        ask({"rt_limits_users": ["a b"] * 1000})
    assert len(caught.value.problems) == _settings.MOST + 1
    assert "995 more" in caught.value.problems[-1]


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_number_that_has_no_decimal_text_is_refused(name: str) -> None:
    """YAML takes hexadecimal numbers of any length; Python prints none of more than 4300 digits."""
    for number in (10**5000, -(10**5000)):
        for value in (number, [number], {"A": number}, [{"src": number}], [{"path": number, "capabilities": "x"}]):
            if OPTIONS[name]["type"] != "raw":
                with pytest.raises(_settings.SettingsError) as caught:
                    ask({name: value})
                told_well(caught.value, name)


def test_a_value_within_itself_is_refused() -> None:
    users: Any = ["ada"]
    users.append(users)
    with pytest.raises(_settings.SettingsError, match="rt_limits_users has lists and dictionaries in more than"):
        _settings.checked({"rt_limits_users": users}, lambda value: value)


def test_a_password_in_an_address_is_not_shown() -> None:
    package = {"src": "https://ada:secret@example.org/linux image.deb", "sha256": "0"}
    for value in ([package], [dict(package, colour="red")], package, {"a": package["src"]}):
        with pytest.raises(_settings.SettingsError) as caught:
            ask({"linux_nspa_source": "packages", "linux_nspa_packages": value})
        assert "secret" not in str(caught.value)
