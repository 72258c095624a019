# Copyright: (c) 2026, nspa.proaudio contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of host_files: render all templates of a role, then run the module once."""

from __future__ import annotations

from pathlib import Path

from ansible.errors import AnsibleActionFail, AnsibleError

try:  # ansible-core 2.19 and later: a text is a template only when somebody vouches for it
    from ansible.template import trust_as_template

    AnsibleEnvironment = None
except ImportError:  # ansible-core 2.17 and 2.18
    from ansible.template import AnsibleEnvironment

    trust_as_template = None

from ansible_collections.nspa.proaudio.plugins.module_utils._files import files
from ansible_collections.nspa.proaudio.plugins.plugin_utils._state_action import StateAction

MANAGED = "Written by nspa.proaudio (role {role}): change the role's variables, not this file."


class ActionModule(StateAction):
    """Turns ``templates`` into ``files`` and hands everything to the module in one call."""

    TRANSFERS_FILES = False
    concern = files.CONCERN

    def arguments(self, variables):
        """The arguments for the module, all templates rendered."""
        arguments = dict(self._task.args)
        templates = arguments.pop("templates", None) or []
        if arguments.get("state", "present") != "absent" and templates:
            if not isinstance(templates, list) or not all(isinstance(item, dict) for item in templates):
                raise AnsibleActionFail("templates: a list of dictionaries with src and dest is wanted.")
            rendered = [entry for item in templates for entry in self._files(item, variables)]
            arguments["files"] = list(arguments.get("files") or []) + rendered
        return arguments

    def _files(self, item, variables):
        """One entry of ``templates`` as entries of ``files``; the module checks the rest of its keys."""
        missing = [key for key in ("src", "dest") if item.get(key) in (None, "")]
        if missing:
            raise AnsibleActionFail(f"templates: the entry {dict(item)} lacks {' and '.join(missing)}.")
        others = {key: value for key, value in item.items() if key not in ("src", "dest")}
        destinations = [item["dest"]] if isinstance(item["dest"], str) else item["dest"]
        return [dict(others, path=path, content=self._render(item["src"], path, variables)) for path in destinations]

    def _render(self, src, dest, task_vars):
        """The text that a template becomes, found and rendered as ansible.builtin.template does."""
        try:
            source = self._find_needle("templates", src)
            text = self._loader.get_text_file_contents(source) if trust_as_template else self._read(source)
            folders = [*task_vars.get("ansible_search_path", []), self._loader.get_basedir(), str(Path(source).parent)]
            searchpath = [path for folder in folders for path in (str(Path(folder) / "templates"), folder)]
            variables = task_vars.copy()
            variables.setdefault("ansible_managed", MANAGED.format(role=self._task.args.get("role")))
            variables.update(template_path=src, template_fullpath=source, template_destpath=dest)
            rendered = self._expand(text, searchpath, variables)
            # Since ansible-core 2.19 a template that is a single expression loses the end of its line.
            return f"{rendered}\n" if text.endswith("\n") and rendered and not rendered.endswith("\n") else rendered
        except AnsibleError as error:
            raise AnsibleActionFail(f"The template {src} for {dest} cannot be rendered: {error}") from error

    def _read(self, source):
        return Path(self._loader.get_real_file(source)).read_text(encoding="utf-8")

    def _expand(self, text, searchpath, variables):
        overrides = {"trim_blocks": True, "lstrip_blocks": False}
        if trust_as_template:
            templar = self._templar.copy_with_new_env(searchpath=searchpath, available_variables=variables)
            rendered = templar.template(trust_as_template(text), escape_backslashes=False, overrides=overrides)
            return "" if rendered is None else str(rendered)
        # AnsibleEnvironment: otherwise jinja2_native would turn a rendered "1" into a number.
        templar = self._templar.copy_with_new_env(
            environment_class=AnsibleEnvironment, searchpath=searchpath, available_variables=variables
        )
        return templar.do_template(text, preserve_trailing_newlines=True, escape_backslashes=False, overrides=overrides)
