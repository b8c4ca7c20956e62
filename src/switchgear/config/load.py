"""The one loader: a file (or text) into a checked `Config`.

1. `document` turns YAML or TOML into nodes with lines.
2. `interpolate` fills in `${ENV}`.
3. `decode` makes structs of them, by their types.
4. `validate` checks what types cannot say.

Each step reports all it finds before the next begins; what is wrong is raised as one `ConfigError` whose `errors` lists
every finding. No message shows a secret.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path as FilePath

import msgspec
from msgspec import Struct

from switchgear.config.decode import BROKEN, Decoder
from switchgear.config.document import MAX_FILE_BYTES, Format, Node, parse
from switchgear.config.environment import from_environment
from switchgear.config.interpolate import interpolate
from switchgear.config.report import ConfigWarning, Report
from switchgear.config.schema import Config, Defaults
from switchgear.config.section import Section
from switchgear.config.validate import SIMULATOR_URL, ProviderRow, validate
from switchgear.errors import ConfigError

__all__ = ["Loaded", "from_environment", "load", "load_with_warnings", "loads", "read"]


SIMULATOR_VARIABLE = "SWITCHGEAR_SIMULATOR_URL"
"""Set by `serve` for its workers, which read the file again on a reload."""


class Loaded(Struct, frozen=True):
    """A usable configuration and what to tell its owner."""

    config: Config
    warnings: tuple[ConfigWarning, ...]


def load(
    path: str | os.PathLike[str],
    known_types: Mapping[str, ProviderRow] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """The configuration in a file: TOML when its name ends in `.toml`, else YAML.

    known_types: provider types by name (`providers.registry.provider_types()`); without it types are not checked.
    environment: for `${NAME}`, by default the process's. Raises ConfigError.
    """
    return load_with_warnings(path, known_types, environment=environment).config


def load_with_warnings(
    path: str | os.PathLike[str],
    known_types: Mapping[str, ProviderRow] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """As `load`, with the warnings."""
    name = os.fspath(path)
    form: Format = "toml" if name.lower().endswith(".toml") else "yaml"
    return read(_text(name), form, name, known_types, os.environ if environment is None else environment)


def loads(
    text: str,
    form: Format = "yaml",
    known_types: Mapping[str, ProviderRow] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Config:
    """As `load`, from a text in hand."""
    return read(text, form, None, known_types, os.environ if environment is None else environment).config


def read(
    text: str,
    form: Format,
    file: str | None,
    known_types: Mapping[str, ProviderRow] | None,
    environment: Mapping[str, str],
) -> Loaded:
    """All four steps. file: the name in messages."""
    root = parse(text, form, file)
    report = Report(root, file)
    _interpolate(root, environment, report)
    config = Decoder(report.error).decode(root, Config, ())
    report.raise_errors()
    if config is BROKEN or not isinstance(config, Config):
        raise AssertionError("the decoder reported nothing and returned no configuration")
    config = _anchored(_with_defaults(config, root), file, environment)
    validate(config, report, known_types)
    report.raise_errors()
    return Loaded(config, tuple(report.warnings))


def _anchored(config: Config, file: str | None, environment: Mapping[str, str]) -> Config:
    """Relative files are those beside the configuration, whatever the working directory; `simulator:` is the address
    of the one that `serve` has started."""
    simulator = environment.get(SIMULATOR_VARIABLE)
    if simulator:
        config = with_simulator(config, simulator)
    if file is None:
        return config
    folder = FilePath(file).absolute().parent
    ledger = config.ledger
    if ledger.path.strip():
        ledger = msgspec.structs.replace(ledger, path=str(folder / ledger.path))
    database = config.database
    scheme, separator, rest = database.url.partition(":///")
    if scheme == "sqlite" and separator and rest[:1] not in ("", "/", ":"):
        database = msgspec.structs.replace(database, url=f"sqlite:////{str(folder / rest).lstrip('/')}")
    return msgspec.structs.replace(config, ledger=ledger, database=database)


def with_simulator(config: Config, url: str) -> Config:
    """The configuration with the simulator's address filled in."""
    providers = {
        name: msgspec.structs.replace(provider, base_url=url) if provider.base_url == SIMULATOR_URL else provider
        for name, provider in config.providers.items()
    }
    return msgspec.structs.replace(config, providers=providers)


def _text(name: str) -> str:
    try:
        with FilePath(name).open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", file=name) from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError("expected UTF-8 text", file=name, line=line) from None  # the exception holds the whole file


def _interpolate(root: Node, environment: Mapping[str, str], report: Report) -> None:
    for path, node in root.scalars():
        if not isinstance(node.value, str):
            continue
        try:
            found = interpolate(node.value, environment)
        except ValueError as error:
            report.error(path, str(error))
            node.broken = True
        else:
            node.value, node.environment, node.whole = found.text, found.environment, found.whole


def _with_defaults(config: Config, root: Node) -> Config:
    """Each model with what it does not write itself taken from `defaults`, field by field."""
    if config.defaults == Defaults():
        return config
    models = {}
    for name, model in config.models.items():
        filled = {}
        for section in Defaults.__struct_fields__:
            inherited = getattr(config.defaults, section)
            own = getattr(model, section)
            if not isinstance(own, Section):
                written_here = root.find(("models", name, section)) is not None
                filled[section] = own if written_here else inherited
                continue
            written = {
                field: getattr(own, field)
                for field in own.__struct_fields__
                if root.find(("models", name, section, field)) is not None
            }
            filled[section] = msgspec.structs.replace(inherited, **written)
        models[name] = msgspec.structs.replace(model, **filled)
    return msgspec.structs.replace(config, models=models)
