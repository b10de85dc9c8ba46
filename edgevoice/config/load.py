"""Finds the configuration, checks each section with the plugin it belongs to, and makes the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.config.options import CoreOptions, SpeakerOptions
from edgevoice.config.semantics import check_semantics
from edgevoice.config.validation import Document, Validator, parse_yaml, read_yaml
from edgevoice.errors import ConfigError, ConfigIssue
from edgevoice.paths import expanded, relative_to_config
from edgevoice.plugin import SpeechOptions
from edgevoice.plugin_loader import Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.plugin import Plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, checked.

    `sections` holds the options of sources, observers and transports by section, `outputs` those of each
    speaker's output.
    """

    core: CoreOptions
    plugins: Plugins
    #: Defaults of all speech, from the section of the speech service.
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    sections: Mapping[str, msgspec.Struct] = field(default_factory=dict)
    outputs: Mapping[str, msgspec.Struct] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    file: Path | None = None

    def section(self, name: str) -> Any:
        """The options of a source or observer, as the struct that its plugin declares."""
        return self.sections[name]

    def transport_options(self, name: str) -> Any:
        """The options of a transport, as the struct that its plugin declares."""
        return self.sections[self.plugins.transports[name].section or name]


def find_config_file(path: str | None = None) -> Path | None:
    """The file to use: `path`, `$EDGEVOICE_CONFIG`, the user's, the system's; None where there is none."""
    for named in (path, os.environ.get("EDGEVOICE_CONFIG")):
        if named:
            return expanded(named)
    from platformdirs import user_config_path  # noqa: PLC0415 - only needed here

    for folder in (user_config_path("edgevoice"), Path("/etc/edgevoice")):
        if (file := folder / "edgevoice.yaml").is_file():
            return file
    return None


def load(path: str | None = None) -> Settings:
    """Load the configuration.

    Raises:
        ConfigError: with every mistake in it.
    """
    file = find_config_file(path)
    document = read_yaml(file) if file else Document({})
    settings, mistakes = check(document, file)
    if mistakes:
        raise ConfigError(mistakes, str(file or ""))
    return settings


def settings_from(text: str) -> Settings:
    """Settings from YAML text.

    Raises:
        ConfigError: with every mistake in it.
    """
    settings, mistakes = check(parse_yaml(text), None)
    if mistakes:
        raise ConfigError(mistakes)
    return settings


def check(document: Document, file: Path | None) -> tuple[Settings, list[ConfigIssue]]:
    """Check a document as a whole: all its mistakes, and the settings, of use where there are none."""
    values = dict(document.values)
    checker = Validator(document, file)
    plugins = Plugins.load(_plugins_dir(values.get("plugins_dir"), file))
    parts = plugins.sections
    own = {name.encode_name for name in msgspec.structs.fields(CoreOptions)}
    given = {key: value for key, value in values.items() if key in own}
    sections = {
        name: checker.struct(kinds[0].options, values.get(name), (name,)) for name, kinds in parts.items()
    }
    for name, section in sections.items():
        # Transports of one service inherit one check.
        for kind in {kind.validate_options.__func__: kind for kind in parts[name]}.values():  # type: ignore[attr-defined]
            _problems(checker, kind, section, (name,))
    for key in values:
        if key not in own and key not in parts:
            if broken := plugins.broken(str(key)):
                checker.mistake((str(key),), broken)
            else:
                checker.unknown((str(key),), [*own, *parts])
    speakers = given.pop("speakers", None)
    core = checker.struct(CoreOptions, given, ()) or CoreOptions()
    core, outputs = _speakers(checker, plugins, core, speakers)
    speech = speech_options(plugins, sections)
    check_semantics(checker, core, speech, plugins, file)
    settings = Settings(
        speech=speech,
        core=core,
        plugins=plugins,
        sections={name: section for name, section in sections.items() if section is not None},
        outputs=outputs,
        warnings=tuple(checker.warnings),
        file=file,
    )
    return settings, checker.mistakes


def speech_options(plugins: Plugins, sections: Mapping[str, msgspec.Struct | None]) -> SpeechOptions:
    """Return the options of the first transport that belongs to a speech service."""
    for name, kind in plugins.transports.items():
        options = sections.get(kind.section or name)
        if isinstance(options, SpeechOptions):
            return options
    return SpeechOptions()


def _plugins_dir(value: object, file: Path | None) -> Path | None:
    return relative_to_config(value, file) if isinstance(value, str) else None


def _speakers(
    checker: Validator, plugins: Plugins, core: CoreOptions, value: object
) -> tuple[CoreOptions, dict[str, msgspec.Struct]]:
    """Each speaker's own keys and those of its output, which stand side by side in one mapping."""
    if not isinstance(value, dict | None):
        checker.mistake(("speakers",), "has to be a mapping of names to speakers")
    speakers, outputs = {}, {}
    for name, keys in value.items() if value and isinstance(value, dict) else [(core.node, {})]:
        path = ("speakers", str(name))
        if not isinstance(keys, dict | None):
            checker.mistake(path, "has to be a mapping, such as {output: sound_card}")
            keys = {}  # noqa: PLW2901 - its name is checked all the same
        speaker, options = _speaker(checker, plugins, keys or {}, path)
        speakers[str(name)] = speaker
        if options is not None:
            outputs[str(name)] = options
    _claims(checker, plugins, speakers, outputs)
    return msgspec.structs.replace(core, speakers=speakers), outputs


def _claims(
    checker: Validator,
    plugins: Plugins,
    speakers: dict[str, SpeakerOptions],
    outputs: dict[str, msgspec.Struct],
) -> None:
    """Two speakers that want the same thing for themselves, such as one file."""
    claimed: dict[tuple[str, str], str] = {}
    for name, options in outputs.items():
        kind = speakers[name].output
        claim = plugins.outputs[kind].exclusive_resource(options)
        if claim is not None and (other := claimed.setdefault((kind, claim), name)) != name:
            checker.mistake(
                ("speakers", name), f"has {claim} for itself, and so has {other}: each needs its own"
            )


def _speaker(
    checker: Validator, plugins: Plugins, keys: dict[str, Any], path: tuple[str, str]
) -> tuple[SpeakerOptions, msgspec.Struct | None]:
    output = keys.get("output", SpeakerOptions().output)
    plugin = plugins.outputs.get(output) if isinstance(output, str) else None
    if plugin is None:
        checker.mistake((*path, "output"), plugins.unknown("output", str(output)))
        keys = {key: value for key, value in keys.items() if key != "output"}
        return checker.struct(SpeakerOptions, keys, path, known=keys) or SpeakerOptions(), None
    own = {field.encode_name for field in msgspec.structs.fields(SpeakerOptions)}
    theirs = {field.encode_name for field in msgspec.structs.fields(plugin.options)}
    speaker = checker.struct(SpeakerOptions, keys, path, known=theirs) or SpeakerOptions()
    given = {key: value for key, value in keys.items() if key in theirs}
    options = checker.struct(plugin.options, given, path, known=own)
    if missing := plugin.missing_dependency():
        checker.mistake((*path, "output"), f"{output!r} {missing}")
    else:
        _problems(checker, plugin, options, path)
    return speaker, options


def _problems(
    checker: Validator, plugin: type[Plugin], options: msgspec.Struct | None, path: tuple[str, ...]
) -> None:
    """What a plugin itself finds wrong with its options."""
    if options is None:
        return
    try:
        for key, problem in plugin.validate_options(options):
            checker.mistake((*path, key), problem)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        checker.mistake(path, f"the plugin could not check its options: {type(error).__name__}: {error}")
