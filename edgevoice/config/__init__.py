"""Find and read the configuration, check each section with the plugin that owns it, build the settings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgevoice.config.options import DEFAULT_OUTPUT, CoreOptions, SpeakerOptions
from edgevoice.config.semantics import check_semantics
from edgevoice.config.validation import Document, Validator, keys_of, parse_yaml, printable, read_yaml
from edgevoice.errors import ConfigError, ConfigIssue
from edgevoice.paths import expanded, find_state_dir, relative_to_config
from edgevoice.plugin import SpeechOptions
from edgevoice.plugin_loader import Plugins

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgevoice.plugin import Plugin


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration, checked."""

    core: CoreOptions
    plugins: Plugins
    #: Defaults of all speech, from the section of the speech service.
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    #: Options of sources, observers and transports, by the name of their section.
    sections: Mapping[str, msgspec.Struct] = field(default_factory=dict)
    #: Options of each speaker's output, by the name of the speaker.
    outputs: Mapping[str, msgspec.Struct] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    #: The file it was read from; None if there is none.
    file: Path | None = None

    def section(self, name: str) -> Any:
        """Return the options in a section, as the struct that its plugin declares."""
        return self.sections[name]

    def transport_options(self, name: str) -> Any:
        """Return the options of a transport, as the struct that its plugin declares."""
        return self.sections[self.plugins.transports[name].section or name]


def find_config_file(path: str | None = None) -> Path | None:
    """Return the file to use: `path`, `$EDGEVOICE_CONFIG`, the user's or the system's; None if there is none."""
    for named in (path, os.environ.get("EDGEVOICE_CONFIG")):
        if named:
            return expanded(named)
    from platformdirs import user_config_path  # noqa: PLC0415 - only needed here

    for folder in (user_config_path("edgevoice"), Path("/etc/edgevoice")):
        if (file := folder / "edgevoice.yaml").is_file():
            return file
    return None


def load_settings(path: str | None = None) -> Settings:
    """Load the configuration from `path`, or from where `find_config_file` finds it.

    Raises:
        ConfigError: It has mistakes; the error carries all of them.
    """
    file = find_config_file(path)
    document = read_yaml(file) if file else Document({})
    settings, issues = check(document, file)
    if issues:
        raise ConfigError(issues, str(file or ""))
    return settings


def configured_state_dir(path: str | None = None) -> Path:
    """Return the state folder that the configuration names, whatever else is wrong in it.

    Raises:
        ConfigError: The file cannot be read as YAML.
    """
    file = find_config_file(path)
    named = read_yaml(file).values.get("state_dir") if file else None
    return expanded(str(find_state_dir(named if isinstance(named, str) else None)))


def settings_from(text: str, kinds: Mapping[str, type[Plugin]] | None = None) -> Settings:
    """Return the settings that YAML text describes; `kinds` are plugins to register in addition to the installed.

    Raises:
        ConfigError: It has mistakes; the error carries all of them.
    """
    settings, issues = check(parse_yaml(text), None, kinds)
    if issues:
        raise ConfigError(issues)
    return settings


def check(
    document: Document, file: Path | None, kinds: Mapping[str, type[Plugin]] | None = None
) -> tuple[Settings, list[ConfigIssue]]:
    """Return the settings that a document describes, and all issues with it. Use settings without issues only."""
    values, validator = document.values, Validator(document, file)
    plugins = Plugins.load(_plugins_dir(values.get("plugins_dir"), file))
    plugins.add_classes(kinds or {})
    sections = _check_sections(validator, plugins, values)
    core = _check_core(validator, plugins, values)
    core, outputs = _check_speakers(validator, plugins, core, values.get("speakers"))
    speech = _speech_options(plugins, sections)
    check_semantics(validator, core, speech, plugins)
    settings = Settings(
        core=core,
        plugins=plugins,
        speech=speech,
        sections=sections,
        outputs=outputs,
        warnings=tuple(validator.warnings),
        file=file,
    )
    return settings, validator.issues


def _plugins_dir(value: object, file: Path | None) -> Path | None:
    return relative_to_config(value, file) if isinstance(value, str) else None


def _check_sections(
    validator: Validator, plugins: Plugins, values: Mapping[str, Any]
) -> dict[str, msgspec.Struct]:
    """Return the options of each plugin's section."""
    sections = {}
    for name, kinds in plugins.sections.items():
        options = validator.struct(kinds[0].options, values.get(name), (name,))
        # The transports of one service inherit one check: it runs once.
        checks = {getattr(kind.validate_options, "__func__", kind): kind for kind in kinds}
        for kind in checks.values():
            _check_options(validator, kind, options, (name,))
        if options is not None:
            sections[name] = options
    return sections


def _check_core(validator: Validator, plugins: Plugins, values: Mapping[str, Any]) -> CoreOptions:
    """Return the options of the core without the speakers, and report sections that nothing owns."""
    own = keys_of(CoreOptions)
    for key in map(str, values):
        if key in own or key in plugins.sections:
            continue
        if broken := plugins.broken(key):
            validator.issue((key,), broken)
        else:
            validator.unknown((key,), [*own, *plugins.sections])
    given = {key: value for key, value in values.items() if key in own and key != "speakers"}
    return validator.struct(CoreOptions, given, ()) or CoreOptions()


def _speech_options(plugins: Plugins, sections: Mapping[str, msgspec.Struct]) -> SpeechOptions:
    """Return the options of the first transport that belongs to a speech service."""
    for name, kind in plugins.transports.items():
        options = sections.get(kind.section or name)
        if isinstance(options, SpeechOptions):
            return options
    return SpeechOptions()


def _check_speakers(
    validator: Validator, plugins: Plugins, core: CoreOptions, value: object
) -> tuple[CoreOptions, dict[str, msgspec.Struct]]:
    """Return the core's options with the speakers, and the options of each speaker's output."""
    if not isinstance(value, dict | None):
        validator.issue(("speakers",), "must be a mapping of names to speakers")
    given = value if value and isinstance(value, dict) else {core.node: {}}
    speakers, outputs = {}, {}
    for name, keys in given.items():
        path = ("speakers", str(name))
        if not isinstance(keys, dict | None):
            validator.issue(path, "must be a mapping, such as {output: sound_card}")
            keys = {}  # noqa: PLW2901 - the name is checked all the same
        speaker, options = _check_speaker(validator, plugins, keys or {}, path)
        speakers[str(name)] = speaker
        if options is not None:
            outputs[str(name)] = options
    _check_exclusive_resources(validator, plugins, speakers, outputs)
    return msgspec.structs.replace(core, speakers=speakers), outputs


def _check_speaker(
    validator: Validator, plugins: Plugins, keys: dict[str, Any], path: tuple[str, ...]
) -> tuple[SpeakerOptions, msgspec.Struct | None]:
    """Return the options of a speaker and of its output; None if its output cannot be used.

    The output's options stand in a mapping, `output: {type: wav_file, path: x.wav}`, or, as a shorthand,
    among the speaker's own: `output: wav_file, path: x.wav`.
    """
    output = keys.get("output", DEFAULT_OUTPUT)
    is_mapping = isinstance(output, dict)
    name = output.get("type", DEFAULT_OUTPUT) if is_mapping else output
    type_path = (*path, "output", "type") if is_mapping else (*path, "output")
    options_path = (*path, "output") if is_mapping else path
    plugin = plugins.outputs.get(name) if isinstance(name, str) else None
    # The keys of an unknown output are not checked: nothing is known about them.
    theirs = keys_of(plugin.options) if plugin else {*keys}
    core_keys = {key: value for key, value in keys.items() if key != "output"}
    known = {"output"} if is_mapping else {"output", *theirs}
    speaker = validator.struct(SpeakerOptions, core_keys, path, known=known) or SpeakerOptions()
    if plugin is None:
        validator.issue(type_path, plugins.unknown("output", str(name)))
        return speaker, None
    if is_mapping:
        given = {key: value for key, value in output.items() if key != "type"}
    else:
        given = {key: value for key, value in keys.items() if key in theirs}
    options = validator.struct(plugin.options, given, options_path)
    if missing := plugin.missing_dependency():
        validator.issue(type_path, f"{name!r} {missing}")
    else:
        _check_options(validator, plugin, options, options_path)
    return msgspec.structs.replace(speaker, output=name), options


def _check_exclusive_resources(
    validator: Validator,
    plugins: Plugins,
    speakers: Mapping[str, SpeakerOptions],
    outputs: Mapping[str, msgspec.Struct],
) -> None:
    """Report speakers that use the same resource, such as a file, which only one may use."""
    owners: dict[tuple[str, str], str] = {}
    for name, options in outputs.items():
        output = speakers[name].output
        resource = plugins.outputs[output].exclusive_resource(options)
        if resource is not None and (owner := owners.setdefault((output, resource), name)) != name:
            validator.issue(("speakers", name), f"{resource} is already used by speaker {owner}; use another")


def _check_options(
    validator: Validator, plugin: type[Plugin], options: msgspec.Struct | None, path: tuple[str, ...]
) -> None:
    """Report the issues and warnings that a plugin finds with its options."""
    if options is None:
        return
    try:
        for key, sentence in plugin.validate_options(options):
            validator.issue((*path, key), sentence)
        for key, sentence in plugin.option_warnings(options):
            validator.warnings.append(f"{printable((*path, key))}: {sentence}")
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        validator.issue(path, f"the plugin failed to check its options: {type(error).__name__}: {error}")
